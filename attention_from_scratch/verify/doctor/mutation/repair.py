"""What would make the op right: its own source, changed line by line, until it gives what is right.

Where nothing that is done to the reference gives what the op says, or where there is no reference,
the same changes are tried on the op. One after which all gradients are right at all visits, or all
outputs, says where the mistake is: in a line of its author's own.
"""

from dataclasses import dataclass, replace

from attention_from_scratch.verify.doctor.mutation.in_turn import pairs_in_turn
from attention_from_scratch.verify.doctor.mutation.matching import Clock, Match, Question, best
from attention_from_scratch.verify.doctor.mutation.mutants import THROUGHOUT, mutants_of
from attention_from_scratch.verify.doctor.mutation.names import watched
from attention_from_scratch.verify.doctor.mutation.outputs import OutputOf
from attention_from_scratch.verify.doctor.mutation.twin import twin_of
from attention_from_scratch.verify.doctor.other_calls import OUTPUT

SHARE_OF_LINES = 0.75


@dataclass(frozen=True, eq=False)
class Repair:
    """A change of the op after which it is right."""

    mutant: object
    rank: tuple

    @property
    def words(self) -> str:
        """What has to be read otherwise."""
        edits = " and ".join(edit.in_words() for edit in self.mutant.edits)
        return f"would be right with {edits}"


def repaired(op, visits, wrong, clock: Clock) -> list[Match]:
    """The changes of one line of the op, or of two, that make all these gradients right."""
    visits = [turned_round(visit) for visit in visits if visit.found]
    question = Question(visits, wrong)
    twin = twin_of(op, question.first) if question.fits(question.first) else None
    if twin is None or clock.is_over:
        return []
    run = watched(twin, question.first.probe)
    mutants = mutants_of(twin, run, usual=True)
    found = question.search(mutants, Clock(SHARE_OF_LINES * clock.left))
    found = all_that_is_wrong(found, question) or pairs_in_turn(question, Clock(clock.left))
    return repairs(found)


def repaired_output(op, visits, clock: Clock) -> list[Match]:
    """The changes of one line of the op after which its output is right.

    `visits` have the output in the place of the gradients.
    """
    question = Question([turned_round(visit) for visit in visits], [OUTPUT])
    if clock.is_over or not question.fits(question.first):
        return []
    twin = twin_of(op, question.first)
    if twin is None:
        return []
    mutants = mutants_of(twin, watched(twin, question.first.probe))
    outputs = (OutputOf(mutant) for mutant in mutants if mutant.felt == THROUGHOUT)
    found = all_that_is_wrong(question.search(outputs, clock), question)
    found = [replace(match, hypothesis=match.hypothesis.mutant) for match in found]
    return repairs(found)


def turned_round(visit):
    """A visit at which what the op gives is the right thing, and what is right is looked for."""
    probe = replace(visit.probe, right=dict(visit.found))
    return replace(visit, probe=probe, found=dict(visit.probe.right))


def all_that_is_wrong(matches: list[Match], question: Question) -> list[Match]:
    """The matches that make all right, and spoil nothing."""
    wrong = set(question.wrong)
    return [m for m in matches if m.is_complete and m.factors.keys() == wrong]


def repairs(matches: list[Match]) -> list[Match]:
    """The simplest of these, as repairs."""
    return [
        replace(match, hypothesis=Repair(match.hypothesis, match.hypothesis.rank))
        for match in best(matches)
    ]
