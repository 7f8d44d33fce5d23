"""Attention followed from where the answer is read back to the events."""

from collections.abc import Sequence

import numpy as np


def attention_rollout(
    maps: np.ndarray, *, bypass: Sequence[bool] | None = None, pooled: bool = False
) -> np.ndarray:
    """Follow what the answer is read from back through all maps to the events.

        r A~_n ... A~_1        A~ = (A + I) / 2

    A is the mean over the heads of a map; the identity is the residual path around it, which
    passes every event on as it is. r picks the last event.

    With a recurrent encoder below, the events are states that hold those before them too.

    Parameters
    ----------
    maps : (n_maps, n_heads, L, L)
        The first is that of the lowest block.
    bypass : n_maps booleans, or None
        Where there is no residual path, A~ is A. None: there is one everywhere.
    pooled : bool
        The answer is read from the mean of all events: r is 1 / L throughout.

    Returns
    -------
    (L,), with the sum 1 if all rows of the maps have it

    Source: Abnar & Zuidema, Quantifying Attention Flow in Transformers (2020), eq. 1.
    """
    length = maps.shape[-1]
    shares = np.full(length, 1 / length) if pooled else np.eye(length)[-1]
    bypass = [True] * len(maps) if bypass is None else bypass
    for weights, has_bypass in zip(maps.mean(axis=1)[::-1], bypass[::-1], strict=True):
        taken = shares @ weights
        shares = (taken + shares) / 2 if has_bypass else taken
    return shares
