"""A model in one file: arrays and a description, no pickle."""

import json
from pathlib import Path

import numpy as np

from attention_from_scratch.files import FORMAT, check_format, replace_file
from attention_from_scratch.tree import Tree, nested, tree_leaves

DESCRIPTION = "description"


def save_model(path: str | Path, params: Tree, description: dict) -> None:
    """Write a tree and a JSON-able description to one .npz file, all of it or nothing."""
    arrays = {f"params.{name}": leaf for name, leaf in tree_leaves(params)}
    description = {"format": FORMAT} | description
    # JSON knows no int64: a NumPy number goes in as a plain one.
    arrays[DESCRIPTION] = np.array(json.dumps(description, default=np.generic.item))

    def write(temporary):
        with open(temporary, "wb") as file:
            np.savez(file, **arrays)

    replace_file(path, write)


def load_model(path: str | Path) -> tuple[Tree, dict]:
    """Read what `save_model` wrote.

    Raises
    ------
    FileNotFoundError
    ValueError
        If the file is something else, or of a format that is newer than this version.
    """
    with open(path, "rb") as file:
        try:
            with np.load(file, allow_pickle=False) as archive:
                arrays = dict(archive)
            description = dict(json.loads(str(arrays.pop(DESCRIPTION))))
            params = nested(arrays)["params"]
        except Exception:  # there is no end to what strange bytes make np.load raise
            raise ValueError(f"{path} is not a model that was saved here") from None
    check_format(path, description)
    return params, description
