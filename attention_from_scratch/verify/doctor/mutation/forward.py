"""How a forward pass differs from the reference: by the line that would give it, read wrongly."""

from dataclasses import dataclass, replace

import numpy as np

from attention_from_scratch.verify.contract import argument_names
from attention_from_scratch.verify.doctor.mutation.matching import Clock, Question, best
from attention_from_scratch.verify.doctor.mutation.mutants import THROUGHOUT, mutants_of
from attention_from_scratch.verify.doctor.mutation.names import watched
from attention_from_scratch.verify.doctor.mutation.twin import twin_of
from attention_from_scratch.verify.doctor.other_calls import OUTPUT, of_other_inputs
from attention_from_scratch.verify.doctor.visits import Visit


@dataclass(frozen=True, eq=False)
class OutputOf:
    """A hypothesis about outputs: what a mutant gives."""

    mutant: object

    @property
    def rank(self) -> tuple:
        """That of the mutant."""
        return self.mutant.rank

    @property
    def words(self) -> str:
        """Those of the mutant."""
        return self.mutant.words

    def gradients(self, probe) -> dict:
        """The output, where a gradient is asked for."""
        return {OUTPUT: np.asarray(self.mutant.output(probe))}


def matches_of_output(reference, visits, clock: Clock) -> list:
    """The matches that explain the op's output at all visits, the simplest first."""
    visits = [as_question(visit) for visit in visits if visit.output is not None]
    question = Question(visits, [OUTPUT])
    if not question.fits(question.first):
        return []
    names = argument_names(reference, len(question.first.probe.inputs))
    others = of_other_inputs(reference, question.first.probe, names)
    matches = question.search(others, clock)
    twin = None if matches else twin_of(reference, question.first)
    if twin is not None:
        mutants = mutants_of(twin, watched(twin, question.first.probe))
        outputs = (OutputOf(mutant) for mutant in mutants if mutant.felt == THROUGHOUT)
        matches = question.search(outputs, clock)
    return best(matches)


def as_question(visit: Visit) -> Visit:
    """A visit with the output in the place of the gradients."""
    right = {OUTPUT: np.asarray(visit.probe.output)}
    return replace(
        visit, probe=replace(visit.probe, right=right), found={OUTPUT: np.asarray(visit.output)}
    )
