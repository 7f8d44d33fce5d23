"""What models share that count and learn nothing: the least that a learned one has to beat."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from attention_from_scratch.arguments import check_histories
from attention_from_scratch.models.checks import check_counts
from attention_from_scratch.models.recommender import Histories, Recommender
from attention_from_scratch.settings import Settings, Whole, option
from attention_from_scratch.tree import Tree


@dataclass(frozen=True)
class CountingSettings(Settings):
    """The settings of every model that counts."""

    n_items: int = option(may_be=Whole(), says="V; items are 1..V")


class CountingRecommender(Recommender):
    """Base class: a subclass has `learn`, and `score` (or `score_users`, for many at a time).

    A history that has no scores of its own (it is empty, or nothing like it was met) is scored by
    how often each item occurred in training, as SASRec scores an empty one.

    Attributes
    ----------
    item_counts : (V + 1,) int64, or None before `fit`
        How often each item occurred in training.
    learned : tree of arrays, or None
        What else the scores need: what `learn` gave.
    """

    Settings = CountingSettings

    def __init__(self, *args, **settings):
        self.settings = self.Settings(*args, **settings)
        self.n_items = self.settings.n_items
        self.item_counts = self.learned = None

    def fit(self, histories: Histories) -> "CountingRecommender":
        """Count what there is to count.

        Parameters
        ----------
        histories : one sequence of item ids per user, oldest first
        """
        histories = check_histories(histories, self.n_items)
        self.take_up(self.learn(histories), tally(histories, self.n_items + 1))
        return self

    def take_up(self, learned: Tree, item_counts: np.ndarray) -> None:
        """Get ready to score by what was learned and by how often each item occurred."""
        self.prepare(learned)
        self.learned, self.item_counts = learned, item_counts

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
        self.require_fitted()
        histories = check_histories(histories, self.n_items)
        scores = np.empty((len(histories), self.n_items + 1))
        popularity = np.log1p(self.item_counts)
        for row, found in zip(scores, self.score_users(histories), strict=True):
            row[:] = popularity if found is None else found
        scores[:, 0] = -np.inf
        return scores

    def require_fitted(self) -> None:
        """Raise unless the model has been fitted, so that there are counts."""
        if self.item_counts is None:
            raise ValueError("the model has not been trained: call fit, or load a saved one")

    # --- what a subclass provides

    def learn(self, histories: list[np.ndarray]) -> Tree:
        """What the scores need of the training histories beyond `item_counts`: a tree of arrays."""

    def prepare(self, learned: Tree) -> None:
        """Lay out what was learned as the scores want it."""

    def score_users(self, histories: list[np.ndarray]) -> Iterator[np.ndarray | None]:
        """For each history the score of every item, (V + 1,), or None if there is none to give."""
        for history in histories:
            yield self.score(history) if history.size else None

    def score(self, history: np.ndarray) -> np.ndarray | None:
        """The score of every item after one history that is not empty, or None."""
        return None

    # --- files

    @property
    def constants(self) -> dict:
        """What the constructor takes besides the settings: trees of arrays."""
        return {}

    def state(self) -> tuple[Tree, dict]:
        """What was counted, as a tree of arrays, and an empty description."""
        self.require_fitted()
        tree = {"model": self.learned, "item_counts": self.item_counts}
        return tree | {"constants": self.constants}, {}

    def restore(self, tree: Tree, description: dict, path) -> None:
        """Take up what `state` gave; raise if it is of another number of items."""
        self.take_up(tree.get("model"), check_counts(tree["item_counts"], self.n_items))


def weighted(history: np.ndarray, half_life: float | None) -> tuple[np.ndarray, np.ndarray]:
    """The items of a history, each once, and the weight of each.

    It is 0.5 ** (n / half_life) after n further events; of an item that was met more than once,
    after the last time. With half_life=None every weight is 1.
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


def packed(lists: Sequence[np.ndarray]) -> dict[str, np.ndarray]:
    """Lists of integers as two arrays: all their values, and how many are in each."""
    values = np.concatenate([np.zeros(0, np.int64), *lists])
    return {"values": values, "lengths": np.array([len(row) for row in lists], np.int64)}


def unpacked(pack: dict[str, np.ndarray]) -> list[np.ndarray]:
    """The lists of integers that `packed` made two arrays of."""
    return np.split(pack["values"], np.cumsum(pack["lengths"])[:-1]) if pack["lengths"].size else []
