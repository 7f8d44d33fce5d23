"""Recommenders that count and learn nothing: the least that a learned one has to beat."""

import math
from collections.abc import Sequence

import numpy as np

from attention_from_scratch.models.recommender import Histories, Recommender, check_histories
from attention_from_scratch.training.checks import check_integer, check_positive


class Baseline(Recommender):
    """Base class: count the items, hand over to `learn`, and score user by user with `score`.

    A history of which `score` can make nothing (it is empty, or nobody like it was met) is scored
    by how often each item occurred in training, as SASRec scores an empty one.

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
        self.item_counts = count(histories, self.n_items)
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
        for row, history in zip(scores, histories, strict=True):
            found = self.score(history) if history.size else None
            row[:] = popularity if found is None else found
        scores[:, 0] = -np.inf
        return scores

    def learn(self, histories: list[np.ndarray]) -> None:
        """Take from the training histories what `score` needs, beyond `item_counts`."""

    def score(self, history: np.ndarray) -> np.ndarray | None:
        """Score of every item, (V + 1,), after a history that is not empty; None: cannot tell."""
        return None


class MostPopular(Baseline):
    """The same list for everybody: the score of an item is ln(1 + how often it occurred)."""
