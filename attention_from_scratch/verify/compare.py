"""Do two implementations of an op agree, in their outputs and in every gradient?"""

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from attention_from_scratch.tree import tree_leaves, tree_map, with_dtype
from attention_from_scratch.verify.contract import (
    argument_names,
    as_input,
    differentiable_only,
    is_differentiable,
    require_alike,
)
from attention_from_scratch.verify.doctor import words_about
from attention_from_scratch.verify.foreign import as_op
from attention_from_scratch.verify.report import GradientError, GradientReport, GradientRow

# Two right implementations differ by rounding: each sums in its own order. A sum of n terms is off
# by about sqrt(n) epsilons, by n at the very worst; the sums of the cases have up to 50 terms, an
# op is a chain of a few of them, a model one of about ten such ops. In float64 there is room to
# spare, and the bounds are round numbers, 4,500 epsilons and more. In float32 they are tighter: 300
# epsilons for both; the worst that any framework needs is 36 for an op and 19 for a model. What is
# wrong is wrong by far more.
BOUNDS = {
    ("op", "float64"): 1e-12,
    ("model", "float64"): 1e-10,
    ("op", "float32"): 300 * float(np.finfo(np.float32).eps),
    ("model", "float32"): 300 * float(np.finfo(np.float32).eps),
}
ZERO = 0.01  # share of the bound that is allowed in float64 where the reference is exactly 0


def compare(
    ours: Callable,
    theirs: Callable,
    *inputs,
    bound: float | None = None,
    seed: int = 0,
    labels: tuple[str, str] = ("ours", "theirs"),
    **keywords,
) -> GradientReport:
    """Run two ops on the same inputs and the same d_output; compare all that comes out.

    Parameters
    ----------
    ours, theirs : ops of our contract, (*inputs, **keywords) -> (output, backward)
        Or what else `as_op` takes; a framework's plain function through `as_op(f, "torch")`.
    *inputs : arrays, trees of arrays, or None
    bound : float or None
        Largest error allowed; None: the bound of `BOUNDS` for an op of the inputs' dtype.
    seed : int
        Of the random d_output.
    labels : two words
        The names of the two in the table.
    **keywords
        Passed on to both.

    Returns
    -------
    GradientReport
        A row for the output and one for each array of each gradient. The error is the largest
        absolute difference over the largest absolute entry of `theirs`; within a tree, over the
        largest entry of the tree. In float64, where `theirs` is exactly 0 (padding, hidden places),
        a hundredth of the bound is allowed, and a row of its own says when it is more: a leak must
        not hide behind the large entries. It is not `== 0`, as a sum may be 0 in one order of
        adding and an epsilon in another: an event that sees itself alone sends no gradient to its
        score, which is a difference of two equal numbers. In float32 such a rest is as large as a
        hundredth of the bound, so the rule is left out.

    Raises
    ------
    GradientError
        For a gradient of either side that has another shape or is another tree than its input.
    ValueError
        For outputs of different shape.
    """
    ours, theirs = as_op(ours), as_op(theirs)
    inputs = [as_input(value) for value in inputs]
    output, backward = ours(*inputs, **keywords)
    their_output, their_backward = theirs(*inputs, **keywords)
    output, their_output = np.asarray(output), np.asarray(their_output)
    if bound is None and ("op", str(output.dtype)) not in BOUNDS:
        raise ValueError(f"the output has dtype {output.dtype}, but must be float32 or float64")
    bound = BOUNDS["op", str(output.dtype)] if bound is None else bound
    d_output = np.random.default_rng([seed, 1]).standard_normal(output.shape)
    d_output = d_output.astype(output.dtype)
    report = GradientReport(
        getattr(ours, "__name__", type(ours).__name__), heading="comparison of", labels=labels
    )
    settings = {"bound": bound, "zeros": output.dtype == their_output.dtype == np.float64}
    report.rows += rows_of("output", output, their_output, labels[1], **settings)
    names = argument_names(ours, len(inputs))
    checked = [i for i, value in enumerate(inputs) if is_differentiable(value)]
    found = differentiable_only(backward(d_output), inputs)
    expected = differentiable_only(their_backward(d_output.astype(their_output.dtype)), inputs)
    for position, gradient, their_gradient in zip(checked, found, expected, strict=True):
        value = inputs[position]
        gradient, their_gradient = (tree_map(np.asarray, g) for g in (gradient, their_gradient))
        try:
            require_alike(f"{names[position]} ({labels[0]})", value, gradient)
            theirs_in_dtype = with_dtype(their_gradient, value)
            require_alike(f"{names[position]} ({labels[1]})", value, theirs_in_dtype)
        except GradientError as error:  # another shape: the doctor may know why
            words = words_about(ours, theirs, inputs, keywords)
            raise GradientError(f"{error}\n{words}".rstrip()) from None
        name = f"d_{names[position]}"
        report.rows += rows_of(name, gradient, their_gradient, labels[1], **settings)
    if not report.passed:
        report.diagnosis = words_about(ours, theirs, inputs, keywords)
    return report


def rows_of(name, found, expected, reference, *, bound, zeros) -> list[GradientRow]:
    """A row for each array of a tree, all relative to the largest entry of the expected tree.

    With `zeros` there is another row where what is expected to be 0 is more than a hundredth of the
    bound. Raises ValueError for an array that the expected tree has not, or in another shape.
    """
    expected = {path: np.asarray(leaf) for path, leaf in tree_leaves(expected)}
    scale = max((float(np.abs(leaf).max(initial=0)) for leaf in expected.values()), default=0)
    rows = []
    for path, leaf in tree_leaves(found):
        label, shape = f"{name}.{path}" if path else name, np.shape(leaf)
        if path not in expected or shape != expected[path].shape:
            other = expected[path].shape if path in expected else "nothing of that name"
            raise ValueError(f"{label} has shape {shape}, but {reference} has {other}")
        if not leaf.size:
            continue
        leaf, right = np.asarray(leaf, np.float64), np.asarray(expected[path], np.float64)
        row = GradientRow(label, f"against {reference}", bound, leaf, right, scale or 1.0)
        leak = np.where(right == 0, leaf, 0)
        must_be_0 = replace(
            row,
            name=f"{label} where 0",
            tolerance=ZERO * bound,
            gradient=leak,
            measured=np.zeros_like(leak),
        )
        rows += [row, must_be_0] if zeros and not must_be_0.passed else [row]
    return rows
