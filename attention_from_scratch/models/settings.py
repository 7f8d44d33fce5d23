"""What an estimator may be told: sizes, choices and validation targets."""

import contextlib
from collections.abc import Mapping, Sized
from numbers import Real

import numpy as np

from attention_from_scratch.training.checks import check_integer

SIZES = ("n_items", "max_len", "dim", "n_blocks", "n_heads", "n_negatives")
CHOICES = {
    "norm": ("pre", "post", "paper"),
    "loss": ("cross_entropy", "bce"),
    "count_from": ("end", "start"),
    "init": ("glorot", "small"),
}
DTYPES = ("float32", "float64")


def checked(config: dict) -> dict:
    """The settings as Python's own numbers and strings; one that cannot be is an error."""
    config = config | {name: check_integer(name, config[name], 1) for name in SIZES}
    config["seed"] = check_integer("seed", config["seed"], 0)
    if config["dim"] % config["n_heads"]:
        raise ValueError(
            f"n_heads was {config['n_heads']}, but must divide dim, which is {config['dim']}"
        )
    for name, allowed in CHOICES.items():
        if config[name] not in allowed:
            raise ValueError(f"{name} was {config[name]!r}, but must be one of {allowed}")
    dropout, dtype = check_share("dropout", config["dropout"]), check_dtype(config["dtype"])
    return config | {"dropout": dropout, "dtype": dtype}


def check_share(name: str, value: float) -> float:
    """`value` as a float, if it is in [0, 1)."""
    if not (isinstance(value, Real) and 0 <= value < 1):
        raise ValueError(f"{name} was {value!r}, but must be at least 0 and below 1")
    return float(value)


def check_dtype(dtype) -> str:
    """The name of a float dtype."""
    name = dtype
    if dtype is not None:  # which NumPy would take for float64
        with contextlib.suppress(TypeError):
            name = np.dtype(dtype).name
    if name not in DTYPES:
        raise ValueError(f"dtype was {dtype!r}, but must be one of {DTYPES}")
    return name


def check_kinds(context) -> dict[str, int]:
    """The names of what is known of an event, each with its number of kinds."""
    return {
        name: check_integer(f"context[{name!r}]", kinds, 1)
        for name, kinds in check_names("context", context, "a number of kinds").items()
    }


def check_names(what: str, mapping, values: str) -> dict:
    """The mapping as a dict, if each name is a word; empty for None."""
    mapping = {} if mapping is None else mapping
    if not isinstance(mapping, Mapping):
        raise ValueError(
            f"{what} was a {type(mapping).__name__}, but must be a mapping from names to {values}"
        )
    for name in mapping:
        if not isinstance(name, str) or not name.isidentifier():
            raise ValueError(f"{what} has the name {name!r}, but a name must be a word")
    return dict(mapping)


def check_users(what: str, values, n_users: int) -> None:
    """Raise unless there is one entry a user."""
    if not isinstance(values, Sized):
        raise ValueError(f"{what} was {values!r}, but must be one sequence per user")
    if len(values) != n_users:
        raise ValueError(f"{what} is of {len(values)} users, but there are {n_users}")


def check_validation(validation, n_users: int, n_items: int) -> np.ndarray:
    """The targets as an array, if there is one for each user, an item or 0, and not only zeros."""
    targets = np.asarray(validation)
    if targets.ndim != 1 or targets.dtype.kind not in "iu":
        raise ValueError(
            f"validation is {targets.dtype} of shape {targets.shape}, but must be (users,) integers"
        )
    if len(targets) != n_users:
        raise ValueError(f"validation has {len(targets)} targets, but there are {n_users} users")
    wrong = targets[(targets < 0) | (targets > n_items)]
    if wrong.size:
        raise ValueError(
            f"validation holds item {wrong[0]}, but the catalogue has items 1..{n_items} (0: none)"
        )
    if not targets.any():
        raise ValueError("validation holds only zeros, but must have a target for some user")
    return targets


def check_context(context, kinds: dict[str, int], histories) -> dict[str, list[np.ndarray]]:
    """The columns as arrays, if they are those that the model was made for, one entry an event."""
    context = check_names("context", context, "one sequence per user")
    if context.keys() != kinds.keys():
        raise ValueError(
            f"context has {sorted(context) or 'nothing'}, but the model was made for "
            f"{sorted(kinds) or 'none'}"
        )
    return {
        name: check_column(f"context[{name!r}]", context[name], kind, histories)
        for name, kind in kinds.items()
    }


def check_column(name: str, column, kinds: int, histories) -> list[np.ndarray]:
    """One array of integers in 0..kinds a user, as long as the user's history."""
    check_users(name, column, len(histories))
    arrays = [np.asarray(values) for values in column]
    for user, (values, history) in enumerate(zip(arrays, histories, strict=True)):
        if values.shape != history.shape:
            raise ValueError(
                f"{name} of user {user} has shape {values.shape}, but the history {history.shape}"
            )
        if values.size and values.dtype.kind not in "iu":
            raise TypeError(f"{name} of user {user} has dtype {values.dtype}, but must be integers")
        wrong = values[(values < 0) | (values > kinds)]
        if wrong.size:
            raise ValueError(f"{name} of user {user} holds {wrong[0]}, but may hold 0..{kinds}")
    return [values.astype(np.int64, copy=False) for values in arrays]


def check_wanted(wanted, histories) -> list[np.ndarray] | None:
    """One array of booleans a user, as long as the user's history; or None."""
    if wanted is None:
        return None
    check_users("wanted", wanted, len(histories))
    arrays = [np.asarray(values) for values in wanted]
    for user, (values, history) in enumerate(zip(arrays, histories, strict=True)):
        if values.shape != history.shape or (values.size and values.dtype != bool):
            raise ValueError(
                f"wanted of user {user} is {values.dtype} of shape {values.shape}, "
                f"but must be bool of shape {history.shape}"
            )
    if not any(values[1:].any() for values in arrays):
        raise ValueError("wanted holds no event after a first one: there is nothing to learn")
    return [values.astype(bool, copy=False) for values in arrays]
