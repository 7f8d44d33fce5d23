"""How far a right gradient may be from the truth: the error model, from its definition.

    u = eps |r| + the largest change of r and of g

over 8 runs in which every float input and d_output are multiplied, entry by entry, by 1 + eps or
1 - eps. r is the exact gradient at the inputs of the run, g what the function's own backward pass
says there, and eps that of the dtype. A right function is within 16 u of r at every entry, but for
one that loses digits inside in a way that no change of its inputs shows.
"""

from collections.abc import Iterator

import numpy as np

from attention_from_scratch.tree import Tree, leaves, tree_map
from tests.verify.random_functions.function import Function, is_float
from tests.verify.random_functions.truth import Truth, truth

N_RUNS = 8


def floor(
    function: Function, inputs: tuple, d_output: np.ndarray, seed: int = 0
) -> tuple[Tree, ...]:
    """u for every entry: a tuple with a tree for each float input, in float64.

    Parameters
    ----------
    function : Function
    inputs : tuple
        Like `function.inputs`.
    d_output : of the output's shape
    seed : int
        Of the random signs.
    """
    return floor_around(function, inputs, d_output, truth(function, inputs, d_output), seed)


def floor_around(
    function: Function, inputs: tuple, d_output: np.ndarray, exact: Truth, seed: int = 0
) -> tuple[Tree, ...]:
    """`floor` where the truth at the inputs themselves is known."""
    eps = np.finfo(d_output.dtype).eps
    r = leaves(exact.gradient)
    g = leaves(function.gradient(inputs, d_output))
    largest = [np.zeros(np.shape(leaf)) for leaf in r]
    for moved, d_moved in nearby(inputs, d_output, seed):
        r_moved = leaves(truth(function, moved, d_moved).gradient)
        g_moved = leaves(function.gradient(moved, d_moved))
        for i, change in enumerate(largest):
            of_r = np.abs(r_moved[i] - r[i])
            of_g = np.abs(np.subtract(g_moved[i], g[i], dtype=np.float64))
            largest[i] = np.maximum(change, np.maximum(of_r, of_g))
    floors = [
        np.asarray(eps * np.abs(leaf) + change) for leaf, change in zip(r, largest, strict=True)
    ]
    return function.gathered(dict(zip(function.float_slots, floors, strict=True)))


def nearby(inputs: tuple, d_output: np.ndarray, seed: int) -> Iterator[tuple[tuple, np.ndarray]]:
    """The inputs and d_output of each run."""
    n_floats = sum(np.size(leaf) for leaf in leaves((inputs, d_output)) if is_float(leaf))
    for signs in random_signs(np.random.default_rng(seed), n_floats):
        yield perturbed((inputs, d_output), signs)


def random_signs(rng: np.random.Generator, n: int) -> np.ndarray:
    """(N_RUNS, n) of -1 and 1: for each entry, its signs in all runs.

    They are drawn without replacement (up to 128 entries), where s and -s count as the same. So
    there is no pair of entries that go up and down together in all runs, or against each other,
    as by mere chance one pair in 128 does; it would hide that their difference cancels.
    """
    patterns = np.resize(rng.permutation(2 ** (N_RUNS - 1)), n)
    bits = patterns >> np.arange(N_RUNS)[:, None] & 1
    return (2 * bits - 1) * rng.choice([-1, 1], size=n)


def perturbed(tree: Tree, signs: np.ndarray) -> Tree:
    """Every float times 1 + eps or 1 - eps; zeros stay zeros, and integers as they are."""
    rest = iter(signs.tolist())

    def move(leaf):
        if not is_float(leaf):
            return leaf
        factors = [1 + next(rest) * np.finfo(leaf.dtype).eps for _ in range(leaf.size)]
        return np.asarray(leaf * np.reshape(factors, leaf.shape), leaf.dtype)

    return tree_map(move, tree)


def distances(gradient: Tree, exact: Truth) -> list[np.ndarray]:
    """How far each entry is from the truth, leaf by leaf; at a kink, from between the slopes."""
    found = []
    for g, left, right in zip(*map(leaves, (gradient, exact.left, exact.right)), strict=True):
        g = np.asarray(g, np.float64)
        low, high = np.minimum(left, right), np.maximum(left, right)
        found.append(np.maximum(np.maximum(low - g, g - high), 0))
    return found
