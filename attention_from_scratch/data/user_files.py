"""Read what is known of users: gender, age and occupation, from RecBole's file or MovieLens'."""

from collections.abc import Sequence
from os import PathLike
from pathlib import Path
from typing import NamedTuple

import numpy as np

from attention_from_scratch.data.tables import find, listed

NAMES = {"gender": ("gender", "sex"), "age": ("age",), "occupation": ("occupation",)}
USER_NAMES = ("user", "user_id", "userid")
PLACES = {"|": (0, 2, 1, 3), "::": (0, 1, 2, 3)}  # of user, gender, age, occupation; no header
AGES = (18, 25, 35, 45, 50, 56)  # where an age group begins, after those under 18: MovieLens-1M's


class UserField(NamedTuple):
    """One thing that is known of users.

    Attributes
    ----------
    kinds : (users,) int64
        Each user's, from 1; 0 where it is not known.
    names : list of str
        ``names[k]`` is what kind k stands for; ``names[0]`` is "".
    """

    kinds: np.ndarray
    names: list[str]

    def over(self, users: Sequence[int], histories: Sequence[np.ndarray]) -> list[np.ndarray]:
        """Repeat each user's kind at all of the user's events: a `context` for a model."""
        return [
            np.full(len(history), self.kinds[user])
            for user, history in zip(users, histories, strict=True)
        ]


def read_user_fields(path: str | PathLike, labels: Sequence[str]) -> dict[str, UserField]:
    """Read a user file: name -> `UserField`, for "gender", "age" (in groups) and "occupation".

    ==================  ==================================================================
    RecBole ``.user``   tabs; a header such as ``user_id:token age:token gender:token``
    MovieLens-100K      ``u.user``: ``id|age|gender|occupation|zip``
    MovieLens-1M        ``users.dat``: ``id::gender::age::occupation::zip``
    ==================  ==================================================================

    Parameters
    ----------
    path : path
    labels : sequence of str
        Of the users, as in `Interactions.users`. Those without a line are of kind 0.

    Raises
    ------
    ValueError
        If there is no column of users, a line is too short, an age is no number, or the file knows
        none of the users.
    """
    path = Path(path)
    lines = path.read_text(encoding="utf-8-sig").splitlines()
    first = lines[0] if lines else ""
    separator = next((s for s in ("\t", "::", "|") if s in first), "\t")
    if separator in PLACES:
        user, *places = PLACES[separator]
        columns, start = dict(zip(NAMES, places, strict=True)), 0
    else:
        header = [field.split(":")[0] for field in first.split(separator)]
        user, start = find(header, USER_NAMES), 1
        places = {name: find(header, wanted) for name, wanted in NAMES.items()}
        columns = {name: place for name, place in places.items() if place is not None}
        if user is None or not columns:
            raise ValueError(
                f"{path.name} has the columns {listed(header)}, but must have one of users and one "
                f"of {', '.join(NAMES)}"
            )
    found = {}
    for number, line in enumerate(lines[start:], start + 1):
        row = [field.strip() for field in line.split(separator)]
        if not any(row):
            continue
        if len(row) <= max(user, *columns.values()):
            raise ValueError(f"{path.name} line {number}: too few fields, found {listed(row)}")
        found[row[user]] = {name: row[place] for name, place in columns.items()}
        if "age" in columns:
            found[row[user]]["age"] = age_group(row[columns["age"]], f"{path.name} line {number}")
    if not found.keys() & set(labels):
        raise ValueError(f"{path.name} has none of the users {listed(list(labels))}")
    return {
        name: field_of([found.get(label, {}).get(name, "") for label in labels]) for name in columns
    }


def age_group(text: str, where: str) -> str:
    """Name the group that an age is in: "25-34" for "29"; "" for "", which is not known."""
    if not text:
        return ""
    if not text.isdecimal():
        raise ValueError(f"{where}: age was {text!r}, but must be a whole number")
    group = int(np.searchsorted(AGES, int(text), side="right"))
    if group == 0:
        return f"under {AGES[0]}"
    return f"{AGES[group - 1]}-{AGES[group] - 1}" if group < len(AGES) else f"from {AGES[-1]}"


def field_of(values: Sequence[str]) -> UserField:
    """Number the values of the users from 1, in alphabetical order; "" is 0, not known."""
    names = ["", *sorted(set(values) - {""})]
    kind = {name: place for place, name in enumerate(names)}
    return UserField(np.array([kind[value] for value in values], np.int64), names)
