"""Mistakes of the losses: in prediction minus truth, and in what the mean is divided by."""

import math
from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from attention_from_scratch import ops
from attention_from_scratch.verify.doctor.mistakes.shared import Probe


def cross_entropy(probe: Probe) -> Iterator:
    """The mistakes of the loss over classes."""
    logits, targets = probe.inputs
    keywords, d = probe.keywords, probe.d_output
    ignore, smoothing = keywords.get("ignore_index"), keywords.get("label_smoothing", 0.0)
    classes = logits.shape[-1]
    counted = np.ones(targets.shape, bool) if ignore is None else targets != ignore
    given = keywords.get("position_weights")
    weights = (counted * (1.0 if given is None else given))[..., None]
    mean = keywords.get("reduction", "mean") == "mean"
    total = (weights.sum() if mean else 1.0) or 1.0
    p = ops.softmax(logits)[0]
    hot = np.eye(classes)[np.where(counted, targets, 0)]
    q = (1 - smoothing) * hot + smoothing / classes
    right = (p - q) * weights * d

    if mean:
        yield from mean_mistakes(right, targets.shape, total)
    for mistake, slope in entropy_slopes(p, q, hot, smoothing):
        yield mistake, {"d_logits": slope * weights * d / total}
    once = right / total
    through_softmax = p * (once - (p * once).sum(axis=-1, keepdims=True))
    yield "softmax_twice", {"d_logits": through_softmax}
    if ignore is not None:
        everywhere = 1.0 if given is None else np.asarray(given)[..., None]
        for at_ignored in (p, p - q, p - np.eye(classes)[targets % classes]):
            leaked = np.where(counted[..., None], p - q, at_ignored)
            for divisor in (total, targets.size, 1.0):
                yield "counts_ignored", {"d_logits": leaked * everywhere * d / divisor}
    if given is not None:
        unweighted = (p - q) * counted[..., None] * d
        for divisor in (total, counted.sum() or 1.0, targets.size, 1.0):
            yield "position_weights_ignored", {"d_logits": unweighted / divisor}


def linear_cross_entropy(probe: Probe) -> Iterator:
    """The mistakes of the loss over classes, carried on through the linear map before it."""
    x, weight, targets = probe.inputs
    rows = x.reshape(-1, x.shape[-1])
    of_loss = replace(probe, inputs=(x @ weight, targets))
    for mistake, wrong in cross_entropy(of_loss):
        d_logits = wrong["d_logits"]
        d_rows = d_logits.reshape(len(rows), -1)
        yield mistake, {"d_x": d_logits @ weight.T, "d_weight": rows.T @ d_rows}


def mean_mistakes(right, positions, total) -> Iterator:
    """The gradient of the sum, with another divisor than the total of the weights."""
    yield "not_divided", {"d_logits": right}
    for n in positions[:2]:
        yield "divided_by_batch", {"d_logits": right / n}
    yield "counts_ignored", {"d_logits": right / math.prod(positions)}
    yield "sum_wrong_axis", {"d_logits": right / total / right.shape[-1]}
    yield "sum_wrong_axis", {"d_logits": right / right.size}


def entropy_slopes(p, q, hot, smoothing) -> Iterator:
    """What may stand in the place of p - q."""
    for wrong_sign in (p + q, p + hot, q - p, p - 2 * smoothing / p.shape[-1] + hot):
        yield "wrong_sign", wrong_sign
    if smoothing:
        for unsmoothed in (p - hot, p - (1 - smoothing) * hot, (1 - smoothing) * (p - hot)):
            yield "smoothing_ignored", unsmoothed
    yield "softmax_elementwise", p * (1 - p) * (p - hot)
    yield "softmax_row_sum_missing", -hot
    yield "only_target", (p - q) * hot


def binary_cross_entropy(probe: Probe) -> Iterator:
    """The mistakes of the loss over yes and no."""
    logits, targets = probe.inputs
    d, given = probe.d_output, probe.keywords.get("position_weights")
    weights = np.ones(logits.shape) if given is None else np.asarray(given)
    mean = probe.keywords.get("reduction", "mean") == "mean"
    total = (weights.sum() if mean else 1.0) or 1.0
    s = ops.sigmoid(logits)[0]
    right = d * weights * (s - targets)
    if mean:
        yield "not_divided", {"d_logits": right, "d_targets": -d * weights * logits}
        yield "not_divided", {"d_logits": right}
        for axis in range(logits.ndim):
            n = logits.shape[axis]
            wrong = {"d_logits": right / n, "d_targets": -d * weights * logits / n}
            yield "divided_by_batch", wrong
            yield "divided_by_batch", {"d_logits": right / n}
        yield "counts_ignored", {"d_logits": right / logits.size}
    for wrong in (s + targets, targets - s, targets + s - 1):
        yield "wrong_sign", {"d_logits": d * weights * wrong / total}
    yield "wrong_sign", {"d_targets": d * weights * logits / total}
    if given is not None:
        for divisor in (total, logits.size, 1.0):
            unweighted = {"d_logits": d * (s - targets) / divisor}
            yield "position_weights_ignored", unweighted
            yield "position_weights_ignored", unweighted | {"d_targets": -d * logits / divisor}
    for slope in (s * (1 - s), s - s * s):
        yield "slope_wrong", {"d_logits": right * slope / total}
    yield "slope_wrong", {"d_logits": d * weights * (np.tanh(logits) - targets) / total}
