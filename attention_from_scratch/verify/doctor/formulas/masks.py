"""A slope that is a number between two bounds of the input and 0 elsewhere: which bounds?"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from attention_from_scratch.verify.doctor.formulas.asked import Asked, Fit
from attention_from_scratch.verify.doctor.formulas.numbers import written
from attention_from_scratch.verify.doctor.mistakes.shared import Probe

CHANGES = 2  # a bound is told where no term in words fits as well


@dataclass(frozen=True, eq=False)
class Mask:
    """The input and d_output of an op of entries, whose slope may be a mask of the input."""

    x: np.ndarray
    d: np.ndarray

    def fitted(self, asked: Asked, formula: Callable) -> Fit | None:
        """The bounds between which gradient passes, if it does so there and nowhere else."""
        slopes, inputs = [], []
        for visit in (*asked.wrong, *asked.right):
            at = asked.at(visit, formula)
            told = np.abs(at.d) > 1e-3
            slopes.append((visit.found[asked.name] / at.d)[told])
            inputs.append(at.x[told])
        slope, x = np.concatenate(slopes), np.concatenate(inputs)
        on = np.abs(slope) > 1e-6
        if not on.any() or on.all() or np.ptp(slope[on]) > 1e-5 * abs(slope[on][0]):
            return None
        low, high = x[on].min(), x[on].max()
        below, above = x[~on & (x < low)], x[~on & (x > high)]
        if len(below) + len(above) < np.count_nonzero(~on):
            return None
        words = [f"above a bound between {below.max():.3g} and {low:.3g}"] if len(below) else []
        words += [f"below one between {high:.3g} and {above.min():.3g}"] if len(above) else []
        number = written(float(slope[on].mean()))
        where = f"the slope is {number} where x is {' and '.join(words)}, and 0 elsewhere"
        return Fit(f"{where}: it should be 1 where x > 0", CHANGES)


def mask(probe: Probe) -> Mask:
    """A slope that is a mask of the input."""
    return Mask(np.asarray(probe.inputs[0]), np.asarray(probe.d_output))
