"""The gradients of a binary cross-entropy in parts: s, t, the weights, and the divisor."""

import numpy as np

from attention_from_scratch import ops
from attention_from_scratch.verify.doctor.formulas.choices import RIGHT, Choices
from attention_from_scratch.verify.doctor.formulas.counting import D_OUTPUT, Counted
from attention_from_scratch.verify.doctor.formulas.positions import kept_positions
from attention_from_scratch.verify.doctor.formulas.sums import Sum
from attention_from_scratch.verify.doctor.mistakes.shared import Probe


def of_logits(probe: Probe) -> Choices:
    """d_logits = (s - t) weight d_output / divisor."""
    x, t = probe.inputs[:2]
    count = Counted(probe, x.shape)
    s = ops.sigmoid(x)[0]

    def gradient(error, slope, positions, weighting, weights, divisor, d):
        weights, divisor = weighting or (weights, divisor)
        return error * slope * positions * weights * d / divisor

    parts = {
        "error": {
            RIGHT: s - t,
            "t is missing from s - t: s alone": s,
            "s is missing from s - t: -t alone": -t,
            "s + t stands in the place of s - t": s + t,
            "the part of t is missing: (1 - t) s, without -t (1 - s)": (1 - t) * s,
            "the part of 1 - t is missing: -t (1 - s), without (1 - t) s": -t * (1 - s),
            "the part of t has the other sign: (1 - t) s + t (1 - s)": (1 - t) * s + t * (1 - s),
            "t and 1 - t are exchanged: s - (1 - t)": s - (1 - t),
            "1 - s stands in the place of s": 1 - s - t,
            "x stands in the place of s: the sigmoid is missing": x - t,
            "tanh(x) stands in the place of s": np.tanh(x) - t,
            "tanh(x / 2) stands in the place of s": np.tanh(x / 2) - t,
            "the sigmoid of s stands in the place of s": ops.sigmoid(s)[0] - t,
            "log s stands in the place of s": np.log(s) - t,
            "s t stands in the place of t": s - s * t,
            "exp(-x) stands in the place of s": np.exp(-x) - t,
            "exp(x) stands in the place of s": np.exp(x) - t,
            "the sign of s - t stands in its place": np.sign(s - t),
            "t - s stands in the place of s - t: the other sign": t - s,
            "s has the other sign where x is negative: the slope of |x|, sign(x), is missing": (
                np.where(x > 0, s, -s) - t
            ),
            "t is rounded to 0 or 1": s - np.round(t),
            "s is rounded to 0 or 1": np.round(s) - t,
            "s - t is squared": (s - t) ** 2,
            "a softmax over the last axis stands in the place of s": ops.softmax(x)[0] - t,
        },
        "slope": {
            RIGHT: 1.0,
            "it is multiplied by s (1 - s): that slope is in s - t already": s * (1 - s),
            "it is divided by s (1 - s): the slope of the sigmoid is missing": 1 / (s * (1 - s)),
            "it is multiplied by s": s,
            "it is multiplied by 1 - s": 1 - s,
            "it is divided by s": 1 / s,
            "it is multiplied by t": t,
            "it is multiplied by x": x,
        },
        "weighting": count.unweighted(),
        "weights": count.weightings(),
        "divisor": count.divisors("entries"),
        "positions": kept_positions(x.shape, "d_logits"),
        "d": {RIGHT: probe.d_output, D_OUTPUT: np.ones_like(probe.d_output)},
    }
    formula = "d_logits = (s - t) weight d_output / divisor, s = sigmoid(x)"
    return Choices(parts, gradient, formula, count.sizes())


def of_targets(probe: Probe) -> Choices:
    """d_targets = -x weight d_output / divisor."""
    x, t = probe.inputs[:2]
    count = Counted(probe, x.shape)
    s = ops.sigmoid(x)[0]

    def gradient(what, weighting, weights, divisor, d):
        weights, divisor = weighting or (weights, divisor)
        return what * weights * d / divisor

    parts = {
        "what": {
            RIGHT: -x,
            "-log s alone: the part of 1 - t, + log(1 - s), is missing": -np.log(s),
            "log(1 - s) alone: the part of t, -log s, is missing": np.log(1 - s),
            "-log s - log(1 - s): the sign of the part of 1 - t": -np.log(s) - np.log(1 - s),
            "x stands in the place of -x: the other sign": x,
            "-s stands in the place of -x": -s,
            "t - s, minus d_logits, stands in the place of -x": t - s,
            "s - t, that is d_logits, stands in the place of -x": s - t,
            "-t x stands in the place of -x": -t * x,
            "-max(x, 0) stands in the place of -x": -np.maximum(x, 0),
            "-|x| stands in the place of -x": -np.abs(x),
            "-1 stands in the place of -x": -np.ones_like(x),
            "(1 - t) / (1 - s) - t / s stands in the place of -x": (1 - t) / (1 - s) - t / s,
        },
        "weighting": count.unweighted(),
        "weights": count.weightings(),
        "divisor": count.divisors("entries"),
        "d": {RIGHT: probe.d_output, D_OUTPUT: np.ones_like(probe.d_output)},
    }
    formula = "d_targets = -x weight d_output / divisor"
    return Choices(parts, gradient, formula, count.sizes())


def sum_of_logits(probe: Probe) -> Sum:
    """d_logits as a sum of terms in s and t."""
    x, t = probe.inputs[:2]
    count, s = Counted(probe, x.shape), ops.sigmoid(x)[0]
    weight = count.weights * probe.d_output / (count.weights.sum() if count.mean else 1.0)
    terms = {
        "s": s,
        "t": t,
        "s t": s * t,
        "1": np.ones_like(x),
        "s^2": s * s,
        "s^2 t": s * s * t,
        "t^2": t * t,
        "x": x,
        "x t": x * t,
        "t / s": t / s,
        "1 / (1 - s)": 1 / (1 - s),
        "t / (1 - s)": t / (1 - s),
        "log s": np.log(s),
        "log(1 - s)": np.log(1 - s),
        "[x > 0]": (x > 0) * 1.0,
        "sign(x) (1 - s)": np.sign(x) * (1 - s),
        "exp(-|x|) / (1 + exp(-|x|))": np.minimum(s, 1 - s),
    }
    return Sum(
        {"s": 1.0, "t": -1.0},
        {name: term * weight for name, term in terms.items()},
        {"s": "sigmoid(x)", "t": "the targets"},
        count.sizes(),
        common="weight d_output / divisor",
    )


BINARY_CROSS_ENTROPY = {"d_logits": (of_logits, sum_of_logits), "d_targets": (of_targets,)}
