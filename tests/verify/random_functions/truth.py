"""The exact gradient of a function, by differences of its forward pass in mpmath.

Nothing here knows a derivative: the primitives' forward passes in mpmath, which share no code with
their backward passes, are evaluated a little to the left and to the right of every input entry.
"""

from dataclasses import dataclass
from functools import cached_property

import mpmath
import numpy as np

from attention_from_scratch.tree import Tree
from tests.verify.random_functions import exactly
from tests.verify.random_functions.function import Function, Step, is_float

# A step of 1e-33 of the entry has an error of the order of 1e-66 from the third derivative, and
# 1e-100 / 1e-33 = 1e-67 from rounding, both relative to the output.
DIGITS = 100

# A slope this small against output / input may be nothing but these errors; it is looked at again.
SUSPICIOUS = mpmath.mpf("1e-25")

# Of two one-sided slopes that differ by more than this, of themselves: a kink, or looked at again.
SAME_SLOPE = mpmath.mpf("1e-15")

# What is left of a sum that cancels to this share of its terms is their error; float64 inputs
# cannot cancel so far unless they do altogether.
CANCELLED = mpmath.mpf("1e-30")


@dataclass(frozen=True)
class Truth:
    """The exact derivative of sum(d_output * output) at some inputs, in float64.

    `gradient`, `left`, `right` and `kinks` are tuples with a tree for each float input. `left` and
    `right` are the one-sided slopes; `gradient` is their mean, and `kinks` is True where they
    differ.
    """

    gradient: tuple[Tree, ...]
    left: tuple[Tree, ...]
    right: tuple[Tree, ...]
    kinks: tuple[Tree, ...]


def truth(function: Function, inputs: tuple, d_output: np.ndarray, dps: int = DIGITS) -> Truth:
    """Differentiate sum(d_output * output) at the exact values of these inputs.

    Parameters
    ----------
    function : Function
    inputs : tuple
        Like `function.inputs`.
    d_output : of the output's shape
    dps : int
        Digits to count with; half as many decide what is suspicious, which gets twice as many.
    """
    with mpmath.workdps(dps):
        return contracted(function, Slopes(function, inputs), d_output)


def exact_output(function: Function, inputs: tuple, dps: int = DIGITS) -> np.ndarray:
    """The output of the forward pass in mpmath, rounded to float64."""
    with mpmath.workdps(dps):
        return ExactForward(function, inputs).output.astype(np.float64)


class ExactForward:
    """The forward pass in mpmath at some inputs, and again with one entry of them moved.

    Only the steps that the entry reaches are taken again.
    """

    def __init__(self, function: Function, inputs: tuple):
        self.function = function
        self.values: list = [None] * function.n_slots
        for slot, leaf in function.placed(inputs):
            self.values[slot] = exactly.numbers(leaf) if is_float(leaf) else leaf
        for step in function.steps:
            self.values[step.result] = self.take(step, {})

    @property
    def output(self) -> np.ndarray:
        return self.values[self.function.steps[-1].result]

    def take(self, step: Step, moved: dict[int, np.ndarray]) -> np.ndarray:
        """The result of a step, some of whose arguments have moved."""
        arguments = [moved.get(slot, self.values[slot]) for slot in step.arguments]
        settings = self.function.settings_of(step, self.function.keywords)
        return np.asarray(step.primitive.exact(*arguments, **settings), dtype=object)

    def moved(self, steps: list[Step], slot: int, entry: int, distance: mpmath.mpf) -> np.ndarray:
        """The output with one entry of a leaf moved; `steps` are those after that leaf."""
        leaf = self.values[slot].copy()
        leaf.reshape(-1)[entry] += distance
        moved = {slot: leaf}
        for step in steps:
            moved[step.result] = self.take(step, moved)
        return moved.get(self.function.steps[-1].result, self.output).ravel()


Row = tuple[np.ndarray, np.ndarray]  # for one entry the slopes (left, right) of all outputs


class Slopes:
    """The one-sided slopes of all outputs along every entry of every float leaf."""

    def __init__(self, function: Function, inputs: tuple):
        self.function, self.inputs = function, inputs
        self.forward = ExactForward(function, inputs)
        self.largest = max((abs(n) for n in self.forward.output.ravel()), default=mpmath.mpf(0))

    @cached_property
    def sharper(self) -> ExactForward:
        """The same forward pass with twice the digits."""
        return ExactForward(self.function, self.inputs)

    def of_leaf(self, slot: int) -> list[Row]:
        """A row for each entry of a leaf."""
        leaf = self.forward.values[slot].ravel()
        scale = max((abs(number) for number in leaf), default=0) or mpmath.mpf(1)
        steps = self.function.steps_after(slot)
        if not steps:
            nothing = self.forward.output.ravel() * 0
            return [(nothing, nothing)] * len(leaf)
        return [self.row(steps, slot, i, abs(leaf[i]) or scale) for i in range(len(leaf))]

    def row(self, steps: list[Step], slot: int, entry: int, size: mpmath.mpf) -> Row:
        """The slopes along one entry: (m, m) but at a kink."""
        left, right = one_sided(self.forward, steps, slot, entry, size)
        if not is_suspicious(left, right, self.largest / size):
            middle = (left + right) / 2
            return middle, middle
        with mpmath.workdps(2 * mpmath.mp.dps):
            sharper = one_sided(self.sharper, steps, slot, entry, size)
        middle = what_stays((sharper[0] + sharper[1]) / 2, (left + right) / 2)
        jump = what_stays(sharper[1] - sharper[0], right - left)
        return middle - jump / 2, middle + jump / 2


def one_sided(
    forward: ExactForward, steps: list[Step], slot: int, entry: int, size: mpmath.mpf
) -> Row:
    """The slopes of all outputs to the left and to the right of one entry."""
    here = forward.output.ravel()
    distance = size * mpmath.mpf(10) ** (-(mpmath.mp.dps // 3))
    right = (forward.moved(steps, slot, entry, distance) - here) / distance
    left = (here - forward.moved(steps, slot, entry, -distance)) / distance
    return left, right


def is_suspicious(left: np.ndarray, right: np.ndarray, usual: mpmath.mpf) -> bool:
    """Whether a slope is so small, or so different on the two sides, that it may be an error."""
    felt = left.astype(bool) | right.astype(bool)  # the others do not depend on this entry
    left, right = left[felt], right[felt]
    middle, jump = abs(left + right) / 2, abs(right - left)
    small = (middle < SUSPICIOUS * usual) | (middle < SUSPICIOUS**2)
    return bool(np.any(small | (jump > middle * SAME_SLOPE)))


def what_stays(sharper: np.ndarray, before: np.ndarray) -> np.ndarray:
    """The numbers of `sharper` that agree with those before; the others are zero.

    An error of rounding or of curvature goes down with the step, by the factor 1e-33; a slope and
    the jump of a slope at a kink stay as they are.
    """
    return np.where(abs(sharper - before) <= abs(sharper) / 2, sharper, mpmath.mpf(0))


def contracted(function: Function, slopes: Slopes, d_output: np.ndarray) -> Truth:
    """The slopes of sum(d_output * output) from those of the outputs."""
    weights = exactly.numbers(d_output).ravel()
    sides: dict[str, dict] = {"gradient": {}, "left": {}, "right": {}, "kinks": {}}
    for slot in function.float_slots:
        shape, rows = slopes.forward.values[slot].shape, slopes.of_leaf(slot)
        middle = [weighted(weights, (left + right) / 2) for left, right in rows]
        jump = [weighted(weights, right - left) for left, right in rows]
        middle, jump = exactly.objects(middle, shape), exactly.objects(jump, shape)
        sides["gradient"][slot] = np.asarray(middle, np.float64)
        sides["left"][slot] = np.asarray(middle - jump / 2, np.float64)
        sides["right"][slot] = np.asarray(middle + jump / 2, np.float64)
        sides["kinks"][slot] = np.asarray(jump != 0, bool)
    return Truth(**{side: function.gathered(arrays) for side, arrays in sides.items()})


def weighted(weights: np.ndarray, row: np.ndarray) -> mpmath.mpf:
    """sum(weights * row); zero where all of it cancels."""
    terms = [weight * slope for weight, slope in zip(weights, row, strict=True) if slope]
    total = mpmath.fsum(terms)
    return total if abs(total) > CANCELLED * mpmath.fsum(terms, absolute=True) else mpmath.mpf(0)
