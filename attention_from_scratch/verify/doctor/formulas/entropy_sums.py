"""The gradients of a cross-entropy as sums of terms in p, the onehot target, and logarithms."""

from collections.abc import Callable

import numpy as np

from attention_from_scratch import ops
from attention_from_scratch.verify.doctor.formulas.counting import Counted
from attention_from_scratch.verify.doctor.formulas.sums import Sum
from attention_from_scratch.verify.doctor.mistakes.shared import Probe

SMOOTHED = {"p": 1.0, "(1 - e) onehot": -1.0, "e u": -1.0}
SHARP = {"p": 1.0, "onehot": -1.0}
LEGEND = {"u": "1 / V, V classes", "e": "label_smoothing"}
KNOWN = {
    frozenset(
        {("p onehot", -1.0), ("p p[target]", 1.0)}
    ): "that is the slope of -p[target], not of "
    "-log p[target]: the 1/p of the logarithm is missing",
    frozenset({("onehot / p", -1.0)}): "that is the slope by p, not by the logits: the way back "
    "through the softmax is missing",
}


def entropy_terms(p, hot, logits) -> dict[str, np.ndarray]:
    """What may stand in the place of p - q."""
    log_p, at_target = np.log(p), (p * hot).sum(axis=-1, keepdims=True)
    return {
        "p": p,
        "onehot": hot,
        "u": np.full_like(p, 1 / p.shape[-1]),
        "p onehot": p * hot,
        "p p[target]": p * at_target,
        "p^2": p * p,
        "p^2 onehot": p * p * hot,
        "p sum(p^2)": p * (p * p).sum(axis=-1, keepdims=True),
        "onehot / p": hot / p,
        "log p": log_p,
        "onehot log p": hot * log_p,
        "p log p": p * log_p,
        "p sum(p log p)": p * (p * log_p).sum(axis=-1, keepdims=True),
        "logits": logits,
    }


def sum_of(probe: Probe, logits, targets, right: dict, onwards: Callable) -> Sum:
    """d_logits as a sum of terms, each of which goes on to the gradient asked for."""
    ignore, e = probe.keywords.get("ignore_index"), probe.keywords.get("label_smoothing", 0.0)
    inside = np.ones(np.shape(targets), bool) if ignore is None else targets != ignore
    count = Counted(probe, np.shape(targets), inside, logits.shape[-1])
    p, hot = ops.softmax(logits)[0], np.eye(logits.shape[-1])[np.where(inside, targets, 0)]
    terms = entropy_terms(p, hot, logits)
    if right is SMOOTHED:
        terms = {"(1 - e) onehot": (1 - e) * hot, "e u": e * terms["u"]} | terms
        terms["e onehot"] = e * hot
    weight = count.weights * probe.d_output / (count.weights.sum() if count.mean else 1.0)
    terms = {name: onwards(term * weight[..., None]) for name, term in terms.items()}
    common = "weight d_output / divisor"
    return Sum(right, terms, LEGEND, count.sizes(), known=KNOWN, common=common)


def sum_of_logits(probe: Probe) -> Sum:
    """d_logits of a cross-entropy."""
    return sum_of(probe, *probe.inputs[:2], SMOOTHED, lambda g: g)


def sum_of_x(probe: Probe) -> Sum:
    """d_x of a linear cross-entropy."""
    x, weight, targets = probe.inputs[:3]
    return sum_of(probe, x @ weight, targets, SHARP, lambda g: g @ weight.T)


def sum_of_weight(probe: Probe) -> Sum:
    """d_weight of a linear cross-entropy."""
    x, weight, targets = probe.inputs[:3]
    rows = x.reshape(-1, x.shape[-1])
    return sum_of(probe, x @ weight, targets, SHARP, lambda g: rows.T @ g.reshape(len(rows), -1))
