"""A run: the folder that `train` writes and the other commands read.

model.npz              the parameters, the settings, the record of training
catalogue.json         the items' labels and titles, by id
result.json            what was asked for and what came out
learning-curves.png
"""

import json
import tempfile
import time
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


def train(options) -> None:
    """Fit a model on a file of events and write the run; `options` are those of the command."""
    from attention_from_scratch import plot

    settings = {
        "max_len": options.max_len,
        "dim": options.dim,
        "n_blocks": options.blocks,
        "n_heads": options.heads,
        "dropout": options.dropout,
        "norm": options.norm,
        "loss": options.loss,
        "n_negatives": options.negatives,
        "seed": options.seed,
    }
    SASRec(1, **settings)  # an impossible size should not wait for the data,
    Adam({}, lr=options.lr)  # nor an impossible rate
    data = read(options.data, options.columns)
    name = f"{options.data.stem}-{options.loss}-seed{options.seed}"
    folder = prepare(options.out or Path("runs") / name, options.overwrite)
    split = leave_one_out(data.histories)
    validation = split.validation if split.validation.any() else None
    print(data)
    if validation is None:
        print("no user has 3 events: nothing is held out, and the last epoch is kept")

    model = SASRec(data.n_items, **settings)
    start = time.perf_counter()
    model.fit(
        split.train,
        epochs=options.epochs,
        validation=validation,
        evaluate_every=options.evaluate_every,
        patience=options.patience,
        batch_size=options.batch_size,
        lr=options.lr,
        threads=options.threads,
    )
    result = {
        "data": options.data.name,
        "settings": model.config,
        "epochs": len(model.history),
        "best_epoch": model.best_epoch,
        "seconds": round(time.perf_counter() - start, 1),
    }
    if not model.history:
        raise KeyboardInterrupt  # before the first epoch was over: nothing worth keeping
    print(f"{result['epochs']} epochs in {result['seconds']:.0f} s, best: {result['best_epoch']}")
    if validation is not None:
        result["test"] = evaluate(model.scores, split.test_histories, split.test)
        print(describe_metrics(result["test"]))

    model.save(folder / MODEL)
    write_json(folder / CATALOGUE, {"items": data.items, "titles": data.titles})
    write_json(folder / RESULT, result)
    shown = ("epoch", "loss", "seconds", "NDCG@10")
    rows = [{key: row[key] for key in shown if key in row} for row in model.history]
    plot.save(plot.learning_curves(rows), folder / CURVES)
    print(f"written to {folder}")
    if model.interrupted:
        raise KeyboardInterrupt


def read(path: Path, columns: str | None = None) -> Interactions:
    """Read events; `columns` is "user,item" or "user,item,timestamp"."""
    if columns is None:
        return read_interactions(path)
    names = [name.strip() for name in columns.split(",")]
    if len(names) not in (2, 3):
        raise ValueError(f"--columns was {columns!r}, but must be USER,ITEM or USER,ITEM,TIME")
    roles = ("user", "item", "timestamp")
    return read_interactions(path, columns=dict(zip(roles, names, strict=False)))


def prepare(folder: Path, overwrite: bool) -> Path:
    """Make the folder and see that it can be written, before hours of work depend on it."""
    if (folder / MODEL).exists() and not overwrite:
        raise ValueError(f"{folder} holds a model already: choose another --out, or --overwrite it")
    folder.mkdir(parents=True, exist_ok=True)
    tempfile.TemporaryFile(dir=folder).close()
    return folder


def load(folder: Path) -> tuple[SASRec, Interactions]:
    """The model of a run, and its catalogue as `Interactions` without users."""
    if not folder.is_dir():
        raise ValueError(f"{folder} is not a folder; it should be one that train wrote")
    model = SASRec.load(folder / MODEL)
    text = (folder / CATALOGUE).read_bytes()
    try:
        known = json.loads(text)
        catalogue = Interactions([], [], known["items"], known["titles"])
    except (ValueError, KeyError, TypeError):
        raise ValueError(f"{folder / CATALOGUE} is not a catalogue that train wrote") from None
    if catalogue.n_items != model.n_items:
        raise ValueError(
            f"{folder / CATALOGUE} has {catalogue.n_items} items, but the model {model.n_items}"
        )
    return model, catalogue


def read_like(path: Path, columns: str | None, catalogue: Interactions) -> Split:
    """Read events, number the items as the run does, hold out each user's last two."""
    data = read(path, columns)
    ids = np.concatenate([[0], catalogue.ids(data.items[1:])])
    split = leave_one_out([ids[history] for history in data.histories])
    if not split.test.any():
        raise ValueError(f"{path} has no user with 3 events, so there is nothing to rank")
    return split


def history_of(text: str, catalogue: Interactions) -> np.ndarray:
    """The ids of "50, 172, 181"."""
    labels = [label.strip() for label in text.split(",") if label.strip()]
    return catalogue.ids(labels) if labels else np.empty(0, np.int64)


def describe_metrics(metrics: dict) -> str:
    """One line: HR@10 0.195  NDCG@10 0.105 ... (943 users)."""
    shown = [f"{name} {value:.4f}" for name, value in metrics.items() if name != "users"]
    return f"test: {'  '.join(shown)}  ({metrics['users']} users)"


def write_json(path: Path, value) -> None:
    """Write JSON, all of it or nothing."""
    text = json.dumps(value, indent=1, ensure_ascii=False) + "\n"
    replace_file(path, lambda temporary: temporary.write_text(text, encoding="utf-8"))
