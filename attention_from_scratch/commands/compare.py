"""`attention-from-scratch compare`: models side by side on one file of events."""

import contextlib
import sys
from argparse import ArgumentParser
from collections.abc import Iterator
from pathlib import Path

from tqdm import tqdm

from attention_from_scratch.commands import runs
from attention_from_scratch.commands.events import Events, learn, measured
from attention_from_scratch.commands.kinds import KINDS, Kind
from attention_from_scratch.commands.options import add_data, add_features, positive
from attention_from_scratch.commands.table import best_first, table
from attention_from_scratch.files import replace_file

SUMMARY = "A table of models: those that count within seconds, trained ones on request."
EXAMPLE = "--data ml-100k.inter --models counting,bpr --seeds 3"
GROUPS = {
    "counting": [kind.name for kind in KINDS.values() if not kind.is_trained],
    "trained": [kind.name for kind in KINDS.values() if kind.is_trained],
    "all": list(KINDS),
}


def add_options(parser: ArgumentParser) -> None:
    """What is compared, on what, and how long it may take."""
    add = parser.add_argument
    add_data(add)
    add_features(add)
    words = f"of {', '.join(KINDS)}; or {', '.join(GROUPS)} (default counting)"
    add("--models", default="counting", metavar="NAMES", help=f"some, with commas between: {words}")
    count = {"type": positive, "metavar": "N"}
    add("--seeds", **count, default=1, help="of each trained model: 0 to N - 1 (default 1)")
    add("--epochs", **count, help="at most, of each training (default: as in train)")
    add("--threads", **count, help="all cores, if it is not given")
    add("--out", type=Path, metavar="FILE", help="write the table to this file as well")


def run(options) -> None:
    """Fit each model on the training events; print what it achieves on the test events."""
    kinds, left_out = kinds_of(options.models, options.features is not None)
    if options.out is not None:
        runs.check_output("--out", options.out)
    with contextlib.redirect_stdout(sys.stderr):  # the table is all that others are to read
        data = runs.read(options.data, options.columns)
        print(data)
        for kind in left_out:
            print(f"{kind.name} is left out: it needs --features")
    runs.split_for_test(options.data, data.histories)
    events = Events.of(options.data, data, options.features)
    given = {"epochs": options.epochs, "threads": options.threads}
    fit = {name: value for name, value in given.items() if value is not None}
    found = []
    try:
        for kind, seed in tqdm(list(all_runs(kinds, options.seeds)), unit="model", disable=None):
            found.append(result_of(kind, seed, events, fit))
    finally:  # whatever ends it: what there is has taken time
        if found:
            show(table(best_first(found)), options.out)


def kinds_of(text: str, with_features: bool) -> tuple[list[Kind], list[Kind]]:
    """The models that a list of names and groups names, each once; and those it cannot have."""
    names: dict[str, bool] = {}  # whether it was asked for by name
    for word in (word.strip() for word in text.split(",")):
        if word not in (*KINDS, *GROUPS):
            raise ValueError(
                f"--models has {word!r}, but may have {', '.join(KINDS)}, {', '.join(GROUPS)}"
            )
        names |= {
            name: names.get(name, False) or word in KINDS for name in GROUPS.get(word, [word])
        }
    left_out = [name for name in names if KINDS[name].features == "must" and not with_features]
    for name in left_out:
        if names[name]:
            raise ValueError(f"--models has {name}, which needs --features")
    return [KINDS[name] for name in names if name not in left_out], [KINDS[n] for n in left_out]


def all_runs(kinds: list[Kind], seeds: int) -> Iterator[tuple[Kind, int | None]]:
    """Each model, with each seed; None: there is no chance in it."""
    for kind in kinds:
        for seed in range(seeds) if kind.is_trained else [None]:
            yield kind, seed


def result_of(kind: Kind, seed: int | None, events: Events, given: dict) -> dict:
    """Fit one model with the options that `train` has if nobody says otherwise."""
    settings = {option.name: option.default for option in kind.settings}
    fit = {option.name: option.default for option in kind.fit}
    if kind.is_trained:
        settings["seed"] = seed
        fit |= given
    kind.check(settings, fit)
    model = kind.make(events.data.n_items, settings, events.features)
    seconds, cpu_seconds = learn(model, events, **fit)
    if kind.is_trained and model.interrupted:
        raise KeyboardInterrupt
    return {
        "model": kind.name,
        "title": kind.called,
        "seconds": float(seconds),
        "cpu_seconds": float(cpu_seconds),
        "test": measured(model, events.split),
    } | ({"seed": seed} if kind.is_trained else {})


def show(text: str, out: Path | None) -> None:
    """Print the table; write it to the file as well."""
    print(text)
    if out is not None:
        replace_file(out, lambda part: part.write_text(f"{text}\n", encoding="utf-8"))
