"""The doctor's own derivations, one kind after the other, as time allows."""

from attention_from_scratch.verify.doctor.diagnosis import Derived
from attention_from_scratch.verify.doctor.mutation.constants import solved_constants
from attention_from_scratch.verify.doctor.mutation.edges import wrong_paths
from attention_from_scratch.verify.doctor.mutation.forward import matches_of_output
from attention_from_scratch.verify.doctor.mutation.in_turn import pairs_in_turn
from attention_from_scratch.verify.doctor.mutation.matching import Clock, Match, Question, best
from attention_from_scratch.verify.doctor.mutation.mutants import mutants_of
from attention_from_scratch.verify.doctor.mutation.names import watched
from attention_from_scratch.verify.doctor.mutation.pairs import Pairs
from attention_from_scratch.verify.doctor.mutation.parting import parted
from attention_from_scratch.verify.doctor.mutation.parts_of_sums import parts_of_sums
from attention_from_scratch.verify.doctor.mutation.repair import repaired
from attention_from_scratch.verify.doctor.mutation.terms import (
    combined,
    paths_of,
    slopes_of,
    sums_of,
    values_of,
)
from attention_from_scratch.verify.doctor.mutation.twin import Twin, twin_of
from attention_from_scratch.verify.doctor.numbers import readings
from attention_from_scratch.verify.doctor.other_calls import for_another_d_output

SHARE_OF_REFERENCE = 0.7  # of the time: the rest is for lines of the op
SECONDS_FOR_A_LINE = 0.5  # where a known mistake is named already
SHARE_OF_LINES = 0.65  # of that time for single lines, written wrongly in a usual way
SHARE_OF_PAIRS = 0.2  # for two such lines
SHARE_OF_NUMBERS = 0.1  # for another number in a line
SHARE_OF_OTHERS = 0.15  # for single lines written wrongly in another way


def derive(reference, source, op, visits, wrong, clock: Clock) -> list[Derived]:
    """What would give the wrong gradients of these names, as far as anything does.

    First what needs no source: one another's gradients, those for another d_output, a slope. Then
    lines of the source of the reference read wrongly. Without a source there is the forward pass
    of the op itself, to be derived step by step.
    """
    whole, clock = (
        clock,
        Clock(clock.left * (SHARE_OF_REFERENCE if source else 1 - SHARE_OF_REFERENCE)),
    )
    question = Question(visits, wrong)
    twin = twin_of(op if source is None else source, question.first)
    matches = question.search(readings(question.first.probe.right), clock)
    if twin is not None and unexplained(wrong, matches):
        matches += of_lines(twin, question, clock, source is not None)
    rest = unexplained(wrong, consistent(matches))
    if rest and not clock.is_over:
        others = for_another_d_output(reference, question.first.probe)
        matches += Question(visits, rest).search(others, clock)
        matches += of_terms([slopes_of(question)], Question(visits, rest), matches, clock)
    matches = best(parted(consistent(matches), reference, op, question))
    if unexplained(wrong, matches):
        matches = repaired(op, visits, wrong, whole) or matches
    return [derived(match) for match in matches]


def line_of(source, visits, arguments) -> list[Derived]:
    """The line of the source that gives the wrong gradients of these arguments, read wrongly."""
    question = Question(visits, arguments)
    twin = twin_of(source, question.first) if source is not None else None
    if twin is None:
        return []
    mutants = mutants_of(twin, watched(twin, question.first.probe))
    matches = question.search(mutants, Clock(SECONDS_FOR_A_LINE))
    exact = [m for m in matches if not m.denied and m.factors == dict.fromkeys(arguments, 1.0)]
    return [derived(match) for match in best(exact)]


def of_lines(twin: Twin, question: Question, clock: Clock, backwards: bool) -> list[Match]:
    """Lines whose change gives what the op says: of the forward pass, and, if asked, backwards."""
    matches, hypotheses = [], []
    run = watched(twin, question.first.probe)
    if backwards:
        matches += of_usual_lines(twin, run, question, clock)
    if backwards and unexplained(question.wrong, matches):
        mutants = mutants_of(twin, run, usual=False)
        matches += question.search(mutants, Clock(SHARE_OF_OTHERS * clock.seconds))
        matches += of_terms([sums_of(twin, run)], question, matches, clock)
    if backwards and (rest := unexplained(question.wrong, matches)):
        asked = Question(question.visits, rest)
        matches += solved_constants(twin, run, asked, Clock(SHARE_OF_NUMBERS * clock.seconds))
    if rest := unexplained(question.wrong, matches):
        asked = Question(question.visits, rest)
        matches += parts_of_sums(twin, asked, Clock(SHARE_OF_NUMBERS * clock.seconds))
    if rest := unexplained(question.wrong, matches):
        paths = list(wrong_paths(twin, question.first))
        hypotheses += paths
        matches += Question(question.visits, rest).search(paths, clock)
        matches += of_terms([paths_of(paths)], question, matches, clock)
    if backwards:
        values = [values_of(twin, question, name) for name in question.wrong]
        matches += of_terms(values, question, matches, clock)
    for name in unexplained(question.wrong, matches):
        if name in unexplained(question.wrong, matches) and name in question.wrong_first:
            matches += Pairs(question, hypotheses, clock, question.said).matches(name)
    return matches


def of_usual_lines(twin: Twin, run, question: Question, clock: Clock) -> list[Match]:
    """What the usual ways of writing one line wrongly explain, or two lines."""
    matches = question.search(
        mutants_of(twin, run, usual=True), Clock(SHARE_OF_LINES * clock.seconds)
    )
    if not unexplained(question.wrong, consistent(matches)):
        return matches
    return matches + pairs_in_turn(question, Clock(SHARE_OF_PAIRS * clock.seconds))


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


def derive_output(reference, op, visits, clock: Clock) -> list[Derived]:
    """What would give the op's output."""
    return [derived(match) for match in matches_of_output(reference, op, visits, clock)]


def derived(match: Match) -> Derived:
    """A match in words."""
    return Derived(tuple(match.factors), f"{match.hypothesis.words}{times(match.factors)}")


def times(factors: dict[str, float]) -> str:
    """By what each gradient is multiplied beside, where it is."""
    several = {f"{factor:.6g}" for factor in factors.values()}
    if len(several) == 1:
        return "" if several == {"1"} else f", times {several.pop()}"
    return ", times " + " and ".join(f"{f:.6g} in {name}" for name, f in factors.items())
