"""Wrong ways back through a layer norm."""

import math

import numpy as np

from attention_from_scratch import ops
from benchmarks.mutants.cases import normal
from benchmarks.mutants.parts import rows
from benchmarks.mutants.shelves import wrong


def normalised(x, eps, ddof=0):
    """Give z and the deviation it was divided by."""
    deviation = np.sqrt(x.var(axis=-1, keepdims=True, ddof=ddof) + eps)
    return (x - x.mean(axis=-1, keepdims=True)) / deviation, deviation


def times(d_output, weight):
    """Give d_z, which is d_output times the weight."""
    return d_output if weight is None else d_output * weight


@wrong(ops.layer_norm, "norm_mean_missing", "first")
def norm_without_mean(x, weight, bias, *, eps=1e-5):
    """d_x is made of d_z - z mean(d_z z): the mean of d_z is missing."""
    output, back = ops.layer_norm(x, weight, bias, eps=eps)
    z, deviation = normalised(x, eps)

    def backward(d_output):
        d_z = times(d_output, weight)
        d_x = (d_z - z * (d_z * z).mean(axis=-1, keepdims=True)) / deviation
        return d_x, *back(d_output)[1:]

    return output, backward


@wrong(ops.layer_norm, "norm_mean_missing", "second")
def norm_step_without_mean(x, weight, bias, *, eps=1e-5):
    """Goes through the variance, as in the batch norm paper, but not through the mean."""
    output, back = ops.layer_norm(x, weight, bias, eps=eps)
    width, centred = x.shape[-1], x - x.mean(axis=-1, keepdims=True)
    variance = x.var(axis=-1, keepdims=True) + eps

    def backward(d_output):
        d_z = times(d_output, weight)
        d_variance = (d_z * centred * -0.5 * variance**-1.5).sum(axis=-1, keepdims=True)
        d_x = d_z * variance**-0.5 + d_variance * 2 * centred / width
        return d_x, *back(d_output)[1:]

    return output, backward


@wrong(ops.layer_norm, "norm_variance_missing", "second")
def norm_without_variance(x, weight, bias, *, eps=1e-5):
    """d_x is d_z - mean(d_z), divided by the deviation as by a constant."""
    output, back = ops.layer_norm(x, weight, bias, eps=eps)
    _, deviation = normalised(x, eps)

    def backward(d_output):
        d_z = times(d_output, weight)
        return (d_z - d_z.mean(axis=-1, keepdims=True)) / deviation, *back(d_output)[1:]

    return output, backward


@wrong(ops.layer_norm, "norm_variance_missing", "first", normal((4, 5), (5,), (5,)))
def norm_centring_matrix(x, weight, bias, *, eps=1e-5):
    """Goes back by the matrix I - 1/D that centres, row by row, and by no other."""
    output, back = ops.layer_norm(x, weight, bias, eps=eps)
    centring = np.eye(x.shape[-1], dtype=x.dtype) - 1 / x.shape[-1]

    def backward(d_output):
        d_x = np.empty_like(x)
        for row in np.ndindex(x.shape[:-1]):
            d_x[row] = centring @ times(d_output[row], weight) / math.sqrt(x[row].var() + eps)
        return d_x, *back(d_output)[1:]

    return output, backward


@wrong(ops.layer_norm, "norm_unbiased", "first")
def norm_unbiased_deviation(x, weight, bias, *, eps=1e-5):
    """Divides by the deviation with D - 1, though z is right."""
    output, back = ops.layer_norm(x, weight, bias, eps=eps)
    z, _ = normalised(x, eps)
    _, deviation = normalised(x, eps, ddof=1)

    def backward(d_output):
        d_z = times(d_output, weight)
        d_x = d_z - d_z.mean(axis=-1, keepdims=True) - z * (d_z * z).mean(axis=-1, keepdims=True)
        return d_x / deviation, *back(d_output)[1:]

    return output, backward


@wrong(ops.layer_norm, "norm_unbiased", "second")
def norm_unbiased_means(x, weight, bias, *, eps=1e-5):
    """Both means of the gradient divide by D - 1."""
    output, back = ops.layer_norm(x, weight, bias, eps=eps)
    z, deviation = normalised(x, eps)

    def backward(d_output):
        d_z = times(d_output, weight)
        sums = d_z.sum(axis=-1, keepdims=True) + z * (d_z * z).sum(axis=-1, keepdims=True)
        return (d_z - sums / (x.shape[-1] - 1)) / deviation, *back(d_output)[1:]

    return output, backward


@wrong(ops.layer_norm, "norm_unbiased", "first", normal((3, 4), (4,), (4,)))
def norm_unbiased_again(x, weight, bias, *, eps=1e-5):
    """Normalises again with D - 1 and goes back from there; d_weight is touched, too."""
    z, deviation = normalised(x, eps, ddof=1)

    def backward(d_output):
        d_z = times(d_output, weight)
        d_x = d_z - d_z.mean(axis=-1, keepdims=True) - z * (d_z * z).mean(axis=-1, keepdims=True)
        over = tuple(range(x.ndim - 1))
        d_weight = None if weight is None else (d_output * z).sum(axis=over)
        return d_x / deviation, d_weight, None if bias is None else d_output.sum(axis=over)

    return ops.layer_norm(x, weight, bias, eps=eps)[0], backward


@wrong(ops.layer_norm, "sum_wrong_axis", "first", normal((5, 4), (4,), (4,)))
def norm_batch_means(x, weight, bias, *, eps=1e-5):
    """The means of the gradient run over the batch, as in batch norm."""
    output, back = ops.layer_norm(x, weight, bias, eps=eps)
    z, deviation = normalised(x, eps)

    def backward(d_output):
        d_z = times(d_output, weight)
        return (d_z - d_z.mean(0) - z * (d_z * z).mean(0)) / deviation, *back(d_output)[1:]

    return output, backward


@wrong(ops.layer_norm, "sum_wrong_axis", "second")
def norm_length_means(x, weight, bias, *, eps=1e-5):
    """The means run over axis=1, which was the last one while there were two."""
    output, back = ops.layer_norm(x, weight, bias, eps=eps)
    z, deviation = normalised(x, eps)

    def backward(d_output):
        d_z = times(d_output, weight)
        d_x = d_z - d_z.mean(axis=1, keepdims=True) - z * (d_z * z).mean(axis=1, keepdims=True)
        return d_x / deviation, *back(d_output)[1:]

    return output, backward


@wrong(ops.layer_norm, "bias_not_summed", "second")
def norm_bias_over_batch(x, weight, bias, *, eps=1e-5):
    """d_bias is (L, D): it is summed over the batch alone."""
    output, back = ops.layer_norm(x, weight, bias, eps=eps)

    def backward(d_output):
        d_x, d_weight, d_bias = back(d_output)
        return d_x, d_weight, None if d_bias is None else d_output.sum(axis=0)

    return output, backward


@wrong(ops.layer_norm, "bias_not_summed", "first")
def norm_bias_of_first(x, weight, bias, *, eps=1e-5):
    """d_bias is the gradient of the first position."""
    output, back = ops.layer_norm(x, weight, bias, eps=eps)

    def backward(d_output):
        d_x, d_weight, d_bias = back(d_output)
        return d_x, d_weight, None if d_bias is None else rows(d_output)[0]

    return output, backward


@wrong(ops.layer_norm, "constant_factor", "second")
def norm_times_width(x, weight, bias, *, eps=1e-5):
    """Computes (D d_z - sum - z sum) / (D s) without the D below."""
    output, back = ops.layer_norm(x, weight, bias, eps=eps)
    z, deviation = normalised(x, eps)

    def backward(d_output):
        d_z = times(d_output, weight)
        sums = d_z.sum(axis=-1, keepdims=True) + z * (d_z * z).sum(axis=-1, keepdims=True)
        return (x.shape[-1] * d_z - sums) / deviation, *back(d_output)[1:]

    return output, backward


@wrong(ops.layer_norm, "norm_statistics_detached", "second")
def norm_of_constants(x, weight, bias, *, eps=1e-5):
    """Mean and deviation are taken for constants."""
    output, back = ops.layer_norm(x, weight, bias, eps=eps)
    _, deviation = normalised(x, eps)
    return output, lambda d: (times(d, weight) / deviation, *back(d)[1:])


@wrong(ops.layer_norm, "norm_weight_forgotten", "second")
def norm_without_weight(x, weight, bias, *, eps=1e-5):
    """Takes d_output for d_z, as if there were no weight."""
    output, back = ops.layer_norm(x, weight, bias, eps=eps)
    _, back_plain = ops.layer_norm(x, None, None, eps=eps)
    return output, lambda d: (back_plain(d)[0], *back(d)[1:])


@wrong(ops.layer_norm, "norm_weight_of_other_input", "second")
def norm_weight_of_x(x, weight, bias, *, eps=1e-5):
    """d_weight is the input times d_output, as for a linear map."""
    output, back = ops.layer_norm(x, weight, bias, eps=eps)

    def backward(d_output):
        d_x, _, d_bias = back(d_output)
        return d_x, None if weight is None else rows(d_output * x).sum(axis=0), d_bias

    return output, backward


@wrong(ops.layer_norm, "norm_weight_of_other_input", "second")
def norm_weight_of_output(x, weight, bias, *, eps=1e-5):
    """d_weight takes the output, which was kept where z should have been."""
    output, back = ops.layer_norm(x, weight, bias, eps=eps)

    def backward(d_output):
        d_x, _, d_bias = back(d_output)
        return d_x, None if weight is None else rows(d_output * output).sum(axis=0), d_bias

    return output, backward


@wrong(ops.layer_norm, "weight_bias_swapped", "second")
def norm_bias_first(x, weight, bias, *, eps=1e-5):
    """Returns (d_x, d_beta, d_gamma), as in another course."""
    output, back = ops.layer_norm(x, weight, bias, eps=eps)

    def backward(d_output):
        d_x, d_weight, d_bias = back(d_output)
        return d_x, d_bias, d_weight

    return output, backward
