"""The checks of arguments that more than one room needs; an error says what it was and may be."""

import contextlib
import math
from collections.abc import Mapping, Sequence, Sized
from numbers import Integral, Real

import numpy as np

DTYPES = ("float32", "float64")


# --- one value


def check_integer(name: str, value: int, least: int) -> int:
    """Return the value as an int, if it is an integer from `least` on (a boolean is none)."""
    if not isinstance(value, Integral) or isinstance(value, bool) or value < least:
        raise ValueError(f"{name} was {value!r}, but must be an integer from {least} on")
    return int(value)


def check_positive(name: str, value: float) -> None:
    """Raise unless the value is a finite number above 0."""
    if not (isinstance(value, Real) and 0 < value < math.inf):
        raise ValueError(f"{name} was {value!r}, but must be finite and above 0")


def check_share(name: str, value: float, *, with_0: bool = True, with_1: bool = False) -> float:
    """Return the value as a float, if it is between 0 and 1, or one of these where that may be."""
    inside = isinstance(value, Real) and 0 <= value <= 1
    if not inside or (value == 0 and not with_0) or (value == 1 and not with_1):
        least, most = "at least 0" if with_0 else "above 0", "at most 1" if with_1 else "below 1"
        raise ValueError(f"{name} was {value!r}, but must be {least} and {most}")
    return float(value)


def check_choice(name: str, value: str, allowed: Sequence[str]) -> str:
    """Return the value, if it is one of the words that are allowed."""
    if value not in allowed:
        raise ValueError(f"{name} was {value!r}, but must be one of {', '.join(allowed)}")
    return value


def check_dtype(dtype) -> str:
    """Return the name of the dtype, if it is one of `DTYPES` or what NumPy takes for one."""
    name = dtype
    if dtype is not None:  # which NumPy would take for float64
        with contextlib.suppress(TypeError):
            name = np.dtype(dtype).name
    if name not in DTYPES:
        raise ValueError(f"dtype was {dtype!r}, but must be one of {', '.join(DTYPES)}")
    return name


def check_names(name: str, mapping: Mapping | None, values: str) -> dict:
    """Return the mapping as a dict, if all its keys are words; None is an empty one.

    Parameters
    ----------
    name : str
        What the argument is called.
    mapping : mapping from str, or None
    values : str
        What the mapping leads to, for the error: "matrices".
    """
    mapping = {} if mapping is None else mapping
    if not isinstance(mapping, Mapping):
        kind = type(mapping).__name__
        raise ValueError(f"{name} was a {kind}, but must be a mapping from names to {values}")
    for key in mapping:
        if not isinstance(key, str) or not key.isidentifier():
            raise ValueError(f"{name} has the name {key!r}, but a name must be a word")
    return dict(mapping)


# --- one row for each user


def check_per_event(
    name: str, rows: Sequence, histories: Sequence, users: Sequence[str] | None = None
) -> list[np.ndarray]:
    """Return the rows as arrays, if there is one for each user, with an entry for each event.

    Parameters
    ----------
    name : str
        What the argument is called.
    rows : sequence of (length,) arrays, one for each user
    histories : sequence of (length,) arrays, one for each user
        The events.
    users : sequence of str, optional
        The labels by which errors call the users. None: errors call them by their numbers.

    Raises
    ------
    ValueError
        If there is another number of users, or of entries for one of them.
    """
    if not isinstance(rows, Sized):
        raise ValueError(f"{name} was {rows!r}, but must be one sequence per user")
    if len(rows) != len(histories):
        raise ValueError(f"{name} was of {len(rows)} users, but must be of {len(histories)}")
    rows = [np.asarray(row) for row in rows]
    for user, (row, history) in enumerate(zip(rows, histories, strict=True)):
        if row.shape != np.shape(history):
            raise ValueError(
                f"{row_of(name, user, users)} was of shape {row.shape}, but must be of "
                f"{np.shape(history)}, one entry for each event"
            )
    return rows


def check_ids(
    name: str, rows: Sequence, least: int, largest: int, users: Sequence[str] | None = None
) -> list[np.ndarray]:
    """Return the rows as int64 arrays, if all that they hold is integers in least..largest.

    Parameters
    ----------
    name : str
        What the argument is called.
    rows : sequence of (length,) arrays, one for each user
    least, largest : int
        Both may be held.
    users : sequence of str, optional
        The labels by which errors call the users. None: errors call them by their numbers.

    Raises
    ------
    TypeError
        If a row that is not empty is of another dtype.
    ValueError
        If a row has not one axis, or holds an integer outside the range.
    """
    rows = [np.asarray(row) for row in rows]
    for user, row in enumerate(rows):
        if row.ndim != 1:
            raise ValueError(
                f"{row_of(name, user, users)} was of shape {row.shape}, but must have one axis"
            )
        if row.size and row.dtype.kind not in "iu":
            raise TypeError(
                f"{row_of(name, user, users)} was of {row.dtype}, but must be of integers"
            )
        wrong = row[(row < least) | (row > largest)]
        if wrong.size:
            raise ValueError(
                f"{row_of(name, user, users)} holds {wrong[0]}, but may hold {least}..{largest}"
            )
    return [row.astype(np.int64, copy=False) for row in rows]


def check_histories(histories: Sequence, n_items: int) -> list[np.ndarray]:
    """Return copies of the histories as int64 arrays, if their items are of the catalogue 1..V."""
    return [row.copy() for row in check_ids("histories", histories, 1, n_items)]


def check_context(
    context: Mapping | None, kinds: Mapping[str, int], histories: Sequence[np.ndarray]
) -> dict[str, list[np.ndarray]]:
    """Return what is known of the events as int64 arrays, if it is what the model was made for.

    Parameters
    ----------
    context : mapping from name to a sequence of (length,) arrays, one for each user; or None
    kinds : mapping from name to int
        What the model was made for: each entry of ``context[name]`` is in 0..kinds[name].
    histories : sequence of (length,) arrays, one for each user

    Raises
    ------
    TypeError
        If a row holds anything but integers.
    ValueError
        If the names are others, the shapes are not those of the histories, or an entry is outside
        its range.
    """
    context = check_names("context", context, "one sequence per user")
    if context.keys() != kinds.keys():
        raise ValueError(
            f"context has {sorted(context) or 'nothing'}, but the model was made for "
            f"{sorted(kinds) or 'none'}"
        )
    checked = {}
    for key, n_kinds in kinds.items():
        name = f"context[{key!r}]"
        checked[key] = check_ids(name, check_per_event(name, context[key], histories), 0, n_kinds)
    return checked


# --- how errors call things


def row_of(name: str, user: int, users: Sequence[str] | None = None) -> str:
    """Name the row of a user, by the user's label where there are labels: "times of user 'u1'"."""
    return f"{name} of user {user if users is None else quote(users[user])}"


def quote(text: str) -> str:
    """Put a text from a file in quotes, at most 80 characters of it."""
    return repr(text if len(text) <= 80 else text[:79] + "…")
