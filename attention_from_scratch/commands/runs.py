"""A run: the folder that `train` writes and the other commands read.

model.npz              the parameters, the settings, the record of training
catalogue.json         the items' labels and titles, by id
result.json            what was asked for and what came out
learning-curves.png
"""

import contextlib
import csv
import json
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from attention_from_scratch.data import Interactions, Split, leave_one_out, read_interactions
from attention_from_scratch.evaluation import evaluate
from attention_from_scratch.models import SASRec
from attention_from_scratch.training import Adam, replace_file

MODEL, CATALOGUE, RESULT, CURVES = (
    "model.npz",
    "catalogue.json",
    "result.json",
    "learning-curves.png",
)
# What the options of `train` are called as arguments of SASRec, and of its fit.
OF_MODEL = (
    *("max_len", "dim", "n_blocks", "n_heads", "dropout", "norm", "loss", "n_negatives", "seed"),
    *("count_from", "fast"),
)
OF_FIT = (
    *("epochs", "patience", "evaluate_every", "batch_size", "lr", "schedule"),
    *("pieces", "threads", "processes"),
)


def train(options) -> None:
    """Fit a model on a file of events and write the run; `options` are those of the command."""
    settings = {name: getattr(options, name) for name in OF_MODEL}
    fit = {name: getattr(options, name) for name in OF_FIT}
    SASRec(1, **settings)  # an impossible size should not wait for the data,
    Adam({}, lr=options.lr)  # nor an impossible rate
    name = f"{options.data.stem}-{options.loss}-seed{options.seed}"
    folder = options.out or Path("runs") / name
    if (folder / MODEL).exists() and not options.overwrite:
        raise ValueError(f"{folder} holds a model already: choose another --out, or --overwrite it")

    data = read(options.data, options.columns)
    split = leave_one_out(data.histories)
    check_events(options.data, split)
    with folder_for_output(folder):
        print(data)
        model = SASRec(data.n_items, **settings)
        validation = split.validation if split.validation.any() else None
        if validation is None:
            print("no user has 3 events: nothing is held out, and the last epoch is kept")
        start = time.perf_counter()
        model.fit(split.train, validation=validation, **fit)
        seconds = time.perf_counter() - start
        model.save(folder / MODEL)  # first of all: whatever fails from here on, the work is safe
    write_json(folder / CATALOGUE, {"items": data.items, "titles": data.titles})
    for of_before in (RESULT, CURVES):  # if the model is overwritten, these are not its own
        (folder / of_before).unlink(missing_ok=True)
    result = {"data": options.data.name, **outcome(model, fit, seconds)}
    report(folder, model, result, split)
    if model.interrupted:
        raise KeyboardInterrupt


def outcome(model: SASRec, fit: dict, seconds: float) -> dict:
    """What was asked of a training, and how it went."""
    return {
        "settings": model.config,
        "fit": fit,
        "epochs": len(model.history),
        "best_epoch": model.best_epoch,
        "interrupted": model.interrupted,
        "diverged": model.diverged,
        "seconds": round(seconds, 1),
    }


def report(folder: Path, model: SASRec, result: dict, split: Split) -> None:
    """Ask for the test events; write the result and the curves; print them."""
    from attention_from_scratch import plot

    if split.test.any():
        result["test"] = evaluate(model.scores, split.test_histories, split.test)
    write_json(folder / RESULT, result)
    shown = ("epoch", "loss", "seconds", "NDCG@10")
    rows = [{key: row[key] for key in shown if key in row} for row in model.history]
    plot.save(plot.learning_curves(rows), folder / CURVES)

    print(f"{result['epochs']} epochs in {result['seconds']:.0f} s, best: {result['best_epoch']}")
    if model.diverged:
        print("then the numbers grew without bound; a smaller --lr may help")
    if "test" in result:
        print(describe_metrics(result["test"]))
    print(f"written to {folder}")


def check_events(path: Path, split: Split) -> None:
    """Raise if what is left when the test and validation events are held out teaches nothing."""
    if split.test.any() and max(map(len, split.train)) < 2:
        raise ValueError(
            f"{path} has no user with two events to learn from, "
            "after the last two events of each user were held out"
        )


@contextlib.contextmanager
def folder_for_output(folder: Path) -> Iterator[None]:
    """Make the folder and see that it can be written, before hours of work depend on it.

    If what is done with it fails and leaves it empty, it goes again.
    """
    made = [path for path in (folder, *folder.parents) if not path.exists()]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=folder).close()
        yield
    except BaseException:
        for path in made:
            with contextlib.suppress(OSError):  # it holds something
                path.rmdir()
        raise


def read(path: Path, columns: str | None = None) -> Interactions:
    """Read events, and say so if no timestamps ordered them.

    `columns` is "user,item" or "user,item,timestamp".
    """
    roles = None
    if columns is not None:
        names = [name.strip() for name in columns.split(",")]
        if len(names) not in (2, 3):
            raise ValueError(f"--columns was {columns!r}, but must be USER,ITEM or USER,ITEM,TIME")
        roles = dict(zip(("user", "item", "timestamp"), names, strict=False))
    data = read_interactions(path, columns=roles)
    if data.ordered_by != "timestamp":
        print(f"events are ordered by {data.ordered_by}")
    return data


def load(folder: Path) -> tuple[SASRec, Interactions]:
    """The model of a run, and its catalogue as `Interactions` without users."""
    if not folder.is_dir():
        raise ValueError(f"{folder} is not a folder; it should be one that train wrote")
    model = SASRec.load(folder / MODEL)
    catalogue = read_catalogue(folder / CATALOGUE)
    if catalogue.n_items != model.n_items:
        raise ValueError(
            f"{folder / CATALOGUE} has {catalogue.n_items} items, but the model {model.n_items}"
        )
    return model, catalogue


def read_catalogue(path: Path) -> Interactions:
    """The items of a run, without users; people may have edited the file."""
    text = path.read_bytes()
    try:
        known = json.loads(text)
        items, titles = known["items"], known["titles"]
        for labels in (items, titles or [""]):
            if not isinstance(labels, list) or not all(isinstance(label, str) for label in labels):
                raise TypeError
        if len(set(items)) < len(items):
            raise ValueError
        return Interactions([], [], items, titles)
    except (ValueError, KeyError, TypeError, RecursionError):
        raise ValueError(f"{path} is not a catalogue that train wrote") from None


def read_like(path: Path, columns: str | None, catalogue: Interactions, folder: Path) -> Split:
    """Read events, number the items as the run in a folder does, hold out each user's last two."""
    data = read(path, columns)
    known = set(catalogue.items)
    for label in data.items[1:]:
        if label not in known:
            raise ValueError(
                f"{path} holds item {label!r}, which the run in {folder} was not trained on "
                f"({catalogue.n_items} items)"
            )
    ids = np.concatenate([[0], catalogue.ids(data.items[1:])])
    split = leave_one_out([ids[history] for history in data.histories])
    if not split.test.any():
        raise ValueError(f"{path} has no user with 3 events, so there is nothing to rank")
    return split


def history_of(text: str, catalogue: Interactions) -> np.ndarray:
    """The ids of '50, 172, "one, two"'."""
    try:
        (fields,) = csv.reader([text], skipinitialspace=True)
    except (csv.Error, ValueError):
        raise ValueError(f"--history was {text!r}, but must be one line of items") from None
    labels = [field.strip() for field in fields if field.strip()]
    return catalogue.ids(labels) if labels else np.empty(0, np.int64)


def describe_metrics(metrics: dict) -> str:
    """One line: HR@10 0.195  NDCG@10 0.105 ... (943 users)."""
    shown = [f"{name} {value:.4f}" for name, value in metrics.items() if name != "users"]
    return f"test: {'  '.join(shown)}  ({metrics['users']} users)"


def write_json(path: Path, value) -> None:
    """Write JSON, all of it or nothing."""
    text = json.dumps(value, indent=1, ensure_ascii=False) + "\n"
    replace_file(path, lambda temporary: temporary.write_text(text, encoding="utf-8"))
