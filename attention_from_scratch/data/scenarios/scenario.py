"""What all scenarios share: the events of many users, the questions asked about them, checks."""

from collections.abc import Sequence
from typing import ClassVar, NamedTuple

import numpy as np

from attention_from_scratch.data.interactions import Interactions
from attention_from_scratch.data.limits import best_possible


class Events(NamedTuple):
    """What users did: parallel lists, one array per user, oldest event first.

    Attributes
    ----------
    histories : list of (length,) int64 arrays of item ids 1..V
    behaviours : list of (length,) int64 arrays of behaviour ids, or None
    times : list of (length,) float64 arrays
    """

    histories: list[np.ndarray]
    behaviours: list[np.ndarray] | None
    times: list[np.ndarray]


def before_last(
    data: Events | Interactions, behaviour: int | None = None
) -> tuple[Events, np.ndarray, np.ndarray]:
    """Ask for each user's last event (of a behaviour): what came before it, its item, its time.

    Asked again of what came before, it gives the last but one: a target for validation.

    Parameters
    ----------
    data : Events or Interactions, with times
    behaviour : int, optional
        Such as that of a purchase; what came after the last one is left out. None: any.

    Returns
    -------
    known : Events
        Those before it. Users without such an event keep all of theirs.
    targets : (users,) int64
        Its item; 0 for users without.
    at : (users,) float64
        Its time; NaN for users without.
    """
    ends, targets = [], np.zeros(len(data.histories), np.int64)
    at = np.full(len(data.histories), np.nan)
    for user, history in enumerate(data.histories):
        asked = np.arange(len(history))
        if behaviour is not None:
            asked = np.flatnonzero(data.behaviours[user] == behaviour)
        ends.append(asked[-1] if len(asked) else len(history))
        if len(asked):
            targets[user], at[user] = history[ends[-1]], data.times[user][ends[-1]]
    known = [
        None if rows is None else [row[:end] for row, end in zip(rows, ends, strict=True)]
        for rows in (data.histories, data.behaviours, data.times)
    ]
    return Events(*known), targets, at


class Scenario:
    """Base class: who has `sample` and `next_probabilities` also has `interactions` and `limit`."""

    names: ClassVar[list[str]]  # names[i] of item i; names[0] is "", the padding
    behaviour_names: ClassVar[list[str] | None] = None  # likewise

    @property
    def n_items(self) -> int:
        """Number of items V."""
        return len(self.names) - 1

    def interactions(self, n_users: int, rng: np.random.Generator, **settings) -> Interactions:
        """`sample` as `Interactions`: all of the catalogue, ids as here, items labelled by name."""
        histories, behaviours, times = self.sample(n_users, rng, **settings)
        return Interactions(
            histories,
            [str(user) for user in range(1, n_users + 1)],
            self.names,
            self.names,
            ordered_by="timestamp",
            times=times,
            behaviours=behaviours,
            behaviour_names=self.behaviour_names,
        )

    def limit(
        self, histories: Sequence[np.ndarray], k: int = 10, *, exclude_seen: bool = False, **known
    ) -> dict[str, float]:
        """What the best possible model reaches that knows no more than what is given here.

        Parameters
        ----------
        histories : sequence of (length,) arrays of ids
        k : int
        exclude_seen : bool
            True: items of the history cannot be ranked, and a target among them earns 0.
        **known
            What else `next_probabilities` takes, such as behaviours and times.

        Returns
        -------
        dict of "cross_entropy" (nats), "ndcg" and "hit_rate", means over the histories as in
        `best_possible`
        """
        p = self.next_probabilities(histories, **known)
        return best_possible(p, k, seen=histories if exclude_seen else None)


def mixture_rest(**weights: float) -> float:
    """What the weights of a mixture leave of 1; an error if they are no probabilities."""
    rest = 1 - sum(weights.values())
    if not (all(weight >= 0 for weight in weights.values()) and rest >= -1e-12):
        told = " and ".join(f"{name} was {weight}" for name, weight in weights.items())
        one = "a probability"
        several = "probabilities with a sum of at most 1"
        raise ValueError(f"{told}, but must be {one if len(weights) == 1 else several}")
    return max(0.0, rest)


def draw_lengths(n_users: int, length: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
    """The number of events of each user, uniform in (shortest, longest), both included."""
    shortest, longest = length
    if n_users < 1:
        raise ValueError(f"n_users was {n_users}, but must be an integer from 1 on")
    if not 1 <= shortest <= longest:
        raise ValueError(f"length was {length}, but must be (shortest, longest), 1 <= shortest")
    return rng.integers(shortest, longest, n_users, endpoint=True)


def cut_rows(table: np.ndarray, lengths: np.ndarray) -> list[np.ndarray]:
    """The first lengths[u] entries of each row u."""
    return [row[:n].copy() for row, n in zip(table, lengths, strict=True)]


def check_ids(name: str, rows: Sequence[np.ndarray], largest: int) -> list[np.ndarray]:
    """The rows as arrays of int64, if all they hold is integers in 1..largest."""
    rows = [np.asarray(row) for row in rows]
    for user, row in enumerate(rows):
        if row.size and row.dtype.kind not in "iu":
            raise ValueError(f"{name}[{user}] was of {row.dtype}, but must be of integers")
        wrong = row[(row < 1) | (row > largest)]
        if wrong.size:
            raise ValueError(f"{name}[{user}] holds {wrong[0]}, but may hold 1..{largest}")
    return [row.astype(np.int64, copy=False) for row in rows]


def check_parallel(name: str, rows: Sequence, histories: Sequence) -> None:
    """Raise unless there is one row for each history, with one entry for each of its events."""
    if len(rows) != len(histories):
        raise ValueError(f"{name} was for {len(rows)} users, but there are {len(histories)}")
    for user, (row, history) in enumerate(zip(rows, histories, strict=True)):
        if len(row) != len(history):
            raise ValueError(
                f"{name}[{user}] has {len(row)} entries, but histories[{user}] has {len(history)}"
            )


def check_at(at: Sequence[float], n_users: int) -> np.ndarray:
    """The times of the next events as an array, if there is one for each user."""
    at = np.asarray(at, float)
    if at.shape != (n_users,):
        raise ValueError(f"at was of shape {at.shape}, but must be ({n_users},), one for each user")
    return at
