"""What is wrong with this backward pass? The op is run on probes, and what it says is explained."""

import inspect
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from attention_from_scratch import ops
from attention_from_scratch.tree import tree_map
from attention_from_scratch.verify.contract import is_differentiable
from attention_from_scratch.verify.doctor.diagnosis import Diagnosis
from attention_from_scratch.verify.doctor.explaining import explain
from attention_from_scratch.verify.doctor.mutation.derivation import derive
from attention_from_scratch.verify.doctor.visits import Visit, probe_of, visits_of, wrong_at
from attention_from_scratch.verify.foreign import as_op
from attention_from_scratch.verify.numerical import (
    central_difference,
    complex_step,
    measured_gradients,
)

# The tolerance where there is only a central difference to compare with: it can tell no more.
DIFFERENCE_TOLERANCE = 1e-5


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
    source = getattr(ops, reference, None) if isinstance(reference, str) else reference
    if isinstance(reference, str):
        reference = measured_op(op, reference)
    visits = visits_of(op, reference, inputs, keywords)
    if not all(visit.same_output for visit in visits):
        return Diagnosis(name, forward_differs=True)
    wrong = wrong_at(visits)
    if not wrong:
        return Diagnosis(name, probes=len(visits))
    findings, unexplained = explain(reference.__name__, visits, wrong)
    derived = derive(source, visits, unexplained) if unexplained else []
    explained = {argument for found in derived for argument in found.arguments}
    unexplained = tuple(argument for argument in unexplained if argument not in explained)
    return Diagnosis(name, tuple(wrong), findings, derived, unexplained, probes=len(visits))


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
    return Diagnosis(name, tuple(wrong), findings, unexplained=unexplained, probes=1)


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
