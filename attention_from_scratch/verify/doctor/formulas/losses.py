"""The gradient of a cross-entropy in parts: p, q, the weight of a position, and the divisor."""

from collections.abc import Callable

import numpy as np

from attention_from_scratch import ops
from attention_from_scratch.verify.doctor.formulas.choices import RIGHT, Choices
from attention_from_scratch.verify.doctor.formulas.counting import D_OUTPUT, Counted
from attention_from_scratch.verify.doctor.formulas.entropy_sums import (
    sum_of_logits,
    sum_of_weight,
    sum_of_x,
)
from attention_from_scratch.verify.doctor.formulas.positions import SUMMED, kept_positions, parts_of
from attention_from_scratch.verify.doctor.mistakes.shared import Probe


def options_of_p(p, hot, logits, e) -> dict[str, np.ndarray]:
    """What may stand in the place of p."""
    return {
        RIGHT: p,
        "p is missing from p - q: only the target is pulled, and no class is pushed down by "
        "its p": np.zeros_like(p),
        "the logits stand in the place of p: the softmax is missing": logits,
        "log p stands in the place of p": np.log(p),
        "a sigmoid of the logits stands in the place of p": ops.sigmoid(logits)[0],
        "p is not divided by its sum: exp(x - max)": np.exp(
            logits - logits.max(axis=-1, keepdims=True)
        ),
        "p is squared": p * p,
        "1 stands in the place of p": np.ones_like(p),
        "the softmax of p stands in the place of p": ops.softmax(p)[0],
        "p is a softmax over axis 0": ops.softmax(logits, axis=0)[0],
        "p has the factor 1 - e": (1 - e) * p,
        "p is missing at the target": p * (1 - hot),
        "1 - p stands in the place of p": 1 - p,
        "the onehot of the largest logit stands in the place of p": (
            1.0 * (p == p.max(axis=-1, keepdims=True))
        ),
        "the softmax of half the logits stands in the place of p": ops.softmax(logits / 2)[0],
        "the softmax of twice the logits stands in the place of p": ops.softmax(2 * logits)[0],
    }


def options_of_q(hot, e) -> dict[str, np.ndarray]:
    """What may stand in the place of q."""
    classes = hot.shape[-1]
    even, shifted = np.full_like(hot, 1 / classes), np.roll(hot, 1, axis=-1)
    return {
        RIGHT: (1 - e) * hot + e * even,
        "the target is missing from p - q: only p is left": np.zeros_like(hot),
        "label smoothing is left out of q: the whole 1 is at the target": hot,
        "the uniform part e / V is left out of q": (1 - e) * hot,
        "q has 1 at the target and e / V beside: 1 - e is missing": hot + e * even,
        "q is e / V alone: the target is missing": e * even,
        "q has e / V at the other classes only": (1 - e) * hot + e * even * (1 - hot),
        "q spreads e over the V - 1 other classes": (
            (1 - e) * hot + e * (1 - hot) / max(classes - 1, 1)
        ),
        "q has e where e / V belongs": (1 - e) * hot + e,
        "q has e at the target and 1 - e spread: exchanged": e * hot + (1 - e) * even,
        "1 is taken from every class, not from the target's": np.ones_like(hot),
        "q is uniform, 1 / V": even,
        "q has the class after the target": (1 - e) * shifted + e * even,
        "q has the class before the target": (1 - e) * np.roll(hot, -1, axis=-1) + e * even,
    }


def options_of_ignored(p, targets, inside, e) -> dict[str, Callable]:
    """What p - q may become at ignored positions."""
    classes = p.shape[-1]
    own, wrapped = targets[..., None] == np.arange(classes), np.eye(classes)[targets % classes]
    return {
        RIGHT: lambda core: np.where(inside[..., None], core, 0),
        "ignored positions get a gradient, as if their target were class 0": lambda core: core,
        "ignored positions get a gradient, p without a target": (
            lambda core: np.where(inside[..., None], core, p)
        ),
        "ignored positions get a gradient, p less their own target": (
            lambda core: np.where(inside[..., None], core, p - own)
        ),
        "ignored positions get a gradient, p - q with the target wrapped round": (
            lambda core: np.where(inside[..., None], core, p - (1 - e) * wrapped - e / classes)
        ),
    }


def options_of_slope(p, hot) -> dict[str, np.ndarray]:
    """What p - q may be multiplied by, entry by entry."""
    return {
        RIGHT: np.ones_like(p),
        "it is multiplied by p (1 - p), a slope that p - q has in it already": p * (1 - p),
        "it is multiplied by p": p,
        "only the entry of the target gets a gradient": hot,
        "the entry of the target gets no gradient": 1 - hot,
        "it is multiplied by 1 - p": 1 - p,
        "it is divided by p": 1 / p,
    }


def options_of_ways(p) -> dict[str, Callable]:
    """What may become of p - q."""
    return {
        RIGHT: lambda g: g,
        "it goes back through a softmax once more": (
            lambda g: p * (g - (p * g).sum(axis=-1, keepdims=True))
        ),
        "it goes back through a log-softmax once more": (
            lambda g: g - p * g.sum(axis=-1, keepdims=True)
        ),
        "p - q is squared": lambda g: g * g,
        "the sign of p - q stands in its place": np.sign,
    }


def entropy_parts(probe: Probe, logits, targets) -> tuple[dict, Counted]:
    """The parts of d_logits, and how its positions count."""
    ignore, e = probe.keywords.get("ignore_index"), probe.keywords.get("label_smoothing", 0.0)
    targets = np.asarray(targets)
    inside = np.ones(targets.shape, bool) if ignore is None else targets != ignore
    count = Counted(probe, targets.shape, inside, logits.shape[-1])
    p, hot = ops.softmax(logits)[0], np.eye(logits.shape[-1])[np.where(inside, targets, 0)]
    parts = {
        "p": options_of_p(p, hot, logits, e),
        "q": options_of_q(hot, e),
        "sign": {
            RIGHT: (1.0, -1.0),
            "p + q stands in the place of p - q": (1.0, 1.0),
            "q - p stands in the place of p - q: the other sign": (-1.0, 1.0),
        },
        "ignored": options_of_ignored(p, targets, inside, e),
        "slope": options_of_slope(p, hot),
        "through": options_of_ways(p),
        "weighting": count.unweighted(),
        "weights": count.weightings(),
        "divisor": count.divisors("positions"),
        "positions": kept_positions(targets.shape, "d_logits"),
        "d": {RIGHT: probe.d_output, D_OUTPUT: np.ones_like(probe.d_output)},
    }
    return parts, count


def d_logits(
    p, q, sign, ignored, slope, through, positions, weighting, weights, divisor, d
) -> np.ndarray:
    """The gradient of the logits from its parts."""
    weights, divisor = weighting or (weights, divisor)
    core = ignored(slope * (sign[0] * p + sign[1] * q))
    return through(core) * (positions * weights * d / divisor)[..., None]


FORMULA = "d_logits = (p - q) weight d_output / divisor, q = (1 - e) onehot + e / V"


def cross_entropy(probe: Probe) -> Choices:
    """d_logits of a cross-entropy."""
    parts, count = entropy_parts(probe, *probe.inputs[:2])
    return Choices(parts, d_logits, FORMULA, count.sizes())


def of_x(probe: Probe) -> Choices:
    """d_x = d_logits weight^T of a linear cross-entropy."""
    x, weight, targets = probe.inputs[:3]
    parts, count = entropy_parts(probe, x @ weight, targets)

    def gradient(**given):
        return d_logits(**given) @ weight.T

    return Choices(parts, gradient, f"d_x = d_logits weight^T, {FORMULA}", count.sizes())


def of_weight(probe: Probe) -> Choices:
    """d_weight = x^T d_logits of a linear cross-entropy."""
    x, weight, targets = probe.inputs[:3]
    parts, count = entropy_parts(probe, x @ weight, targets)
    rows = x.reshape(-1, x.shape[-1])
    parts["positions"] = parts_of(x.shape[:-1], SUMMED, "the sum of d_weight")

    def gradient(**given):
        return rows.T @ d_logits(**given).reshape(len(rows), -1)

    return Choices(parts, gradient, f"d_weight = x^T d_logits, {FORMULA}", count.sizes())


CROSS_ENTROPY = {"d_logits": (cross_entropy, sum_of_logits)}
LINEAR_CROSS_ENTROPY = {"d_x": (of_x, sum_of_x), "d_weight": (of_weight, sum_of_weight)}
