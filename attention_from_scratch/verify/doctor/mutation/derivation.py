"""The doctor's own derivations of a wrong gradient, one kind after the other, as time allows."""

import inspect

from attention_from_scratch.verify.doctor.diagnosis import Derived
from attention_from_scratch.verify.doctor.mutation.matching import Clock, Match, Question, best
from attention_from_scratch.verify.doctor.mutation.mutants import mutants_of
from attention_from_scratch.verify.doctor.mutation.names import values_in
from attention_from_scratch.verify.doctor.mutation.pairs import Pairs
from attention_from_scratch.verify.doctor.mutation.twin import Twin

SECONDS = 1.6  # of all that is tried for one op


def derive(reference, visits, wrong) -> list[Derived]:
    """What would give the wrong gradients of these names: lines of the reference read wrongly.

    Empty where nothing does, and where the reference has no source to read.
    """
    clock = Clock(SECONDS)
    question = Question(visits, wrong)
    twin = twin_of(reference, question.first)
    if twin is None:
        return []
    mutants = list(mutants_of(twin, values_in(twin, question.first.probe)))
    matches = best(question.search(mutants, clock))
    explained = {name for match in matches for name in match.factors}
    rest = [name for name in wrong if name not in explained]
    if rest and not clock.is_over:
        question = Question(visits, rest)
        pairs = Pairs(question, mutants, clock)
        for name in rest:
            if question.fits(question.first) and name in question.wrong_at(question.first):
                matches += best(pairs.matches(name))
    return [derived(match) for match in matches]


def twin_of(reference, visit) -> Twin | None:
    """The twin of a reference; None where what can be read of it is not what it does."""
    try:
        twin = Twin(inspect.unwrap(reference))
        output, _ = twin.run(visit.probe)
    except Exception:  # no source, or a source that is not that of the running code
        return None
    return twin if (output == visit.probe.output).all() else None


def derived(match: Match) -> Derived:
    """A match in words."""
    factors = set(match.factors.values())
    factor = "" if factors == {1} else ", times " + " and ".join(f"{f:.6g}" for f in factors)
    return Derived(tuple(match.factors), match.hypothesis.words + factor)
