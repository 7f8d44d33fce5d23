"""Ranking metrics: how near the top of its user's list does each target stand?

Ties are the trap. A model that scores all items alike must earn exactly what chance earns, wherever
the target happens to stand in memory. So a rank is not a number here but a range, every order of
the tied items is equally likely, and each metric is the expectation over those orders.
"""

from typing import NamedTuple

import numpy as np

NEVER = 2**62
"""`Ranks.better` of a target that cannot be recommended: no list is long enough to reach it."""


class Ranks(NamedTuple):
    """Where each target stands: its rank is uniform on better + 1, ..., better + tied + 1.

    Attributes
    ----------
    better : (users,) int64
        Number of items scored strictly above the target. `NEVER` if the target's score is -inf:
        every metric is then 0.
    tied : (users,) int64
        Number of *other* items with exactly the target's score.
    """

    better: np.ndarray
    tied: np.ndarray


def rank_targets(scores: np.ndarray, targets: np.ndarray) -> Ranks:
    """Rank each user's target among all items.

    Parameters
    ----------
    scores : (users, V + 1) floats
        Larger is better, -inf means "cannot be recommended"; column 0 (padding) is -inf.
    targets : (users,) ints in 1..V

    Raises
    ------
    ValueError
        If a score is NaN, column 0 is not -inf, shapes disagree or a target is no item id.
    """
    scores = check_scores(scores, len(targets))
    target_scores = scores[np.arange(len(scores)), check_targets(targets, scores)]
    better, tied = rank_among(target_scores, scores)
    return Ranks(better, np.where(better == NEVER, 0, tied - 1))  # a target ties with itself


def rank_among(target_scores: np.ndarray, other_scores: np.ndarray) -> Ranks:
    """Rank a score (users,) among the scores of other candidates (users, candidates)."""
    target = target_scores[:, None]
    possible = target_scores > -np.inf
    better = np.count_nonzero(other_scores > target, axis=1)
    tied = np.count_nonzero(other_scores == target, axis=1)
    return Ranks(np.where(possible, better, NEVER), np.where(possible, tied, 0))


def hit_rate(ranks: Ranks, k: int) -> np.ndarray:
    """HR@k of each user, (users,): the probability that the target is in the list of k."""
    return _expected_gain(ranks, np.ones(check_k(k)))


def ndcg(ranks: Ranks, k: int) -> np.ndarray:
    """NDCG@k of each user, (users,): 1 / log2(rank + 1) within the list of k, 0 below it.

    With one relevant item the ideal DCG is 1, so this is DCG as well.
    Source: after Järvelin & Kekäläinen, Cumulated gain-based evaluation of IR techniques, 2002,
    with the discount 1 / log2(rank + 1) that has become usual since.
    """
    return _expected_gain(ranks, 1 / np.log2(np.arange(check_k(k)) + 2))


def mrr(ranks: Ranks) -> np.ndarray:
    """Reciprocal rank of each user, (users,): 1 / rank, however long the list. Its mean is MRR."""
    last = ranks.better + ranks.tied + 1
    depth = np.max(last, where=ranks.better < NEVER, initial=0)
    return _expected_gain(ranks, 1 / (np.arange(depth) + 1))


def _expected_gain(ranks, gains):
    """Mean of gains[rank - 1] over the equally likely ranks; there is no gain past the end."""
    total = np.concatenate([[0.0], np.cumsum(gains)])  # total[r] = gain of the first r ranks
    first = np.minimum(ranks.better, len(gains))
    last = np.minimum(ranks.better + ranks.tied + 1, len(gains))
    return (total[last] - total[first]) / (ranks.tied + 1)


def top_k(scores: np.ndarray, k: int) -> np.ndarray:
    """The k best items of each user, best first; equal scores in the order of their ids.

    Parameters
    ----------
    scores : (users, V + 1) floats
        Larger is better, -inf means "cannot be recommended"; column 0 (padding) is -inf.
    k : int
        Length of the list.

    Returns
    -------
    (users, k) int64
        Item ids, filled up with 0 where fewer than k items can be recommended.
    """
    scores = check_scores(scores)
    users, columns = scores.shape
    length = min(check_k(k), columns)
    # Partitioning alone would choose arbitrarily among items that tie for the last place. So it
    # only finds the score of that place: what is above is in, the smallest ids at it fill up.
    # (Negated, because partitioning for the smallest is the faster where most scores are equal.)
    last = -np.partition(-scores, length - 1, axis=1)[:, length - 1, None]
    above, level = scores > last, scores == last
    room = length - np.count_nonzero(above, axis=1, keepdims=True)
    chosen = above | (level & (np.cumsum(level, axis=1, dtype=np.int32) <= room))
    ids = np.nonzero(chosen)[1].reshape(users, length)

    values = np.take_along_axis(scores, ids, axis=1)
    best_first = np.argsort(-values, axis=1, kind="stable")
    items = np.zeros((users, k), dtype=np.int64)
    items[:, :length] = np.take_along_axis(np.where(values > -np.inf, ids, 0), best_first, axis=1)
    return items


def coverage(recommended: np.ndarray, n_items: int) -> float:
    """Share of the catalogue 1..n_items that stands in anybody's list; 0 is no item."""
    shown = np.unique(recommended)
    outside = shown[(shown < 0) | (shown > n_items)]
    if outside.size:
        raise ValueError(f"recommended holds {outside[0]} (valid ids are 0..{n_items})")
    return float(np.count_nonzero(shown) / n_items)


def check_scores(scores: np.ndarray, users: int | None = None) -> np.ndarray:
    """`scores` if it is a matrix of scores (for so many users), else a ValueError."""
    scores = np.asarray(scores)
    if scores.ndim != 2 or scores.shape[1] < 2 or users not in (None, len(scores)):
        wanted = "users" if users is None else users
        raise ValueError(f"scores has shape {scores.shape}, must be ({wanted}, V + 1) with V >= 1")
    if scores.dtype.kind != "f":
        raise ValueError(f"scores has dtype {scores.dtype}, must be a float (column 0 is -inf)")
    if np.isnan(np.max(scores, initial=-np.inf)):  # a maximum passes NaN on, and needs no copy
        raise ValueError("scores holds NaN, must be numbers or -inf")
    if not np.all(scores[:, 0] == -np.inf):
        raise ValueError("scores holds a number in column 0 (padding), must be -inf there")
    return scores


def check_targets(targets: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """`targets` if they are one item id for each row of `scores`, else a ValueError."""
    targets, n_items = np.asarray(targets), scores.shape[1] - 1
    if targets.shape != scores.shape[:1] or (targets.size and targets.dtype.kind not in "iu"):
        raise ValueError(
            f"targets is {targets.dtype} of shape {targets.shape}, must be ({len(scores)},) ints"
        )
    outside = targets[(targets < 1) | (targets > n_items)]
    if outside.size:
        raise ValueError(f"targets holds {outside[0]}, but scores ranks the ids 1..{n_items}")
    return targets.astype(np.int64)


def check_k(k: int) -> int:
    """`k` if it is a length of a list, else a ValueError."""
    if not isinstance(k, int | np.integer) or k < 1:
        raise ValueError(f"k is {k!r}, must be a whole number from 1")
    return int(k)
