"""Derivatives without calculus: two ways to differentiate a function by evaluating it."""

from collections.abc import Callable

import numpy as np

from attention_from_scratch.tree import Tree, tree_leaves, tree_map

COMPLEX_STEP = 1e-20
SMALLEST_SIZE = 0.05  # of an input, for the step of a difference: one that is all 0 moves as well


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
    size = max((float(np.abs(leaf).max()) for leaf in moving), default=1.0)
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
