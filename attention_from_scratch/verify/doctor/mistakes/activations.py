"""Mistakes of activations: the slope of another function, or of another form."""

import math
from collections.abc import Iterator

import numpy as np

from attention_from_scratch import ops
from attention_from_scratch.verify.doctor.mistakes.shared import Probe


def activation(probe: Probe) -> Iterator:
    """The mistakes of relu, sigmoid and tanh: slopes that are taken for one another."""
    x, d = probe.inputs[0], probe.d_output
    s, t = ops.sigmoid(x)[0], np.tanh(x)
    off = x <= 0
    slopes = [s, 1 - s, s * s, 1 - s * s, s + s * s, s * (1 + s), x * s * (1 - x), x * (1 - x)]
    slopes += [1 - t, 1 + t, t * t, t * (1 - t), 1 + t * t, 1 - x * x, 1 - t**4, t]
    slopes += [np.sqrt(1 - t * t), s * (1 - s), 1 - t * t, np.sign(x), x]
    slopes += [1 / (1 + x * x), np.exp(-x * x)]
    slopes += [slope_of_output(ops.sigmoid, s), slope_of_output(ops.tanh, t)]
    for slope in slopes:
        yield "slope_wrong", {"d_x": d * slope}
    for slope in (np.ones_like(x), off * 1.0, np.where(off, 0.01, 1), (x >= 0) * 1.0):
        yield "relu_leaks", {"d_x": d * slope}
    for leaky in (0.1, 0.2, 0.3, -1):
        yield "relu_leaks", {"d_x": d * np.where(off, leaky, 1)}
    yield "relu_leaks", {"d_x": d * (d > 0)}
    yield "relu_leaks", {"d_x": np.maximum(d, 0) * ~off}


def slope_of_output(op, output):
    """The slope of an op taken at its output, where it should be taken at its input."""
    return op(output)[1](np.ones_like(output))


def gelu(probe: Probe) -> Iterator:
    """The mistakes of gelu: the slope of its other form, and slopes with a part left out."""
    x, d = probe.inputs[0], probe.d_output
    for form in ("none", "tanh"):
        yield "gelu_forms_mixed", {"d_x": ops.gelu(x, approximate=form)[1](d)}
    u = 0.0356774 * x**3 + 0.797885 * x  # six digits that are copied from page to page
    copied = (1 + np.tanh(u)) / 2 + (0.0535161 * x**3 + 0.398942 * x) / np.cosh(u) ** 2
    yield "gelu_forms_mixed", {"d_x": d * copied}
    s = ops.sigmoid(x)[0]
    for slope in ((x > 0) * 1.0, s + x * s * (1 - s), s, np.ones_like(x)):
        yield "slope_wrong", {"d_x": d * slope}
    density = np.exp(-x * x / 2) / math.sqrt(2 * math.pi)
    for which in ("none", "tanh"):
        output, _ = ops.gelu(x, approximate=which)
        share = np.divide(output, x, out=np.full_like(x, 0.5), where=x != 0)
        for slope in (share, share + density, share - x * density, x * density):
            yield "slope_wrong", {"d_x": d * slope}
    sigmoid = ops.sigmoid(1.702 * x)[0]
    yield "gelu_forms_mixed", {"d_x": d * (sigmoid + 1.702 * x * sigmoid * (1 - sigmoid))}
