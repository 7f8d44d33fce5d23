"""Who met what, in which order: one array of item ids per user."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from attention_from_scratch.arguments import check_ids, check_per_event, quote

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
    times : list of (length,) float64 arrays, optional
        ``times[u]`` says when each event of ``histories[u]`` was, in the unit of the data.
    behaviours : list of (length,) int64 arrays, optional
        ``behaviours[u]`` says what the user did in each event of ``histories[u]``, such as to
        look or to buy: ids 1..len(behaviour_names) - 1.
    behaviour_names : list of str, optional
        ``behaviour_names[b]`` is the label of behaviour b; ``behaviour_names[0]`` is "", no event.
    """

    histories: list[np.ndarray]
    users: list[str]
    items: list[str]
    titles: list[str] | None = None
    ordered_by: str = "line"
    times: list[np.ndarray] | None = None
    behaviours: list[np.ndarray] | None = None
    behaviour_names: list[str] | None = None

    def __post_init__(self):
        if len(self.users) != len(self.histories):
            raise ValueError(f"{len(self.users)} users for {len(self.histories)} histories")
        if not self.items or self.items[0] != "":
            raise ValueError(f"items begins with {self.items[:1]}, but id 0 is padding: ''")
        if self.titles is not None and len(self.titles) != len(self.items):
            raise ValueError(f"{len(self.titles)} titles for {len(self.items)} items")
        check_ids("histories", self.histories, 1, self.n_items, self.users)
        if self.times is not None:
            self._check_times()
        if (self.behaviours is None) != (self.behaviour_names is None):
            lone = "behaviour_names" if self.behaviours is None else "behaviours"
            raise ValueError(f"{lone} is alone; behaviours and behaviour_names come together")
        if self.behaviours is not None:
            if self.behaviour_names[:1] != [""]:
                raise ValueError(
                    f"behaviour_names begins with {self.behaviour_names[:1]}, but id 0 is "
                    "no event: ''"
                )
            check_per_event("behaviours", self.behaviours, self.histories, self.users)
            largest = len(self.behaviour_names) - 1
            check_ids("behaviours", self.behaviours, 1, largest, self.users)

    def _check_times(self) -> None:
        """Raise unless every event has a time, and none is before the one it follows."""
        check_per_event("times", self.times, self.histories, self.users)
        times = np.concatenate([np.zeros(0), *self.times])
        owner = np.repeat(np.arange(len(self.times)), [len(row) for row in self.times])
        if not np.isfinite(times).all():
            event = np.argmin(np.isfinite(times))
            raise ValueError(f"user {quote(self.users[owner[event]])} has time {times[event]}")
        earlier = (times[1:] < times[:-1]) & (owner[1:] == owner[:-1])  # than the one before it
        if earlier.any():
            event = np.argmax(earlier)
            raise ValueError(
                f"user {quote(self.users[owner[event]])} has time {times[event + 1]} after "
                f"{times[event]}, but histories are in the order of time"
            )

    @classmethod
    def from_events(
        cls,
        users: Iterable,
        items: Iterable,
        timestamps: Sequence[float] | None = None,
        titles: Mapping[str, str] | None = None,
        behaviours: Iterable | None = None,
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
        behaviours : iterable of labels, one per event, optional
            What the user did. They are numbered from 1 in sorted order.

        Raises
        ------
        ValueError
            If the columns differ in length or are empty, a label is empty or missing (None, NaN),
            or a time is not finite.
        """
        user_ids, users = _encode(users, "user")
        item_ids, items = _encode(items, "item")
        times = np.zeros(len(user_ids)) if timestamps is None else np.asarray(timestamps, float)
        columns = {"users": user_ids, "items": item_ids, "timestamps": times}
        if behaviours is not None:
            columns["behaviours"], names = _encode(behaviours, "behaviour")
        if len(set(map(len, columns.values()))) > 1:
            lengths = ", ".join(f"{len(column)} {what}" for what, column in columns.items())
            raise ValueError(f"columns differ in length: {lengths}")
        if not np.isfinite(times).all():
            raise ValueError(f"timestamp {times[~np.isfinite(times)][0]} is not a finite number")

        order = np.lexsort((times, user_ids))  # by user, then time; stable: ties keep their order
        ends = np.cumsum(np.bincount(user_ids))[:-1]
        optional = {}
        if titles:
            optional["titles"] = ["", *(titles.get(label) or label for label in items)]
        if timestamps is not None:
            optional |= {"ordered_by": "timestamp", "times": np.split(times[order], ends)}
        if behaviours is not None:
            optional["behaviours"] = np.split(columns["behaviours"][order] + 1, ends)
            optional["behaviour_names"] = ["", *names]
        return cls(np.split(item_ids[order] + 1, ends), users, ["", *items], **optional)

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
