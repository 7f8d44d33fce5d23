"""Does a hypothesis say what the op says? Asked at every visit, for each wrong gradient by itself.

A hypothesis is anything that has `gradients(probe)`, by name, `rank` and `words`.
"""

import time
from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np


@dataclass
class Clock:
    """The time that is left, of this thread: another program on the machine takes none of it."""

    seconds: float
    start: float = field(default_factory=time.thread_time)

    @property
    def left(self) -> float:
        """How much is left of it."""
        return self.seconds - (time.thread_time() - self.start)

    @property
    def is_over(self) -> bool:
        """Whether it is used up."""
        return self.left < 0


@dataclass(eq=False)
class Match:
    """A hypothesis, the wrong gradients that it explains, and what it would change beside them.

    `factors` has a number for each gradient explained: 1, or what the hypothesis is to be
    multiplied by to be what the op says. `beside` are right gradients that the hypothesis would
    change, `denied` wrong ones that it would make wrong in another way.
    """

    hypothesis: object
    factors: dict[str, float]
    beside: frozenset[str]
    denied: frozenset[str] = frozenset()

    @property
    def is_complete(self) -> bool:
        """Whether it explains all that is wrong, and nothing else."""
        return not self.beside and not self.denied and set(self.factors.values()) == {1.0}

    @property
    def order(self) -> tuple:
        """What sorts matches: those that explain most with least come first."""
        plain = all(factor == 1 for factor in self.factors.values())
        return (not plain, -len(self.factors), len(self.beside), self.hypothesis.rank)


class Question:
    """The wrong gradients of an op at its visits, to hold a hypothesis against."""

    def __init__(self, visits, wrong, first=None):
        self.wrong = tuple(wrong)
        telling = [visit for visit in visits if self.wrong_at(visit)]
        self.first = first or max(
            telling, key=lambda v: (self.fits(v), len(self.wrong_at(v)), -size_of(v))
        )
        self.visits = [self.first, *(visit for visit in visits if visit is not self.first)]
        self.wrong_first = self.wrong_at(self.first)
        self.row = Row(self.first, self.wrong_first)
        self.said: list[tuple[object, dict]] = []  # every hypothesis asked, at the first visit
        self.sizes = {
            (id(visit), name): visit.scale(visit.size_of(name))
            for visit in visits
            for name in visit.probe.right
        }

    def fits(self, visit) -> bool:
        """Whether the wrong gradients have the right shapes at a visit."""
        right = visit.probe.right
        return all(np.shape(visit.found.get(n)) == right[n].shape for n in self.wrong_at(visit))

    def wrong_at(self, visit) -> list[str]:
        """The names of the gradients that are wrong at a visit."""
        return [n for n in self.wrong if n in visit.probe.right and not visit.right_at(n)]

    def ask(self, hypothesis) -> Match | None:
        """The match, if the hypothesis explains any wrong gradient at all visits."""
        with np.errstate(all="ignore"):  # a wrong line may give any number
            return self.asked(hypothesis)

    def asked(self, hypothesis) -> Match | None:
        """What `ask` says."""
        factors: dict[str, float | None] = dict.fromkeys(self.wrong)
        beside: set[str] = set()
        denied: set[str] = set()
        for visit in self.visits:
            gradients = attempted(hypothesis, visit.probe)
            if visit is self.first and gradients is not None:
                self.said.append((hypothesis, gradients))
                if not self.row.may_be(gradients):
                    return None
            if gradients is None and visit is not self.first and not self.fits(visit):
                continue  # the op gives another shape here, where the changed line raises
            if gradients is None:
                return None
            for name in [n for n in factors if n in visit.probe.right]:
                if not self.agrees(visit, name, gradients.get(name), factors):
                    del factors[name]
            if not any(name in factors for name in self.wrong_first):
                return None
            for n, right in visit.probe.right.items():
                if n not in factors and not visit.same(
                    gradients.get(n, np.nan), right, visit.size_of(n)
                ):
                    (denied if n in self.wrong else beside).add(n)
        denied.difference_update(factors)
        known = {name: factor for name, factor in factors.items() if factor is not None}
        if not known:
            return None
        return Match(hypothesis, known, frozenset(beside), frozenset(denied))

    def agrees(self, visit, name, said, factors) -> bool:
        """Whether what is said of one gradient is what the op found, up to the factor so far."""
        found = visit.found.get(name)
        if said is None or found is None or np.shape(said) != np.shape(found):
            return False
        if np.asarray(said).dtype.kind not in "fiub":
            return False
        size = self.size(visit, name)
        near = visit.tolerance * size
        factor = 1.0 if factors[name] is None else factors[name]
        if np.abs(factor * said - found).max(initial=0) <= near:
            if np.abs(said).max(initial=0) > 1e-6 * size:
                factors[name] = factor
            return True
        if factors[name] is not None or np.count_nonzero(said) < 2:
            return False
        factor = float((said * found).sum() / (said * said).sum())
        factors[name] = factor
        return abs(factor) > 1e-6 and bool(np.abs(factor * said - found).max() <= near)

    def size(self, visit, name) -> float:
        """What a gradient is measured against at a visit."""
        if (id(visit), name) not in self.sizes:
            return visit.scale(visit.size_of(name))
        return self.sizes[id(visit), name]

    def holds_at(self, visit, match: Match) -> bool:
        """Whether a match is what the op says at one more visit."""
        gradients = attempted(match.hypothesis, visit.probe)
        return gradients is not None and all(
            self.agrees(visit, name, gradients.get(name), {name: factor})
            for name, factor in match.factors.items()
            if name in visit.probe.right
        )

    def search(self, hypotheses: Iterable, clock: Clock) -> list[Match]:
        """All that match, as long as there is time.

        Where one explains all that is wrong, only those of its own group are asked beside it.
        """
        found, done = [], None
        for hypothesis in hypotheses:
            group = getattr(hypothesis, "group", None)
            if clock.is_over or (done is not None and group != done):
                break
            match = self.ask(hypothesis)
            if match is not None:
                found.append(match)
                if match.is_complete and match.factors.keys() == set(self.wrong):
                    done = group
        return found


class Row:
    """The wrong gradients at a visit in one row of numbers: most hypotheses are none of them."""

    def __init__(self, visit, names):
        self.names = [
            n for n in names if np.shape(visit.found.get(n)) == visit.probe.right[n].shape
        ]
        self.names = [n for n in self.names if visit.found[n].size]
        self.is_whole = len(self.names) == len(names) > 0
        if not self.is_whole:
            return
        self.shapes = {name: np.shape(visit.found[name]) for name in self.names}
        self.found = self.of(visit.found)
        self.starts = np.cumsum([0, *(visit.found[n].size for n in self.names)])[:-1]
        self.near = np.array([visit.tolerance * visit.scale(visit.size_of(n)) for n in self.names])
        self.power = np.add.reduceat(self.found * self.found, self.starts)
        lengths = np.array([visit.found[name].size for name in self.names])
        self.untold = self.power < 1e6 * lengths * self.near**2  # as small as a rounding error
        self.least = 1 - max(1e-6, 100 * visit.tolerance)

    def of(self, gradients) -> np.ndarray:
        """Gradients by name, as one row of numbers."""
        return np.concatenate([np.ravel(gradients[name]) for name in self.names])

    def may_be(self, gradients) -> bool:
        """Whether any of the gradients may be a multiple of what was found."""
        if not self.is_whole or self.untold.any():
            return True
        if any(np.shape(gradients.get(name)) != shape for name, shape in self.shapes.items()):
            return True
        said = self.of(gradients)
        if said.dtype.kind != "f":
            return True
        product = np.add.reduceat(said * self.found, self.starts)
        power = np.add.reduceat(said * said, self.starts)
        return bool((product * product >= self.least * power * self.power).any())


def size_of(visit) -> int:
    """How many numbers there are to compare at a visit."""
    return sum(gradient.size for gradient in visit.probe.right.values())


def attempted(hypothesis, probe) -> dict | None:
    """What a hypothesis says at a probe; None where it makes no sense there."""
    try:
        with np.errstate(all="ignore"):
            return hypothesis.gradients(probe)
    except Exception:  # whatever a changed line does with its arrays
        return None


def best(matches: list[Match]) -> list[Match]:
    """The fewest matches that explain all that can be explained, the simplest of each kind."""
    chosen, explained = [], set()
    for match in sorted(matches, key=lambda match: match.order):
        if not match.factors.keys() <= explained:
            chosen.append(match)
            explained |= match.factors.keys()
    return chosen
