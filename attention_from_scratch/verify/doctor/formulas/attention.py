"""The gradients of an attention in parts: its softmax, its dropout, its scale, its products."""

from collections.abc import Callable

import numpy as np

from attention_from_scratch import ops
from attention_from_scratch.ops.attention import transpose
from attention_from_scratch.verify.doctor.formulas.choices import RIGHT, Choices
from attention_from_scratch.verify.doctor.mistakes.shared import Probe

SCORES = "d_scores = p (d_p - sum(p d_p)), d_p = d_output value^T times dropout"
OF_QUERY = f"d_query = scale d_scores key, {SCORES}"
OF_KEY = f"d_key = scale d_scores^T query, {SCORES}"
OF_VALUE = "d_value = (p dropout)^T d_output"


def total(x):
    """The sum along the keys."""
    return x.sum(axis=-1, keepdims=True)


SOFTMAX = {
    RIGHT: lambda p, g: p * (g - total(p * g)),
    "the softmax is treated as elementwise, p (1 - p) d_p": lambda p, g: p * (1 - p) * g,
    "the row sum of the softmax is missing: p d_p": lambda p, g: p * g,
    "the row sum of the softmax has the other sign": lambda p, g: p * (g + total(p * g)),
    "the row sum of the softmax is a mean": lambda p, g: p * (g - (total(p * g) / p.shape[-1])),
    "p is missing inside the row sum: sum(d_p)": lambda p, g: p * (g - total(g)),
    "p is missing before the softmax' bracket: d_p - sum(p d_p)": lambda p, g: g - total(p * g),
    "p is missing before d_p: d_p - p sum(p d_p)": lambda p, g: g - p * total(p * g),
    "the row sum runs over the queries": (
        lambda p, g: p * (g - (p * g).sum(axis=-2, keepdims=True))
    ),
    "there is no way back through the softmax: d_p": lambda p, g: g,
}


class Parts:
    """What the gradients of an attention are made of."""

    def __init__(self, probe: Probe):
        self.query, self.key, *values = probe.inputs
        self.value = values[0] if values else None
        keywords = probe.keywords
        mask, given, keep = (keywords.get(name) for name in ("mask", "scale", "keep"))
        self.width = float(self.query.shape[-1])
        self.root = self.width**-0.5
        self.scale = self.root if given is None else given
        self.p, _ = ops.attention_weights(self.query, self.key, mask=mask, scale=given)
        self.open, _ = ops.attention_weights(self.query, self.key, scale=given)
        rate = keywords.get("dropout_p", 0.0)
        self.keep = 1.0 if keep is None else keep * 1.0
        self.dropout = self.keep if keep is None else keep / (1 - rate)
        self.d = probe.d_output
        if len({x.shape[:-2] for x in probe.inputs}) > 1:
            raise ValueError("inputs that are broadcast")

    def dropouts(self) -> dict:
        """What may stand in the place of dropout."""
        return {
            RIGHT: self.dropout,
            "dropout is not applied": 1.0,
            "what dropout keeps is not divided by 1 - p": self.keep,
        }

    def scales(self) -> dict[str, float]:
        """What may stand in the place of the scale."""
        return {
            RIGHT: self.scale,
            "the scale is missing": 1.0,
            "the scale is applied twice": self.scale**2,
            "it is divided by the scale, not multiplied": 1 / self.scale,
            "1/sqrt(d) stands in the place of the scale that is given": self.root,
            "1/d stands in the place of the scale": 1 / self.width,
        }

    def sizes(self) -> dict[str, float]:
        """Numbers that a factor may follow."""
        return {
            "the scale": self.scale,
            "the number of queries": float(self.query.shape[-2]),
            "the number of keys": float(self.key.shape[-2]),
        }


def of_scores(probe: Probe, product: Callable, formula: str) -> Choices:
    """The gradient of query or key: a product of d_scores."""
    at = Parts(probe)

    def gradient(weights, softmax, dropout, scale):
        d_p = at.d if at.value is None else (at.d @ transpose(at.value)) * dropout
        return scale * product(at, softmax(weights, d_p))

    parts = {
        "weights": {
            RIGHT: at.p,
            "the mask is not applied": at.open,
            "p after dropout stands in the place of p": at.p * at.dropout,
        },
        "softmax": SOFTMAX,
        "dropout": at.dropouts(),
        "scale": at.scales(),
    }
    return Choices(parts, gradient, formula, at.sizes())


def of_query(probe: Probe) -> Choices:
    """d_query = scale d_scores key."""
    return of_scores(probe, lambda at, d_scores: d_scores @ at.key, OF_QUERY)


def of_key(probe: Probe) -> Choices:
    """d_key = scale d_scores^T query."""
    return of_scores(probe, lambda at, d_scores: transpose(d_scores) @ at.query, OF_KEY)


def of_value(probe: Probe) -> Choices:
    """d_value = (p dropout)^T d_output."""
    at = Parts(probe)

    def gradient(weights, dropout, scale):
        return scale * transpose(weights * dropout) @ at.d

    parts = {
        "weights": {
            RIGHT: at.p,
            "the mask is not applied": at.open,
            "p is squared": at.p**2,
            "1 - p stands in the place of p": 1 - at.p,
            "the scores stand in the place of p: there is no softmax": (
                at.scale * at.query @ transpose(at.key)
            ),
            "ones stand in the place of p": np.ones_like(at.p),
        },
        "dropout": at.dropouts(),
        "scale": {RIGHT: 1.0, "it has the scale, which belongs to the scores": at.scale},
    }
    return Choices(parts, gradient, OF_VALUE, at.sizes())


ATTENTION = {"d_query": (of_query,), "d_key": (of_key,), "d_value": (of_value,)}
WEIGHTS = {"d_query": (of_query,), "d_key": (of_key,)}
