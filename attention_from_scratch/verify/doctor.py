"""What is wrong with this backward pass? Named in words, by trying known mistakes on numbers."""

import inspect
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np

from attention_from_scratch import ops
from attention_from_scratch.tree import tree_leaves, tree_map
from attention_from_scratch.verify.contract import (
    argument_names,
    as_input,
    differentiable_only,
    frozen,
    is_differentiable,
)
from attention_from_scratch.verify.foreign import as_op
from attention_from_scratch.verify.mistakes import MISTAKES, Probe, explanation, generic_mistakes
from attention_from_scratch.verify.numerical import (
    central_difference,
    complex_step,
    measured_gradients,
)
from attention_from_scratch.verify.probes import probes_of
from attention_from_scratch.verify.report import GradientError

# A mistake is named only if its numbers come out, as far as the op's dtype can tell; and as far as
# a central difference can, where that is all there is to compare with.
TOLERANCES = {"float64": 1e-8, "float32": 1e-3}
DIFFERENCE_TOLERANCE = 1e-5


@dataclass(frozen=True)
class Finding:
    """A mistake that explains the gradients of these arguments of an op at every probe."""

    mistake: str
    arguments: tuple[str, ...]
    factor: str | None = None
    op: str = ""

    def __str__(self) -> str:
        words = explanation(self.mistake, self.op).format(factor=self.factor)
        return f"{self.mistake} ({', '.join(self.arguments)}): {words}"


@dataclass
class Diagnosis:
    """What the doctor found; prints as text.

    `findings` is empty when nothing is wrong, and when no known mistake matches (`wrong` then names
    the arguments). Several findings are explanations that all fit, or mistakes that come together.
    """

    op: str
    wrong: tuple[str, ...] = ()
    findings: list[Finding] = field(default_factory=list)
    unexplained: tuple[str, ...] = ()
    forward_differs: bool = False
    probes: int = 0

    @property
    def mistakes(self) -> set[str]:
        """The names of the mistakes."""
        return {finding.mistake for finding in self.findings}

    def __str__(self) -> str:
        if self.forward_differs:
            return f"{self.op}: the forward pass differs from the reference; look there first"
        if not self.wrong:
            return f"{self.op}: nothing is wrong at {self.probes} probes"
        lines = [f"{self.op}: wrong gradient of {', '.join(self.wrong)}"]
        lines += [f"  {finding}" for finding in self.findings]
        if self.unexplained:
            lines.append(f"  {', '.join(self.unexplained)}: no known mistake matches")
        return "\n".join(lines)

    __repr__ = __str__


def diagnose(op: Callable, reference: Callable | str, *inputs, **keywords) -> Diagnosis:
    """Name the mistake in the backward pass of an op.

    The op and the reference are run on the inputs given, and on probes of the doctor's own: shapes
    whose dimensions all differ (so that 1/sqrt(d) is not 1/2 by chance), square ones (where a
    missing transpose goes unnoticed), masks, repeated ids, ignored positions. A mistake is a
    formula for the wrong gradient; it is named if its numbers are those of the op at every probe.
    Whether repeated inputs are summed is asked only of an op that is handed such inputs.

    Parameters
    ----------
    op : the op to examine, in our contract
    reference : the op of `ops` that it should be, or its name
        With the name alone, the right gradients are measured on the op's own forward pass: by the
        complex step, or by central differences where a framework computes it.
    *inputs, **keywords
        A call that the op takes; may be left out.

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
    op = as_op(op)
    name = getattr(op, "__name__", type(op).__name__)
    if isinstance(reference, str):
        reference = measured_op(op, reference)
    visits = visits_of(op, reference, inputs, keywords)
    if not all(visit.same_output for visit in visits):
        return Diagnosis(name, forward_differs=True)
    wrong = wrong_at(visits)
    if not wrong:
        return Diagnosis(name, probes=len(visits))
    findings, unexplained = explain(reference.__name__, visits, wrong)
    return Diagnosis(name, tuple(wrong), findings, unexplained, probes=len(visits))


def diagnose_call(name: str, inputs, keywords, d_output, found: dict, tolerance) -> Diagnosis:
    """Name the mistake in the gradients of one call of an op that cannot be run again.

    `found` has them by name (d_query, d_params.key.bias), all or some. One call is less than many
    probes: a number that fits by chance is told as well.
    """
    probe = probe_of(getattr(ops, name), inputs, keywords, d_output)
    right = {path: gradient for path, gradient in probe.right.items() if path in found}
    visit = Visit(replace(probe, right=right), True, found, tolerance)
    wrong = wrong_at([visit])
    findings, unexplained = explain(name, [visit], wrong) if wrong else ([], ())
    return Diagnosis(name, tuple(wrong), findings, unexplained, probes=1)


def words_of_the_doctor(op, inputs, keywords) -> str:
    """What is wrong with an op that has the name of one of ours and gives its output; else nothing.

    The same name need not mean the same op: where the output at this call is another, or ours does
    not take the call, there is nothing to say about the gradients. One of ours has only itself to
    be held against: its gradients are measured.
    """
    name = getattr(op, "__name__", "")
    if name not in MISTAKES:
        return ""
    reference = name if is_ours(op) else getattr(ops, name)
    diagnosis = attempt(op, reference, inputs, keywords)
    return "" if diagnosis is None or diagnosis.forward_differs else str(diagnosis)


def words_about(found, expected, inputs, keywords) -> str:
    """Of two ops that disagree, what is wrong with the one that is not an op of ours.

    Unless it is ours that is wrong, which its own forward pass can tell.
    """
    if is_ours(found):
        found, expected = expected, found
    if is_ours(expected):
        of_ours = words_of_the_doctor(expected, inputs, keywords)
        return of_ours or words(found, expected, inputs, keywords)
    return words_of_the_doctor(found, inputs, keywords)


def words(op, reference, inputs, keywords) -> str:
    """What is wrong with an op that should be the reference; nothing if the doctor cannot tell."""
    return str(attempt(op, reference, inputs, keywords) or "")


def attempt(op, reference, inputs, keywords) -> Diagnosis | None:
    """A diagnosis for a report that has failed anyway: None where none is to be had."""
    try:
        diagnosis = diagnose(op, reference, *inputs, **keywords)
    except Exception:  # whatever two ops of one name do with each other's calls
        return None
    return diagnosis if diagnosis.wrong or diagnosis.forward_differs else None


def knows(name: str) -> bool:
    """Whether there are known mistakes of an op of this name."""
    return name in MISTAKES


def is_ours(op) -> bool:
    """Whether it is one of the ops that the doctor knows."""
    name = getattr(op, "__name__", "")
    return name in MISTAKES and op is getattr(ops, name)


def measured_op(op, name) -> Callable:
    """The op with its gradients measured, under the name of the op of ours that it should be."""
    analytic = getattr(op, "complex_step", True)
    derivative = complex_step if analytic else central_difference

    def reference(*inputs, **keywords):
        output, _ = op(*inputs, **keywords)
        precise = [
            tree_map(np.float64, value) if is_differentiable(value) else value for value in inputs
        ]

        def backward(d_output=1.0):
            return measured_gradients(op, precise, d_output, keywords, derivative)

        return output, backward

    reference.__name__ = name
    reference.__signature__ = inspect.signature(getattr(ops, name, op))
    reference.tolerance = 0.0 if analytic else DIFFERENCE_TOLERANCE
    return reference


@dataclass(frozen=True)
class Visit:
    """What an op says at a probe; no gradients where its output is not the reference's."""

    probe: Probe
    same_output: bool
    found: dict[str, np.ndarray]
    tolerance: float

    def same(self, a, b, like) -> bool:
        """Equal but for rounding, relative to the largest entry of `like`."""
        return same(a, b, like, self.tolerance)

    def size_of(self, name) -> np.ndarray:
        """The largest of the argument that a gradient is of: a leaf may be zero by itself."""
        argument = name.split(".")[0]
        leaves = [g for n, g in self.probe.right.items() if n.split(".")[0] == argument]
        return leaves[int(np.argmax([np.abs(leaf).max(initial=0) for leaf in leaves]))]

    def right_at(self, name) -> bool:
        """Whether one gradient is right."""
        right = self.probe.right[name]
        return name in self.found and self.same(self.found[name], right, self.size_of(name))

    def matches(self, gradients, names) -> bool:
        """Whether a mistake's gradients are what the op says, right ones where it changes none."""
        right, found = self.probe.right, self.found
        return all(
            n in found
            and n in right
            and self.same(found[n], gradients.get(n, right[n]), self.size_of(n))
            for n in names
        )


def same(a, b, like, tolerance) -> bool:
    """Equal but for rounding, relative to the largest entry of `like`."""
    if np.shape(a) != np.shape(b):
        return False
    scale = np.abs(like).max(initial=0) or 1.0
    return bool(np.abs(a - b).max(initial=0) <= tolerance * scale)


def visits_of(op, reference, inputs, keywords) -> list[Visit]:
    """What the op says at the call that was handed in, and at the probes that it takes.

    An error at the call handed in is the caller's to see; at a probe it may be that the op was not
    made for such a call. The same goes for another output: where the op agrees at the caller's
    call, a probe may meet another default.
    """
    visits = [examine(op, reference, inputs, keywords, seed=0)] if inputs else []
    asked = bool(inputs) and broadcasts(reference, inputs)
    errors = []
    for seed, (own, own_keywords) in enumerate(probes_of(reference.__name__), start=1):
        if broadcasts(reference, own) and not asked:
            continue
        try:
            visits.append(examine(op, reference, own, own_keywords, seed=seed))
        except Exception as error:  # whatever a reader's op does with a call it was not made for
            errors.append(error)
    if not visits and isinstance(errors[0], GradientError):
        raise errors[0]
    if not visits:
        name = getattr(op, "__name__", type(op).__name__)
        raise ValueError(
            f"{name} could not be run on any probe: hand in inputs that it takes. "
            f"The first error was {type(errors[0]).__name__}: {errors[0]}"
        ) from errors[0]
    if inputs and visits[0].same_output:
        visits = [visit for visit in visits if visit.same_output]
    return visits


def broadcasts(reference, inputs) -> bool:
    """Whether query, key and value of an attention differ in their batch axes."""
    if reference.__name__ not in ("attention_weights", "scaled_dot_product_attention"):
        return False
    return len({np.shape(x)[:-2] for x in inputs}) > 1


def examine(op, reference, inputs, keywords, *, seed) -> Visit:
    """Run both on one call."""
    inputs = tuple(as_input(value) for value in inputs)
    their_output, their_backward = op(*inputs, **keywords)
    output, _ = reference(*inputs, **keywords)
    dtype = np.asarray(their_output).dtype
    tolerance = max(TOLERANCES.get(str(dtype), 0), getattr(reference, "tolerance", 0))
    d_output = np.random.default_rng([11, seed]).standard_normal(np.shape(output))
    d_output = frozen(d_output.astype(dtype))
    if not same(np.asarray(their_output), output, output, tolerance):
        return Visit(Probe(inputs, keywords, d_output, output, {}), False, {}, tolerance)
    found = by_name(differentiable_only(their_backward(d_output), inputs), reference, inputs)
    return Visit(probe_of(reference, inputs, keywords, d_output), True, found, tolerance)


def probe_of(reference, inputs, keywords, d_output) -> Probe:
    """One call with the right gradients, and with those of a d_output of ones."""
    output, backward = reference(*inputs, **keywords)
    dtype = np.asarray(output).dtype
    right, with_ones = (
        by_name(differentiable_only(backward(d.astype(dtype)), inputs), reference, inputs)
        for d in (d_output, np.ones_like(d_output))
    )
    return Probe(inputs, keywords, d_output, output, right, with_ones)


def by_name(gradients, reference, inputs) -> dict[str, np.ndarray]:
    """Gradients under names such as d_query or d_params.key.bias."""
    arguments = zip(argument_names(reference, len(inputs)), inputs, strict=True)
    names = [name for name, value in arguments if is_differentiable(value)]
    return {
        f"d_{name}.{path}" if path else f"d_{name}": np.asarray(leaf)
        for name, gradient in zip(names, gradients, strict=True)
        for path, leaf in tree_leaves(gradient)
    }


def wrong_at(visits) -> list[str]:
    """The gradients that are wrong anywhere."""
    names = dict.fromkeys(name for visit in visits for name in visit.probe.right)
    return [
        name
        for name in names
        if not all(visit.right_at(name) for visit in visits if name in visit.probe.right)
    ]


def explain(reference, visits, wrong) -> tuple[list[Finding], tuple[str, ...]]:
    """Findings, and the arguments that nothing explains.

    First what explains all gradients together. If there is no such thing there may be more than one
    mistake: then each argument by itself.
    """
    forms = [forms_of(reference, visit.probe) for visit in visits]
    together = explanations(visits, forms, wrong, names=None)
    if together:
        return [Finding(name, tuple(wrong), factor, reference) for name, factor in together], ()
    arguments: dict[tuple, list[str]] = {}
    for name in wrong:
        for key in explanations(visits, forms, [name], names=[name]):
            arguments.setdefault(key, []).append(name)
    findings = [
        Finding(mistake, tuple(names), factor, reference)
        for (mistake, factor), names in arguments.items()
    ]
    findings.sort(key=lambda finding: -len(finding.arguments))
    explained = {name for names in arguments.values() for name in names}
    return findings, tuple(name for name in wrong if name not in explained)


def explanations(visits, forms, wrong, names) -> list[tuple[str, str | None]]:
    """(mistake, factor) of all that explains the gradients of these names; None: of all.

    Where no mistake does, two may have met in one gradient: a wrong sign and another.
    """
    mistakes = agreeing(visits, forms, names)
    factor = constant_factor(visits, wrong)
    if not mistakes and factor is None:
        mistakes = agreeing(visits, [negated(of_visit) for of_visit in forms], names)
        mistakes = ["wrong_sign", *mistakes] if mistakes else []
    found = [(mistake, None) for mistake in mistakes]
    return found if factor is None else [*found, ("constant_factor", factor)]


def negated(forms) -> dict[str, list[dict]]:
    """The forms of each mistake with the other sign."""
    return {
        mistake: [{name: -g for name, g in gradients.items()} for gradients in of_mistake]
        for mistake, of_mistake in forms.items()
    }


def forms_of(reference, probe) -> dict[str, list[dict]]:
    """All wrong gradients that each mistake would give at a probe."""
    forms: dict[str, list[dict]] = {}
    probe = probe.in_float64()
    for mistakes in (MISTAKES[reference], generic_mistakes):
        for mistake, gradients in mistakes(probe):
            forms.setdefault(mistake, []).append(gradients)
    return forms


def agreeing(visits, forms, names) -> list[str]:
    """The mistakes that are consistent with all visits: at the gradients of these names, or all.

    Wherever the op is wrong, a form of the mistake has to be what it says. Where it is right the
    mistake may be hidden by the call (no id repeats, the other form of gelu was asked for).
    """
    consistent = dict.fromkeys(mistake for of_visit in forms for mistake in of_visit)
    for visit, of_visit in zip(visits, forms, strict=True):
        here = visit.probe.right.keys() | visit.found.keys()
        here = here if names is None else here.intersection(names)
        if all(visit.right_at(name) for name in here & visit.probe.right.keys()):
            continue
        consistent = {
            mistake: None
            for mistake in consistent
            if any(visit.matches(gradients, here) for gradients in of_visit.get(mistake, []))
        }
    return list(consistent)


def constant_factor(visits, names) -> str | None:
    """The factor by which all these gradients differ from the right ones, if there is one.

    A number, or a number times a size of the input or its inverse, as long as it is the same at
    all probes.
    """
    ratios = [ratio_at(visit, names) for visit in visits]
    if None in ratios:
        return None
    near = max(1e-6, *(visit.tolerance for visit in visits))
    wrong = [i for i, ratio in enumerate(ratios) if abs(ratio - 1) > near]  # no NaN among them
    if not wrong or sum(entries(visits[i].probe, names) for i in wrong) == 1:
        return None  # a single number is always a multiple of another
    found = np.array([ratios[i] for i in wrong])
    sizes = [sizes_of(visits[i].probe) for i in wrong]
    if np.ptp(found) <= near * abs(found[0]):
        named = np.abs(found[0] - [-1, 0]).min() < near  # a wrong sign, a zero gradient
        return None if named else f"{found[0]:.6g}"
    for name in sizes[0]:
        size = np.array([of_probe.get(name, np.nan) for of_probe in sizes], float)
        for word, scaled in (("times", found / size), ("divided by", found * size)):
            if np.ptp(scaled) <= near * abs(scaled[0]):
                number = "" if abs(scaled[0] - 1) < near else f"{scaled[0]:.6g} "
                return f"{number}{word} {name}"
    return None


def entries(probe, names) -> int:
    """How many numbers the gradients of these names have."""
    return sum(probe.right[name].size for name in names if name in probe.right)


def sizes_of(probe) -> dict[str, float]:
    """Numbers of a call that a gradient may wrongly be multiplied or divided by."""
    first = next(np.asarray(x) for x in probe.inputs if not isinstance(x, dict))
    sizes = {}
    if first.ndim:
        sizes["the batch size"] = first.shape[0]
        sizes["the length of the last axis"] = first.shape[-1]
        sizes["the number of positions"] = max(first.size // max(first.shape[-1], 1), 1)
    if "n_heads" in probe.keywords:
        sizes["the number of heads"] = probe.keywords["n_heads"]
    return sizes


def ratio_at(visit, names) -> float | None:
    """found / right at one probe: NaN where all is 0, None where there is no such number."""
    ratios = []
    for name in (n for n in names if n in visit.probe.right):
        right, like, found = visit.probe.right[name], visit.size_of(name), visit.found.get(name)
        if np.shape(found) != right.shape:
            return None
        power = float((right * right).sum())
        if power <= 1e-16 * float((like * like).sum()):
            continue
        ratio = float((found * right).sum()) / power
        if not np.isfinite(ratio) or not visit.same(found, ratio * right, like):
            return None
        ratios.append(ratio)
    if not ratios:
        return float("nan")
    near = max(1e-6, visit.tolerance)
    return ratios[0] if np.ptp(ratios) <= near * abs(ratios[0]) else None
