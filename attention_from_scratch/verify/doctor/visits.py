"""A visit: an op and its reference are run on one call, and their gradients stand side by side.

Here it is said at which calls an op is asked, when two gradients are the same, and which are wrong.
"""

import time
from dataclasses import dataclass, field, replace

import numpy as np

from attention_from_scratch.tree import tree_leaves
from attention_from_scratch.verify.contract import (
    argument_names,
    as_input,
    differentiable_only,
    frozen,
    is_differentiable,
)
from attention_from_scratch.verify.doctor.mistakes.shared import Probe
from attention_from_scratch.verify.doctor.probes import PROBES, REGISTERED, probes_of
from attention_from_scratch.verify.doctor.repeats import unsteady
from attention_from_scratch.verify.doctor.variations import calls_like
from attention_from_scratch.verify.report import GradientError

# Two gradients are the same if they agree as far as the op's dtype can tell.
TOLERANCES = {"float64": 1e-8, "float32": 1e-3}


# What is smaller than this part of d_output may be 0: a difference of equal numbers.
NOTHING = {"float64": 1e-6, "float32": 1e-3}

# For calls like a caller's: so many seconds, as each entry may have to be measured.
SECONDS = 0.5


@dataclass(frozen=True)
class Visit:
    """What an op says at a probe; no gradients where its output is not the reference's.

    `unsteady` has words for each gradient that is another when backward is called again.
    """

    probe: Probe
    same_output: bool
    found: dict[str, np.ndarray]
    tolerance: float
    output: np.ndarray | None = None
    unsteady: dict[str, str] = field(default_factory=dict)

    def same(self, a, b, like) -> bool:
        """Whether a and b are the same, to the tolerance of this visit."""
        if np.shape(a) != np.shape(b):
            return False
        return bool(np.abs(a - b).max(initial=0) <= self.tolerance * self.scale(like))

    def scale(self, like) -> float:
        """The size to measure a difference against: that of `like`, or what rounding makes of 0."""
        d_output = np.abs(self.probe.d_output).max(initial=0)
        floor = NOTHING["float32" if self.tolerance > 1e-4 else "float64"] * d_output
        return float(max(np.abs(like).max(initial=0), floor)) or 1.0

    def size_of(self, name) -> np.ndarray:
        """The leaf to measure a gradient against: the largest of its argument, as one may be 0."""
        argument = name.split(".")[0]
        leaves = [g for n, g in self.probe.right.items() if n.split(".")[0] == argument]
        return leaves[int(np.argmax([np.abs(leaf).max(initial=0) for leaf in leaves]))]

    def right_at(self, name) -> bool:
        """Whether the op gives the right gradient under this name."""
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
    """Whether a and b are equal but for rounding, relative to the largest entry of `like`."""
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
    errors, start = [], time.thread_time()
    for seed, (own, own_keywords) in enumerate(calls(reference, inputs, keywords), start=1):
        if broadcasts(reference, own) and not asked:
            continue
        if family_of(reference) is None and time.thread_time() - start > SECONDS:
            break
        try:
            visits.append(examine(op, reference, own, own_keywords, seed=seed))
        except Exception as error:  # whatever a reader's op does with a call it was not made for
            errors.append(error)
    if not visits and isinstance(errors[0], GradientError):
        raise errors[0]
    if not visits and not inputs and family_of(reference) is None:
        raise ValueError("there are no probes for this reference: hand in inputs that it takes")
    if not visits:
        name = getattr(op, "__name__", type(op).__name__)
        raise ValueError(
            f"{name} could not be run on any probe: hand in inputs that it takes. "
            f"The first error was {type(errors[0]).__name__}: {errors[0]}"
        ) from errors[0]
    if inputs and visits[0].same_output:
        visits = [visit for visit in visits if visit.same_output]
    return visits


def family_of(reference) -> str | None:
    """The name of the op of `ops`, or of a registered one, that a reference is; or None."""
    if hasattr(reference, "family"):
        return reference.family
    ours = (getattr(reference, "__module__", None) or "").startswith("attention_from_scratch.")
    name = getattr(reference, "__name__", None)
    known = ours or REGISTERED.get(name) is reference
    return name if known and name in PROBES else None


def calls(reference, inputs, keywords):
    """The probes of an op of ours; calls like the caller's for any other."""
    family = family_of(reference)
    return calls_like(inputs, keywords) if family is None else probes_of(family)


def broadcasts(reference, inputs) -> bool:
    """Whether query, key and value of an attention differ in their batch axes."""
    if family_of(reference) not in ("attention_weights", "scaled_dot_product_attention"):
        return False
    return len({np.shape(x)[:-2] for x in inputs}) > 1


def examine(op, reference, inputs, keywords, *, seed) -> Visit:
    """Run op and reference on one call, with a d_output drawn from the seed."""
    inputs = tuple(as_input(value) for value in inputs)
    their_output, their_backward = op(*inputs, **keywords)
    output, _ = reference(*inputs, **keywords)
    their_output = np.asarray(their_output)
    dtypes = str(their_output.dtype), str(np.asarray(output).dtype)  # float32 may become float64
    tolerance = max(getattr(reference, "tolerance", 0), *(TOLERANCES.get(d, 0) for d in dtypes))
    d_output = np.random.default_rng([11, seed]).standard_normal(np.shape(output))
    d_output = frozen(d_output.astype(their_output.dtype))
    if not same(their_output, output, output, tolerance):
        probe = Probe(inputs, keywords, d_output, output, {})
        return Visit(probe, False, {}, tolerance, their_output)

    def said(backward):
        return by_name(differentiable_only(backward(d_output), inputs), reference, inputs)

    found = {name: np.copy(gradient) for name, gradient in said(their_backward).items()}
    odd = unsteady(found, lambda: said(their_backward), lambda: said(op(*inputs, **keywords)[1]))
    probe = Probe(inputs, keywords, d_output, output, {})
    probe = replace(probe, right=gradients_at(reference, probe))
    visit = Visit(probe, True, found, tolerance, their_output, odd)
    return replace(visit, probe=and_with_ones(probe, reference)) if wrong_at([visit]) else visit


def probe_of(reference, inputs, keywords, d_output) -> Probe:
    """Make a probe of a call: the right gradients for d_output, and for a d_output of ones."""
    output, _ = reference(*inputs, **keywords)
    probe = Probe(inputs, keywords, d_output, output, {})
    return and_with_ones(replace(probe, right=gradients_at(reference, probe)), reference)


def and_with_ones(probe, reference) -> Probe:
    """The probe with the gradients for a d_output of ones as well."""
    ones = replace(probe, d_output=np.ones_like(probe.d_output))
    return replace(probe, with_ones=gradients_at(reference, ones))


def gradients_at(reference, probe) -> dict[str, np.ndarray]:
    """The gradients of a reference at a probe, by name."""
    output, backward = reference(*probe.inputs, **probe.keywords)
    gradients = backward(probe.d_output.astype(np.asarray(output).dtype))
    return by_name(differentiable_only(gradients, probe.inputs), reference, probe.inputs)


def by_name(gradients, reference, inputs) -> dict[str, np.ndarray]:
    """Put gradients under names such as d_query or d_params.key.bias."""
    arguments = zip(argument_names(reference, len(inputs)), inputs, strict=True)
    names = [name for name, value in arguments if is_differentiable(value)]
    return {
        f"d_{name}.{path}" if path else f"d_{name}": np.asarray(leaf)
        for name, gradient in zip(names, gradients, strict=True)
        for path, leaf in tree_leaves(gradient)
    }


def wrong_at(visits) -> list[str]:
    """The names of the gradients that are wrong at any visit."""
    names = dict.fromkeys(name for visit in visits for name in visit.probe.right)
    return [
        name
        for name in names
        if not all(visit.right_at(name) for visit in visits if name in visit.probe.right)
    ]
