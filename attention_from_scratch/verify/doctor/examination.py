"""What is wrong with this backward pass? The op is run on probes, and what it says is explained."""

import warnings
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from attention_from_scratch.verify.contract import as_input
from attention_from_scratch.verify.doctor.diagnosis import Derived, Diagnosis
from attention_from_scratch.verify.doctor.explaining import explain
from attention_from_scratch.verify.doctor.formulas import formula_of, slope_of_own
from attention_from_scratch.verify.doctor.measured import measured_op, off_corners
from attention_from_scratch.verify.doctor.mistakes import IN_SHORT, OPEN_ENDED
from attention_from_scratch.verify.doctor.mutation.derivation import (
    derive,
    derive_output,
    line_of,
)
from attention_from_scratch.verify.doctor.mutation.matching import Clock
from attention_from_scratch.verify.doctor.mutation.twin import twin_of
from attention_from_scratch.verify.doctor.numbers import extent, only_at_this_rank, rounding
from attention_from_scratch.verify.doctor.probes import op_named
from attention_from_scratch.verify.doctor.recognising import in_own_names, recognised
from attention_from_scratch.verify.doctor.settings import notes_of_settings
from attention_from_scratch.verify.doctor.variations import with_one_more_axis
from attention_from_scratch.verify.doctor.visits import (
    Visit,
    examine,
    family_of,
    probe_of,
    visits_of,
    wrong_at,
)
from attention_from_scratch.verify.foreign import as_op

SECONDS = 1.6  # of all that is tried for one op
LEAST_SECONDS = 0.5  # of these for the derivations, however long the calls took
MOST_EXTENTS = 4  # gradients of which it is told how far they are off


def diagnose(op: Callable, reference=None, *inputs, **keywords) -> Diagnosis:
    """Name the mistake in the backward pass of an op.

    The op and the reference are run on the inputs given, and on probes of the doctor's own: shapes
    whose dimensions all differ (so that 1/sqrt(d) is not 1/2 by chance), square ones (where a
    missing transpose goes unnoticed), masks, repeated ids, ignored positions. First known mistakes
    are tried, each a formula for the wrong gradient; one is named if its numbers are those of the
    op at every probe. What none of them explains is derived: the source of the reference is
    changed, a line at a time, until it gives what the op gives. Whether repeated inputs are summed
    is asked only of an op that is handed such inputs.

    Parameters
    ----------
    op : the op to examine, in our contract
    reference : what it should be
        - an op of `ops`;
        - any other op of our contract, such as a block or one of your own, with inputs: the probes
          are then calls like that one;
        - the name of an op of `ops`: the right gradients are measured on the op's own forward
          pass, by the complex step, or by central differences where a framework computes it;
        - left out, with inputs: the op of `ops` that gives the same output there and on other
          numbers, if there is one; else measured, and what numbers alone can say is said.
    *inputs, **keywords
        A call that the op takes; may be left out where there are probes.

    Returns
    -------
    Diagnosis

    Raises
    ------
    GradientError
        When backward returns another number of gradients than the op has inputs to differentiate.
    ValueError
        When no inputs are given and the op takes none of the probes. What it raises at the inputs
        given is not caught.
    """
    if not (reference is None or isinstance(reference, str) or callable(reference)):
        reference, inputs = None, (reference, *inputs)
    clock, op = Clock(SECONDS), as_op(op)
    known = recognised(op, inputs, keywords) if reference is None else None
    reference = op_named(known) if known else reference
    source = op_named(reference) if isinstance(reference, str) else reference
    if reference is None or isinstance(reference, str):
        reference = measured_op(op, reference, inputs, keywords)
        if reference.family is None and reference.has_corners:
            inputs = off_corners(map(as_input, inputs))
    visits = visits_of(op, reference, inputs, keywords)
    with warnings.catch_warnings(action="ignore", category=SyntaxWarning):  # of changed lines
        if not all(visit.same_output for visit in visits):
            return of_forward_pass(op, source, visits, clock)
        diagnosis = of_backward_pass(op, reference, source, visits, bool(inputs), clock)
    if known:
        return in_own_names(diagnosis, op, known, len(inputs))
    if inputs and family_of(reference) is None and not clock.is_over:
        diagnosis.notes += note_of_one_more_axis(op, reference, inputs, keywords)
    return diagnosis


def note_of_one_more_axis(op, reference, inputs, keywords) -> list[str]:
    """What is right for these inputs and wrong for a first input with one more axis.

    Where the gradient of another input has the wrong shape then, that input was only repeated.
    """
    call = with_one_more_axis(inputs, keywords)
    try:
        here = examine(op, reference, inputs, keywords, seed=50)
        there = examine(op, reference, *call, seed=50)
    except Exception:  # neither need take such a call
        return []
    right = there.probe.right
    worse = [n for n in wrong_at([there]) if np.shape(there.found.get(n)) == right[n].shape]
    worse = [name for name in worse if here.right_at(name)]
    if not worse:
        return []
    return [f"{', '.join(worse)}: wrong where the first input has one more axis in front"]


def of_forward_pass(op, source, visits, clock) -> Diagnosis:
    """Say how the output differs, and whether the backward pass goes with it."""
    name = getattr(op, "__name__", type(op).__name__)
    differing = [visit for visit in visits if not visit.same_output]
    diagnosis = Diagnosis(name, forward_differs=True, probes=len(visits))
    diagnosis.derived = derive_output(source, op, visits, rest_of(clock))
    if len(differing) < len(visits):
        diagnosis.notes.append(f"it differs at {len(differing)} of {len(visits)} probes")
    diagnosis.notes += note_of_own_derivative(op, differing[0].probe)
    return diagnosis


def note_of_own_derivative(op, probe) -> list[str]:
    """Whether the backward pass is the derivative of the op's own forward pass, if it is."""
    try:
        measured = measured_op(op, None, probe.inputs, probe.keywords)
        visit = examine(op, measured, probe.inputs, probe.keywords, seed=0)
    except Exception:  # whatever an op with another forward pass does
        return []
    if wrong_at([visit]):
        return []
    return ["its backward pass is the derivative of its own forward pass"]


def of_backward_pass(op, reference, source, visits, at_callers, clock) -> Diagnosis:
    """Say which gradients are wrong, and what would give them."""
    name = getattr(op, "__name__", type(op).__name__)
    odd = {n: words for visit in visits for n, words in visit.unsteady.items()}
    wrong = list(dict.fromkeys([*wrong_at(visits), *odd]))
    if not wrong:
        return Diagnosis(name, probes=len(visits), notes=notes_of_rounding(visits))
    steady = [n for n in wrong if n not in odd]
    findings, unexplained = explain(family_of(reference), visits, steady) if steady else ([], ())
    derived = [Derived(tuple(n for n in odd if odd[n] == w), w) for w in set(odd.values())]
    derived += details_of(findings, family_of(reference), source, visits)
    for explaining in (
        lambda names: said_by(rounding, visits, names),
        lambda names: formula_of(family_of(reference), visits, names),
        lambda names: derive(reference, source, op, visits, names, rest_of(clock)),
        lambda names: slope_of_own(family_of(reference), visits, names),
        lambda names: said_by(only_at_this_rank, visits, names),
    ):
        derived += explaining(unexplained) if unexplained else []
        unexplained = without(unexplained, derived)
    diagnosis = Diagnosis(name, tuple(wrong), findings, derived, unexplained, probes=len(visits))
    for n in [n for n in steady if not rounding(visits, n)][:MOST_EXTENTS]:
        visit = next(v for v in visits if n in v.probe.right and not v.right_at(n))
        diagnosis.extents.append(f"{n} {extent(visit, n)}{place_of(visit, visits, at_callers)}")
    diagnosis.notes += notes_of_settings(visits, wrong)
    if unexplained:
        diagnosis.notes += notes_of_source(source, visits)
    return diagnosis


def details_of(findings, family, source, visits) -> list[Derived]:
    """What a finding that leaves open what is wrong comes to: by a formula, or else by a line."""
    told = [f for f in findings if f.mistake != "zero_gradient"]
    vague = [f for f in told if f.mistake in OPEN_ENDED | IN_SHORT or len(findings) > 1]
    names = dict.fromkeys(name for finding in vague for name in finding.arguments)
    found = formula_of(family, visits, names, factors=False)
    return found or lines_of(findings, source, visits)


def rest_of(clock: Clock) -> Clock:
    """The time that is left for derivations."""
    return Clock(max(clock.left, LEAST_SECONDS))


def lines_of(findings, source, visits) -> list[Derived]:
    """The line of the reference for a finding that leaves open which it is."""
    if len(findings) != 1 or findings[0].mistake not in OPEN_ENDED:
        return []
    return line_of(source, visits, findings[0].arguments)


def without(arguments, derived) -> tuple[str, ...]:
    """The arguments of which nothing was derived."""
    explained = {argument for found in derived for argument in found.arguments}
    return tuple(argument for argument in arguments if argument not in explained)


def said_by(words_of, visits, names) -> list[Derived]:
    """What a function of the visits and a name has words for."""
    found = [(name, words_of(visits, name)) for name in names]
    return [Derived((name,), words) for name, words in found if words]


def place_of(visit, visits, at_callers) -> str:
    """At which call a difference was seen."""
    if not at_callers:
        return ""
    return " (at your inputs)" if visit is visits[0] else " (at a probe; right at your inputs)"


def notes_of_rounding(visits) -> list[str]:
    """What float32 loses, at the caller's call."""
    visit = visits[0]
    off = [
        np.abs(visit.found[n] - right).max(initial=0) / visit.scale(visit.size_of(n))
        for n, right in visit.probe.right.items()
    ]
    if visit.tolerance < 1e-4 or not any(off):
        return []
    return [f"off by {max(off):.0e} of the largest entry: rounding, not a mistake"]


def notes_of_source(source, visits) -> list[str]:
    """Say where there was nothing to read."""
    if source is None or twin_of(source, visits[0]) is not None:
        return []
    return ["the reference has no source to read, so no line of it could be changed"]


def diagnose_call(name: str, inputs, keywords, d_output, found: dict, tolerance) -> Diagnosis:
    """Name the mistake in the gradients of one call of an op that cannot be run again.

    `found` has them by name (d_query, d_params.key.bias), all or some. One call is less than many
    probes: a number that fits by chance is told as well.
    """
    probe = probe_of(op_named(name), inputs, keywords, d_output)
    right = {path: gradient for path, gradient in probe.right.items() if path in found}
    visit = Visit(replace(probe, right=right), True, found, tolerance)
    wrong = wrong_at([visit])
    findings, unexplained = explain(name, [visit], wrong) if wrong else ([], ())
    return Diagnosis(name, tuple(wrong), findings, unexplained=unexplained, probes=1)
