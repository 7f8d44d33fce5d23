"""From the true distribution of the next event to the best scores that any model can reach."""

from collections.abc import Sequence

import numpy as np


def best_possible(
    p: np.ndarray, k: int = 10, *, seen: Sequence[np.ndarray] | None = None
) -> dict[str, float]:
    """What the best answer to each row of p reaches, an exact mean over the rows.

    The best probabilities to give are p itself, with the cross-entropy sum_i -p_i log p_i, and the
    best ranking is by p. With p_(r) the r-th largest, it has

        HR@k = sum_{r <= k} p_(r)        NDCG@k = sum_{r <= k} p_(r) / log2(r + 1)

    Equal p may be ranked in any order: the sums are the same.

    Parameters
    ----------
    p : (n, V + 1)
        Distributions of the next item; column 0, the padding, is 0.
    k : int
    seen : sequence of n arrays of ids, optional
        Items that cannot be ranked in that row; a target among them earns 0. The cross-entropy
        stays what it is.

    Returns
    -------
    dict of "cross_entropy" (nats), "ndcg" and "hit_rate"
    """
    if not len(p):
        raise ValueError("p has no rows; a mean takes at least one")
    if not 1 <= k < p.shape[1]:
        raise ValueError(f"k was {k}, but must be in 1..{p.shape[1] - 1}")
    cross_entropy = -(p * np.log(np.where(p > 0, p, 1))).sum(axis=1)
    if seen is not None:
        p = p.copy()
        for row, items in zip(p, seen, strict=True):
            row[items] = 0
    best = -np.sort(-p, axis=1)[:, :k]
    return {
        "cross_entropy": float(cross_entropy.mean()),
        "ndcg": float((best / np.log2(np.arange(2, k + 2))).sum(axis=1).mean()),
        "hit_rate": float(best.sum(axis=1).mean()),
    }
