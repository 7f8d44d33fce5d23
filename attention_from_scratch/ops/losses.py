"""Losses: ops whose output is one number. `backward()` means d_output = 1."""

import numpy as np

from attention_from_scratch.ops.contract import (
    Backward,
    check_d_output,
    check_floats,
    check_ids,
    check_same_shape,
)
from attention_from_scratch.ops.linear import linear
from attention_from_scratch.ops.softmax import log_softmax
from attention_from_scratch.ops.special import exp


def cross_entropy(
    logits: np.ndarray,
    targets: np.ndarray,
    *,
    ignore_index: int | None = None,
    position_weights: np.ndarray | None = None,
    label_smoothing: float = 0.0,
    reduction: str = "mean",
) -> tuple[np.floating, Backward]:
    """-log p[target] with p = softmax(logits), averaged (or summed) over positions.

    At one position the loss is -sum_v q_v log p_v, where q is 1 at the target, or, smoothed by e,
    (1 - e) at the target plus e / V everywhere. As q sums to 1, `log_softmax` backwards gives

        d_logits = p - q

    the prediction minus the truth, times the weight of the position in the mean.

    Parameters
    ----------
    logits : (..., V)
        V is at least 1: one of the classes is the target.
    targets : (...) of integers in 0..V-1
    ignore_index : int or None
        Positions with this target do not count, in the sum nor in what it is divided by.
    position_weights : (...), at least 0, or None
        How much each position counts; the mean is the weighted one.
    label_smoothing : float in [0, 1]
    reduction : "mean" or "sum"
        A mean over a batch in shards is the sum of their sums divided by the count of all.

    Returns
    -------
    output : ()
        The loss, in nats; 0 where no position counts.
    backward : d_output () -> d_logits (..., V)

    Source: `torch.nn.functional.cross_entropy`; label smoothing: Szegedy et al., Rethinking the
    Inception Architecture (2016), section 7.
    """
    check_floats(logits=logits)
    if logits.ndim == 0 or logits.shape[-1] == 0:
        raise ValueError(f"logits has shape {logits.shape}, but must be (..., V) with V at least 1")
    targets, n_classes = np.asarray(targets), logits.shape[-1]
    check_same_shape("targets", targets, logits.shape[:-1])
    label_smoothing = float(label_smoothing)
    if not 0 <= label_smoothing <= 1:
        raise ValueError(f"label_smoothing was {label_smoothing}, but must be between 0 and 1")
    counted = np.ones(targets.shape, bool) if ignore_index is None else targets != ignore_index
    check_ids("targets", targets[counted], n_classes, f"logits have {n_classes} classes")
    at_target = np.where(counted, targets, 0)[..., None]
    weights = reduction_weights(counted, position_weights, reduction, logits)

    log_p, _ = log_softmax(logits)
    surprise = -np.take_along_axis(log_p, at_target, axis=-1)[..., 0]
    if label_smoothing > 0:
        surprise = (1 - label_smoothing) * surprise - label_smoothing * log_p.mean(axis=-1)
    loss = (weights * np.where(weights == 0, 0, surprise)).sum()  # what does not count may be inf

    def backward(d_output=1.0):
        check_d_output(d_output, loss)
        # p - q: q is label_smoothing / V everywhere, and 1 - label_smoothing more at the target
        d_logits = np.exp(log_p) - label_smoothing / n_classes
        p_minus_q = np.take_along_axis(d_logits, at_target, axis=-1) - (1 - label_smoothing)
        np.put_along_axis(d_logits, at_target, p_minus_q, axis=-1)
        d_logits *= (d_output * weights)[..., None]
        d_logits[weights == 0] = 0
        return d_logits

    return loss, backward


def linear_cross_entropy(
    x: np.ndarray,
    weight: np.ndarray,
    targets: np.ndarray,
    *,
    position_weights: np.ndarray | None = None,
    reduction: str = "mean",
) -> tuple[np.floating, Backward]:
    """The cross-entropy of logits x @ weight: a softmax over items, which are weight's columns.

    With d_logits from `cross_entropy`, the gradients are those of `linear`:

        d_x = d_logits @ weight^T        d_weight = x^T @ d_logits

    Parameters
    ----------
    x : (..., D)
    weight : (D, V)
    targets : (...) of integers in 0..V-1
    position_weights, reduction
        They mean what they mean in `cross_entropy`.

    Returns
    -------
    output : ()
        The loss, in nats.
    backward : d_output () -> d_x (..., D), d_weight (D, V)

    Source: `torch.nn.functional.linear_cross_entropy`, whose weight is (V, D).
    """
    logits, back_linear = linear(x, weight)
    settings = {"position_weights": position_weights, "reduction": reduction}
    loss, back_loss = cross_entropy(logits, targets, **settings)

    def backward(d_output=1.0):
        d_x, d_weight, _ = back_linear(back_loss(d_output))
        return d_x, d_weight

    return loss, backward


def binary_cross_entropy_with_logits(
    logits: np.ndarray,
    targets: np.ndarray,
    *,
    position_weights: np.ndarray | None = None,
    reduction: str = "mean",
) -> tuple[np.floating, Backward]:
    """-t log s - (1 - t) log(1 - s) with s = sigmoid(logits), averaged (or summed).

    As -log s = max(-x, 0) + log(1 + exp(-|x|)), and -log(1 - s) the same of -x, this is

        (1 - t) max(x, 0) + t max(-x, 0) + log(1 + exp(-|x|))

    in which nothing overflows and nothing is taken from another. The gradients are

        d_logits = s - t        d_targets = -x

    With on = exp(min(x, 0)), as in `sigmoid`, and e = exp(-|x|), s is on / (1 + e), and s - t is
    written as (on - t - t e) / (1 + e), which keeps its digits where s is near a target of 1.

    Parameters
    ----------
    logits : (...)
    targets : (...) between 0 and 1, of the dtype of logits
    position_weights : (...), at least 0, or None
        How much each entry counts (0: not at all); the mean is the weighted one.
    reduction : "mean" or "sum"

    Returns
    -------
    output : ()
        The loss, in nats; 0 where nothing counts.
    backward : d_output () -> d_logits (...), d_targets (...)

    Source: Kang & McAuley, SASRec (2018), section III-E, has one target 1 and sampled targets 0.
    """
    check_floats(logits=logits, targets=targets)
    check_same_shape("targets", targets, logits.shape)
    weights = reduction_weights(np.ones(logits.shape, bool), position_weights, reduction, logits)

    logits = np.where(weights == 0, 0, logits)  # what does not count may be inf
    positive, negative = np.maximum(logits, 0), np.minimum(logits, 0)
    e = exp(negative - positive)
    losses = (1 - targets) * positive - targets * negative + np.log1p(e)
    loss = (weights * losses).sum()

    def backward(d_output=1.0):
        check_d_output(d_output, loss)
        on = exp(negative)
        gap = on - targets
        lost = on - gap - targets  # what rounding has taken from the gap, where the target is soft
        s_minus_t = (gap + (lost - targets * e)) / (1 + e)
        d_losses = d_output * weights
        return d_losses * s_minus_t, -d_losses * logits

    return loss, backward


def reduction_weights(
    counted: np.ndarray, position_weights: np.ndarray | None, reduction: str, logits: np.ndarray
) -> np.ndarray:
    """The factor of each position's loss in the sum that is the reduction asked for.

    `counted` is True where a position counts at all; elsewhere its factor is 0. The factors have
    the dtype of `logits`, or of its real part.
    """
    weights = counted.astype(logits.real.dtype)
    if position_weights is not None:
        check_floats(logits=logits.real, position_weights=position_weights)
        check_same_shape("position_weights", position_weights, counted.shape)
        if not (np.isfinite(position_weights) & (position_weights >= 0)).all():
            raise ValueError("position_weights holds a number that is negative or not finite")
        weights = np.where(counted, position_weights, 0)
    if reduction == "sum":
        return weights
    if reduction == "mean":
        total = weights.sum()
        return weights / total if total > 0 else weights
    raise ValueError(f"reduction was {reduction!r}, but must be 'mean' or 'sum'")
