"""A gradient as a sum of named terms: which terms, and with which coefficients, give the wrong one.

The terms are few among many, so all single ones are tried, then all twos, then all threes. The
coefficients have to be the same at all calls, or to follow a size.
"""

import itertools
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import numpy as np

from attention_from_scratch.verify.doctor.formulas.asked import Asked, Fit
from attention_from_scratch.verify.doctor.formulas.numbers import Law, law_of

MOST_TERMS = 3
# So many more entries than terms there have to be, by what the tolerance is at most.
SPARE = ((1e-7, 2), (1e-4, 4), (np.inf, 6))
MOST_ALIKE = 6  # names of one column
MOST_FITS = 40  # of one number of terms, the simplest of which is told


@dataclass(frozen=True, eq=False)
class Sum:
    """The right gradient as {term: coefficient}, and all terms that a wrong one may have.

    Attributes
    ----------
    right, terms : as above; the terms are arrays of the shape of the gradient
    sizes : numbers of the call that a coefficient may follow
    legend : what the letters stand for; those that occur are told
    known : words for a sum that is the gradient of something else
        By {term: coefficient} as a frozenset of pairs.
    """

    right: dict[str, float]
    terms: dict[str, np.ndarray]
    legend: dict[str, str]
    sizes: dict[str, float] = field(default_factory=dict)
    known: dict[frozenset, str] = field(default_factory=dict)
    common: str = ""  # a factor of all terms, in words

    def fitted(self, asked: Asked, formula: Callable) -> Fit | None:
        """The sum with the fewest changes that gives the wrong gradient."""
        if (laws := laws_of(tuple(self.right), asked, formula)) is not None:
            return self.in_words(laws)
        told = {name for visit in asked.wrong for name in asked.at(visit, formula).present}
        made = [independent(asked.at(visit, formula).terms) for visit in asked.wrong]
        best = max(range(len(made)), key=lambda i: len(made[i][0]))
        first, (names, columns) = asked.wrong[best], made[best]
        found = np.ravel(first.found[asked.name]).astype(float)
        spare = next(n for least, n in SPARE if first.tolerance <= least)
        near = 10 * max(first.tolerance, 1e-7)
        for n in range(1, min(MOST_TERMS, found.size - spare) + 1):
            fits = []
            for chosen in subsets(columns, found, n, near, asked.clock):
                for alike in itertools.product(*(names[i] for i in chosen)):
                    laws = laws_of(alike, asked, formula)
                    fits += [] if laws is None else [self.in_words(laws, told)]
                if len(fits) >= MOST_FITS or asked.clock.is_over:
                    break
            if fits:
                return min(fits, key=lambda fit: fit.changes)
        return None

    def gradient(self, laws: dict[str, Law]) -> np.ndarray:
        """The sum with these coefficients."""
        return sum(law.at(self.sizes) * self.terms[name] for name, law in laws.items())

    @property
    def present(self) -> list[str]:
        """The terms of the right sum that are not 0 at this call."""
        return [name for name in self.right if np.any(self.terms[name])]

    def in_words(self, laws: dict[str, Law], told: set[str] | None = None) -> Fit:
        """What the sum is, what belongs in its place, and in which terms they differ.

        Of the right terms only those are told that are somewhere not 0.
        """
        right = {n: Law(c) for n, c in self.right.items() if told is None or n in told}
        order = [*(n for n in right if n in laws), *(n for n in laws if n not in right)]
        changes = min((self.changes(laws, right, f) for f in factors_of(laws, right)), key=len)
        words = (
            f"is `{self.with_common({n: laws[n] for n in order})}` where "
            f"`{self.with_common(right)}` belongs: {'; '.join(changes)}"
        )
        words += f" ({self.letters_in(words)})"
        ratios = {of_ratio(laws[n], law) for n, law in right.items() if n in laws}
        is_factor = laws.keys() == right.keys() and len(ratios) == 1
        shared = any(name in right for name in laws)
        return Fit(words, len(changes) if shared else max(len(laws), len(changes)), is_factor)

    def changes(self, laws: dict[str, Law], right: dict[str, Law], factor: float) -> list[str]:
        """The differences between a sum divided by a factor and the right one, and the factor."""
        laws = {n: Law(law.number / factor, law.above, law.below) for n, law in laws.items()}
        said = differences(laws, right)
        if all(not law.above and not law.below for law in laws.values()):
            numbers = frozenset((n, round(law.number, 6)) for n, law in laws.items())
            said = [self.known[numbers]] if numbers in self.known else said
        if factor == 1:
            return said
        return [*said, f"all of it has the factor {Law(factor)}"]

    def letters_in(self, words: str) -> str:
        """What the letters in these words stand for, and those that this is made of."""
        told: dict[str, str] = {}
        for _ in self.legend:
            text = " ".join([words, *told.values()])
            told = {n: t for n, t in self.legend.items() if occurs(n, text)}
        return ", ".join(f"{name}: {meaning}" for name, meaning in told.items())

    def with_common(self, laws: dict[str, Law]) -> str:
        """A sum as text, times what all terms have in common."""
        text = as_text(laws)
        if not self.common:
            return text
        if text == "1":
            return self.common
        return f"{self.common} ({text})" if len(laws) > 1 else f"{self.common} {text}"


def occurs(name: str, text: str) -> bool:
    """Whether a name stands in a text by itself, not as a part of another."""
    return re.search(rf"(?<![\w'-]){re.escape(name)}(?![\w'])", text) is not None


def factors_of(laws: dict[str, Law], right: dict[str, Law]) -> list[float]:
    """Numbers that all terms may have in common: those by which a right term is off."""
    numbers = [laws[n].number / right[n].number for n in right if n in laws]
    numbers += [abs(law.number) for law in laws.values()]
    return list(dict.fromkeys([1.0, *(float(f"{n:.9g}") for n in numbers)]))


def independent(terms: dict) -> tuple[list[list[str]], np.ndarray]:
    """The terms that are finite and not 0 as columns of length 1, with all names of each.

    Terms that are multiples of one another at this call have one column.
    """
    names: dict[bytes, list[str]] = {}
    columns = []
    for name, term in terms.items():
        column = np.ravel(term).astype(float)
        size = np.linalg.norm(column)
        if not np.isfinite(size) or size == 0:
            continue
        column = column / size
        of_one_sign = column * np.sign(column[np.argmax(np.abs(column) > 1e-9)])
        key = (np.round(of_one_sign, 9) + 0.0).tobytes()  # 0.0 makes 0 of -0
        if key not in names:
            columns.append(column)
        names.setdefault(key, []).append(name)
    return [alike[:MOST_ALIKE] for alike in names.values()], np.stack(columns, axis=1)


def subsets(columns, found, n, near, clock) -> Iterator[tuple[int, ...]]:
    """The columns, so many at a time, of which a combination is what was found."""
    if n == 1:
        yield from ((i,) for i in last_of(columns, found, near))
        return
    for i in range(columns.shape[1] - n + 1):
        if clock.is_over:
            return
        first = columns[:, i]
        size = first @ first
        if size < 1e-6:
            continue
        after = columns[:, i + 1 :]
        rest = after - np.outer(first, first @ after) / size
        left = found - first * (first @ found) / size
        closer = near * np.linalg.norm(found) / max(np.linalg.norm(left), 1e-300)
        for others in subsets(rest, left, n - 1, closer, clock):
            yield (i, *(i + 1 + j for j in others))


def last_of(columns, found, near) -> np.ndarray:
    """The columns of which one alone is what is left."""
    sizes = (columns * columns).sum(axis=0)
    shares = columns.T @ found / np.where(sizes < 1e-6, np.inf, sizes)
    left = np.abs(found[:, None] - columns * shares).max(axis=0)
    return np.flatnonzero((left <= near * np.abs(found).max()) & (shares != 0))


def laws_of(names, asked: Asked, formula: Callable) -> dict[str, Law] | None:
    """The coefficients of these terms at all visits, if one law holds at all of them."""
    solved, sizes = [], []
    for visit in asked.wrong:
        at = asked.at(visit, formula)
        if not all(name in at.terms for name in names):
            return None
        columns = np.stack([np.ravel(at.terms[name]) for name in names], axis=1).astype(float)
        found = np.ravel(visit.found[asked.name]).astype(float)
        lengths = np.linalg.norm(columns, axis=0)
        if not lengths.all() or (visit.tolerance > 1e-4 and len(asked.wrong) > 1):
            continue
        scaled, _, rank, _ = np.linalg.lstsq(columns / lengths, found, rcond=1e-9)
        if rank == len(names) < len(found):
            solved.append(scaled / lengths)
            sizes.append(at.sizes)
    if not solved:
        return None
    laws = {n: law_of([s[i] for s in solved], sizes) for i, n in enumerate(names)}
    if None in laws.values() or not holds(laws, asked, formula):
        return None
    return laws


def holds(laws, asked: Asked, formula: Callable) -> bool:
    """Whether the sum with these coefficients is what the op says at every visit."""
    for visit in (*asked.wrong, *asked.right):
        at = asked.at(visit, formula)
        if not all(name in at.terms for name in laws):
            return False
        if not asked.is_found(visit, at.gradient(laws)):
            return False
    return True


def as_text(laws: dict[str, Law]) -> str:
    """A sum with its coefficients."""
    text = ""
    for name, law in laws.items():
        number = str(law)
        sign = "-" if number.startswith("-") else "+"
        number = number.removeprefix("-")
        factor = "" if number == "1" else f"({number}) " if " " in number else f"{number} "
        term = (factor.rstrip() or name) if name == "1" else factor + name
        text = f"{text} {sign} {term}" if text else sign.strip("+") + term
    return text


def differences(found: dict[str, Law], right: dict[str, Law]) -> list[str]:
    """What is missing, too much, or of another coefficient."""
    missing = [n for n in right if n not in found]
    extra = [n for n in found if n not in right]
    said = []
    if len(missing) == len(right) > 1:
        return [f"`{as_text(found)}` stands in the place of `{as_text(right)}`"]
    for name, other in [(m, e) for m in missing for e in extra if e.startswith(f"{m} over ")]:
        missing.remove(name)
        extra.remove(other)
        sums = f"the sum of `{name}` runs{other.removeprefix(name)}, not along the axis"
        said.append(sums + of_ratio(found[other], right[name]))
    if len(missing) == len(extra) == 1 and str(right[missing[0]]) == str(found[extra[0]]):
        said.append(replaced(missing.pop(), extra.pop()))
    for name in (n for n in right if n in found):
        if words := of_ratio(found[name], right[name]):
            said.append(f"`{name}`{words.removeprefix(', and')}")
    said += [f"the term `{name}` is missing" for name in missing]
    for name in extra:
        factor = "" if str(found[name]).removeprefix("-") == "1" else f" (times {found[name]})"
        said.append(f"the term `{name}`{factor} is too much")
    return said


def of_ratio(found: Law, right: Law) -> str:
    """By what a coefficient is off, in words that begin with ", and has"; none if it is right."""
    ratio = Law(found.number / right.number, found.above, found.below)
    if ratio.is_one:
        return ""
    if str(ratio) == "-1":
        return ", and has the other sign"
    if ratio.number < 0:
        ratio = Law(-ratio.number, ratio.above, ratio.below)
        return f", and has the other sign, and the factor {ratio}"
    return f", and has the factor {ratio}"


def replaced(right: str, wrong: str) -> str:
    """That a term stands in the place of another."""
    words = f"`{wrong}` stands in the place of `{right}`"
    if right == f"{wrong}^2":
        words += ", the square is missing"
    return words
