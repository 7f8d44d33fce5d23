"""Who may attend to whom: row i says what position i may see. True is *may*; `&` combines them."""

import numpy as np

from attention_from_scratch.arguments import check_integer


def causal_mask(length: int) -> np.ndarray:
    """Each position sees itself and what came before: j <= i.

    Parameters
    ----------
    length : int, L

    Returns
    -------
    (L, L) of bool
    """
    return np.tri(check_integer("length", length, 0), dtype=bool)


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
    position = np.arange(check_integer("length", length, 0))
    return np.abs(position[:, None] - position[None, :]) < check_integer("window", window, 1)


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
