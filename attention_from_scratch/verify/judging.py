"""The verdict on each entry of a gradient, by two methods together.

The complex step is exact to rounding where an op is analytic; a central difference asks for nothing
but loses digits. So:

- at a kink, whatever lies between the slopes to both sides is right;
- right by the complex step is right, unless a difference objects: then the difference decides where
  the op does something to complex numbers that calculus does not know (and that cannot be followed
  by the rules of real ones), or where it is at a kink; and else it cannot be told;
- wrong by the complex step is wrong, unless a difference finds it right, and either the op does
  such a thing or the difference is sure enough to contradict the complex step;
- where the complex step cannot go through, the difference decides;
- nothing is wrong that is right right beside, where no two numbers are equal.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass

import numpy as np

from attention_from_scratch.tree import tree_leaves
from attention_from_scratch.verify.differences import Slope
from attention_from_scratch.verify.floors import RIGHT, WRONG, judge, unseen
from attention_from_scratch.verify.measuring import METHODS, Measurement, complex_slope
from attention_from_scratch.verify.numerical import COMPLEX_STEP

SAME = 0.01  # share of an error that is left where it is none
TOO_LARGE = 1e-3  # a difference of more than this share of what is natural needs more than a floor


class OneHots(Sequence):
    """All arrays of a shape that are 0 but for a single 1."""

    def __init__(self, shape: tuple[int, ...]):
        self.shape = shape

    def __len__(self) -> int:
        return math.prod(self.shape)

    def __getitem__(self, i: int) -> np.ndarray:
        if not 0 <= i < len(self):
            raise IndexError(i)
        direction = np.zeros(self.shape)
        direction.flat[i] = 1
        return direction


class Leaf:
    """One array of an input: its gradient, asked along directions (or entry by entry)."""

    def __init__(self, of: Measurement, key: tuple[int, str], gradient, directions: Sequence):
        self.of, self.key, self.directions = of, key, directions
        self.said = np.array([along(gradient, v) for v in directions])
        changes = [[along(run[2][key], v) for v in directions] for run in of.runs]
        with np.errstate(invalid="ignore"):
            change = np.abs(np.array(changes) - self.said).max(axis=0)
        self.spread = np.where(np.isfinite(self.said), np.nan_to_num(change, nan=np.inf), 0)
        self.rounding = of.eps * np.array([size_along(gradient, v) for v in directions])
        self.spread += unseen(of.op, self.said, of.eps)

    def by_complex_step(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The slopes, their floors, and the verdicts."""
        of, function = self.of, self.of.in_complex(self.of.complex)
        slopes = np.array(
            [complex_slope(function, of.d_outputs, *self.key, v) for v in self.directions]
        )
        floor = of.eps * np.abs(slopes) + self.rounding_of_sums() + self.spread
        for i in np.flatnonzero(self.judged(slopes, floor) != "right"):
            # Of what is 0, as x^3 at 0, the square of the step is left.
            half = (function, of.d_outputs, *self.key, self.directions[i], COMPLEX_STEP / 2)
            floor[i] += abs(complex_slope(*half) - slopes[i])
            floor[i] += self.change(
                slopes[i],
                lambda evaluation, differences, i=i: complex_slope(
                    evaluation, differences.d_outputs, *self.key, self.directions[i]
                ),
            )
        return slopes, floor, self.judged(slopes, floor)

    def by_difference(self, sure: np.ndarray) -> tuple[list[Slope], np.ndarray, np.ndarray]:
        """The slopes, their floors, and the verdicts; at a kink, anything between is right.

        Where it is sure what is right, a glance will do, unless it meets a kink.
        """
        of = self.of
        slopes = []
        for i, direction in enumerate(self.directions):
            slope = of.differences.glance(*self.key, direction) if sure[i] else None
            if slope is None or abs(slope.middle - self.said[i]) > RIGHT * slope.error:
                slope = of.differences.slope(*self.key, direction)
            slopes.append(slope)
        for i in np.flatnonzero(self.judged(*self.nearest(slopes)) != "right"):
            slopes[i] = of.differences.slope(*self.key, self.directions[i], in_doubt=True)
        nearest, floor = self.nearest(slopes)
        for i in np.flatnonzero(self.judged(nearest, floor) != "right"):
            floor[i] += self.change(
                slopes[i].middle,
                lambda _, differences, i=i: differences.again(
                    *self.key, self.directions[i], slopes[i]
                ),
            )
        return slopes, floor, self.judged(nearest, floor)

    def nearest(self, slopes: list[Slope]) -> tuple[np.ndarray, np.ndarray]:
        """Of what each slope may be, that nearest to what backward says; and the floors."""
        size = np.array([max(abs(slope.low), abs(slope.high)) for slope in slopes])
        own = self.of.eps * size + self.rounding_of_sums() + [slope.error for slope in slopes]
        nearest = [slope.nearest(said) for slope, said in zip(slopes, self.said, strict=True)]
        kinks = np.array([slope.is_kink for slope in slopes])
        between = kinks & (self.judged(np.array(nearest), own) == "right")
        return np.array(nearest), own + np.where(between, 0, self.spread)

    def judged(self, slopes: np.ndarray, floor: np.ndarray) -> np.ndarray:
        """The verdict on what backward says; open where the slope is not finite."""
        with np.errstate(invalid="ignore"):
            verdicts = judge(np.abs(self.said - slopes), floor)
        verdicts[~np.isfinite(self.said)] = "wrong"
        verdicts[~np.isfinite(slopes)] = "open"
        return verdicts

    def rounding_of_sums(self) -> np.ndarray:
        """What rounding each entry does to a slope along a direction; 0 along a single entry."""
        single = np.array([np.count_nonzero(v) == 1 for v in self.directions], bool)
        return np.where(single | ~np.isfinite(self.said), 0.0, self.rounding)

    def change(self, slope: float, measure: Callable) -> float:
        """The largest change of a measured slope over the runs."""
        found = np.array([measure(*nearby) for nearby in self.of.nearby])
        with np.errstate(invalid="ignore"):
            return float(np.nan_to_num(np.abs(found - slope), nan=np.inf).max())

    def verdict(self) -> "Verdict":
        """What both methods say together, entry by entry."""
        of = self.of
        by_complex = None if of.obstacle else self.by_complex_step()
        by_difference, sure = None, np.zeros(len(self.said), bool)
        if by_complex is not None and not of.met:
            sure = by_complex[2] == "right"
        if "central difference" in of.methods or by_complex is None:
            by_difference = self.by_difference(sure)
        found = Verdict(self.said)
        decides = np.ones(len(self.said), bool)
        if by_difference is not None:
            slopes, floor, verdicts = by_difference
            found.take("central difference", self.nearest(slopes)[0], floor, verdicts)
            found.kinks = np.array([slope.is_kink for slope in slopes])
            found.low, found.high = np.array([(slope.low, slope.high) for slope in slopes]).T
            if by_complex is not None:
                decides = self.complex_decides(by_complex, verdicts, found.measured, floor)
                decides &= ~(found.kinks & (verdicts == "right"))
        if by_complex is not None:
            found.take("complex step", *by_complex, decides)
        if by_difference is not None and by_complex is not None:
            found.verdicts[self.at_odds(found, by_complex[0], slopes)] = "open"
            if not of.met:  # nothing explains why a difference objects: one of the two is misled
                found.verdicts[(by_complex[2] == "right") & (verdicts == "wrong")] = "open"
        self.look_beside(found)
        self.doubt_what_is_coarse(found)
        return found

    def at_odds(self, found: "Verdict", by_complex: np.ndarray, slopes: list[Slope]) -> np.ndarray:
        """Where nothing is proven: at a kink of which the two methods tell different things."""
        apart = [
            abs(one - slope.nearest(one)) > RIGHT * slope.error
            for one, slope in zip(by_complex, slopes, strict=True)
        ]
        return np.array(apart, bool) & found.kinks & (found.verdicts == "wrong")

    def complex_decides(self, by_complex: tuple, by_difference, slopes, floor) -> np.ndarray:
        """Where the complex step has the last word.

        Not where it objects to what a difference finds right, and that difference is so sure that
        it contradicts the complex step: the op then does what it does not show, such as to take
        the size of numbers in an array of its own.
        """
        measured, _, said = by_complex
        accepts = (said == "right") & (by_difference != "right")
        objects = (said != "right") & (by_difference != "wrong")
        with np.errstate(invalid="ignore"):
            contradicted = (said == "wrong") & (by_difference == "right")
            contradicted &= np.abs(measured - slopes) > WRONG * floor
        return ~((accepts | objects) & bool(self.of.met) | contradicted)

    def look_beside(self, found: "Verdict") -> None:
        """Call nothing wrong here that is right wherever there are no ties, right beside.

        Of max(min(a, b), c) with all three equal, no step of a alone shows that they are tied; and
        of a sort of three equal numbers each may be the middle one. What lies between the slopes
        beside is right, of the rest it cannot be told, as each rule of the chain may choose anew.
        A kink of which there are the slopes to its two sides is no such tie.
        """
        for i in np.flatnonzero(found.verdicts == "wrong"):
            right = self.right_beside(i, found)
            if right and not (found.kinks[i] and two_slopes(right, found.low[i], found.high[i])):
                nearest = min(max(found.said[i], min(right)), max(right))
                found.kinks[i], found.measured[i] = True, nearest
                found.verdicts[i] = "right" if nearest == found.said[i] else "open"

    def right_beside(self, i: int, found: "Verdict") -> list[float]:
        """What backward says of one direction right beside, where the error here is gone there.

        Wrong code is wrong beside as well: if it is at the first four calls, no more are made.
        """
        off, right = SAME * abs(found.said[i] - found.measured[i]), []
        if not np.isfinite(off):
            return right
        for n, (said, slope) in enumerate(self.at_beside(i, found.method[i])):
            if abs(said - slope) <= off:
                right.append(said)
            elif n == 3 and not right:
                break
        return right

    def at_beside(self, i: int, method: str) -> Iterator[tuple[float, float]]:
        """What backward says right beside of one direction, and the slope by a method."""
        v = self.directions[i]
        for gradients, evaluation, differences in self.of.calls_beside():
            slope = None
            if method == METHODS[0]:
                with suppress(Exception):  # whatever a reader's op does with complex numbers there
                    slope = complex_slope(evaluation, self.of.d_outputs, *self.key, v)
            if slope is None:
                slope = differences.slope(*self.key, v).middle
            yield along(gradients[self.key], v), slope

    def doubt_what_is_coarse(self, found: "Verdict") -> None:
        """Call open what differs so much that it is only right because its floor is large.

        Unless it is the slope right beside: a kink is so near then that rounding chose its side.
        """
        leaf = self.of.real.leaf(*self.key)
        with np.errstate(invalid="ignore"):
            largest = np.nan_to_num(np.abs(found.measured), posinf=0).max(initial=0)
            enough = TOO_LARGE * max(largest, self.of.natural_size(leaf))
            coarse = (np.abs(found.said - found.measured) > enough) & (found.verdicts == "right")
            for i in np.flatnonzero(coarse):
                beside = np.array(self.right_beside(i, found))
                coarse[i] = not (np.abs(found.said[i] - beside) <= enough).any()
        found.verdicts[coarse] = "open"


@dataclass
class Verdict:
    """For each direction: what backward said, what was measured and how, the floor, the word."""

    said: np.ndarray
    kinks: np.ndarray
    low: np.ndarray
    high: np.ndarray
    measured: np.ndarray
    floor: np.ndarray
    verdicts: np.ndarray
    method: np.ndarray
    by_method: dict[str, np.ndarray]

    def __init__(self, said: np.ndarray):
        self.said = said
        self.kinks = np.zeros(len(said), bool)
        self.low, self.high = np.full((2, len(said)), np.nan)
        self.measured, self.floor = np.full(len(said), np.nan), np.zeros(len(said))
        self.verdicts = np.full(len(said), "open", dtype="<U5")
        self.method = np.full(len(said), "", dtype="<U18")
        self.by_method = {}

    def take(self, method: str, slopes, floor, verdicts, where=...) -> None:
        """Take over what a method found, where it decides."""
        self.by_method[method] = slopes
        for mine, theirs in (
            (self.measured, slopes),
            (self.floor, floor),
            (self.verdicts, verdicts),
        ):
            mine[where] = theirs[where]
        self.method[where] = method


def two_slopes(beside: list[float], low: float, high: float) -> bool:
    """Whether beside a kink there are the slopes to its two sides, and no others.

    But for what a step to beside changes, they are next to those.
    """
    apart = np.diff(np.sort(beside))
    if int((apart > 1e-4 * apart.sum()).sum()) > 1:
        return False
    reach = SAME * (max(*beside, high) - min(*beside, low))
    return low - reach <= min(beside) and max(beside) <= high + reach


def along(gradient: np.ndarray, direction: np.ndarray) -> float:
    """What a gradient says of the slope along a direction; NaN stays in its entry."""
    moved = direction != 0
    return float((gradient[moved].astype(np.float64) * direction[moved]).sum())


def size_along(gradient: np.ndarray, direction: np.ndarray) -> float:
    """The root of the sum of squares of what is added up along a direction."""
    with np.errstate(all="ignore"):
        return float(np.sqrt(((gradient.astype(np.float64) * direction) ** 2).sum()))


def leaves_by_key(inputs: list, gradients: dict) -> dict[tuple[int, str], np.ndarray]:
    """{(position, path): array} of the gradients of the inputs at some positions."""
    return {
        (position, path): np.asarray(leaf)
        for position, gradient in gradients.items()
        for path, leaf in tree_leaves(gradient)
        if np.asarray(dict(tree_leaves(inputs[position])).get(path, 0)).dtype.kind == "f"
    }
