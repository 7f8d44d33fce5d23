"""Wrong implementations whose mistake has no name: the doctor must say it does not know."""

import numpy as np

from attention_from_scratch import ops
from benchmarks.mutants.cases import normal
from benchmarks.mutants.shelves import unknown


@unknown(ops.layer_norm)
def norm_with_noise(x, weight, bias, *, eps=1e-5):
    """A little noise lies on d_x, the same at every call."""
    output, back = ops.layer_norm(x, weight, bias, eps=eps)
    noise = 0.05 * np.random.default_rng(5).standard_normal(x.shape).astype(x.dtype)

    def backward(d_output):
        d_x, *d_params = back(d_output)
        return d_x + noise * np.abs(d_x).max(), *d_params

    return output, backward


@unknown(ops.linear)
def linear_with_tanh(x, weight, bias=None):
    """The gradient passes through a tanh, as for a clipping."""
    output, back = ops.linear(x, weight, bias)
    return output, lambda d_output: back(np.tanh(d_output))


@unknown(ops.softmax, normal((3, 4)))
def softmax_shifted(x, *, axis=-1, where=None):
    """Every entry gets the gradient of its neighbour."""
    output, back = ops.softmax(x, axis=axis, where=where)
    return output, lambda d_output: np.roll(back(d_output), 1, axis=axis)


@unknown(ops.embedding)
def embedding_in_other_columns(ids, weight, *, padding_id=0):
    """The columns of the table learn at speeds of their own."""
    output, back = ops.embedding(ids, weight, padding_id=padding_id)
    speeds = np.random.default_rng(6).random(weight.shape[1]).astype(weight.dtype)
    return output, lambda d_output: back(d_output) * speeds
