"""How far two ways of weighing the same events agree."""

import numpy as np

FEWEST = 3  # values that a rank correlation takes: with two it can only be -1 or 1


def spearman(x: np.ndarray, y: np.ndarray) -> float:
    """The correlation of the ranks of x and y, both (n,); of equal values, the mean of their ranks.

    NaN where it is undefined: for fewer than 3 values, or where all of x or all of y are equal.

    Source: Spearman, The Proof and Measurement of Association between Two Things (1904).
    """
    if len(x) < FEWEST:
        return float("nan")
    x, y = (ranks - ranks.mean() for ranks in (average_ranks(x), average_ranks(y)))
    spread = np.sqrt((x @ x) * (y @ y))
    return float(x @ y / spread) if spread else float("nan")


def average_ranks(values: np.ndarray) -> np.ndarray:
    """The rank 1..n of each of n values, the smallest first; equal ones share their mean rank."""
    _, places, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    return (last - (counts - 1) / 2)[places]
