"""Wrong slopes of relu, sigmoid, tanh and gelu."""

import math

import numpy as np

from attention_from_scratch import ops
from benchmarks.mutants.cases import normal, with_corners
from benchmarks.mutants.shelves import wrong


@wrong(ops.relu, "d_output_ignored", "second")
def relu_slope_only(x):
    """Returns the derivative of the function, not of the loss through it."""
    return ops.relu(x)[0], lambda d_output: (x > 0).astype(x.dtype)


@wrong(ops.relu, "relu_leaks", "first")
def relu_passes_all(x):
    """Passes every gradient on, as if it were the identity."""
    return np.maximum(x, 0), lambda d_output: d_output


@wrong(ops.relu, "relu_leaks", "second")
def relu_not_negative(x):
    """The output is nowhere negative, so this mask lets everything through."""
    output, _ = ops.relu(x)
    return output, lambda d_output: d_output * (output >= 0)


@wrong(ops.relu, "relu_leaks", "first")
def relu_leaky(x):
    """Takes the slope of the leaky relu, 0.01 where it is off."""
    return ops.relu(x)[0], lambda d_output: np.where(x > 0, d_output, 0.01 * d_output)


@wrong(ops.relu, "relu_leaks", "second", with_corners)
def relu_open_corner(x):
    """The mask has >= in place of >: it shows at an input of exactly 0."""
    return ops.relu(x)[0], lambda d_output: d_output * (x >= 0)


@wrong(ops.sigmoid, "slope_wrong", "first")
def sigmoid_as_slope(x):
    """Takes s for the slope, which is that of softplus."""
    s, _ = ops.sigmoid(x)
    return s, lambda d_output: d_output * s


@wrong(ops.sigmoid, "slope_wrong", "second")
def sigmoid_slope_at_input(x):
    """The slope s (1 - s) has x in the place of s, as from code that names both `x`."""
    return ops.sigmoid(x)[0], lambda d_output: d_output * x * (1 - x)


@wrong(ops.sigmoid, "slope_wrong", "first")
def sigmoid_of_sigmoid(x):
    """The slope is taken at the output, not at the input."""
    s, _ = ops.sigmoid(x)
    return s, ops.sigmoid(s)[1]


@wrong(ops.sigmoid, "constant_factor", "first")
def sigmoid_doubled(x):
    """The gradient is twice what it should be."""
    s, _ = ops.sigmoid(x)
    return s, lambda d_output: 2 * d_output * s * (1 - s)


@wrong(ops.tanh, "slope_wrong", "second")
def tanh_not_squared(x):
    """The slope is 1 - t: the square is missing."""
    t = np.tanh(x)
    return t, lambda d_output: d_output * (1 - t)


@wrong(ops.tanh, "slope_wrong", "first")
def tanh_like_sigmoid(x):
    """The slope is t (1 - t), which has the form of the sigmoid's."""
    t = np.tanh(x)
    return t, lambda d_output: d_output * t * (1 - t)


@wrong(ops.tanh, "slope_wrong", "second")
def tanh_input_squared(x):
    """The slope is 1 - x^2: it squares the input, not the output."""
    return np.tanh(x), lambda d_output: d_output * (1 - x**2)


@wrong(ops.tanh, "wrong_sign", "first")
def tanh_reversed(x):
    """The slope is t^2 - 1: the difference is the other way round."""
    t = np.tanh(x)
    return t, lambda d_output: d_output * (t * t - 1)


@wrong(ops.gelu, "gelu_forms_mixed", "first")
def gelu_back_tanh(x, *, approximate="none"):
    """Goes back through the tanh form, whatever the forward pass."""
    return ops.gelu(x, approximate=approximate)[0], ops.gelu(x, approximate="tanh")[1]


@wrong(ops.gelu, "gelu_forms_mixed", "second", normal((2, 3, 4), approximate="tanh"))
def gelu_back_exact(x, *, approximate="none"):
    """Goes back through the exact form, whatever the forward pass."""

    def backward(d_output):
        cdf = np.array([0.5 * (1 + math.erf(v / math.sqrt(2))) for v in x.ravel()], x.dtype)
        cdf = cdf.reshape(x.shape)
        return d_output * (cdf + x * np.exp(-(x**2) / 2) / math.sqrt(2 * math.pi))

    return ops.gelu(x, approximate=approximate)[0], backward


@wrong(ops.gelu, "gelu_forms_mixed", "second", normal((5, 4)))
def gelu_back_copied(x, *, approximate="none"):
    """Takes the tanh form's slope as it goes round, with six digits of its constants."""

    def backward(d_output):
        u = 0.0356774 * x**3 + 0.797885 * x
        slope = 0.5 * np.tanh(u) + (0.0535161 * x**3 + 0.398942 * x) / np.cosh(u) ** 2 + 0.5
        return d_output * slope

    return ops.gelu(x, approximate=approximate)[0], backward


@wrong(ops.gelu, "slope_wrong", "second")
def gelu_silu_slope(x, *, approximate="none"):
    """Takes the slope of x * sigmoid(x), which looks much the same."""
    s, _ = ops.sigmoid(x)
    return ops.gelu(x, approximate=approximate)[0], lambda d: d * s * (1 + x * (1 - s))


@wrong(ops.gelu, "slope_wrong", "first")
def gelu_relu_slope(x, *, approximate="none"):
    """Keeps the slope of the relu that was there before."""
    return ops.gelu(x, approximate=approximate)[0], lambda d_output: np.where(x > 0, d_output, 0)
