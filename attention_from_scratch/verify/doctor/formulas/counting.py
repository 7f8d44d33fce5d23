"""How much each position of a loss counts, and what a mean or a sum divides by."""

import numpy as np

from attention_from_scratch.verify.doctor.formulas.choices import RIGHT
from attention_from_scratch.verify.doctor.mistakes.shared import Probe

D_OUTPUT = "d_output does not enter"


class Counted:
    """How much each position counts, and what a mean or a sum divides by."""

    def __init__(self, probe: Probe, shape: tuple[int, ...], counted=None, classes=1):
        given = probe.keywords.get("position_weights")
        self.counted = np.ones(shape) if counted is None else counted * 1.0
        self.is_weighted = given is not None
        self.given = np.ones(shape) if given is None else np.asarray(given, float)
        self.weights = self.counted * self.given
        self.mean = probe.keywords.get("reduction", "mean") == "mean"
        self.shape, self.classes = shape, classes

    def divisors(self, entries: str) -> dict[str, float]:
        """What the sum of the losses may be divided by; `entries` is what is averaged over.

        What is wrong in a mean is right in a sum, and the other way round.
        """
        weight, size = self.weights.sum() or 1.0, float(np.prod(self.shape)) or 1.0
        number = float(np.count_nonzero(self.weights)) or 1.0
        kept = float(self.counted.sum()) or 1.0
        right = weight if self.mean else 1.0
        by = {
            f"the number of all {entries}, whether they count or not": size,
            f"the number of {entries} that count, not by their weight": number,
            f"the number of {entries} that are not ignored, not by their weight": kept,
            "the total weight twice": weight * weight,
        }
        for axis, n in enumerate(self.shape):
            by["the batch size alone" if axis == 0 else f"the length of axis {axis} alone"] = n
        if self.classes > 1:
            by[f"the size of logits, {entries} times classes"] = size * self.classes
            by["the total weight times the number of classes"] = weight * self.classes
            by["the number of classes alone"] = float(self.classes)
        options = {RIGHT: right}
        if len(self.shape) > 1:
            each = self.weights.sum(axis=-1, keepdims=True)
            each = np.where(each == 0, 1, each) * size / self.shape[-1]
            words = "each sequence is averaged by itself, and then the sequences"
            options[words] = each if self.mean else 1.0
        options["the mean is not divided at all"] = 1.0
        options["the sum is divided by the total weight, as if it were a mean"] = weight
        for words, divisor in by.items():
            options[f"the mean is divided by {words}"] = divisor if self.mean else 1.0
        unweighted = self.mean and not self.is_weighted
        for words, divisor in {"1: it is not divided at all": 1.0, **by}.items():
            words = f"without position_weights the mean is divided by {words}"
            options[words] = divisor if unweighted else right
        for words, divisor in by.items():
            options[f"the sum is divided by {words}"] = weight if self.mean else divisor
            options[f"mean and sum alike are divided by {words}"] = divisor
        return options

    def unweighted(self) -> dict[str, tuple | None]:
        """Weights and divisor where position_weights are not used; None where they are."""
        number = float(self.counted.sum()) or 1.0
        unused = np.ones(self.shape), number if self.mean else 1.0
        return {RIGHT: None, "position_weights are not used, nor in the divisor": unused}

    def weightings(self) -> dict[str, np.ndarray]:
        """What each position may be multiplied by."""
        return {
            RIGHT: self.given,
            "position_weights are not applied": np.ones(self.shape),
            "position_weights are applied twice": self.given**2,
            "position_weights divide, where they should multiply": (
                1 / np.where(self.given == 0, 1, self.given)
            ),
            "the root of position_weights is applied": np.sqrt(self.given),
        }

    def sizes(self) -> dict[str, float]:
        """Numbers that a factor may follow."""
        sizes = {
            "the number of positions": float(np.prod(self.shape)),
            "the total weight": float(self.weights.sum()) or 1.0,
        }
        if self.classes > 1:
            sizes["the number of classes"] = float(self.classes)
        if self.shape:
            sizes["the batch size"] = float(self.shape[0])
        return sizes
