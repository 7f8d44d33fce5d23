"""The gradients of layer norm in parts: d_z, its two means, z, and what it is divided by."""

import numpy as np

from attention_from_scratch.verify.doctor.formulas.choices import RIGHT, Choices
from attention_from_scratch.verify.doctor.formulas.decay import with_decay
from attention_from_scratch.verify.doctor.formulas.positions import (
    kept_positions,
    over_positions,
    sizes_of,
)
from attention_from_scratch.verify.doctor.mistakes.shared import Probe


class Normalised:
    """What a layer norm computes on its way."""

    def __init__(self, probe: Probe, eps: float | None = None):
        self.x = probe.inputs[0]
        weight, bias = (*probe.inputs[1:], None, None)[:2]
        self.weight = np.ones(self.x.shape[-1]) if weight is None else weight
        self.bias = np.zeros(self.x.shape[-1]) if bias is None else bias
        self.d, self.y = probe.d_output, np.asarray(probe.output)
        self.eps = probe.keywords.get("eps", 1e-5) if eps is None else eps
        self.width = self.x.shape[-1]
        self.centred = self.x - mean(self.x)
        self.variance = mean(self.centred**2)
        self.deviation = np.sqrt(self.variance + self.eps)
        self.z = self.centred / self.deviation
        unbiased = self.variance * self.width / max(self.width - 1, 1)
        self.unbiased = np.sqrt(unbiased + self.eps)
        self.sizes = sizes(probe)


def mean(values, axis=-1) -> np.ndarray:
    """The mean along an axis, which stays."""
    return values.mean(axis=axis, keepdims=True)


def total(values) -> np.ndarray:
    """The sum along the last axis, which stays."""
    return values.sum(axis=-1, keepdims=True)


def of_x(probe: Probe) -> Choices:
    """d_x = (d_z - mean(d_z) - z mean(d_z z)) / deviation."""
    n = Normalised(probe)

    def gradient(positions, made, d_z, first, both, middle, spread, z, divisor, after):
        inner = first(d_z)
        if both is None:
            inner = inner - middle(d_z) - spread(d_z, z(made), made)
        else:
            inner = inner - both(d_z) - z(made) * both(d_z * z(made))
        return positions[..., None] * after * inner / divisor(made)

    parts = {
        "positions": kept_positions(n.x.shape[:-1], "d_x"),
        "made": {RIGHT: n, WITHOUT_EPS: Normalised(probe, eps=0.0)},
        "d_z": {
            RIGHT: n.d * n.weight,
            "d_z lacks the weight: d_z = d_output weight": n.d,
            "d_z has the weight twice": n.d * n.weight * n.weight,
            "d_z is divided by the weight, not multiplied": n.d / n.weight,
            "d_z has the bias in the place of the weight": n.d * n.bias,
            "d_z has the bias added": n.d * n.weight + n.bias,
        },
        "first": {
            RIGHT: lambda d_z: d_z,
            "the term d_z is missing": lambda d_z: 0.0,
            "d_output stands in the place of the term d_z, without the weight": lambda d_z: n.d,
        },
        "both": BOTH,
        "middle": MIDDLE
        | {
            "mean(d_output) stands in the place of mean(d_z), without the weight": (
                lambda d_z: mean(n.d)
            ),
        },
        "spread": SPREAD,
        "z": Z,
        "divisor": DIVISORS,
        "after": {RIGHT: 1.0, "d_x is multiplied by the weight at the end": n.weight},
    }
    return Choices(parts, gradient, "d_x = (d_z - mean(d_z) - z mean(d_z z)) / deviation", n.sizes)


WITHOUT_EPS = "eps is missing where the deviation is computed anew"

BOTH = {
    RIGHT: None,
    "both means run over axis 0, as in a batch norm": lambda v: mean(v, 0),
    "both means run over axis 1": lambda v: mean(v, 1),
    "both means run over the whole array": lambda v: v.mean(),
    "both means run over all positions, as in a batch norm": (
        lambda v: v.mean(axis=tuple(range(v.ndim - 1)), keepdims=True)
    ),
    "both means are sums: they are not divided by D": lambda v: total(v),
    "both means divide by D - 1, not D": lambda v: total(v) / max(v.shape[-1] - 1, 1),
    "both means are sums over axis 0": lambda v: v.sum(axis=0, keepdims=True),
    "both terms, mean(d_z) and z mean(d_z z), have the other sign": lambda v: -mean(v),
}

MIDDLE = {
    RIGHT: mean,
    "the term mean(d_z) is missing": lambda d_z: 0.0,
    "the term mean(d_z) has the other sign": lambda d_z: -mean(d_z),
    "the term mean(d_z) is a sum, not a mean": total,
    "the term mean(d_z) is taken twice": lambda d_z: 2 * mean(d_z),
    "the term mean(d_z) is halved": lambda d_z: mean(d_z) / 2,
    "the term mean(d_z) divides by D - 1, not D": (
        lambda d_z: total(d_z) / max(d_z.shape[-1] - 1, 1)
    ),
    "the term mean(d_z) runs over axis 0": lambda d_z: mean(d_z, 0),
    "the term mean(d_z) runs over axis 1": lambda d_z: mean(d_z, 1),
    "the term mean(d_z) runs over the whole array": lambda d_z: d_z.mean(),
}

SPREAD = {
    RIGHT: lambda d_z, z, n: z * mean(d_z * z),
    "the term z mean(d_z z) is missing": lambda d_z, z, n: 0.0,
    "the term z mean(d_z z) has the other sign": lambda d_z, z, n: -z * mean(d_z * z),
    "the term z mean(d_z z) is a sum, not a mean": lambda d_z, z, n: z * total(d_z * z),
    "the term z mean(d_z z) is divided by D once too often": (
        lambda d_z, z, n: z * mean(d_z * z) / n.width
    ),
    "the term z mean(d_z z) is taken twice": lambda d_z, z, n: 2 * z * mean(d_z * z),
    "the term z mean(d_z z) is halved (the 2 of the derivative of a square, or the 1/2 of that of "
    "a root)": lambda d_z, z, n: z * mean(d_z * z) / 2,
    "the factor z before mean(d_z z) is missing": lambda d_z, z, n: mean(d_z * z),
    "the factor z inside mean(d_z z) is missing: z mean(d_z)": lambda d_z, z, n: z * mean(d_z),
    "z^2 stands in the place of z in mean(d_z z)": lambda d_z, z, n: z * mean(d_z * z * z),
    "d_z mean(z^2) stands in the place of z mean(d_z z)": lambda d_z, z, n: d_z * mean(z * z),
    "mean(d_z) mean(z) stands in the place of mean(d_z z)": (
        lambda d_z, z, n: z * mean(d_z) * mean(n.x)
    ),
    "x stands in the place of z before mean(d_z z)": lambda d_z, z, n: n.x * mean(d_z * z),
    "x stands in the place of z inside mean(d_z z)": lambda d_z, z, n: z * mean(d_z * n.x),
    "the output stands in the place of z before mean(d_z z)": (
        lambda d_z, z, n: n.y * mean(d_z * z)
    ),
    "the output stands in the place of z inside mean(d_z z)": (
        lambda d_z, z, n: z * mean(d_z * n.y)
    ),
    "mean(d_output z) stands in the place of mean(d_z z), without the weight": (
        lambda d_z, z, n: z * mean(n.d * z)
    ),
    "the term z mean(d_z z) divides by D - 1, not D": (
        lambda d_z, z, n: z * total(d_z * z) / max(n.width - 1, 1)
    ),
    "the term z mean(d_z z) runs over axis 0": lambda d_z, z, n: z * mean(d_z * z, 0),
    "the term z mean(d_z z) runs over axis 1": lambda d_z, z, n: z * mean(d_z * z, 1),
    "the term z mean(d_z z) runs over the whole array": lambda d_z, z, n: z * (d_z * z).mean(),
    "the term z mean(d_z z) is divided by the deviation once too often": (
        lambda d_z, z, n: z * mean(d_z * z) / n.deviation
    ),
    "the term z mean(d_z z) is divided by the deviation twice too often": (
        lambda d_z, z, n: z * mean(d_z * z) / n.deviation**2
    ),
    "the term z mean(d_z z) lacks a division by the deviation: the centred x stands in the place "
    "of a z, or a power of the deviation is one too low": (
        lambda d_z, z, n: z * mean(d_z * z) * n.deviation
    ),
    "the term z mean(d_z z) lacks two divisions by the deviation: the centred x stands in the "
    "place of both z, or the variance has the power -1/2 where -3/2 belongs": (
        lambda d_z, z, n: z * mean(d_z * z) * n.deviation**2
    ),
    "the term z mean(d_z z) is multiplied by the deviation^3": (
        lambda d_z, z, n: z * mean(d_z * z) * n.deviation**3
    ),
}

Z = {
    RIGHT: lambda n: n.z,
    "the centred x stands in the place of z: it is not divided by the deviation": (
        lambda n: n.centred
    ),
    "x stands in the place of z": lambda n: n.x,
    "the output, with weight and bias, stands in the place of z": lambda n: n.y,
    "z weight stands in the place of z": lambda n: n.z * n.weight,
    "z is not centred: x / deviation": lambda n: n.x / n.deviation,
    "z is divided by the variance, not the deviation": lambda n: n.centred / n.deviation**2,
    "z is made without eps": lambda n: n.centred / np.sqrt(n.variance),
    "z is made with D - 1": lambda n: n.centred / n.unbiased,
}

DIVISORS = {
    RIGHT: lambda n: n.deviation,
    "it is not divided by the deviation": lambda n: 1.0,
    "it is divided by the variance, not by its root": lambda n: n.deviation**2,
    "it is divided by the deviation^3": lambda n: n.deviation**3,
    "it is multiplied by the deviation, not divided": lambda n: 1 / n.deviation,
    "it is divided by the root of the deviation": lambda n: np.sqrt(n.deviation),
    "eps is missing from the deviation": lambda n: np.sqrt(n.variance),
    "eps is added outside the root": lambda n: np.sqrt(n.variance) + n.eps,
    "the deviation has D - 1, not D": lambda n: n.unbiased,
}


def of_weight(probe: Probe) -> Choices:
    """d_weight = d_output z, summed over positions."""
    n = Normalised(probe)

    def gradient(made, positions, what, z):
        return (positions[..., None] * what * z(made)).reshape(-1, n.width).sum(axis=0)

    parts = {
        "made": {RIGHT: n, WITHOUT_EPS: Normalised(probe, eps=0.0)},
        "positions": over_positions(n.x.shape[:-1], "the sum of d_weight"),
        "what": {
            RIGHT: n.d,
            "d_z, with the weight, stands in the place of d_output": n.d * n.weight,
            "d_output is ignored": np.ones_like(n.d),
            "d_output is divided by the weight": n.d / n.weight,
            "d_output is divided by the deviation once more": n.d / n.deviation,
        },
        "z": Z
        | {
            "z is missing: d_output alone is summed": lambda n: np.ones_like(n.z),
            "z is squared": lambda n: n.z * n.z,
        },
    }
    return Choices(parts, gradient, "d_weight = sum over positions of d_output z", n.sizes)


def of_bias(probe: Probe) -> Choices:
    """d_bias = d_output, summed over positions."""
    n = Normalised(probe)

    def gradient(positions, what):
        return (positions[..., None] * what).reshape(-1, n.width).sum(axis=0)

    parts = {
        "positions": over_positions(n.x.shape[:-1], "the sum of d_bias"),
        "what": {
            RIGHT: n.d,
            "d_z, with the weight, stands in the place of d_output": n.d * n.weight,
            "d_output is multiplied by z": n.d * n.z,
            "d_output is ignored: positions are counted": np.ones_like(n.d),
            "d_output is divided by the deviation": n.d / n.deviation,
            "d_output is multiplied by the bias": n.d * n.bias,
            "d_output is less its mean": n.d - mean(n.d),
        },
    }
    return Choices(parts, gradient, "d_bias = sum over positions of d_output", n.sizes)


def sizes(probe: Probe) -> dict[str, float]:
    """The numbers of a call."""
    return sizes_of(probe.inputs[0].shape[:-1], the_width=probe.inputs[0].shape[-1])


LAYER_NORM = {
    "d_x": (of_x,),
    "d_weight": (of_weight, with_decay("weight", sizes)),
    "d_bias": (of_bias, with_decay("bias", sizes)),
}
