"""Mistakes of softmax and log-softmax: parts of p (d - sum(d p)) that are missing or misplaced."""

from collections.abc import Iterator

import numpy as np

from attention_from_scratch import ops
from attention_from_scratch.verify.doctor.mistakes.shared import Probe


def softmax_backwards(ndim, axis, unmasked=None) -> Iterator:
    """Every (mistake, function) whose function takes p and d_p to a wrong d_x."""

    def total(p, d, axis=axis):
        return (p * d).sum(axis=axis, keepdims=True)

    def over(wrong_axis):
        return lambda p, d: p * (d - total(p, d, wrong_axis))

    yield "softmax_elementwise", lambda p, d: d * p * (1 - p)
    yield "softmax_row_sum_missing", lambda p, d: d * p
    yield "softmax_p_missing", lambda p, d: p * d - total(p, d)
    yield "softmax_p_missing", lambda p, d: d - total(p, d)
    for wrong_axis in (None, *(other for other in range(ndim) if other != axis % ndim)):
        yield "sum_wrong_axis", over(wrong_axis)
    yield "softmax_p_missing", lambda p, d: p * (d - d.sum(axis=axis, keepdims=True))
    yield "sum_wrong_axis", lambda p, d: p * (d - (d * p).mean(axis=axis, keepdims=True))
    if unmasked is not None:
        yield "mask_ignored", lambda p, d: unmasked * (d - total(unmasked, d))
        yield "mask_ignored", lambda p, d: unmasked * (d - total(p, d))
        yield "mask_ignored", lambda p, d: d - total(p, d)


def softmax(probe: Probe) -> Iterator:
    """The mistakes of a softmax by itself."""
    x, p, d = probe.inputs[0], probe.output, probe.d_output
    axis, where = probe.keywords.get("axis", -1), probe.keywords.get("where")
    unmasked = None if where is None else ops.softmax(x, axis=axis)[0]
    for mistake, back in softmax_backwards(p.ndim, axis, unmasked):
        yield mistake, {"d_x": back(p, d)}


def log_softmax(probe: Probe) -> Iterator:
    """The mistakes of a log-softmax."""
    p, d, axis = np.exp(probe.output), probe.d_output, probe.keywords.get("axis", -1)
    yield "softmax_row_sum_missing", {"d_x": d}
    yield "softmax_elementwise", {"d_x": d * (1 - p)}
    yield "softmax_elementwise", {"d_x": d - p * d}
    for other in range(p.ndim):
        if other != axis % p.ndim:
            yield "sum_wrong_axis", {"d_x": d - p * d.sum(axis=other, keepdims=True)}
    yield "sum_wrong_axis", {"d_x": d - p * d.sum()}
    yield "wrong_sign", {"d_x": d + p * d.sum(axis=axis, keepdims=True)}
    yield "softmax_p_missing", {"d_x": d - d.sum(axis=axis, keepdims=True)}
    yield "sum_wrong_axis", {"d_x": d - p * d.mean(axis=axis, keepdims=True)}
    yield "softmax_p_missing", {"d_x": d - (p * d).sum(axis=axis, keepdims=True)}
