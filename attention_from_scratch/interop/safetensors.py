"""Files that others read: .safetensors, in the layout of PyTorch's state dicts."""

import json
from pathlib import Path

import numpy as np

from attention_from_scratch.files import FORMAT, check_format, replace_file
from attention_from_scratch.interop.entries import refuse_surplus
from attention_from_scratch.interop.torch import sasrec_from_torch, sasrec_to_torch
from attention_from_scratch.tree import in_dtype

COUNTS = "item_counts"  # of no use to PyTorch, where load_state_dict(strict=False) passes it over
DESCRIPTION = ("format", "config", "best_epoch", "history", COUNTS)
LAYOUT = ("norm", "count_from", "output_projection")  # settings that a layout depends on


def safetensors():
    """The package `safetensors`, or an error that says how to get it."""
    try:
        import safetensors.numpy
    except ModuleNotFoundError:
        raise ValueError(
            'safetensors is not installed: pip install "attention_from_scratch[safetensors]"'
        ) from None
    return safetensors


def save_safetensors(path: str | Path, model) -> None:
    """Write a SASRec to a .safetensors file; its settings go into the file's metadata."""
    require_layout(**model.settings.only(*LAYOUT))
    library = safetensors()
    state = {name: np.ascontiguousarray(a) for name, a in sasrec_to_torch(model.params).items()}
    description = {
        "format": FORMAT,
        "config": model.config,
        "best_epoch": model.best_epoch,
        "history": model.history,
        COUNTS: model.item_counts.tolist(),
    }
    metadata = {"attention_from_scratch": json.dumps(description, default=np.generic.item)}
    data = library.numpy.save(state, metadata)
    replace_file(path, lambda temporary: temporary.write_bytes(data))


def load_safetensors(path: str | Path, model_class):
    """Read a SASRec from a file that `save_safetensors` wrote.

    Weights that come from elsewhere have no settings with them: load them with safetensors and
    hand them to `SASRec.from_torch`.
    """
    library = safetensors()
    try:
        with library.safe_open(str(path), framework="np") as file:
            metadata = file.metadata() or {}
            if "attention_from_scratch" not in metadata:
                raise ValueError(
                    f"{path} has no settings of a model saved here; load it with safetensors and "
                    "use SASRec.from_torch(state_dict, n_heads=..., norm=...)"
                )
            state = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118, it is no dict
    except library.SafetensorError:
        raise ValueError(f"{path} is not a safetensors file") from None
    try:
        description = dict(json.loads(metadata["attention_from_scratch"]))
    except (TypeError, ValueError, RecursionError):
        raise ValueError(f"{path} is not a model saved here: its settings are no JSON") from None
    number = check_format(path, description)
    try:
        refuse_surplus("its description", description, DESCRIPTION, "a model saved here")
        model = model_class(**model_class.settings_of_file(description["config"], number))
        require_layout(**model.settings.only(*LAYOUT))
        counts = np.array(description[COUNTS])
        if counts.shape != model.item_counts.shape or counts.dtype.kind not in "iu":
            raise ValueError(f"{COUNTS} must be {len(model.item_counts)} integers")
        params = sasrec_from_torch(state)
        params = model.fitting(in_dtype(params, model.settings.dtype), "the state dict")
        history, best_epoch = description["history"], description["best_epoch"]
    except KeyError as error:
        raise ValueError(f"{path} lacks a part of a model saved here: {error}") from None
    except (TypeError, ValueError, RecursionError) as error:  # edited, or of another version
        raise ValueError(f"{path} is not a model saved here: {error}") from None
    model.params, model.item_counts = params, counts
    model.history, model.best_epoch = history, best_epoch
    return model


def require_layout(norm: str, count_from: str = "end", output_projection: bool = True) -> None:
    """Raise unless there is a layout in PyTorch for such a model."""
    if count_from != "end":
        raise ValueError(
            f'count_from was "{count_from}", but only positions counted from the end have a '
            "PyTorch layout"
        )
    if norm == "paper":
        raise ValueError('norm was "paper", but only "pre" and "post" have a PyTorch layout')
    if not output_projection:
        raise ValueError("output_projection was False, but there is no PyTorch layout without one")
