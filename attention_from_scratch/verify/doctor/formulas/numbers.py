"""Coefficients that differ from call to call: which sizes they follow, and how to write them."""

import math
from fractions import Fraction

import numpy as np

NEAR = 1e-6
ROOTS = {
    "sqrt(2)": math.sqrt(2),
    "1/sqrt(2)": math.sqrt(0.5),
    "sqrt(2 pi)": math.sqrt(2 * math.pi),
    "1/sqrt(2 pi)": 1 / math.sqrt(2 * math.pi),
    "sqrt(2/pi)": math.sqrt(2 / math.pi),
    "sqrt(pi/2)": math.sqrt(math.pi / 2),
    "sqrt(pi)": math.sqrt(math.pi),
    "1/sqrt(pi)": 1 / math.sqrt(math.pi),
    "pi": math.pi,
}


class Law:
    """A number, or a number times a quotient of sizes of the call."""

    def __init__(self, number: float, above: str = "", below: str = ""):
        self.number, self.above, self.below = number, above, below

    def at(self, sizes: dict) -> float:
        """What it comes to at a call."""
        above = sizes[self.above] if self.above else 1.0
        return self.number * above / (sizes[self.below] if self.below else 1.0)

    @property
    def is_one(self) -> bool:
        """Whether it is 1 everywhere."""
        return not self.above and not self.below and abs(self.number - 1) < NEAR

    def __str__(self) -> str:
        number = written(self.number)
        if self.above:
            number = {"1": "", "-1": "-"}.get(number, f"{number} ") + self.above
        return number + (f" / {self.below}" if self.below else "")


def law_of(found: list[float], sizes: list[dict]) -> Law | None:
    """The law that these numbers follow at calls of these sizes; the simplest, if any."""
    values = np.array(found)
    near = NEAR * np.abs(values).max() + 1e-300
    if np.ptp(values) <= near:
        return Law(float(values[0])) if len(values) > 1 or plain(values[0]) else lone(found, sizes)
    common = [name for name in sizes[0] if all(name in s for s in sizes)]
    for above, below in quotients(common):
        scaled = values / [Law(1.0, above, below).at(s) for s in sizes]
        if np.ptp(scaled) <= NEAR * np.abs(scaled).max() and plain(scaled[0]):
            return Law(float(scaled[0]), above, below)
    return None


def lone(found, sizes) -> Law:
    """Of a single number: a quotient of sizes if one gives just it, else the number itself."""
    for above, below in quotients(list(sizes[0])):
        ratio = found[0] / Law(1.0, above, below).at(sizes[0])
        if abs(abs(ratio) - 1) < 1e-9:
            return Law(float(np.sign(ratio)), above, below)
    return Law(float(found[0]))


def quotients(names) -> list[tuple[str, str]]:
    """Sizes and their inverses, then one size over another."""
    return [
        *((("", n)) for n in names),
        *(((n, "")) for n in names),
        *((a, b) for a in names for b in names if a != b),
    ]


def plain(number: float) -> bool:
    """Whether it is a number that one would write down."""
    near = Fraction(float(number)).limit_denominator(12)
    roots = [abs(abs(number) / root - 1) for root in ROOTS.values()]
    return abs(float(near) - number) < 1e-9 * abs(number) or min(roots) < 1e-9


def written(number: float) -> str:
    """A number as one would write it."""
    near = Fraction(float(number)).limit_denominator(12)
    if near and abs(float(near) - number) < NEAR * abs(number):
        return str(near)
    sign = "-" if number < 0 else ""
    for name, root in ROOTS.items():
        if abs(abs(number) / root - 1) < NEAR:
            return sign + name
    return f"{number:.6g}"
