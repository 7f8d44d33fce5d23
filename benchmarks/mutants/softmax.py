"""Wrong ways back through a softmax and a log-softmax."""

import numpy as np

from attention_from_scratch import ops
from benchmarks.mutants.cases import normal, pattern
from benchmarks.mutants.parts import back_softmax
from benchmarks.mutants.shelves import wrong


@wrong(ops.softmax, "softmax_elementwise", "first")
def softmax_like_sigmoid(x, *, axis=-1, where=None):
    """The gradient is p (1 - p) d, as if every entry were a sigmoid."""
    p, _ = ops.softmax(x, axis=axis, where=where)
    return p, lambda d_p: d_p * p * (1 - p)


@wrong(ops.softmax, "softmax_row_sum_missing", "first")
def softmax_p_times_d(x, *, axis=-1, where=None):
    """Exp is its own derivative; the denominator is taken for a constant."""
    p, _ = ops.softmax(x, axis=axis, where=where)
    return p, lambda d_p: p * d_p


@wrong(ops.softmax, "sum_wrong_axis", "first", normal((4, 4)))
def softmax_column_sums(x, *, axis=-1, where=None):
    """keepdims makes the sum over columns fit as well."""
    p, _ = ops.softmax(x, axis=axis, where=where)
    return p, lambda d_p: p * (d_p - np.sum(d_p * p, axis=0, keepdims=True))


@wrong(ops.softmax, "sum_wrong_axis", "second", normal((5, 3), axis=0))
def softmax_last_axis_only(x, *, axis=-1, where=None):
    """The backward pass does not know of `axis`."""
    p, _ = ops.softmax(x, axis=axis, where=where)
    return p, lambda d_p: back_softmax(p, d_p)


@wrong(ops.softmax, "sum_wrong_axis", "second", normal((2, 3, 4)))
def softmax_total_sum(x, *, axis=-1, where=None):
    """The sum runs over everything, by np.vdot."""
    p, _ = ops.softmax(x, axis=axis, where=where)
    return p, lambda d_p: p * (d_p - np.vdot(d_p, p))


@wrong(ops.softmax, "mask_ignored", "second", normal((4, 5), where=pattern(4, 5)))
def softmax_sees_all(x, *, axis=-1, where=None):
    """Goes back through the softmax of all entries."""
    return ops.softmax(x, axis=axis, where=where)[0], ops.softmax(x, axis=axis)[1]


@wrong(ops.softmax, "softmax_p_missing", "second")
def softmax_factor_on_d_only(x, *, axis=-1, where=None):
    """The gradient is p d - sum(p d): the sum is not shared out by p."""
    p, _ = ops.softmax(x, axis=axis, where=where)
    return p, lambda d_p: p * d_p - (p * d_p).sum(axis=axis, keepdims=True)


@wrong(ops.softmax, "softmax_elementwise", "second")
def softmax_like_sigmoid_reversed(x, *, axis=-1, where=None):
    """Two mistakes meet in one gradient: p (p - 1) d."""
    p, _ = ops.softmax(x, axis=axis, where=where)
    return p, lambda d_p: d_p * p * (p - 1)


@wrong(ops.softmax, "wrong_sign", "second")
def softmax_reversed(x, *, axis=-1, where=None):
    """The difference is sum minus d in place of d minus sum."""
    p, _ = ops.softmax(x, axis=axis, where=where)
    return p, lambda d_p: p * ((d_p * p).sum(axis=axis, keepdims=True) - d_p)


@wrong(ops.log_softmax, "softmax_row_sum_missing", "second")
def log_softmax_identity(x, *, axis=-1):
    """The normaliser is taken for a constant, so the gradient is d_output."""
    return ops.log_softmax(x, axis=axis)[0], lambda d_output: +d_output


@wrong(ops.log_softmax, "softmax_p_missing", "second")
def log_softmax_minus_sum(x, *, axis=-1):
    """The gradient is d - sum(d): the sum is not shared out by p."""
    output, _ = ops.log_softmax(x, axis=axis)
    return output, lambda d_output: d_output - d_output.sum(axis=axis, keepdims=True)


@wrong(ops.log_softmax, "softmax_elementwise", "second")
def log_softmax_diagonal(x, *, axis=-1):
    """The gradient is (1 - p) d, with the slope of log p_i by its own x_i alone."""
    output, _ = ops.log_softmax(x, axis=axis)
    return output, lambda d_output: d_output * (1 - np.exp(output))


@wrong(ops.log_softmax, "sum_wrong_axis", "first", normal((2, 3, 4)))
def log_softmax_batch_sum(x, *, axis=-1):
    """The sum runs over the first axis."""
    output, _ = ops.log_softmax(x, axis=axis)
    return output, lambda d_output: d_output - np.exp(output) * d_output.sum(axis=0)
