"""Recommenders that count and learn nothing: the least that a learned one has to beat."""

import math
from collections.abc import Iterator, Sequence

import numpy as np

from attention_from_scratch.models.recommender import Histories, Recommender, check_histories
from attention_from_scratch.training.checks import check_integer, check_positive


class Baseline(Recommender):
    """Base class: a subclass has `learn`, and `score` (or `score_users`, for many at a time).

    A history that has no scores of its own (it is empty, or nothing like it was met) is scored by
    how often each item occurred in training, as SASRec scores an empty one.

    Parameters
    ----------
    n_items : int, V
        Items are 1..V.

    Attributes
    ----------
    item_counts : (V + 1,) int64, or None before `fit`
        How often each item occurred in training.
    """

    def __init__(self, n_items: int):
        self.n_items = check_integer("n_items", n_items, 1)
        self.item_counts = None

    def fit(self, histories: Histories) -> "Baseline":
        """Count what there is to count.

        Parameters
        ----------
        histories : one sequence of item ids per user, oldest first
        """
        histories = check_histories(histories, self.n_items)
        self.learn(histories)
        self.item_counts = tally(histories, self.n_items + 1)
        return self

    def scores(self, histories: Histories) -> np.ndarray:
        """Score of every item as the next event of each user.

        Returns
        -------
        (users, V + 1) float64, -inf in column 0

        Raises
        ------
        ValueError
            For an item that is not in 1..V, or a model that has not been fitted.
        """
        if self.item_counts is None:
            raise ValueError("the model has not been trained: call fit")
        histories = check_histories(histories, self.n_items)
        scores = np.empty((len(histories), self.n_items + 1))
        popularity = np.log1p(self.item_counts)
        for row, found in zip(scores, self.score_users(histories), strict=True):
            row[:] = popularity if found is None else found
        scores[:, 0] = -np.inf
        return scores

    def learn(self, histories: list[np.ndarray]) -> None:
        """Take from the training histories what the scores need, beyond `item_counts`."""

    def score_users(self, histories: list[np.ndarray]) -> Iterator[np.ndarray | None]:
        """For each history the score of every item, (V + 1,), or None if there is none to give."""
        for history in histories:
            yield self.score(history) if history.size else None

    def score(self, history: np.ndarray) -> np.ndarray | None:
        """The same for one history that is not empty."""
        return None


class MostPopular(Baseline):
    """The same list for everybody: the score of an item is ln(1 + how often it occurred)."""


class RecentlyPopular(MostPopular):
    """The same list for everybody: the items that occurred most of late.

    Parameters
    ----------
    n_items : int, V
    share : float in (0, 1]
        Which share of the events is counted, the latest.
    """

    def __init__(self, n_items: int, share: float = 0.1):
        super().__init__(n_items)
        check_positive("share", share)
        if share > 1:
            raise ValueError(f"share was {share!r}, but must be at most 1")
        self.share = share

    def fit(
        self, histories: Histories, *, times: Sequence[np.ndarray] | None = None
    ) -> "RecentlyPopular":
        """Count the latest events.

        Parameters
        ----------
        histories : one sequence of item ids per user, oldest first
        times : one sequence of floats per user, parallel to `histories`, or None
            With them the latest events are those of all users together (and all that are of the
            same time as the first that counts). Without them they are the latest of each user's
            own, rounded up, which is another thing where users were not there at the same time.
        """
        histories = check_histories(histories, self.n_items)
        if times is None:
            lengths = [math.ceil(self.share * len(history)) for history in histories]
            return super().fit([h[len(h) - n :] for h, n in zip(histories, lengths, strict=True)])
        times = check_times(times, histories)
        everything = np.concatenate([np.zeros(0), *times])
        n_older = len(everything) - math.ceil(self.share * len(everything))
        start = np.partition(everything, n_older)[n_older] if everything.size else 0
        return super().fit([h[t >= start] for h, t in zip(histories, times, strict=True)])


class MarkovChain(Baseline):
    """The next event depends on the last one alone: a first-order Markov chain.

        p(next = j | last = i) = (n(i, j) + smoothing * p(j)) / (n(i) + smoothing)

    n(i, j) is how often j came directly after i in training, n(i) how often anything did, and p(j)
    the share of j among all events: the fewer events were seen after i, the more popularity counts.

    Parameters
    ----------
    n_items : int, V
    smoothing : float
        Above 0; how many events popularity is worth.

    Source: the smoothing by Dirichlet priors of Zhai & Lafferty, A study of smoothing methods for
    language models applied to information retrieval, TOIS 2004, with an item in place of a
    document and its followers in place of the words.
    """

    def __init__(self, n_items: int, smoothing: float = 1.0):
        super().__init__(n_items)
        check_positive("smoothing", smoothing)
        self.smoothing = smoothing

    def learn(self, histories: list[np.ndarray]) -> None:
        """Gather what came after each item."""
        nothing = np.zeros(0, np.int64)
        last = np.concatenate([nothing, *(history[:-1] for history in histories)])
        following = np.concatenate([nothing, *(history[1:] for history in histories)])
        self.followers = grouped(last, following, self.n_items + 1)

    def score(self, history: np.ndarray) -> np.ndarray | None:
        """p(next | last event), (V + 1,)."""
        if not self.item_counts.any():
            return None
        followers = self.followers[history[-1]]
        popularity = self.smoothing * self.item_counts / self.item_counts.sum()
        counts = tally([followers], self.n_items + 1)
        return (counts + popularity) / (len(followers) + self.smoothing)


def check_half_life(half_life: float | None) -> float | None:
    """`half_life` if it is None, finite and above 0, or an error."""
    if half_life is not None:
        check_positive("half_life", half_life)
    return half_life


def weighted(history: np.ndarray, half_life: float | None) -> tuple[np.ndarray, np.ndarray]:
    """The items of a history, each once, and the weight of each.

    It is 0.5 ** (n / half_life) after n further events; of an item that was met more than once,
    after the last time. None: 1.
    """
    items, n_later = np.unique(history[::-1], return_index=True)
    weights = np.ones(len(items)) if half_life is None else 0.5 ** (n_later / half_life)
    return items, weights


def tally(
    lists: Sequence[np.ndarray], n: int, weights: Sequence[float] | None = None
) -> np.ndarray:
    """How often each of 0..n - 1 is in the lists, (n,); what is in lists[m] counts weights[m]."""
    if weights is not None:
        weights = np.repeat(weights, [len(values) for values in lists])
    return np.bincount(np.concatenate([np.zeros(0, np.int64), *lists]), weights, minlength=n)


def grouped(keys: np.ndarray, values: np.ndarray, n_keys: int) -> list[np.ndarray]:
    """The values of each key 0..n_keys - 1, in the order they came in."""
    order = np.argsort(keys, kind="stable")
    return np.split(values[order], np.cumsum(np.bincount(keys, minlength=n_keys))[:-1])


def check_times(times: Sequence, histories: list[np.ndarray]) -> list[np.ndarray]:
    """The times as float arrays; an error unless there is one for each event."""
    if len(times) != len(histories):
        raise ValueError(f"times has {len(times)} users, but histories has {len(histories)}")
    times = [np.asarray(row, float) for row in times]
    for user, (row, history) in enumerate(zip(times, histories, strict=True)):
        if row.shape != history.shape:
            raise ValueError(
                f"times[{user}] has shape {row.shape}, but the history has {len(history)} events"
            )
    return times
