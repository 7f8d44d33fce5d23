"""The softmax over a catalogue, whose logits are never held."""

import numpy as np

from attention_from_scratch.fast.exponential import moderate
from attention_from_scratch.ops.contract import (
    Backward,
    check_d_output,
    check_ids,
    check_same_shape,
)
from attention_from_scratch.ops.linear import check_map
from attention_from_scratch.ops.losses import reduction_weights

CHUNK = 256  # rows; so many rows of logits stay in the cache, for catalogues of some thousands


def linear_cross_entropy(
    x: np.ndarray,
    weight: np.ndarray,
    targets: np.ndarray,
    *,
    position_weights: np.ndarray | None = None,
    reduction: str = "mean",
) -> tuple[np.floating, Backward]:
    """-log softmax(x @ weight)[target], forward and backward in one sweep over chunks of rows.

    Parameters and returns are those of `ops.linear_cross_entropy`.

    The N x V logits are the largest array of a training step, and all that is wanted of them is a
    number a row and two products. A chunk's are made, turned into p - q, and multiplied out before
    the next chunk's take their place:

        d_x = (p - q) weight^T        d_weight = x^T (p - q)

    (each row times its share in the mean), so that the backward pass has nothing left to do but to
    scale the result by d_output. Rows of exponentials e are as good as rows of p = e / total: it is
    the narrow factors that are divided, and where `moderate` says so, nothing is subtracted from
    the logits before.
    """
    check_map(x, weight, None)
    targets = np.asarray(targets)
    check_same_shape("targets", targets, x.shape[:-1])
    check_ids("targets", targets, weight.shape[1], f"logits have {weight.shape[1]} classes")
    counted = reduction_weights(np.ones(targets.shape, bool), position_weights, reduction, x)
    counts = np.flatnonzero(counted)  # what does not count may be infinite
    rows, at = x.reshape(targets.size, x.shape[-1])[counts], targets.reshape(-1)[counts]
    share = counted.reshape(-1, 1)[counts]
    # BLAS is faster with the right one of two factors in rows; a product with ones is a sum.
    weight, by_item = np.ascontiguousarray(weight), np.ascontiguousarray(weight.T)
    ones = np.ones((len(by_item), 1), x.dtype)
    shifted = len(by_item) == 1 or not moderate(rows, by_item)  # of one item the loss is exactly 0
    loss, d_rows, d_by_item = x.dtype.type(0), np.empty_like(rows), np.zeros_like(by_item)
    for start in range(0, len(rows), CHUNK):
        chunk = slice(start, start + CHUNK)
        here = np.arange(len(rows[chunk])), at[chunk]
        logits = rows[chunk] @ weight
        if shifted:
            logits -= logits.real.max(axis=-1, keepdims=True)
        at_target = logits[here]
        exponentials = np.exp(logits, out=logits)
        total = exponentials @ ones
        loss += ((np.log(total[:, 0]) - at_target) * share[chunk, 0]).sum()
        exponentials[here] -= total[:, 0]  # now total * (p - q)
        weights = share[chunk] / total
        d_rows[chunk] = weights * (exponentials @ by_item)
        d_by_item += exponentials.T @ (weights * rows[chunk])

    def backward(d_output=1.0):
        check_d_output(d_output, loss)
        d_x = np.zeros((targets.size, x.shape[-1]), x.dtype)
        d_x[counts] = d_output * d_rows
        return d_x.reshape(x.shape), d_output * d_by_item.T

    return loss, backward
