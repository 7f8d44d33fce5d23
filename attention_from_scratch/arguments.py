"""The checks of arguments that more than one room needs; an error says what it was and may be."""

import contextlib
import math
from collections.abc import Mapping, Sequence, Sized
from numbers import Integral, Real

import numpy as np

DTYPES = ("float32", "float64")


def check_integer(name: str, value: int, least: int) -> int:
    """`value` as an int, if it is an integer from `least` on (a boolean is none)."""
    if not isinstance(value, Integral) or isinstance(value, bool) or value < least:
        raise ValueError(f"{name} was {value!r}, but must be an integer from {least} on")
    return int(value)


def check_positive(name: str, value: float) -> None:
    """Raise unless `value` is a finite number above 0."""
    if not (isinstance(value, Real) and 0 < value < math.inf):
        raise ValueError(f"{name} was {value!r}, but must be finite and above 0")


def check_number(name: str, value: float, *, above_0: bool) -> float:
    """`value` as a float, if it is finite and above 0, or at least 0."""
    if above_0:
        check_positive(name, value)
    elif not (isinstance(value, Real) and 0 <= value < math.inf):
        raise ValueError(f"{name} was {value!r}, but must be finite and at least 0")
    return float(value)


def check_choice(name: str, value: str, allowed: Sequence[str]) -> str:
    """`value`, if it is one of the words allowed."""
    if value not in allowed:
        raise ValueError(f"{name} was {value!r}, but must be one of {', '.join(allowed)}")
    return value


def check_heads(n_heads: int, width: int) -> None:
    """Raise unless so many heads divide the width."""
    if width % n_heads:
        raise ValueError(f"n_heads was {n_heads}, but must divide dim, which is {width}")


def check_share(name: str, value: float, *, with_0: bool = True, with_1: bool = False) -> float:
    """`value` as a float, if it is between 0 and 1, or is one of the two that is allowed."""
    inside = isinstance(value, Real) and 0 <= value <= 1
    if not inside or (value == 0 and not with_0) or (value == 1 and not with_1):
        least, most = "at least 0" if with_0 else "above 0", "at most 1" if with_1 else "below 1"
        raise ValueError(f"{name} was {value!r}, but must be {least} and {most}")
    return float(value)


def check_dtype(dtype) -> str:
    """The name of a float dtype."""
    name = dtype
    if dtype is not None:  # which NumPy would take for float64
        with contextlib.suppress(TypeError):
            name = np.dtype(dtype).name
    if name not in DTYPES:
        raise ValueError(f"dtype was {dtype!r}, but must be one of {', '.join(DTYPES)}")
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


def check_histories(histories: Sequence, n_items: int) -> list[np.ndarray]:
    """Histories as int64 arrays; an item outside 1..n_items is an error that names it."""
    checked = []
    for index, history in enumerate(histories):
        array = np.asarray(history)
        if array.ndim != 1:
            raise ValueError(f"history {index} has shape {array.shape}, but must be a list of ids")
        if array.size and not np.issubdtype(array.dtype, np.integer):
            raise TypeError(f"history {index} has dtype {array.dtype}, but must hold integers")
        wrong = array[(array < 1) | (array > n_items)]
        if wrong.size:
            raise ValueError(
                f"history {index} holds item {wrong[0]}, but the catalogue has items 1..{n_items}"
            )
        checked.append(array.astype(np.int64))
    return checked


def check_features(features: Mapping | None, n_items: int, dtype: str) -> dict[str, np.ndarray]:
    """Feature matrices as arrays of the model's dtype; what is not known (NaN) becomes zeros.

    Raises
    ------
    ValueError
        If a matrix has not a row for every item and one for padding, or holds an infinity.
    """
    checked = {}
    for name, matrix in check_names("features", features, "matrices").items():
        try:
            matrix = np.asarray(matrix, dtype)
        except (TypeError, ValueError):
            raise ValueError(f"features[{name!r}] is no matrix of numbers") from None
        if matrix.ndim != 2 or not matrix.shape[1]:
            raise ValueError(
                f"features[{name!r}] has shape {matrix.shape}, but must be ({n_items + 1}, width)"
            )
        if len(matrix) != n_items + 1:
            raise ValueError(
                f"features[{name!r}] has {len(matrix)} rows, but the catalogue needs {n_items + 1} "
                "(row 0 is padding)"
            )
        if np.isinf(matrix).any():
            raise ValueError(f"features[{name!r}] holds an infinity; what is not known is NaN")
        missing = np.isnan(matrix).any(axis=1)
        missing[0] = True
        checked[name] = np.where(missing[:, None], 0, matrix)
    return checked
