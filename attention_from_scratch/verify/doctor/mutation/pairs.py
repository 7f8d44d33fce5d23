"""Two mistakes at once: side by side in one gradient, or one after the other."""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from attention_from_scratch.verify.doctor.mutation.matching import (
    Clock,
    Match,
    Question,
    attempted,
)

LARGEST = 1e4  # a difference beyond that is no part of a sum that comes to less
NEAREST = 20  # so many mutants are tried two by two, one after the other


@dataclass(frozen=True, eq=False)
class SideBySide:
    """Two changes whose differences from the right gradient add up."""

    first: object
    second: object

    @property
    def rank(self) -> tuple:
        """Two changes come after one."""
        return (2, *self.first.rank[1:])

    @property
    def words(self) -> str:
        """Both."""
        return f"two mistakes at once: it {self.first.words}; and it {self.second.words}"

    def gradients(self, probe) -> dict[str, np.ndarray]:
        """The right gradients and both differences."""
        first, second = self.first.gradients(probe), self.second.gradients(probe)
        return {
            name: first[name] + second[name] - right
            for name, right in probe.right.items()
            if np.shape(first[name]) == np.shape(second[name]) == right.shape
        }


class Pairs:
    """What single hypotheses said at the first visit, to be put together two by two.

    `said` are those that have been asked there already, with their answers.
    """

    def __init__(self, question: Question, hypotheses, clock: Clock, said=()):
        self.question, self.clock = question, clock
        self.said: list[tuple[object, dict]] = list(said)
        known = {id(hypothesis) for hypothesis, _ in said}
        for hypothesis in hypotheses:
            if clock.is_over:
                break
            if id(hypothesis) in known:
                continue
            gradients = attempted(hypothesis, question.first.probe)
            if gradients is not None:
                self.said.append((hypothesis, gradients))

    def matches(self, name) -> list[Match]:
        """The pairs that explain a gradient."""
        for pairs in (self.side_by_side(name), self.one_after_the_other(name)):
            matches = []
            for pair in pairs:
                if self.clock.is_over:
                    break
                match = self.question.ask(pair)
                if match is not None and name in match.factors and match.factors[name] == 1:
                    matches.append(match)
            if matches:
                return matches
        return []

    def deltas(self, name) -> list[tuple[object, np.ndarray]]:
        """What each hypothesis changes in a gradient; of those that change the same, the first."""
        right = self.question.first.probe.right[name]
        found: dict[bytes, tuple[object, np.ndarray]] = {}
        size = np.abs(right).max(initial=0) or 1.0
        for hypothesis, gradients in self.said:
            gradient = gradients.get(name)
            if np.shape(gradient) != right.shape or not np.isfinite(gradient).all():
                continue
            delta = gradient - right
            if 1e-9 * size < np.abs(delta).max(initial=0) < LARGEST * size:
                key = np.round(delta / size, 7).tobytes()
                if key not in found or hypothesis.rank < found[key][0].rank:
                    found[key] = (hypothesis, delta)
        return list(found.values())

    def side_by_side(self, name) -> Iterator[SideBySide]:
        """The pairs whose differences add up: to each, the rest is looked up among the others."""
        deltas = self.deltas(name)
        if len(deltas) < 2:
            return
        visit = self.question.first
        total = visit.found[name] - visit.probe.right[name]
        if total.size < 3:
            return
        along = np.random.default_rng(7).standard_normal(total.size)
        shares = np.array([along @ delta.ravel() for _, delta in deltas])
        order = np.argsort(shares)
        missing = along @ total.ravel() - shares
        near = 1e-7 * (np.abs(shares).max() + 1)
        low = np.searchsorted(shares[order], missing - near)
        high = np.searchsorted(shares[order], missing + near)
        for i, (start, stop) in enumerate(zip(low, high, strict=True)):
            if self.clock.is_over:
                return
            for j in order[start:stop]:
                if i < j and visit.same(deltas[i][1] + deltas[j][1], total, visit.size_of(name)):
                    yield SideBySide(deltas[i][0], deltas[j][0])

    def one_after_the_other(self, name) -> Iterator:
        """The mutants nearest to the wrong gradient, two by two in one run."""
        wrong = self.question.first.found[name].ravel()
        right = self.question.first.probe.right[name]
        near = []
        for hypothesis, delta in self.deltas(name):
            said = (delta + right).ravel()
            length = np.linalg.norm(said) * np.linalg.norm(wrong)
            if length > 0 and hasattr(hypothesis, "and_also"):
                near.append((-abs(said @ wrong) / length, hypothesis))
        near.sort(key=lambda pair: pair[0])
        for (_, first), (_, second) in itertools.combinations(near[:NEAREST], 2):
            both = first.and_also(second)
            if both is not None:
                yield both
