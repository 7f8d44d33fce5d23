"""A table with a row for every id."""

import numpy as np

from attention_from_scratch.ops.contract import Backward, check_d_output, check_floats, check_ids


def embedding(
    ids: np.ndarray, weight: np.ndarray, *, padding_id: int | None = 0
) -> tuple[np.ndarray, Backward]:
    """weight[ids]: one row of the table for every id; zeros for padding.

    A lookup is a product with a one-hot row, y = onehot(id) @ W, so by the rule of `linear`
    d_W = onehot^T @ d_y: row v collects the gradient of *every* position that holds id v,

        d_W[v] = sum over positions with id v of d_y.

    Adding is the point: an assignment `d_weight[ids] = d_output` would keep only the last of them.

    Parameters
    ----------
    ids : (...) of integers in 0..V
    weight : (V + 1, D)
    padding_id : int or None
        The id that stands for "nothing here". Its output is 0 whatever its row holds, and its row
        gets no gradient. None: no id is special.

    Returns
    -------
    output : (..., D)
    backward : d_output (..., D) -> d_weight (V + 1, D)

    Raises
    ------
    TypeError, ValueError
        Ids that are no integers, or have no row.
    """
    ids = check_table(ids, weight, padding_id)
    output = weight[ids]
    if padding_id is not None:
        output = np.where((ids != padding_id)[..., None], output, 0)

    def backward(d_output):
        check_d_output(d_output, output)
        d_weight = np.zeros_like(weight)
        np.add.at(d_weight, ids, d_output)
        if padding_id is not None:
            d_weight[padding_id] = 0
        return d_weight

    return output, backward


def check_table(ids: np.ndarray, weight: np.ndarray, padding_id: int | None) -> np.ndarray:
    """Return the ids as an array; raise unless each of them, and padding_id, has a row."""
    check_floats(weight=weight)
    ids = np.asarray(ids)
    if weight.ndim != 2:
        raise ValueError(f"weight has shape {weight.shape}, but must be (rows, width)")
    check_ids("ids", ids, len(weight), f"weight has {len(weight)} rows")
    if padding_id is not None and not 0 <= padding_id < len(weight):
        raise ValueError(f"padding_id was {padding_id}, but must be None or 0..{len(weight) - 1}")
    return ids
