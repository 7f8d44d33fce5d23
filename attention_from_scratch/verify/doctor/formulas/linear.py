"""The gradients of a linear map in parts: what is multiplied, and which positions are summed."""

import numpy as np

from attention_from_scratch.verify.doctor.formulas.choices import RIGHT, Choices
from attention_from_scratch.verify.doctor.formulas.decay import with_decay
from attention_from_scratch.verify.doctor.formulas.positions import (
    kept_positions,
    over_positions,
    sizes_of,
)
from attention_from_scratch.verify.doctor.mistakes.shared import Probe

POSITIVE = "d_output enters only where the output is positive, as after a relu"


def sizes(probe: Probe) -> dict[str, float]:
    """The numbers of a call."""
    x, weight = probe.inputs[:2]
    return sizes_of(
        x.shape[:-1], the_width_of_x=weight.shape[0], the_width_of_the_output=weight.shape[1]
    )


def of_weight(probe: Probe) -> Choices:
    """d_weight = x^T d_output, summed over positions."""
    x = probe.inputs[0]
    y, d = np.asarray(probe.output), probe.d_output

    def gradient(positions, first, second, product, turned):
        a, b = first * positions[..., None], second
        return turned(product(a.reshape(-1, a.shape[-1]), b.reshape(-1, b.shape[-1])))

    bias = probe.inputs[2] if len(probe.inputs) > 2 and probe.inputs[2] is not None else 0
    parts = {
        "positions": over_positions(x.shape[:-1], "the sum of d_weight"),
        "first": {
            RIGHT: x,
            "the sign of x stands in the place of x": np.sign(x),
            "x is squared": x * x,
            "x is less its mean": x - x.mean(axis=-1, keepdims=True),
        },
        "second": {
            RIGHT: d,
            "d_output is ignored (ones in its place)": np.ones_like(d),
            "d_output is multiplied by the output": d * y,
            "the output stands in the place of d_output": y,
            "d_output has the bias added": d + bias,
            POSITIVE: d * (y > 0),
        },
        "product": {
            RIGHT: lambda a, b: a.T @ b,
            "x and d_output are summed over positions each, before they are multiplied": (
                lambda a, b: np.outer(a.sum(axis=0), b.sum(axis=0))
            ),
            "x is multiplied by the d_output of the position after it": (
                lambda a, b: a[:-1].T @ b[1:]
            ),
            "x is multiplied by the d_output of the position before it": (
                lambda a, b: a[1:].T @ b[:-1]
            ),
        },
        "turned": {RIGHT: lambda g: g, "d_weight is transposed": lambda g: g.T},
    }
    if y.shape == x.shape:
        parts["first"]["the output stands in the place of x"] = y
        parts["first"]["d_output stands in the place of x"] = d
    formula = "d_weight = sum over positions of x^T d_output"
    return Choices(parts, gradient, formula, sizes(probe))


def of_bias(probe: Probe) -> Choices:
    """d_bias = d_output, summed over positions."""
    x, _, bias = probe.inputs[:3]
    y, d = np.asarray(probe.output), probe.d_output

    def gradient(positions, what, features):
        return features((positions[..., None] * what).reshape(-1, len(bias)).sum(axis=0))

    parts = {
        "positions": over_positions(x.shape[:-1], "the sum of d_bias"),
        "what": {
            RIGHT: d,
            "d_output is ignored: positions are counted": np.ones_like(d),
            "d_output is multiplied by the bias": d * bias,
            "d_output is multiplied by the output": d * y,
            "the output stands in the place of d_output": y,
            POSITIVE: d * (y > 0),
        },
    }
    parts["features"] = {
        RIGHT: lambda g: g,
        "the sum of d_bias runs over features as well: one number for all": lambda g: (
            0 * g + g.sum()
        ),
        "the mean of d_bias over features stands in the place of each": lambda g: 0 * g + g.mean(),
    }
    return Choices(parts, gradient, "d_bias = sum over positions of d_output", sizes(probe))


def of_x(probe: Probe) -> Choices:
    """d_x = d_output weight^T."""
    x, weight = probe.inputs[:2]
    y, d = np.asarray(probe.output), probe.d_output

    def gradient(positions, what, by):
        return (positions[..., None] * what) @ by

    parts = {
        "positions": kept_positions(x.shape[:-1], "d_x"),
        "what": {
            RIGHT: d,
            "the output stands in the place of d_output": y,
            "d_output is multiplied by the output": d * y,
            "d_output is less its mean": d - d.mean(axis=-1, keepdims=True),
            "the d_output of the last position stands at all": 0 * d + rows_of(d)[-1],
            "the d_output of the first position stands at all": 0 * d + rows_of(d)[0],
            "d_output is summed over positions": 0 * d + rows_of(d).sum(axis=0),
            "d_output is averaged over positions": 0 * d + rows_of(d).mean(axis=0),
            "|d_output| stands in the place of d_output": np.abs(d),
            POSITIVE: d * (y > 0),
        },
        "by": {
            RIGHT: weight.T,
            "|weight| stands in the place of weight": np.abs(weight.T),
            "the pseudo-inverse of weight stands in the place of weight^T": np.linalg.pinv(weight),
        },
    }
    if weight.shape[0] == weight.shape[1]:
        parts["by"]["weight is not transposed"] = weight
    return Choices(parts, gradient, "d_x = d_output weight^T", sizes(probe))


def rows_of(d) -> np.ndarray:
    """One row for each position."""
    return d.reshape(-1, d.shape[-1])


LINEAR = {
    "d_x": (of_x,),
    "d_weight": (of_weight, with_decay("weight", sizes)),
    "d_bias": (of_bias, with_decay("bias", sizes)),
}
