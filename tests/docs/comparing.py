"""Whether what was printed is what a page says: words exactly, numbers within a tolerance.

A line of `...` stands for any number of lines. A time ("3.6 s", "1.2 ms", "12 min") may be any
other. Whole numbers must be the same, and so must those with one decimal; others may differ by one
unit of the last digit that the page gives. `within` allows more of numbers with a decimal point,
`factor` of those in powers of ten (1.1e-15).
"""

import re
from dataclasses import dataclass

NUMBER = re.compile(r"(?<![\w.])[-+]?(?:\d[\d,]*)?\.?\d+\.?(?:e[-+]?\d+)?(?![\w])")
TIME = re.compile(r"^ ?(s|ms|min|h)\b")
NOTHING = 1e-17  # less than this is rounding of zero


@dataclass(frozen=True)
class Tolerance:
    """How far numbers may be apart, as the words of a block say: `within=0.05 factor=30`."""

    within: float = 0.0
    factor: float = 1.0

    @classmethod
    def of(cls, words: tuple[str, ...]) -> "Tolerance":
        """Read the words after the language of a block."""
        return cls(**{key: float(value) for key, value in (word.split("=") for word in words)})

    def allows(self, expected: str, printed: str) -> bool:
        """Whether two numbers, as they are written, may stand for one another."""
        a, b = (float(number.replace(",", "")) for number in (expected, printed))
        mantissa, _, exponent = expected.partition("e")
        digits = len(mantissa.partition(".")[2])
        unit = 10.0 ** (int(exponent or 0) - digits)
        if a == b or abs(a - b) <= 1.001 * unit * bool(digits > 1 or exponent):
            return True
        if exponent and self.factor > 1:
            least, most = sorted(max(abs(number), NOTHING) for number in (a, b))
            return most <= self.factor * least
        return abs(a - b) <= (self.within if digits else 0)


def difference(expected: str, printed: str, tolerance: Tolerance) -> str | None:
    """Say where the two part, in one line; None if they do not, or in their line ends alone."""
    if expected.split() == printed.split():
        return None
    wanted, found = ([line.rstrip() for line in text.splitlines()] for text in (expected, printed))
    place, skipping = 0, False
    for line in wanted:
        if line.strip() == "...":
            skipping = True
            continue
        start = place
        while skipping and place < len(found) and not alike(line, found[place], tolerance):
            place += 1
        if place == len(found):
            return f"not printed: {line!r}" + (f" (from {found[start]!r} on)" if skipping else "")
        if not alike(line, found[place], tolerance):
            return f"the page has {line!r}, printed was {found[place]!r}"
        place, skipping = place + 1, False
    return f"not on the page: {found[place]!r}" if place < len(found) and not skipping else None


def alike(expected: str, printed: str, tolerance: Tolerance) -> bool:
    """Whether two lines say the same."""
    (words, numbers), (other_words, other_numbers) = taken_apart(expected), taken_apart(printed)
    return words == other_words and all(map(tolerance.allows, numbers, other_numbers))


def taken_apart(line: str) -> tuple[list[str], list[str]]:
    """The words between the numbers, and the numbers that are no times."""
    words, numbers, end = [], [], 0
    for match in NUMBER.finditer(line):
        words.append(" ".join(line[end : match.start()].split()))
        end = match.end()
        if TIME.match(line[end:]):
            words.append("a time")
        else:
            numbers.append(match[0])
    return [*words, " ".join(line[end:].split())], numbers
