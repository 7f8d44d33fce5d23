"""Items a user has not chosen, for the binary cross-entropy."""

import numpy as np


def draw_negatives(
    histories: list[np.ndarray], length: int, n_negatives: int, n_items: int, rng
) -> np.ndarray:
    """Draw items uniformly from those that do not occur in the user's history.

    Parameters
    ----------
    histories : one array of item ids per user
    length : int, L
    n_negatives : int, K
    n_items : int, V
    rng : numpy.random.Generator

    Returns
    -------
    (users, L, K) of int64 in 1..V
        A user who has seen the whole catalogue gets any item.

    Source: Kang & McAuley (2018), section III-E; one negative for each position, drawn anew in
    every epoch.
    """
    negatives = np.empty((len(histories), length, n_negatives), np.int64)
    for row, history in zip(negatives, histories, strict=True):
        unseen = np.ones(n_items + 1, bool)
        unseen[history] = False
        unseen[0] = False
        pool = np.flatnonzero(unseen)
        pool = pool if pool.size else np.arange(1, n_items + 1)
        row[:] = pool[rng.integers(pool.size, size=row.shape)]
    return negatives
