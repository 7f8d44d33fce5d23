"""How a forward pass differs from the reference: by the line that would give it, read wrongly."""

from dataclasses import replace

import numpy as np

from attention_from_scratch.verify.contract import argument_names
from attention_from_scratch.verify.doctor.forms import forms_of
from attention_from_scratch.verify.doctor.mutation.constants import solved_constants
from attention_from_scratch.verify.doctor.mutation.matching import Clock, Question, best
from attention_from_scratch.verify.doctor.mutation.mutants import THROUGHOUT, mutants_of
from attention_from_scratch.verify.doctor.mutation.names import watched
from attention_from_scratch.verify.doctor.mutation.outputs import OutputOf
from attention_from_scratch.verify.doctor.mutation.repair import repaired_output
from attention_from_scratch.verify.doctor.mutation.twin import twin_of
from attention_from_scratch.verify.doctor.other_calls import OUTPUT, OtherOutput, of_other_inputs
from attention_from_scratch.verify.doctor.visits import Visit, family_of

SHARE_OF_FORMS = 0.4  # of the time
SHARE_OF_REFERENCE = 0.6  # of the time: the rest is for lines of the op


def matches_of_output(reference, op, visits, clock: Clock) -> list:
    """The matches that explain the op's output at all visits, the simplest first."""
    visits = [as_question(visit) for visit in visits if visit.output is not None]
    question = Question(visits, [OUTPUT])
    if not question.fits(question.first):
        return []
    names = argument_names(reference, len(question.first.probe.inputs))
    probes = [visit.probe for visit in question.visits]
    forms = forms_of(None if reference is None else family_of(reference), probes)
    others = of_other_inputs(reference, question.first.probe, names)
    matches = question.search(others, Clock(SHARE_OF_FORMS * clock.left))
    others = (OtherOutput(function, words) for words, function in forms)
    matches += question.search(others, Clock(SHARE_OF_FORMS * clock.left))
    twin = None if matches else twin_of(reference, question.first)
    if twin is not None:
        run = watched(twin, question.first.probe)
        mutants = mutants_of(twin, run)
        outputs = (OutputOf(mutant) for mutant in mutants if mutant.felt == THROUGHOUT)
        matches = question.search(outputs, Clock(SHARE_OF_REFERENCE * clock.left))
        matches += [] if matches else solved_constants(twin, run, question, Clock(clock.left / 2))
    return best(matches) or repaired_output(op, visits, clock)


def as_question(visit: Visit) -> Visit:
    """A visit with the output in the place of the gradients."""
    right = {OUTPUT: np.asarray(visit.probe.output)}
    return replace(
        visit, probe=replace(visit.probe, right=right), found={OUTPUT: np.asarray(visit.output)}
    )
