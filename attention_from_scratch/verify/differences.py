"""Slopes by central differences, each with a bound on its own error; and kinks.

At a step h the central difference D(h) = (f(x + h) - f(x - h)) / 2h is off by a power series in
h^2, so from D at h, h/2 and h/4 the first two powers can be taken away (Richardson):

    R = (16 R_2 - R_1) / 15      R_1 = (4 D(h/2) - D(h)) / 3      R_2 = (4 D(h/4) - D(h/2)) / 3

What is left of the power series is about |R - R_2|, and rounding adds what it does to the outputs,
over the smallest step; to those that do not move at a step as large as what is stepped, over that
step. Of several steps, chosen by the size of what is stepped, the one counts whose two errors are
the smallest together.

Where a function has a kink, the slope to the right differs from that to the left by a jump that
does not go to 0 with h, as it does elsewhere (where it is a power series in h, of which two powers
are taken away again). Anything between the two is right there.

Source: Richardson (1911); Ridders, Accurate computation of F'(x) and F'(x) F''(x) (1982).
"""

from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import numpy as np

from attention_from_scratch.verify.floors import RIGHT, at_run, nudged
from attention_from_scratch.verify.outputs import Evaluation, as_outputs

STEPS = tuple(2.0**-n for n in (9, 13, 6, 18, 23, 28, 34, 4))  # of the size of what is stepped
GLANCE, CURVED = 2.0**-12, 0.05  # a step, and how much slopes to its two sides may differ
ENOUGH = 1e-9  # error over size at which no other step is tried


@dataclass(frozen=True)
class Slope:
    """A slope, or at a kink all from `low` to `high`; how far off it may be, and the step taken."""

    low: float
    high: float
    error: float
    step: float = 0.0

    @property
    def is_kink(self) -> bool:
        """Whether the slope to the right is another than that to the left."""
        return self.low != self.high

    @property
    def clearness(self) -> float:
        """How large a kink is beside what it may be off: at a large step several look like one."""
        return (self.high - self.low) / (self.error or np.finfo(float).tiny)

    @property
    def middle(self) -> float:
        """The slope, or the mean of both."""
        return (self.low + self.high) / 2

    def nearest(self, slope: float) -> float:
        """Of this slope, or of those between the two, the one nearest to another."""
        return self.low if np.isnan(slope) else min(max(slope, self.low), self.high)


class Differences:
    """The slopes of sum(output * d_output), the outputs of an op, by differences.

    Parameters
    ----------
    function : the op in float64, or in numbers that are longer
    d_outputs : one for each output
    """

    def __init__(self, function: Evaluation, d_outputs: list[np.ndarray]):
        self.function = function
        self.d_outputs = [d_output.astype(np.float64) for d_output in d_outputs]

    @cached_property
    def here(self) -> list[np.ndarray]:
        """The outputs at the call itself."""
        return self.function()

    @cached_property
    def rounding(self) -> list[np.ndarray]:
        """How much rounding may change each output: eps of its size, and what inputs' does."""
        of = self.function
        eps = max(float(np.finfo(out.dtype).eps) for out in self.here if out.dtype.kind == "f")
        largest = [eps * np.abs(out) for out in self.here]
        for inputs, _ in nudged(of.inputs, [], eps, seed=1):
            moved = at_run(lambda given, _: as_outputs(of.op(*given, **of.keywords)[0]), inputs, [])
            largest = [
                np.fmax(most, np.abs(there - here))
                for most, here, there in zip(largest, self.here, moved, strict=True)
            ]
        return largest

    def slope(
        self, position: int, path: str, direction: np.ndarray, *, in_doubt: bool = False
    ) -> Slope:
        """The slope at one leaf along a direction, from the step that serves best.

        In doubt, all steps are taken: a large one alone may pass over what is to be measured.
        """
        leaf = self.function.leaf(position, path)
        moving = np.abs(leaf[direction != 0])
        own, largest = float(moving.max(initial=0)), float(np.abs(leaf).max(initial=0))
        sizes = [own or largest or 1.0]
        if largest > 16 * sizes[0]:
            sizes.append(largest)
        line = Line(self, position, path, direction)
        smooth, kinks = [], []
        for size in sizes:
            line.look_ahead(size)
            for step in STEPS:
                found = line.at_step(step * size, straight=size > sizes[0])
                if found is None:
                    continue
                (kinks if found.is_kink else smooth).append(found)
                if not (found.is_kink or in_doubt) and found.error <= ENOUGH * abs(found.middle):
                    return self.settled(found, kinks)
        return self.settled(nearest_of_best(smooth), kinks)

    def again(self, position: int, path: str, direction: np.ndarray, found: Slope) -> float:
        """The slope by the step that served at a call nearby; at a kink, the mean of both."""
        if found.is_kink:
            return self.slope(position, path, direction).middle
        at_step = Line(self, position, path, direction).at_step(found.step, straight=False)
        return at_step.middle if at_step else np.nan

    def glance(self, position: int, path: str, direction: np.ndarray) -> Slope | None:
        """The slope from two steps: enough to see that there is no kink; None if there may be.

        For a slope that is known otherwise, and half of the cost.
        """
        leaf = self.function.leaf(position, path)
        size = float(np.abs(leaf[direction != 0]).max(initial=0)) or float(
            np.abs(leaf).max(initial=0)
        )
        line = Line(self, position, path, direction)
        line.moves = [np.ones(np.shape(out), bool) for out in self.here]
        step = GLANCE * (size or 1.0)
        (far_left, far_right, _), (left, right, noise) = map(line.one_sided, (step, step / 2))
        if not abs(right - left) <= CURVED * max(abs(left), abs(right)) + 32 * noise:
            return None
        middle = (4 * (left + right) - (far_left + far_right)) / 6
        return Slope(middle, middle, abs(right - left) + noise)

    @staticmethod
    def settled(best: Slope | None, kinks: list[Slope]) -> Slope:
        """Of the best slope and the kinks that were met on the way: what is so.

        A smaller step that meets no kink has passed one by; a larger one has passed it over. And
        what looks like one kink at a step may be several, which smaller steps meet one by one.
        """
        if not kinks:
            return best or Slope(np.nan, np.nan, np.inf)
        clearest = max(kinks, key=lambda kink: kink.clearness)
        if best is not None and best.error < 0.01 * (clearest.high - clearest.low):
            passed_over = clearest.step < best.step and clearest.clearness > 4
            if not passed_over:
                return best
        met = [*kinks, best] if best else kinks
        nearer = [slope for slope in met if slope.step <= clearest.step]
        low, high = min(nearer, key=lambda s: s.low), max(nearer, key=lambda s: s.high)
        return Slope(low.low, high.high, max(low.error, high.error), clearest.step)


def nearest_of_best(slopes: list[Slope]) -> Slope | None:
    """Of the slopes at several steps, the one of the least error that no smaller step contradicts.

    Where a function bends within a small part of its argument's size, as a layer norm of nearly
    equal numbers does, large steps agree on the slope of what lies to its two sides.
    """
    best = min(slopes, key=lambda slope: slope.error, default=None)
    while best is not None:
        against = [
            slope
            for slope in slopes
            if slope.step < best.step
            and abs(slope.middle - best.middle) > RIGHT * (slope.error + best.error)
        ]
        if not against:
            break
        best = min(against, key=lambda slope: slope.error)
    return best


class Line:
    """The outputs of an op along one direction at one leaf."""

    def __init__(self, of: Differences, position: int, path: str, direction: np.ndarray):
        self.of, self.key, self.direction = of, (position, path), direction
        self.leaf = of.function.leaf(position, path)
        self.moves = [np.zeros(np.shape(out), bool) for out in of.here]
        self.unmoved = 0.0  # what rounding may do to the slope by outputs that do not move

    def look_ahead(self, size: float) -> None:
        """Find the outputs that move at steps as large as what is stepped."""
        for step in (size / 2, -size / 2):
            with np.errstate(all="ignore"):
                there = self.of.function(*self.key, self.leaf + step * self.direction)
            self.moves = [
                moves | (after != here)
                for moves, after, here in zip(self.moves, there, self.of.here, strict=True)
            ]
        parts = zip(self.of.rounding, self.of.d_outputs, self.moves, strict=True)
        still = sum(float((r * np.abs(d) * ~moves).sum()) for r, d, moves in parts)
        self.unmoved = still / (size / 2)

    def at_step(self, step: float, *, straight: bool) -> Slope | None:
        """The slope by steps h, h/2 and h/4; None where the function is not finite.

        With `straight`, None as well where the function is not a straight line on the way: a step
        that is larger than what is stepped might pass over what is to be measured.
        """
        sides = [self.one_sided(h) for h in (step, step / 2, step / 4)]
        if not np.isfinite(sides).all():
            return None
        noise = sides[-1][-1]
        centrals = [(left + right) / 2 for left, right, _ in sides]
        jumps = [right - left for left, right, _ in sides]
        if straight and np.abs(jumps).max() > 32 * noise:
            return None
        first, second = (2 * b - a for a, b in pairwise(jumps))
        jump = (8 * second - first) / 7
        doubt = 4 * abs(jump - second) + 32 * noise + ENOUGH * abs(centrals[2])
        if abs(jump) > doubt:
            return kink_of(sides, step)
        first, second = ((4 * b - a) / 3 for a, b in pairwise(centrals))
        slope = (16 * second - first) / 15
        return Slope(slope, slope, abs(slope - second) + 8 * noise, step)

    def one_sided(self, h: float) -> tuple[float, float, float]:
        """Slopes to the left and to the right, and what rounding may do to either.

        Outputs are subtracted before they are added up: those that do not move add no rounding.
        """
        ahead, behind = self.leaf + h * self.direction, self.leaf - h * self.direction
        steps = self.taken(ahead, behind, h)
        if not all(steps):
            return np.nan, np.nan, np.nan
        of, right, left, noise = self.of, 0.0, 0.0, 0.0
        with np.errstate(all="ignore"):
            after, before = of.function(*self.key, ahead), of.function(*self.key, behind)
            for i, (here, d_output) in enumerate(zip(of.here, of.d_outputs, strict=True)):
                right += float(((after[i] - here) * d_output).sum())
                left += float(((here - before[i]) * d_output).sum())
                self.moves[i] = self.moves[i] | (after[i] != here) | (before[i] != here)
                noise += float((of.rounding[i] * np.abs(d_output) * self.moves[i]).sum())
        return left / steps[1], right / steps[0], noise / h + self.unmoved

    def taken(self, ahead, behind, h) -> tuple[float, float]:
        """The steps ahead and behind; along one entry as they were really taken, rounded."""
        if np.count_nonzero(self.direction) != 1:
            return h, h
        total = self.direction.sum()
        return float((ahead - self.leaf).sum() / total), float((self.leaf - behind).sum() / total)


def kink_of(sides: list[tuple[float, float, float]], step: float) -> Slope:
    """The slopes to both sides from those at h, h/2 and h/4: their errors are power series in h."""
    found, error = [], 0.0
    for at_h in list(zip(*sides, strict=True))[:2]:
        first, second = (2 * b - a for a, b in pairwise(at_h))
        found.append((4 * second - first) / 3)
        error = max(error, abs(found[-1] - second))
    left, right = found
    return Slope(min(left, right), max(left, right), error + 8 * sides[-1][-1], step)
