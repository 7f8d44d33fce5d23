"""What every recommender here offers: scores, and recommendations made from them."""

from collections.abc import Sequence

import numpy as np

from attention_from_scratch.evaluation import mask_seen, top_k

Histories = Sequence[Sequence[int] | np.ndarray]


class Recommender:
    """Base class: a subclass has `n_items` and `scores(histories) -> (users, V + 1)`."""

    n_items: int

    def scores(self, histories: Histories) -> np.ndarray:
        """Score of every item as the next event of each user; -inf in column 0."""
        raise NotImplementedError

    def recommend(
        self, histories: Histories, k: int = 10, *, exclude_seen: bool = True, **known
    ) -> tuple[np.ndarray, np.ndarray]:
        """The k items with the highest scores, best first.

        Parameters
        ----------
        histories : one sequence of item ids per user, oldest first
        k : int
        exclude_seen : bool
            Leave out what is in the history.
        **known
            What else `scores` takes, such as the `context` of a model that was made for one.

        Returns
        -------
        ids : (users, k) of int64
            0 where fewer than k items can be recommended.
        scores : (users, k)
            -inf there.
        """
        if k < 1:
            raise ValueError(f"k was {k}, but must be at least 1")
        histories = check_histories(histories, self.n_items)
        scores = self.scores(histories, **known)
        if exclude_seen:
            scores = mask_seen(scores, histories)
        ids = top_k(scores, k)
        return ids, np.take_along_axis(scores, ids, axis=1)


def check_histories(histories: Histories, n_items: int) -> list[np.ndarray]:
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
