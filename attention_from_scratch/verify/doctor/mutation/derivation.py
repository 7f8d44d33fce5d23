"""The doctor's own derivations, one kind after the other, as time allows."""

from attention_from_scratch.verify.doctor.diagnosis import Derived
from attention_from_scratch.verify.doctor.mutation.edges import wrong_paths
from attention_from_scratch.verify.doctor.mutation.forward import matches_of_output
from attention_from_scratch.verify.doctor.mutation.matching import Clock, Match, Question, best
from attention_from_scratch.verify.doctor.mutation.mutants import mutants_of
from attention_from_scratch.verify.doctor.mutation.names import values_in
from attention_from_scratch.verify.doctor.mutation.pairs import Pairs
from attention_from_scratch.verify.doctor.mutation.terms import (
    combined,
    paths_of,
    sums_of,
    values_of,
)
from attention_from_scratch.verify.doctor.mutation.twin import twin_of
from attention_from_scratch.verify.doctor.numbers import readings

SECONDS = 1.6  # of all that is tried for one op


def derive(reference, visits, wrong) -> list[Derived]:
    """What would give the wrong gradients of these names, as far as anything does.

    One another's right gradients, which needs no source; then lines of the reference read wrongly,
    one of them or two.
    """
    clock = Clock(SECONDS)
    question = Question(visits, wrong)
    matches = best(question.search(readings(question.first.probe.right), clock))
    if rest := unexplained(wrong, matches):
        matches += best(of_lines(reference, Question(visits, rest), clock))
    return [derived(match) for match in matches]


def of_lines(reference, question: Question, clock: Clock) -> list[Match]:
    """Lines of the reference whose change gives what the op says."""
    twin = twin_of(reference, question.first)
    if twin is None:
        return []
    hypotheses, paths = list(mutants_of(twin, values_in(twin, question.first.probe))), []
    matches = question.search(hypotheses, clock)
    if rest := unexplained(question.wrong, matches):
        question = Question(question.visits, rest)
        paths = list(wrong_paths(twin, question.first))
        hypotheses += paths
        matches += question.search(paths, clock)
    for name in unexplained(rest, matches):
        question = Question(question.visits, [name])
        if question.fits(question.first):
            match = of_terms(twin, paths, question, clock)
            matches += [match] if match else Pairs(question, hypotheses, clock).matches(name)
    return matches


def of_terms(twin, paths, question: Question, clock: Clock) -> Match | None:
    """A combination of terms that is the one wrong gradient of the question."""
    (name,) = question.wrong
    for terms in (sums_of(twin), paths_of(paths), values_of(twin, question, name)):
        match = combined(terms, question, name, clock)
        if match is not None:
            return match
    return None


def unexplained(wrong, matches) -> list[str]:
    """The names that no match explains."""
    explained = {name for match in matches for name in match.factors}
    return [name for name in wrong if name not in explained]


def derive_output(reference, visits) -> list[Derived]:
    """What would give the op's output."""
    return [derived(match) for match in matches_of_output(reference, visits, Clock(SECONDS))]


def derived(match: Match) -> Derived:
    """A match in words."""
    factors = set(match.factors.values())
    factor = "" if factors == {1} else ", times " + " and ".join(f"{f:.6g}" for f in factors)
    return Derived(tuple(match.factors), f"{match.hypothesis.words}{factor}")
