"""A run: the folder that `train` writes and the other commands read.

model.npz              what was learned, the settings, the record of training
catalogue.json         the items' labels and titles, by id
result.json            what was asked for and what came out
learning-curves.png    of a model that is trained
"""

import contextlib
import csv
import json
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from attention_from_scratch import models
from attention_from_scratch.data import Interactions, Split, leave_one_out, read_interactions
from attention_from_scratch.files import write_json
from attention_from_scratch.models import Recommender

MODEL, CATALOGUE, RESULT, CURVES = (
    "model.npz",
    "catalogue.json",
    "result.json",
    "learning-curves.png",
)


def write(folder: Path, model: Recommender, catalogue: Interactions) -> None:
    """Write the model and its catalogue; what is there of an earlier run's result goes."""
    model.save(folder / MODEL)  # first of all: whatever fails from here on, the work is safe
    write_json(folder / CATALOGUE, {"items": catalogue.items, "titles": catalogue.titles})
    for of_before in (RESULT, CURVES):  # if the model is overwritten, these are not its own
        (folder / of_before).unlink(missing_ok=True)


def check_free(folder: Path) -> None:
    """Raise if there is a model in the folder already."""
    if (folder / MODEL).exists():
        raise ValueError(f"{folder} holds a model already: choose another --out, or --overwrite it")


def check_output(option: str, path: Path) -> None:
    """Raise unless the file can be written, before the work that leads up to it."""
    if path.is_dir():
        raise ValueError(f"{option} was {path}, but must be a file, not a folder")
    if not path.parent.is_dir():
        raise ValueError(f"{option} was {path}, but there is no folder {path.parent}")
    if not os.access(path.parent, os.W_OK):
        raise ValueError(f"{option} was {path}, but the folder {path.parent} cannot be written")


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


def load(folder: Path) -> tuple[Recommender, Interactions]:
    """The model of a run, and its catalogue as `Interactions` without users."""
    if not folder.is_dir():
        raise ValueError(f"{folder} is not a folder; it should be one that train wrote")
    model = models.load(folder / MODEL)
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


def read_like(
    path: Path, columns: str | None, catalogue: Interactions, folder: Path
) -> tuple[list[str], list[np.ndarray]]:
    """Read the users of a file and their histories, numbering items as the run in a folder does."""
    data = read(path, columns)
    known = set(catalogue.items)
    for label in data.items[1:]:
        if label not in known:
            raise ValueError(
                f"{path} holds item {label!r}, which the run in {folder} was not trained on "
                f"({catalogue.n_items} items)"
            )
    ids = np.concatenate([[0], catalogue.ids(data.items[1:])])
    return data.users, [ids[history] for history in data.histories]


def split_for_test(path: Path, histories: list[np.ndarray]) -> Split:
    """Hold out each user's last two events; raise if nobody has any to spare."""
    split = leave_one_out(histories)
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
