"""Who may attend to whom: row i says what position i may see. True is *may*; `&` combines them."""

import numpy as np


def causal_mask(length: int) -> np.ndarray:
    """Each position sees itself and what came before: j <= i.

    Parameters
    ----------
    length : int, L

    Returns
    -------
    (L, L) of bool
    """
    return np.tri(length, dtype=bool)


def local_mask(length: int, window: int) -> np.ndarray:
    """Each position sees those less than `window` away, on either side: abs(i - j) < window.

    A window of 1 is the position alone. `causal_mask(L) & local_mask(L, w)` is the last w events.

    Parameters
    ----------
    length : int, L
    window : int, at least 1

    Returns
    -------
    (L, L) of bool
    """
    if window < 1:
        raise ValueError(f"window was {window}, but must be at least 1 (1 is the position alone)")
    position = np.arange(length)
    return np.abs(position[:, None] - position[None, :]) < window


def padding_mask(ids: np.ndarray, *, padding_id: int = 0) -> np.ndarray:
    """No position sees padding: a key whose id is `padding_id` is hidden.

    Parameters
    ----------
    ids : (..., L) of integers
    padding_id : int

    Returns
    -------
    (..., 1, L) of bool
        The middle axis is that of the queries: a key is hidden from all of them alike.
    """
    return (np.asarray(ids) != padding_id)[..., None, :]
