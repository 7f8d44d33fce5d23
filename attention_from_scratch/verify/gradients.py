"""Is this backward pass the derivative of this forward pass?"""

from collections.abc import Callable

import numpy as np

from attention_from_scratch.tree import tree_leaves, tree_map
from attention_from_scratch.verify.contract import (
    argument_names,
    as_input,
    differentiable_only,
    disturb,
    frozen,
    is_differentiable,
    require_alike,
    require_dtype,
    require_equal,
)
from attention_from_scratch.verify.doctor import words_of_the_doctor
from attention_from_scratch.verify.foreign import as_op
from attention_from_scratch.verify.numerical import METHODS, contraction, slopes
from attention_from_scratch.verify.report import GradientError, GradientReport, GradientRow

# What remains when everything is right, with room for an unlucky sum. In float64 the complex step
# is exact to rounding. A float32 backward pass is compared with derivatives of the same function
# taken in complex128, so its own rounding is what is seen; a central difference in float32 has
# about five digits at best.
TOLERANCES = {
    ("complex step", "float64"): 1e-12,
    ("central difference", "float64"): 1e-7,
    ("complex step", "float32"): 1e-4,
    ("central difference", "float32"): 2e-2,
}


def check_gradients(
    op: Callable,
    *inputs,
    projections: int | None = None,
    tolerances: dict[str, float] | None = None,
    seed: int = 0,
    raise_on_failure: bool = False,
    **keywords,
) -> GradientReport:
    """Compare every gradient of an op with central differences and with the complex step.

    The output is contracted with a random d_output, which makes it one number; its slope along
    each entry of each input is what `backward(d_output)` should have said.

    Parameters
    ----------
    op : (*inputs, **keywords) -> (output, backward)
        Any op that keeps the contract: one of ours, a model's loss, a reader's own; or whatever
        else `as_op` takes. It has to give the same output each time: hand dropout a `keep` mask,
        or make the generator inside `op`.
    *inputs : arrays, trees of arrays, or None
        Float inputs are checked; integer and boolean ones are passed on.
    projections : int or None
        None perturbs every entry, one by one. A number k instead compares k random directions for
        each array: two evaluations see the whole of it, which is what a model needs.
    tolerances : {"complex step": float, "central difference": float}
        In place of the defaults for the dtype; a method left out is not run.
    seed : int
        For d_output and the directions.
    raise_on_failure : bool
        Raise `GradientError` with the table if a row fails.
    **keywords
        Passed on to `op`.

    Returns
    -------
    GradientReport
        The error of an array is the largest absolute difference over the largest absolute entry
        of the reference; for an input that is a tree, over the largest entry in the tree.

    Raises
    ------
    GradientError
        When asked to, and always when `backward` breaks the contract: wrong number of gradients,
        wrong shape or dtype, another answer when called again. Inputs and d_output are read-only,
        so an op that writes to them ends in NumPy's own error.
    """
    op = as_op(op)
    rng = np.random.default_rng([seed, 1])  # not the stream that the inputs may come from
    inputs = [as_input(value) for value in inputs]
    output, backward = op(*inputs, **keywords)
    output = np.asarray(output)  # a loss may be a plain number
    d_output = frozen(rng.standard_normal(np.shape(output)).astype(output.dtype))
    checked = [i for i, value in enumerate(inputs) if is_differentiable(value)]
    if not checked:
        raise ValueError(f"none of the {len(inputs)} inputs holds floats: there is no gradient")
    require_dtype(output, inputs)
    gradients = steady_gradients(op, inputs, keywords, backward, d_output)
    report = GradientReport(getattr(op, "__name__", type(op).__name__))
    names = argument_names(op, len(inputs))
    try:
        for position, gradient in zip(checked, gradients, strict=True):
            require_alike(names[position], inputs[position], gradient)
    except GradientError as error:  # another shape: the doctor may know why
        words = words_of_the_doctor(op, inputs, keywords)
        raise GradientError(f"{error}\n{words}".rstrip()) from None
    for position, gradient in zip(checked, gradients, strict=True):
        value = inputs[position]
        allowed = default_tolerances(op, value) if tolerances is None else tolerances
        function = contraction(op, inputs, position, d_output, keywords)
        by_method = []
        for method, tolerance in allowed.items():
            compared = slopes(function, value, gradient, METHODS[method], projections, rng)
            by_method.append(
                to_rows(names[position], method, tolerance, compared, bool(projections))
            )
        report.rows += [row for rows in zip(*by_method, strict=True) for row in rows]
    if not report.passed:
        report.diagnosis = words_of_the_doctor(op, inputs, keywords)
        if raise_on_failure:
            raise GradientError(str(report))
    return report


def steady_gradients(op, inputs, keywords, backward, d_output) -> list:
    """What backward says, if it says so again: after other calls, and of a loss without 1."""
    gradients = differentiable_only(backward(d_output), inputs)
    first = tree_map(np.copy, gradients)
    disturb(op, inputs, keywords, backward, d_output)
    tree_map(require_equal, first, gradients)
    tree_map(require_equal, first, differentiable_only(backward(d_output), inputs))
    if d_output.ndim == 0:  # a loss: no argument means 1
        without = differentiable_only(backward(), inputs)
        with_one = differentiable_only(backward(d_output.dtype.type(1)), inputs)
        tree_map(require_equal, without, with_one)
    return gradients


def to_rows(name, method, tolerance, compared, directions) -> list[GradientRow]:
    """Rows of one input, all relative to the largest size among its leaves."""
    scale = max((float(np.abs(measured).max(initial=0)) for *_, measured in compared), default=0)
    scale = scale or 1.0
    return [
        GradientRow(
            f"{name}.{path}" if path else name,
            method,
            tolerance,
            said,
            measured,
            scale,
            directions,
        )
        for path, said, measured in compared
        if said.size
    ]


def default_tolerances(op, value) -> dict[str, float]:
    """Method -> tolerance, by the input's dtype; no complex step through a framework."""
    dtype = str(next(leaf for _, leaf in tree_leaves(value)).dtype)
    if dtype not in ("float32", "float64"):
        raise ValueError(f"an input has dtype {dtype}, but must be float32 or float64")
    methods = [m for m in METHODS if m != "complex step" or getattr(op, "complex_step", True)]
    return {method: TOLERANCES[method, dtype] for method in methods}
