"""Derivatives without calculus: two ways to differentiate a function by evaluating it."""

from collections.abc import Callable

import numpy as np

from attention_from_scratch.tree import Tree, rebuild, tree_leaves, tree_map
from attention_from_scratch.verify.contract import is_differentiable

COMPLEX_STEP = 1e-20
SMALLEST_SIZE = 0.05  # taken for the size of an input that is smaller, so that all 0 moves as well


def central_difference(function: Callable, x: Tree, direction: Tree) -> float:
    """Slope of `function` at `x` along `direction`: (f(x + h v) - f(x - h v)) / 2h.

    The formula is wrong by h^2 f'''/6, the subtraction by eps f / h; a step of about eps^(1/3) of
    the size of x balances the two, and leaves about eps^(2/3): 4e-11 in float64, 2e-5 in float32.

    Parameters
    ----------
    function : x -> number
    x, direction : trees alike, of float arrays
    """
    directions = dict(tree_leaves(direction))
    moving = [leaf for path, leaf in tree_leaves(x) if directions[path].any()]
    size = max((float(np.abs(leaf).max(initial=0)) for leaf in moving), default=1.0)
    eps = float(np.finfo(next(leaf for _, leaf in tree_leaves(x)).dtype).eps)
    step = eps ** (1 / 3) * max(size, SMALLEST_SIZE)

    def moved(amount):
        return tree_map(lambda leaf, v: (leaf + amount * v).astype(leaf.dtype), x, direction)

    return float((function(moved(step)) - function(moved(-step))) / (2 * step))


def complex_step(function: Callable, x: Tree, direction: Tree) -> float:
    """Slope of `function` at `x` along `direction`: Im f(x + i h v) / h.

    f(x + i h v) = f(x) + i h f'(x) v - ...: the derivative is the imaginary part, and nothing is
    subtracted, so h can be 1e-20 and the result is exact to the last digits. `function` must be
    analytic: no abs, no conj, and comparisons on the real part only.

    Source: Squire & Trapp, Using complex variables to estimate derivatives, SIAM Review 40 (1998).
    """
    moved = tree_map(
        lambda leaf, v: leaf.astype(np.complex128) + 1j * COMPLEX_STEP * v, x, direction
    )
    return float(function(moved).imag / COMPLEX_STEP)


METHODS = {"complex step": complex_step, "central difference": central_difference}


def slopes(function, value, gradient, derivative, projections, rng) -> list[tuple]:
    """Compare the slopes along each leaf: (path, what backward says, what is measured).

    Both are arrays of the leaf's shape, or of (projections,).
    """
    compared = []
    zeros = {path: np.zeros(leaf.shape) for path, leaf in tree_leaves(value)}
    for path, d_leaf in tree_leaves(gradient):
        along = projections if d_leaf.size else None  # an empty array has no direction
        if along:
            directions = [rng.standard_normal(d_leaf.shape) for _ in range(along)]
        else:
            directions = one_hots(d_leaf.shape)
        said, measured = [], []
        for v in directions:
            measured.append(derivative(function, value, rebuild(value, zeros | {path: v})))
            moved = v != 0  # so that a NaN stays in its entry
            said.append(float((d_leaf[moved] * v[moved]).sum()))
        shape = (along,) if along else d_leaf.shape
        said, measured = np.reshape(said, shape), np.reshape(measured, shape)
        compared.append((path, said, measured))
    return compared


def measured_gradients(op, inputs, d_output, keywords, derivative=complex_step) -> tuple:
    """What backward(d_output) should say: the gradient of each float input, entry by entry."""
    gradients = []
    for position, value in enumerate(inputs):
        if is_differentiable(value):
            function = contraction(op, inputs, position, d_output, keywords)
            compared = slopes(function, value, value, derivative, None, None)
            leaves = {path: measured for path, _, measured in compared}
            gradients.append(rebuild(value, leaves))
        elif value is None:
            gradients.append(None)
    return tuple(gradients)


def contraction(op, inputs, position, d_output, keywords) -> Callable:
    """The op as a number, sum(output * d_output), that depends on one of its inputs."""

    def function(value):
        dtype = next(leaf for _, leaf in tree_leaves(value)).dtype
        moved = [
            tree_map(lambda leaf: leaf.astype(dtype), other) if is_differentiable(other) else other
            for other in inputs
        ]
        moved[position] = value
        given = {name: as_real(keyword, dtype) for name, keyword in keywords.items()}
        return (op(*moved, **given)[0] * d_output).sum()

    return function


def as_real(keyword, dtype):
    """The value of a keyword; an array of floats in the precision of the inputs."""
    if isinstance(keyword, np.ndarray) and np.issubdtype(keyword.dtype, np.floating):
        return keyword.astype(np.empty(0, dtype).real.dtype)
    return keyword


def one_hots(shape):
    """Yield every array of this shape that is 0 but for a single 1."""
    for i in range(int(np.prod(shape))):
        v = np.zeros(shape)
        v.flat[i] = 1
        yield v
