"""Other forms of losses: what is averaged and by what, what is smoothed, what is ignored."""

from collections.abc import Callable, Iterator
from functools import partial
from itertools import product

import numpy as np

from attention_from_scratch import ops
from attention_from_scratch.verify.doctor.forms.form import Form
from attention_from_scratch.verify.doctor.formulas.choices import RIGHT
from attention_from_scratch.verify.doctor.formulas.counting import Counted
from attention_from_scratch.verify.doctor.formulas.losses import options_of_q

SMALL = (
    1e-15,
    1e-12,
    1e-10,
    1e-9,
    1e-8,
    1e-7,
    1e-6,
    1e-5,
    1e-4,
    1e-3,
    1e-2,
)  # what is added to a probability


class Loss:
    """A loss in parts, each of which may be taken in another way: {part: {words: value}}."""

    def __init__(self, count: Counted, entries: str, parts: dict[str, dict]):
        self.parts = {
            "weighting": count.unweighted(),
            "weights": count.weightings(),
            "divisor": count.divisors(entries),
            **parts,
        }
        self.counted = count.counted

    def with_others(self, other: dict[str, str]) -> float:
        """The loss with parts taken in other ways, as far as there are those at this call."""
        chosen = {p: o.get(other.get(p, RIGHT), o[RIGHT]) for p, o in self.parts.items()}
        weights, divisor = chosen["weighting"] or (chosen["weights"], chosen["divisor"])
        with np.errstate(all="ignore"):
            surprise = chosen["surprise"](chosen)
        return (chosen["counted"] * weights * surprise / divisor).sum()


def of_classes(probe) -> Loss:
    """The parts of a cross-entropy."""
    *given, targets = probe.inputs
    logits, targets = (given[0] @ given[1] if len(given) > 1 else given[0]), np.asarray(targets)
    classes, e = logits.shape[-1], probe.keywords.get("label_smoothing", 0.0)
    ignore = probe.keywords.get("ignore_index")
    inside = np.ones(targets.shape, bool) if ignore is None else targets != ignore
    count = Counted(probe, targets.shape, inside, classes)
    eye = np.eye(classes)
    hot = eye[np.where(inside, targets, 0)]
    p = ops.softmax(logits)[0]
    parts = {
        "q": options_of_q(hot, e),
        "log_p": logs_of_p(p, logits),
        "counted": {
            RIGHT: count.counted,
            "ignored positions are counted, with class 0 for their target": np.ones(targets.shape),
        },
        "surprise": {
            RIGHT: lambda c: -(c["q"] * c["log_p"]).sum(axis=-1),
            "the loss has the other sign": lambda c: (c["q"] * c["log_p"]).sum(axis=-1),
            "ignored positions are counted, their target wrapped round": lambda c: (
                -(((1 - e) * eye[targets % classes] + e / classes) * c["log_p"]).sum(axis=-1)
            ),
            "it is -p[target], without the logarithm": lambda c: -(c["q"] * p).sum(axis=-1),
            "it is 1 - p[target], without the logarithm": lambda c: 1 - (c["q"] * p).sum(axis=-1),
            "it is a squared error of p": lambda c: ((p - c["q"]) ** 2).sum(axis=-1),
            "it is half a squared error of p": lambda c: ((p - c["q"]) ** 2).sum(axis=-1) / 2,
            "the other classes count too, -log(1 - p): a binary loss of each class": lambda c: (
                -(c["q"] * np.log(p) + (1 - c["q"]) * np.log1p(-p)).sum(axis=-1)
            ),
            "it is a focal loss, (1 - p)^2 times the logarithm": lambda c: (
                -(c["q"] * (1 - p) ** 2 * c["log_p"]).sum(axis=-1)
            ),
            "the entropy of q is taken off: a Kullback-Leibler divergence": lambda c: (
                c["q"] * (np.where(c["q"] > 0, np.log(c["q"]), 0) - c["log_p"])
            ).sum(axis=-1),
        },
    }
    loss = Loss(count, "positions", parts)
    wrapped = "ignored positions are counted, their target wrapped round"
    return loss if inside.all() else with_all_counted(loss, wrapped)


def with_all_counted(loss: Loss, words: str) -> Loss:
    """The loss in which one way of the surprise counts what is ignored as well."""
    right = loss.parts["surprise"][words]
    ignored = 1 / np.where(loss.counted == 0, 1, loss.counted)
    loss.parts["surprise"][words] = lambda c: ignored * right(c)
    return loss


def logs_of_p(p, logits) -> dict[str, np.ndarray]:
    """What may stand in the place of log p."""
    logs = {
        RIGHT: ops.log_softmax(logits)[0],
        "the logits stand in the place of log p: there is no softmax": logits,
        "the softmax is taken twice: log of the softmax of p": ops.log_softmax(p)[0],
        "the logarithm of a sigmoid stands in the place of log p": np.log(ops.sigmoid(logits)[0]),
        "the softmax runs over axis 0": np.log(ops.softmax(logits, axis=0)[0]),
        "the logarithm is to the base 2": ops.log_softmax(logits)[0] / np.log(2),
        "the logarithm is to the base 10": ops.log_softmax(logits)[0] / np.log(10),
    }
    for small in SMALL:
        logs[f"{small:g} is added to p inside the logarithm"] = np.log(p + small)
        logs[f"p is at least {small:g} inside the logarithm"] = np.log(np.maximum(p, small))
    return logs


def of_yes_and_no(probe) -> Loss:
    """The parts of a binary cross-entropy."""
    x, t = probe.inputs
    count, s = Counted(probe, x.shape), ops.sigmoid(x)[0]
    ways: dict[str, Callable] = {
        RIGHT: lambda c: -t * np.log(s) - (1 - t) * np.log1p(-s),
        "the part of 1 - t is missing: -t log s alone": lambda c: -t * np.log(s),
        "the part of t is missing: -(1 - t) log(1 - s) alone": lambda c: -(1 - t) * np.log1p(-s),
        "t and 1 - t are exchanged": lambda c: -(1 - t) * np.log(s) - t * np.log1p(-s),
        "the loss has the other sign": lambda c: t * np.log(s) + (1 - t) * np.log1p(-s),
        "the sign of the part of 1 - t is wrong": lambda c: -t * np.log(s) + (1 - t) * np.log1p(-s),
        "max(x, 0) is missing: log(1 + exp(-|x|)) - x t": lambda c: (
            np.log1p(np.exp(-np.abs(x))) - x * t
        ),
        "- x t is missing: the targets do not enter": lambda c: np.log1p(np.exp(x)),
        "exp(|x|) stands in the place of exp(-|x|)": lambda c: (
            np.maximum(x, 0) - x * t + np.log1p(np.exp(np.abs(x)))
        ),
        "the sigmoid is taken twice": lambda c: twice(t, s),
        "it is a squared error of s": lambda c: (s - t) ** 2,
        "it is half a squared error of s": lambda c: (s - t) ** 2 / 2,
        "the logarithm is to the base 2": lambda c: (
            (-t * np.log(s) - (1 - t) * np.log1p(-s)) / np.log(2)
        ),
        "it is a hinge, max(0, 1 - x y) with y = 2 t - 1": lambda c: np.maximum(
            0, 1 - x * (2 * t - 1)
        ),
        "targets are rounded to 0 or 1": lambda c: np.log1p(np.exp(x)) - x * np.round(t),
        "a softmax stands in the place of the sigmoid: -t log p summed over classes": lambda c: (
            -t * ops.log_softmax(x)[0]
        ),
    }
    for small in SMALL:
        ways[f"{small:g} is added inside both logarithms"] = lambda c, e=small: (
            -t * np.log(s + e) - (1 - t) * np.log(1 - s + e)
        )
        ways[f"s is clipped to between {small:g} and 1 - {small:g}"] = lambda c, e=small: (
            -t * np.log(np.clip(s, e, 1 - e)) - (1 - t) * np.log1p(-np.clip(s, e, 1 - e))
        )
    return Loss(count, "entries", {"counted": {RIGHT: count.counted}, "surprise": ways})


def twice(t, s):
    """The loss at the sigmoid of the sigmoid."""
    again = ops.sigmoid(s)[0]
    return -t * np.log(again) - (1 - t) * np.log1p(-again)


class Forms:
    """The other forms of a loss, whose parts are made once for each call."""

    def __init__(self, of_call: Callable):
        self.of_call = of_call
        self.made: dict[int, tuple] = {}

    def at(self, probe) -> Loss:
        """The loss of a call."""
        if id(probe) not in self.made:
            with np.errstate(all="ignore"):
                self.made[id(probe)] = (probe, self.of_call(probe.in_float64()))
        return self.made[id(probe)][1]

    def output(self, chosen: dict[str, str], probe) -> float:
        """The loss with these parts taken in another way."""
        return self.at(probe).with_others(chosen)

    def __call__(self, probes) -> Iterator[Form]:
        """Every other way of one part; then of what is averaged and of what it is divided by."""
        ways = dict.fromkeys(
            (part, words)
            for probe in probes
            for part, options in self.at(probe).parts.items()
            for words in options
            if words != RIGHT
        )
        for part, words in ways:
            yield f"is what comes if {words}", partial(self.output, {part: words})
        divisors = [words for part, words in ways if part == "divisor"]
        others = [way for way in ways if way[0] not in ("divisor", "weighting")]
        for (part, words), divisor in product(others, divisors):
            both = f"is what comes if {words}; and {divisor}"
            yield both, partial(self.output, {part: words, "divisor": divisor})
