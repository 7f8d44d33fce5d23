"""Is this backward pass the derivative of this forward pass?"""

import inspect
from collections.abc import Callable

import numpy as np

from attention_from_scratch.tree import Tree, tree_leaves, tree_map
from attention_from_scratch.verify.numerical import METHODS
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
        Any op that keeps the contract: one of ours, a model's loss, a reader's own. It has to give
        the same output each time: hand dropout a `keep` mask, or make the generator inside `op`.
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
    rng = np.random.default_rng([seed, 1])  # not the stream that the inputs may come from
    inputs = [tree_map(frozen, value) for value in inputs]
    output, backward = op(*inputs, **keywords)
    d_output = frozen(rng.standard_normal(np.shape(output)).astype(output.dtype))
    checked = [i for i, value in enumerate(inputs) if is_differentiable(value)]
    if not checked:
        raise ValueError(f"none of the {len(inputs)} inputs holds floats: there is no gradient")
    require_dtype(output, inputs)
    gradients = differentiable_only(backward(d_output), inputs)
    first = tree_map(np.copy, gradients)
    disturb(op, inputs, keywords, backward, d_output)
    tree_map(require_equal, first, gradients)
    tree_map(require_equal, first, differentiable_only(backward(d_output), inputs))
    if np.ndim(output) == 0:  # a loss: no argument means 1
        for without, with_one in zip(
            differentiable_only(backward(), inputs),
            differentiable_only(backward(output.dtype.type(1)), inputs),
            strict=True,
        ):
            tree_map(require_equal, without, with_one)

    def contracted(position):
        def function(value):
            dtype = next(leaf for _, leaf in tree_leaves(value)).dtype
            moved = [
                tree_map(lambda leaf: leaf.astype(dtype), other) if i in checked else other
                for i, other in enumerate(inputs)
            ]
            moved[position] = value
            given = {name: as_real(keyword, dtype) for name, keyword in keywords.items()}
            return (op(*moved, **given)[0] * d_output).sum()

        return function

    report = GradientReport(getattr(op, "__name__", type(op).__name__))
    names = argument_names(op, len(inputs))
    for position, gradient in zip(checked, gradients, strict=True):
        value = inputs[position]
        require_alike(names[position], value, gradient)
        allowed = default_tolerances(value) if tolerances is None else tolerances
        by_method = []
        for method, tolerance in allowed.items():
            compared = compare(
                contracted(position), value, gradient, METHODS[method], projections, rng
            )
            by_method.append(to_rows(names[position], method, tolerance, compared))
        report.rows += [row for rows in zip(*by_method, strict=True) for row in rows]
    if raise_on_failure and not report.passed:
        raise GradientError(str(report))
    return report


def compare(function, value, gradient, derivative, projections, rng) -> list[tuple]:
    """For each leaf: (path, what backward says, what is measured).

    Both are arrays of the leaf's shape, or of (projections,).
    """
    compared = []
    zeros = {path: np.zeros(leaf.shape) for path, leaf in tree_leaves(value)}
    for path, d_leaf in tree_leaves(gradient):
        if projections:
            directions = [rng.standard_normal(d_leaf.shape) for _ in range(projections)]
        else:
            directions = one_hots(d_leaf.shape)
        said, measured = [], []
        for v in directions:
            measured.append(derivative(function, value, rebuild(value, zeros | {path: v})))
            moved = v != 0  # so that a NaN stays in its entry
            said.append(float((d_leaf[moved] * v[moved]).sum()))
        shape = (projections,) if projections else d_leaf.shape
        said, measured = np.reshape(said, shape), np.reshape(measured, shape)
        compared.append((path, said, measured))
    return compared


def to_rows(name, method, tolerance, compared) -> list[GradientRow]:
    """Rows of one input, all relative to the largest size among its leaves."""
    scale = max((float(np.abs(measured).max(initial=0)) for *_, measured in compared)) or 1.0
    return [
        GradientRow(f"{name}.{path}" if path else name, method, tolerance, said, measured, scale)
        for path, said, measured in compared
        if said.size
    ]


def frozen(array):
    """A read-only copy."""
    copy = np.array(array)
    copy.setflags(write=False)
    return copy


def as_real(keyword, dtype):
    """A float array among the keywords, in the precision of the inputs."""
    if isinstance(keyword, np.ndarray) and np.issubdtype(keyword.dtype, np.floating):
        return keyword.astype(np.empty(0, dtype).real.dtype)
    return keyword


def is_differentiable(value) -> bool:
    """Whether the input is a float array, or a tree of them."""
    return any(np.issubdtype(leaf.dtype, np.floating) for _, leaf in tree_leaves(value))


def differentiable_only(gradients, inputs) -> list:
    """The gradients of the float inputs, after a look at the places of all.

    There has to be one for each positional input that is not of integers, in their order: None for
    an input that was None.
    """
    gradients = gradients if isinstance(gradients, tuple) else (gradients,)
    expected = [value for value in inputs if value is None or is_differentiable(value)]
    while len(gradients) > len(expected) and gradients[-1] is None:
        gradients = gradients[:-1]  # of an optional argument that was left out
    if len(gradients) != len(expected):
        raise GradientError(
            f"backward returned {len(gradients)} gradients, but the op has {len(expected)} "
            "differentiable inputs (None counts)"
        )
    for index, (gradient, value) in enumerate(zip(gradients, expected, strict=True)):
        if (gradient is None) != (value is None):
            raise GradientError(
                f"gradient {index + 1} of {len(expected)} is {describe(gradient)}, "
                f"but its input is {describe(value)}"
            )
    return [gradient for gradient in gradients if gradient is not None]


def describe(value) -> str:
    """What stands in a place."""
    return "None" if value is None else "not None"


def disturb(op, inputs, keywords, backward, d_output) -> None:
    """Use the op and its backward for something else: neither may remember it."""
    others = [
        tree_map(lambda leaf: frozen(2 * leaf), value) if is_differentiable(value) else value
        for value in inputs
    ]
    op(*others, **keywords)
    backward(frozen(d_output + d_output))


def require_dtype(output, inputs) -> None:
    """Raise unless the output has the dtype of the float inputs."""
    for value in filter(is_differentiable, inputs):
        dtype = next(leaf for _, leaf in tree_leaves(value)).dtype
        if output.dtype != dtype:
            raise GradientError(f"the output has dtype {output.dtype}, but the inputs have {dtype}")


def require_alike(name, value, gradient):
    """Raise unless the gradient has the same leaves, shapes and dtype as its input."""
    leaves, d_leaves = dict(tree_leaves(value)), dict(tree_leaves(gradient))
    if leaves.keys() != d_leaves.keys():
        odd = sorted(leaves.keys() ^ d_leaves.keys())
        raise GradientError(f"the gradient of {name} is another tree: {', '.join(odd)}")
    for path, leaf in leaves.items():
        d_leaf = d_leaves[path]
        if d_leaf.shape != leaf.shape or d_leaf.dtype != leaf.dtype:
            raise GradientError(
                f"the gradient of {name} {path} has shape {d_leaf.shape} and dtype {d_leaf.dtype}, "
                f"but the input has {leaf.shape} and {leaf.dtype}"
            )


def require_equal(first, second):
    """Raise unless a second call of backward gave the same numbers."""
    if not np.array_equal(first, second, equal_nan=True):
        raise GradientError(
            "backward gave another answer when called again, or (of a loss) without an argument"
        )


def default_tolerances(value) -> dict[str, float]:
    """Both methods at the tolerances of the input's dtype."""
    dtype = str(next(leaf for _, leaf in tree_leaves(value)).dtype)
    return {method: TOLERANCES[method, dtype] for method in METHODS}


def one_hots(shape):
    """Every array of this shape with a single 1."""
    for i in range(int(np.prod(shape))):
        v = np.zeros(shape)
        v.flat[i] = 1
        yield v


def rebuild(tree: Tree, leaves: dict, path: str = "") -> Tree:
    """A tree like `tree` with the leaves of {path: leaf}."""
    if tree is None:
        return None
    if isinstance(tree, dict | list | tuple):
        items = tree.items() if isinstance(tree, dict) else enumerate(tree)
        built = {n: rebuild(b, leaves, f"{path}.{n}" if path else str(n)) for n, b in items}
        return built if isinstance(tree, dict) else type(tree)(built.values())
    return leaves[path]


def argument_names(op, n_inputs) -> list[str]:
    """The op's own names for its positional arguments."""
    try:
        parameters = inspect.signature(op).parameters.values()
    except (TypeError, ValueError):
        parameters = []
    names = [p.name for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    return [names[i] if i < len(names) else f"input {i + 1}" for i in range(n_inputs)]
