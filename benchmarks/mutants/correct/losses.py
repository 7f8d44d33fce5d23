"""Losses that are right in unfamiliar ways: by way of log-softmax, or of two classes."""

import numpy as np

from attention_from_scratch import ops
from attention_from_scratch.ops.losses import reduction_weights
from benchmarks.mutants.cases import NEXT_ITEMS, classes
from benchmarks.mutants.shelves import correct


@correct(ops.cross_entropy, classes(NEXT_ITEMS, 6, ignore_index=0, label_smoothing=0.1))
def entropy_through_log_softmax(
    logits,
    targets,
    *,
    ignore_index=None,
    position_weights=None,
    label_smoothing=0.0,
    reduction="mean",
):
    """Computes -sum(q log p), and goes back through the log_softmax."""
    log_p, back = ops.log_softmax(logits)
    weights = reduction_weights(targets != ignore_index, position_weights, reduction, logits)
    one_hot = (targets[..., None] == np.arange(logits.shape[-1])).astype(logits.dtype)
    q = (1 - label_smoothing) * one_hot + label_smoothing / logits.shape[-1]
    q = q * weights[..., None]
    return -(q * log_p).sum(), lambda d_output=1.0: back(-d_output * q)


@correct(ops.binary_cross_entropy_with_logits)
def binary_through_two_classes(logits, targets, *, position_weights=None, reduction="mean"):
    """Takes the cross entropy over two classes whose logits are 0 and x."""
    log_p, back = ops.log_softmax(np.stack([0 * logits, logits], axis=-1))
    weights = reduction_weights(np.ones(logits.shape, bool), position_weights, reduction, logits)
    truth = weights[..., None] * np.stack([1 - targets, targets], axis=-1)

    def backward(d_output=1.0):
        d_targets = d_output * weights * (log_p[..., 0] - log_p[..., 1])
        return back(-d_output * truth)[..., 1], d_targets

    return -(truth * log_p).sum(), backward
