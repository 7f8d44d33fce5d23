"""Several mistakes at once, found one after the other: the first by the entries that it explains.

A mistake in one gate makes the entries of that gate wrong, whatever else is wrong beside. So where
no single hypothesis gives all that the op says, those count that give some of its wrong entries to
the last digit, and a second one is looked for that, together with such a one, gives all of it.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from attention_from_scratch.verify.doctor.mutation.matching import (
    Clock,
    Match,
    Question,
    attempted,
)

MOST_FIRST = 5  # hypotheses that are taken for the first of two mistakes
FEWEST_ENTRIES = 2  # that a mistake has to give: one may fit by chance


@dataclass(frozen=True, eq=False)
class Answer:
    """What a hypothesis does to the entries: what it gives of the wrong ones, how many of the right
    ones it spoils, and which it changes at all.
    """

    hypothesis: object
    gained: np.ndarray
    lost: int
    changed: np.ndarray

    @property
    def order(self) -> tuple:
        """Those come first that give most."""
        return (self.lost - np.count_nonzero(self.gained), self.hypothesis.rank)


def pairs_in_turn(question: Question, clock: Clock) -> list[Match]:
    """The pairs of mutants that give all that is wrong, where one of them gives a part of it."""
    if not question.fits(question.first):
        return []
    entries = Entries(question)
    answers = [a for said in question.said if (a := entries.answer(*said)) is not None]
    partial = [a for a in answers if np.count_nonzero(a.gained) >= FEWEST_ENTRIES]
    partial.sort(key=lambda answer: answer.order)
    found: list[Match] = []
    for first in distinct(partial)[:MOST_FIRST]:
        for second in candidates(answers, first, entries.wrong):
            if clock.is_over or len(found) > 2:
                return found
            both = first.hypothesis.and_also(second.hypothesis)
            match = None if both is None else completed(question, both)
            found += [match] if match else []
        if found:
            break
    return found


class Entries:
    """All entries of all gradients at the first visit of a question, in one row."""

    def __init__(self, question: Question):
        visit = question.first
        self.shapes = {name: right.shape for name, right in visit.probe.right.items()}
        self.found, self.right = self.row(visit.found), self.row(visit.probe.right)
        near = [
            np.full(g.size, visit.tolerance * question.size(visit, name))
            for name, g in visit.probe.right.items()
        ]
        self.near = np.concatenate(near)
        self.wrong = np.abs(self.found - self.right) > self.near

    def row(self, gradients) -> np.ndarray:
        """Gradients by name, as one row of numbers."""
        return np.concatenate([np.ravel(gradients[name]) for name in self.shapes])

    def answer(self, hypothesis, gradients) -> Answer | None:
        """What a mutant does to the entries; None if it changes none."""
        if not hasattr(hypothesis, "and_also"):
            return None
        if any(np.shape(gradients.get(name)) != shape for name, shape in self.shapes.items()):
            return None
        said = self.row(gradients)
        changed = ~(np.abs(said - self.right) <= self.near)
        if not changed.any():
            return None
        fits = np.abs(said - self.found) <= self.near
        lost = int(np.count_nonzero(~self.wrong & ~fits))
        return Answer(hypothesis, self.wrong & fits, lost, changed)


def distinct(partial: list[Answer]) -> list[Answer]:
    """Of those that settle the same entries the first."""
    return list({p.gained.tobytes(): p for p in reversed(partial)}.values())[::-1]


def candidates(answers: list[Answer], first: Answer, wrong) -> Iterator[Answer]:
    """What may be the second mistake: it changes what the first leaves wrong, and nothing settled.

    Those come first that give some of what is left, and among them the simplest.
    """
    left = wrong & ~first.gained
    may_be = [
        a for a in answers if (a.changed & left).any() and not (a.changed & first.gained).any()
    ]
    yield from sorted(may_be, key=lambda a: (not (a.gained & left).any(), a.hypothesis.rank))


def completed(question: Question, both) -> Match | None:
    """The match of two changes, if they give all that is wrong at all visits."""
    visit = question.first
    gradients = attempted(both, visit.probe)
    if gradients is None or not visit.matches(gradients, visit.probe.right.keys()):
        return None
    match = question.ask(both)
    complete = match is not None and match.is_complete
    return match if complete and match.factors.keys() == set(question.wrong) else None
