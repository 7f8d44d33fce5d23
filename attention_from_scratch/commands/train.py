"""`attention-from-scratch train`: from a file of events to the folder of a run."""

from argparse import ArgumentParser
from itertools import groupby
from pathlib import Path

from attention_from_scratch.commands import runs
from attention_from_scratch.commands.events import Events, learn, measured
from attention_from_scratch.commands.kinds import KINDS, Kind, elsewhere
from attention_from_scratch.commands.options import add_data, add_features
from attention_from_scratch.data import Split
from attention_from_scratch.files import write_json
from attention_from_scratch.models import Recommender

SUMMARY = "Train a recommender on a file of events."
EXAMPLE = "--data ml-100k.inter --loss cross_entropy --out runs/ml-100k"
DEFAULT = "sasrec"
EITHER = ("threads", "processes")  # one or the other computes the steps


def add_options(parser: ArgumentParser) -> None:
    """The options that every model has; the others follow once it is known which model it is."""
    add = parser.add_argument
    add_data(add)
    said = (
        f"of {', '.join(KINDS)} (default {DEFAULT}); `train --model MODEL --help` shows its options"
    )
    add("--model", choices=list(KINDS), default=DEFAULT, metavar="MODEL", help=said)
    add("--out", type=Path, metavar="DIR", help="folder for the run (default below runs/)")
    add("--overwrite", action="store_true", help="replace a model that is there")
    parser.further = add_options_of_model


def add_options_of_model(parser: ArgumentParser, words: list[str]) -> None:
    """The options of the model that the words of the command line name."""
    looking = ArgumentParser(add_help=False, exit_on_error=False)
    looking.add_argument("--model", nargs="?")
    name = looking.parse_known_args(words)[0].model
    kind = KINDS.get(name, KINDS[DEFAULT])  # if it is none, the parser says so
    for title, options in (("the model", kind.settings), ("its training", kind.fit)):
        group = parser.add_argument_group(f"{title} ({kind.name})")
        for exclusive, some in groupby(options, lambda option: option.name in EITHER):
            part = group.add_mutually_exclusive_group() if exclusive else group
            for option in some:
                option.add_to(part)
    if kind.features:
        add_features(parser.add_argument, required=kind.features == "must")
    parser.elsewhere = elsewhere(kind)
    if kind.name != DEFAULT:
        parser.epilog = parser.epilog.replace(EXAMPLE, example_of(kind))


def example_of(kind: Kind) -> str:
    """How to train a model that is not the default."""
    features = " --features ml-100k.item" * (kind.features == "must")
    return f"--data ml-100k.inter --model {kind.name}{features} --out runs/{kind.name}"


def run(options) -> None:
    """Fit a model; write it with its catalogue, its curves and its test figures."""
    kind = KINDS[options.model]
    settings = {option.name: getattr(options, option.name) for option in kind.settings}
    fit = {option.name: getattr(options, option.name) for option in kind.fit}
    kind.check(settings, fit)
    folder = options.out or Path("runs") / name_of(options.data, kind, settings)
    if not options.overwrite:
        runs.check_free(folder)

    data = runs.read(options.data, options.columns)
    events = Events.of(options.data, data, getattr(options, "features", None))
    if kind.is_trained:
        check_events(options.data, events.split)
    with runs.folder_for_output(folder):
        print(data)
        model = kind.make(data.n_items, settings, events.features)
        if not events.split.validation.any():
            kept = ", and the last epoch is kept" * kind.is_trained
            print(f"no user has 3 events: nothing is held out{kept}")
        seconds, _ = learn(model, events, **fit)
        runs.write(folder, model, data)
    asked = {"data": options.data.name, "model": kind.name, "settings": model.config}
    if kind.is_trained:
        result = asked | {"fit": fit} | outcome(model, seconds)
    else:
        result = asked | {"seconds": round(seconds, 1)}
    report(folder, model, result, events.split)
    if result.get("interrupted"):
        raise KeyboardInterrupt


def name_of(data: Path, kind: Kind, settings: dict) -> str:
    """What to call the folder of a run if nobody says: films-bpr-seed0."""
    what = settings["loss"] if kind.name == DEFAULT else kind.name
    seed = f"-seed{settings['seed']}" if kind.is_trained else ""
    return f"{data.stem}-{what}{seed}"


def outcome(model, seconds: float) -> dict:
    """How a training went."""
    return {
        "epochs": len(model.history),
        "best_epoch": model.best_epoch,
        "interrupted": model.interrupted,
        "diverged": model.diverged,
        "seconds": round(seconds, 1),
    }


def report(folder: Path, model: Recommender, result: dict, split: Split) -> None:
    """Ask for the test events; write the result and the curves; print them."""
    if split.test.any():
        result["test"] = measured(model, split)
    write_json(folder / runs.RESULT, result)
    if "epochs" in result:
        draw_curves(folder, model)
        epochs, best = result["epochs"], result["best_epoch"]
        print(f"{epochs} epochs in {result['seconds']:.0f} s, best: {best}")
        if model.diverged:
            print("then the numbers grew without bound; a smaller --lr may help")
    if "test" in result:
        print(runs.describe_metrics(result["test"]))
    print(f"written to {folder}")


def draw_curves(folder: Path, model) -> None:
    """The loss and the validation metric over the epochs."""
    from attention_from_scratch import plot  # here: matplotlib takes a while

    shown = ("epoch", "loss", "seconds", "NDCG@10")
    rows = [{key: row[key] for key in shown if key in row} for row in model.history]
    plot.save(plot.learning_curves(rows), folder / runs.CURVES)


def check_events(path: Path, split: Split) -> None:
    """Raise if what is left when the test and validation events are held out teaches nothing."""
    if split.test.any() and max(map(len, split.train)) < 2:
        raise ValueError(
            f"{path} has no user with two events to learn from, "
            "after the last two events of each user were held out"
        )
