"""Wrong ways back through an affine map."""

import numpy as np

from attention_from_scratch import ops
from benchmarks.mutants.cases import normal
from benchmarks.mutants.parts import rows
from benchmarks.mutants.shelves import wrong


@wrong(ops.linear, "transpose_missing", "first", normal((2, 3, 4), (4, 4), (4,)))
def linear_square_weight(x, weight, bias=None):
    """d_x is d_output @ weight: with a square weight nothing complains."""
    output, back = ops.linear(x, weight, bias)

    def backward(d_output):
        _, d_weight, d_bias = back(d_output)
        return d_output @ weight, d_weight, d_bias

    return output, backward


@wrong(ops.linear, "transpose_missing", "second", normal((5, 3), (3, 3), (3,)))
def linear_weight_out_in(x, weight, bias=None):
    """d_weight comes as (out, in), the other way round."""
    output, back = ops.linear(x, weight, bias)

    def backward(d_output):
        d_x, _, d_bias = back(d_output)
        return d_x, rows(d_output).T @ rows(x), d_bias

    return output, backward


@wrong(ops.linear, "bias_not_summed", "first")
def linear_bias_everywhere(x, weight, bias=None):
    """The derivative of y + b by b is 1, so d_bias is d_output."""
    output, back = ops.linear(x, weight, bias)

    def backward(d_output):
        d_x, d_weight, _ = back(d_output)
        return d_x, d_weight, None if bias is None else d_output

    return output, backward


@wrong(ops.linear, "bias_not_summed", "second")
def linear_bias_over_batch(x, weight, bias=None):
    """d_bias is summed over the batch, as in a course without sequences, not over the length."""
    output, back = ops.linear(x, weight, bias)

    def backward(d_output):
        d_x, d_weight, _ = back(d_output)
        return d_x, d_weight, None if bias is None else d_output.sum(axis=0)

    return output, backward


@wrong(ops.linear, "bias_not_summed", "first", normal((7, 2), (2, 4), (4,)))
def linear_bias_of_last(x, weight, bias=None):
    """A loop over rows that adds up d_weight and assigns d_bias."""

    def backward(d_output):
        d_x, d_weight, d_bias = np.zeros_like(x), np.zeros_like(weight), None
        for row in np.ndindex(x.shape[:-1]):
            d_x[row] = weight @ d_output[row]
            d_weight += np.outer(x[row], d_output[row])
            d_bias = None if bias is None else d_output[row]
        return d_x, d_weight, d_bias

    return ops.linear(x, weight, bias)[0], backward


@wrong(ops.linear, "constant_factor", "first", normal((3, 4), (4, 2), (2,)))
def linear_batch_mean(x, weight, bias=None):
    """The parameters' gradients are averaged over the batch, which the loss has done already."""
    output, back = ops.linear(x, weight, bias)

    def backward(d_output):
        d_x, d_weight, d_bias = back(d_output)
        return d_x, d_weight / len(x), None if bias is None else d_bias / len(x)

    return output, backward


@wrong(ops.linear, "wrong_sign", "second")
def linear_downhill(x, weight, bias=None):
    """Returns the direction of descent."""
    output, back = ops.linear(x, weight, bias)
    return output, lambda d_output: back(-d_output)
