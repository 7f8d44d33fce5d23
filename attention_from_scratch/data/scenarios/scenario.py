"""What all scenarios share: the events of many users, the questions asked about them, checks."""

from collections.abc import Sequence
from typing import ClassVar, NamedTuple

import numpy as np

from attention_from_scratch.arguments import check_integer
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
    behaviour_names: ClassVar[list[str] | None] = None  # [b] of behaviour b; [0] is "", no event

    @property
    def n_items(self) -> int:
        """Number of items V."""
        return len(self.names) - 1

    def interactions(self, n_users: int, rng: np.random.Generator, **settings) -> Interactions:
        """`sample` as `Interactions`: all of the catalogue, ids as here, items labelled by name."""
        events = self.sample(n_users, rng, **settings)
        return self.labelled(*(events if isinstance(events, Events) else [events]))

    def labelled(self, histories, behaviours=None, times=None) -> Interactions:
        """Events as `Interactions`: users are labelled by number, from 1, and items by name."""
        return Interactions(
            histories,
            [str(user) for user in range(1, len(histories) + 1)],
            self.names,
            self.names,
            ordered_by="line" if times is None else "timestamp",
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
        if not len(histories):
            raise ValueError("histories was empty, but must hold at least one: the limit is a mean")
        p = self.next_probabilities(histories, **known)
        return best_possible(p, k, seen=histories if exclude_seen else None)


def mixture_rest(**weights: float) -> float:
    """Return what the weights of a mixture leave of 1; an error if they are no probabilities."""
    rest = 1 - sum(weights.values())
    if not (all(weight >= 0 for weight in weights.values()) and rest >= -1e-12):
        told = " and ".join(f"{name} was {weight}" for name, weight in weights.items())
        one = "a probability"
        several = "probabilities with a sum of at most 1"
        raise ValueError(f"{told}, but must be {one if len(weights) == 1 else several}")
    return max(0.0, rest)


def draw_lengths(n_users: int, length: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
    """Draw the number of events of each user, uniform in (shortest, longest), both included."""
    check_integer("n_users", n_users, 1)
    shortest, longest = length
    if not 1 <= shortest <= longest:
        raise ValueError(f"length was {length}, but must be (shortest, longest), 1 <= shortest")
    return rng.integers(shortest, longest, n_users, endpoint=True)


def draw(p: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Draw an index from each row of p (n, m), by inverting its cumulative distribution: (n,)."""
    cumulative = p.cumsum(axis=1)
    cumulative /= cumulative[:, -1:]  # the last is exactly 1, above every draw from [0, 1)
    return (cumulative <= rng.random((len(p), 1))).sum(axis=1)


def cut_rows(table: np.ndarray, lengths: np.ndarray) -> list[np.ndarray]:
    """Cut each row u of a table (users, longest) to its first lengths[u] entries."""
    return [row[:n].copy() for row, n in zip(table, lengths, strict=True)]


def check_at(at: Sequence[float], n_users: int) -> np.ndarray:
    """Return the times of the next events as an array, if there is one for each user."""
    at = np.asarray(at, float)
    if at.shape != (n_users,):
        raise ValueError(f"at was of shape {at.shape}, but must be ({n_users},), one for each user")
    return at
