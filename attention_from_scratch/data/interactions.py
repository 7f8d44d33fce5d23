"""Who met what, in which order: one array of item ids per user."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

MISSING = {"None", "nan", "NaT", "<NA>"}  # what str makes of a value that is not there


@dataclass(frozen=True, eq=False, repr=False)
class Interactions:
    """The histories of all users, and what their ids are called outside.

    Attributes
    ----------
    histories : list of (length,) int64 arrays
        One per user: item ids 1..n_items in the order of time.
    users : list of str
        ``users[u]`` is the label of ``histories[u]``.
    items : list of str
        ``items[i]`` is the label of id i; ``items[0]`` is "", the padding.
    titles : list of str, optional
        ``titles[i]`` is a readable name of id i; ``titles[0]`` is "".
    ordered_by : str
        What the order of time was taken from: "timestamp", or else a phrase that begins with
        "line": the events are in the order in which they came.
    """

    histories: list[np.ndarray]
    users: list[str]
    items: list[str]
    titles: list[str] | None = None
    ordered_by: str = "line"

    def __post_init__(self):
        if len(self.users) != len(self.histories):
            raise ValueError(f"{len(self.users)} users for {len(self.histories)} histories")
        if not self.items or self.items[0] != "":
            raise ValueError(f"items begins with {self.items[:1]}, but id 0 is padding: ''")
        if self.titles is not None and len(self.titles) != len(self.items):
            raise ValueError(f"{len(self.titles)} titles for {len(self.items)} items")
        for user, history in zip(self.users, self.histories, strict=True):
            if len(history) and not 1 <= history.min() <= history.max() <= self.n_items:
                bad = history[(history < 1) | (history > self.n_items)][0]
                raise ValueError(
                    f"user {quote(user)} has item id {bad}; valid are 1..{self.n_items}"
                )

    @classmethod
    def from_events(
        cls,
        users: Iterable,
        items: Iterable,
        timestamps: Sequence[float] | None = None,
        titles: Mapping[str, str] | None = None,
    ) -> "Interactions":
        """Gather a table of events into histories.

        Ids depend on the set of labels alone, not on the order of the events: labels are sorted,
        as numbers if every one is an integer (of up to 100 digits). So items that are labelled 1..V
        keep their ids.

        Parameters
        ----------
        users, items : iterables of labels, one per event
            What is not a string becomes one by ``str``.
        timestamps : sequence of float, one per event, optional
            In any unit. A user's events of the same time, or all of them where there are no
            timestamps, stay in the order they came in.
        titles : mapping from item label to readable name, optional
            An item without a title in it keeps its label for one.

        Raises
        ------
        ValueError
            If the columns differ in length or are empty, a label is empty or missing (None, NaN),
            or a time is not finite.
        """
        user_ids, users = _encode(users, "user")
        item_ids, items = _encode(items, "item")
        times = np.zeros(len(user_ids)) if timestamps is None else np.asarray(timestamps, float)
        if not len(user_ids) == len(item_ids) == len(times):
            raise ValueError(
                f"columns differ in length: {len(user_ids)} users, {len(item_ids)} items, "
                f"{len(times)} timestamps"
            )
        if not np.isfinite(times).all():
            raise ValueError(f"timestamp {times[~np.isfinite(times)][0]} is not a finite number")

        order = np.lexsort((times, user_ids))  # by user, then time; stable: ties keep their order
        ends = np.cumsum(np.bincount(user_ids))
        histories = np.split(item_ids[order] + 1, ends[:-1])
        names = ["", *(titles.get(label) or label for label in items)] if titles else None
        ordered_by = "line" if timestamps is None else "timestamp"
        return cls(histories, users, ["", *items], names, ordered_by)

    @property
    def n_items(self) -> int:
        """Number of items V; padding is not one."""
        return len(self.items) - 1

    @property
    def n_events(self) -> int:
        """Number of events of all users together."""
        return sum(map(len, self.histories))

    @property
    def names(self) -> list[str]:
        """What to call each id in front of people: its title if there are any, else its label."""
        return self.items if self.titles is None else self.titles

    @cached_property
    def _id_of(self) -> dict[str, int]:
        return {label: i for i, label in enumerate(self.items) if i}

    def ids(self, labels: Iterable) -> np.ndarray:
        """Translate item labels to ids, (n,) int64. A string is one label.

        Raises
        ------
        ValueError
            If a label is not in the data.
        """
        labels = [labels] if isinstance(labels, str) else labels
        try:
            return np.array([self._id_of[str(label)] for label in labels], np.int64)
        except KeyError as unknown:
            raise ValueError(
                f"unknown item {quote(unknown.args[0])}; the data has {self.n_items} items, "
                f"for example {', '.join(map(quote, self.items[1:4]))}"
            ) from None

    def __str__(self):
        return f"{len(self.users)} users, {self.n_items} items, {self.n_events} events"

    def __repr__(self):
        return f"Interactions({self})"


def quote(text: str) -> str:
    """The text as an error shows it: in quotes, at most 80 characters of it."""
    return repr(text if len(text) <= 80 else text[:79] + "…")


def _encode(column: Iterable, what: str) -> tuple[np.ndarray, list[str]]:
    """Number the labels of a column from 0: the number of each row, and the sorted labels."""
    values = list(column)
    column = list(map(str, values))
    labels = set(column)
    if not labels:
        raise ValueError(f"no {what}s: there is not a single event")
    if "" in labels:
        raise ValueError(f"the {what} of event {column.index('')} is empty; it must have a label")
    if labels & MISSING:
        for event, value in enumerate(values):
            if not isinstance(value, str) and str(value) in MISSING:
                raise ValueError(f"the {what} of event {event} is {value}; it must have a label")
    # 100: as a number, a label of thousands of digits is more than Python's int takes.
    numeric = all(re.fullmatch("-?[0-9]{1,100}", label) for label in labels)
    # The label itself is a second key: '1' and '01' are two labels, and their order must be fixed.
    ordered = sorted(labels, key=(lambda label: (int(label), label)) if numeric else None)
    number_of = {label: number for number, label in enumerate(ordered)}
    return np.fromiter(map(number_of.__getitem__, column), np.int64, len(column)), ordered
