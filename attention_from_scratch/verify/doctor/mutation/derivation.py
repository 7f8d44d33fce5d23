"""The doctor's own derivations, one kind after the other, as time allows."""

from attention_from_scratch.verify.doctor.diagnosis import Derived
from attention_from_scratch.verify.doctor.mutation.edges import wrong_paths
from attention_from_scratch.verify.doctor.mutation.forward import matches_of_output
from attention_from_scratch.verify.doctor.mutation.matching import Clock, Match, Question, best
from attention_from_scratch.verify.doctor.mutation.mutants import mutants_of
from attention_from_scratch.verify.doctor.mutation.names import watched
from attention_from_scratch.verify.doctor.mutation.pairs import Pairs
from attention_from_scratch.verify.doctor.mutation.terms import (
    combined,
    paths_of,
    sums_of,
    values_of,
)
from attention_from_scratch.verify.doctor.mutation.twin import Twin, twin_of
from attention_from_scratch.verify.doctor.numbers import readings

SECONDS = 1.6  # of all that is tried for one op
SHARE_OF_LINES = 0.7  # of that time for single lines


def derive(reference, op, visits, wrong) -> list[Derived]:
    """What would give the wrong gradients of these names, as far as anything does.

    One another's right gradients, which needs no source; then lines of the reference read wrongly.
    Without a reference there is the forward pass of the op itself, to be derived step by step.
    """
    clock = Clock(SECONDS)
    question = Question(visits, wrong)
    matches = question.search(readings(question.first.probe.right), clock)
    if rest := unexplained(wrong, matches):
        question = Question(visits, rest)
        twin = twin_of(op if reference is None else reference, question.first)
        if twin is not None:
            matches += of_lines(twin, question, clock, reference is not None)
    return [derived(match) for match in best(consistent(matches))]


def of_lines(twin: Twin, question: Question, clock: Clock, backwards: bool) -> list[Match]:
    """Lines whose change gives what the op says: of the forward pass, and, if asked, backwards."""
    matches, hypotheses = [], []
    run = watched(twin, question.first.probe)
    if backwards:
        mutants = listed(mutants_of(twin, run), hypotheses)
        matches += question.search(mutants, Clock(SHARE_OF_LINES * clock.seconds))
        matches += of_terms([sums_of(twin, run)], question, matches, clock)
    if rest := unexplained(question.wrong, matches):
        paths = list(wrong_paths(twin, question.first))
        hypotheses += paths
        matches += Question(question.visits, rest).search(paths, clock)
        matches += of_terms([paths_of(paths)], question, matches, clock)
    if backwards:
        values = [values_of(twin, question, name) for name in question.wrong]
        matches += of_terms(values, question, matches, clock)
    for name in unexplained(question.wrong, matches):
        alone = Question(question.visits, [name])
        if alone.fits(alone.first):
            matches += Pairs(alone, hypotheses, clock).matches(name)
    return matches


def of_terms(kinds, question: Question, matches, clock: Clock) -> list[Match]:
    """Combinations of terms that are wrong gradients which nothing explains yet."""
    found = []
    for kind in kinds:
        combinations = list(kind) if unexplained(question.wrong, matches) else []
        for name in unexplained(question.wrong, [*matches, *found]):
            match = combined(combinations, Question(question.visits, [name]), name, clock)
            found += [match] if match else []
    return found


def listed(items, into: list):
    """Items as they come, each of them kept in a list."""
    for item in items:
        into.append(item)
        yield item


def consistent(matches: list[Match]) -> list[Match]:
    """The matches that do not say of a gradient that nothing explains what it is not."""
    explained = {name for match in matches for name in match.factors}
    kept = [match for match in matches if match.denied <= explained]
    return kept if len(kept) == len(matches) else consistent(kept)


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
