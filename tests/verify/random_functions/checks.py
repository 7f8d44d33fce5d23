"""What must hold for a function that `random_function` gave, beyond how it was chosen."""

from collections.abc import Iterator

import numpy as np

from attention_from_scratch.tree import Tree, leaves, tree_map
from tests.verify.random_functions.floor import distances, nearby
from tests.verify.random_functions.function import Function, is_float
from tests.verify.random_functions.generator import RIGHT, in_floors, judge
from tests.verify.random_functions.plants import WRONG
from tests.verify.random_functions.truth import exact_output

STEP = 1e-100  # of the complex step: its square is nothing beside 1


def failures(function: Function) -> Iterator[str]:
    """What does not hold, a line each."""
    worst = judge(function).worst
    if worst > RIGHT:
        yield f"its gradient is {worst:.3g} floors from the truth"
    worst = output_off(function)
    if worst > RIGHT:
        yield f"its output is {worst:.3g} times what rounding explains from that in mpmath"
    if function.d_output.dtype == np.float32 and not is_right_in_double(function):
        yield "called in float64 it gives another gradient, or one of another dtype"
    if not is_pure(function):
        yield "its backward pass gives something else the second time"
    if function.analytic and not is_close(complex_step(function), function, WRONG):
        yield "a complex step through it is not the truth"  # it has rounding of its own


def is_close(gradient: Tree, function: Function, floors: float) -> bool:
    """Whether a gradient found in another way is the truth, to so many floors and a little more.

    A floor may be 0 where rounding comes out as 0 each time, and in the other way does not.
    """
    judged = judge(function)
    exact = leaves(judged.exact.gradient)
    rounding = 1e-9 * max(float(np.max(np.abs(leaf), initial=0)) for leaf in exact)
    away = distances(gradient, judged.exact)
    return all(
        bool((off <= floors * u + rounding).all())
        for off, u in zip(away, leaves(judged.floor), strict=True)
    )


def output_off(function: Function) -> float:
    """How far the output is from that in mpmath, in units of what rounding can do to it.

    As the floor of a gradient, but with eps times the largest value of any step: the difference of
    two of them, or of one and a constant, has that much error.
    """
    output = np.asarray(function.output(function.inputs))
    exact = exact_output(function, function.inputs)
    change = np.zeros(output.shape)
    for moved, _ in nearby(function.inputs, function.d_output, seed=0):
        of_output = np.abs(np.subtract(function.output(moved), output, dtype=np.float64))
        of_exact = np.abs(exact_output(function, moved) - exact)
        change = np.maximum(change, np.maximum(of_output, of_exact))
    values, _ = function.forward(function.inputs, function.keywords)
    largest = max(float(np.max(np.abs(value))) for value in values)
    u = np.finfo(function.d_output.dtype).eps * np.maximum(np.abs(exact), largest) + change
    return in_floors([np.abs(output - exact)], [u])


def is_right_in_double(function: Function) -> bool:
    """Whether a float32 function that is called in float64 gives the same gradient, in float64."""
    inputs = tree_map(lambda leaf: leaf.astype(float) if is_float(leaf) else leaf, function.inputs)
    found = function.gradient(inputs, function.d_output.astype(float))
    in_double = all(leaf.dtype == np.float64 for leaf in leaves(found))
    return in_double and is_close(found, function, RIGHT)


def is_pure(function: Function) -> bool:
    """Whether read-only inputs do, and a second call of backward says the same."""

    def read_only(leaf):
        leaf = leaf.copy()
        leaf.flags.writeable = False
        return leaf

    _, backward = function.op(*tree_map(read_only, function.inputs), **function.keywords)
    d_output = read_only(function.d_output)
    first, second = leaves(backward(d_output)), leaves(backward(d_output))
    return all(np.array_equal(a, b) for a, b in zip(first, second, strict=True))


def complex_step(function: Function) -> list[np.ndarray]:
    """Im f(x + ih) / h for each float leaf, in double precision."""
    as_complex = lambda leaf: leaf.astype(np.complex128) if is_float(leaf) else leaf
    inputs = tree_map(as_complex, function.inputs)
    found = []
    for leaf in (leaf for leaf in leaves(inputs) if is_float(leaf)):
        slope = np.zeros(leaf.shape)
        for entry in np.ndindex(leaf.shape):
            kept = leaf[entry]
            leaf[entry] += 1j * STEP
            slope[entry] = (function.output(inputs).imag * function.d_output).sum() / STEP
            leaf[entry] = kept
        found.append(slope)
    return found
