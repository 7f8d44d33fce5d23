"""Every model on one file of events, side by side: a JSON file a run, a table and a figure.

    OMP_NUM_THREADS=1 python -m benchmarks.baselines --data ../shared/data/ml-100k.inter --threads 1

Each user's last event is the test and the one before it validation; an event is ranked in the whole
catalogue, the user's history left out. A run whose result is there is not repeated, so the command
can be stopped and started again, and its runs can be spread over processes:

    python -m benchmarks.baselines --data FILE --models gru4rec --seeds 1 --threads 1

What can be chosen is chosen by the validation event, and the test event is asked for once. Models
that count are fitted with all settings of a small grid; models that learn have fixed settings for
each file and keep the epoch that is best.
"""

import argparse
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import NamedTuple

import numpy as np
from tqdm import tqdm

from attention_from_scratch.data import (
    Interactions,
    Split,
    leave_one_out,
    read_features,
    read_interactions,
)
from attention_from_scratch.data.readers import ITEM_FILES
from attention_from_scratch.evaluation import evaluate
from attention_from_scratch.models import SASRec, gru4rec
from attention_from_scratch.models.bpr import BPR
from attention_from_scratch.models.content import ContentBased
from attention_from_scratch.models.markov import MarkovChain
from attention_from_scratch.models.neighbours import ItemKNN, UserKNN
from attention_from_scratch.models.popularity import MostPopular, RecentlyPopular
from attention_from_scratch.plot import save
from attention_from_scratch.training import available_cores
from benchmarks.baselines_page import CHOSEN_BY, figure, page, read_results, section
from benchmarks.common import options as kinds
from benchmarks.common.machine import Clocks, made_on
from benchmarks.common.resuming import training_of
from benchmarks.common.writing import as_read, read_json, write_json, write_text

RESULTS = Path(__file__).parent / "results" / "baselines"
HALF_LIVES = (None, 1, 2, 3, 5, 10, 30)


class Counting(NamedTuple):
    """A model without randomness: what makes it, and the settings that are tried."""

    title: str
    make: Callable
    grid: dict[str, tuple]


class Learning(NamedTuple):
    """A model that learns from a seed: what makes it, and its settings for each file."""

    title: str
    make: Callable
    settings: dict[str, dict]  # name of the file -> those of the model, of its fit, and the reason


COUNTING = {
    "most-popular": Counting("MostPopular", MostPopular, {}),
    "recently-popular": Counting(
        "RecentlyPopular", RecentlyPopular, {"share": (0.01, 0.02, 0.05, 0.1, 0.2, 0.5)}
    ),
    "markov-chain": Counting(
        "MarkovChain", MarkovChain, {"smoothing": (0.01, 0.1, 1.0, 10.0, 100.0)}
    ),
    "user-knn": Counting("UserKNN", UserKNN, {"k": (20, 50, 100, 200), "half_life": HALF_LIVES}),
    "item-knn": Counting(
        "ItemKNN",
        ItemKNN,
        {"k": (20, 50, 200), "shrinkage": (0.0, 5.0, 50.0), "half_life": HALF_LIVES},
    ),
    "content-based": Counting("ContentBased", ContentBased, {"half_life": HALF_LIVES}),
}
BUDGET = "max_len and epochs are what takes about 12 minutes on one thread"
OTHER_FILES = "ml-100k"  # whose settings a file takes that has none of its own
LEARNING = {
    "bpr": Learning(
        "BPR",
        BPR,
        {
            "ml-100k": {
                "model": {"dim": 64, "regularization": 0.003, "ops": "plain"},
                "fit": {"epochs": 200, "patience": 40, "lr": 5e-3, "batch_size": 8192},
            },
            "ml-1m": {
                "model": {"dim": 64, "regularization": 0.003, "ops": "plain"},
                "fit": {"epochs": 150, "patience": 30, "lr": 5e-3, "batch_size": 8192},
            },
        },
    ),
    "gru4rec": Learning(
        "GRU4Rec",
        gru4rec,
        {
            "ml-100k": {
                "model": {"max_len": 200, "dim": 64, "dropout": 0.5, "ops": "plain"},
                "fit": {"epochs": 100, "patience": 20, "lr": 3e-3, "batch_size": 32},
            },
            "ml-1m": {
                "model": {"max_len": 100, "dim": 64, "dropout": 0.2, "ops": "plain"},
                "fit": {"epochs": 30, "patience": 10, "lr": 3e-3, "batch_size": 64},
                "because": BUDGET,
            },
        },
    ),
    "sasrec": Learning(
        "SASRec",
        SASRec,
        {
            "ml-100k": {
                "model": {"max_len": 200, "dim": 50, "n_blocks": 2, "dropout": 0.2, "ops": "plain"},
                "fit": {"epochs": 200, "patience": 50},
            },
            "ml-1m": {
                "model": {"max_len": 100, "dim": 50, "n_blocks": 2, "dropout": 0.2, "ops": "plain"},
                "fit": {"epochs": 40, "patience": 10, "lr": 2e-3, "batch_size": 64},
                "because": BUDGET,
            },
        },
    ),
}
MODELS = COUNTING | LEARNING


@dataclass(frozen=True)
class Events:
    """A file of events, split, and what its items are like (None: nobody says)."""

    name: str
    data: Interactions
    split: Split
    features: dict[str, np.ndarray] | None

    @classmethod
    def read(cls, path: Path) -> "Events":
        """Read a file, and the file of its items if there is one beside it."""
        data = read_interactions(path)
        split = leave_one_out(data.histories)
        if not split.test.any():
            raise ValueError(f"{path} has no user with 3 events, so there is nothing to rank")
        items = f"{path.stem}.item" if path.suffix == ".inter" else ITEM_FILES.get(path.name, "")
        known = bool(items) and path.with_name(items).is_file()
        features = read_features(path.with_name(items), data.items)[0] if known else None
        return cls(path.stem, data, split, features)

    @property
    def times(self) -> list[np.ndarray] | None:
        """When the events of `split.train` were."""
        if self.data.times is None:
            return None
        return [
            times[: len(history)]
            for times, history in zip(self.data.times, self.split.train, strict=True)
        ]

    def describe(self) -> dict:
        """What a result says of its data."""
        features = None if self.features is None else sorted(self.features)
        ordered_by = self.data.ordered_by
        return {"data": self.name, "events": str(self.data), "ordered_by": ordered_by} | {
            "features": features
        }


def main(arguments: list[str] | None = None) -> None:
    """Run what is missing; print the table."""
    options, parser = parse(arguments)
    try:
        events = Events.read(options.data)
        folder = options.out / events.name
        folder.mkdir(parents=True, exist_ok=True)
        missing = list(missing_runs(folder, events, options.models, options.seeds))
    except (OSError, ValueError) as error:
        parser.error(str(error))
    for path, name, seed in missing:
        print(f"{events.name}: {path.stem}", flush=True)
        result = count(name, events) if seed is None else learn(name, events, seed, options.threads)
        write_json(path, result)
    save(figure(read_results(folder)), options.out / f"{events.name}.png", dpi=120)
    write_text(options.out / "README.md", page(options.out))
    print(section(read_results(folder)))


def parse(arguments):
    """The options, and the parser for what may be found wrong later."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.baselines", description=__doc__.split("\n")[0]
    )
    parser.add_argument("--data", type=Path, required=True, help="a file of events")
    parser.add_argument("--models", nargs="+", choices=MODELS, metavar="MODEL", default=None)
    parser.add_argument("--seeds", type=kinds.seed, nargs="+", default=[0, 1, 2])
    parser.add_argument(
        "--threads", type=kinds.count, help="of a model that learns; all cores if not given"
    )
    parser.add_argument("--out", type=Path, default=RESULTS, help=f"a folder; {RESULTS} otherwise")
    return parser.parse_args(arguments), parser


def missing_runs(
    folder: Path, events: Events, names: list[str] | None, seeds: list[int]
) -> Iterator[tuple[Path, str, int | None]]:
    """File, model and seed (None: there is no chance in it) of each run that is still to be made.

    Raises
    ------
    ValueError
        If a result was made with other settings, or a model was asked for that cannot be made.
    """
    if names and "content-based" in names and events.features is None:
        raise ValueError("--models has content-based, but there is no file of items beside --data")
    for name in names or MODELS:
        if name == "content-based" and events.features is None:
            continue
        for seed in seeds if name in LEARNING else [None]:
            path = folder / (f"{name}.json" if seed is None else f"{name}-seed{seed}.json")
            if not path.exists():
                yield path, name, seed
            elif read_json(path)["asked"] != as_read(asked(name, events.name)):
                raise ValueError(f"{path} was made with other settings: delete it to run it again")


def asked(name: str, data: str) -> dict:
    """What is asked of a model: the grid that is searched, or the settings that are taken."""
    if name in COUNTING:
        return COUNTING[name].grid
    settings = LEARNING[name].settings
    return settings.get(data, settings[OTHER_FILES])


def count(name: str, events: Events) -> dict:
    """Fit a model with every setting of its grid; ask for the test events with the best."""
    grid, split = COUNTING[name].grid, events.split
    settings = [dict(zip(grid, values, strict=True)) for values in product(*grid.values())]
    best = -1.0
    for choice in tqdm(settings, unit="setting", leave=False, disable=None):
        clocks = Clocks()
        model = counted(name, events, choice)
        spent = clocks.read(2)
        validation = evaluate(model.scores, split.train, split.validation)[CHOSEN_BY]
        if validation > best:
            best, chosen = validation, (model, choice, spent)
    model, choice, spent = chosen
    found = {"chosen": choice, "tried": len(settings), "validation": best}
    return result(name, events, model, found, spent)


def counted(name: str, events: Events, settings: dict):
    """One of the models that count, fitted."""
    n_items, train = events.data.n_items, events.split.train
    if name == "content-based":
        return ContentBased(n_items, events.features, **settings).fit(train)
    model = COUNTING[name].make(n_items, **settings)
    return model.fit(train, times=events.times) if name == "recently-popular" else model.fit(train)


def learn(name: str, events: Events, seed: int, threads: int | None) -> dict:
    """Train from one seed; ask for the test events with the best epoch."""
    settings, split = asked(name, events.name), events.split
    model = LEARNING[name].make(events.data.n_items, seed=seed, **settings["model"])
    cores = {"threads": threads, "processes": 1}  # the time of others would not be counted
    clocks = Clocks()
    model.fit(split.train, validation=split.validation, **cores, **settings["fit"])
    spent = clocks.read(2)
    found = {"seed": seed, "threads": threads or available_cores(), **training_of(model)}
    return result(name, events, model, found, spent)


def result(name: str, events: Events, model, found: dict, spent: dict) -> dict:
    """What goes into the file of a run."""
    split = events.split
    return {
        "model": name,
        "title": MODELS[name].title,
        "asked": asked(name, events.name),
        **found,
        **spent,
        **made_on(),
        **events.describe(),
        "test": evaluate(model.scores, split.test_histories, split.test),
    }


if __name__ == "__main__":
    main()
