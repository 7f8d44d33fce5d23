"""What an op gives: one array, one number or several of them; and the sum that is differentiated.

A gradient is that of one number, L = sum(output * d_output), over all outputs of the op.
"""

import inspect
from collections.abc import Callable

import numpy as np

from attention_from_scratch.tree import Tree, rebuild, tree_leaves, tree_map


def as_outputs(output, dtype=None) -> list[np.ndarray]:
    """The arrays of an output: itself, or the entries of a tuple or list; a float in this dtype."""
    several = output if isinstance(output, tuple | list) else [output]
    return [np.asarray(one, dtype if type(one) is float else None) for one in several]


def random_like(outputs: list[np.ndarray], rng: np.random.Generator) -> list[np.ndarray]:
    """A read-only d_output for each output: standard normal, and 0 for one of integers."""
    drawn = []
    for output in outputs:
        floats = np.issubdtype(output.dtype, np.floating)
        d_output = rng.standard_normal(output.shape) if floats else np.zeros(output.shape)
        drawn.append(frozen(d_output.astype(output.dtype if floats else np.float64)))
    return drawn


def holds_arrays(value) -> bool:
    """Whether an input is an array or a tree of arrays, and not a number or a word."""
    leaves = [leaf for _, leaf in tree_leaves(value)]
    return bool(leaves) and all(isinstance(leaf, np.ndarray) for leaf in leaves)


def frozen(array: np.ndarray) -> np.ndarray:
    """The array, read-only."""
    array = np.asarray(array)
    array.setflags(write=False)
    return array


def call_backward(backward: Callable, d_outputs: list[np.ndarray]):
    """What backward says: `backward(d_1, d_2)` or `backward((d_1, d_2))`, as it takes them."""
    if len(d_outputs) == 1:
        return backward(d_outputs[0])
    return backward(*d_outputs) if takes(backward, len(d_outputs)) else backward(tuple(d_outputs))


def takes(function: Callable, n_arguments: int) -> bool:
    """Whether a function can be called with so many positional arguments."""
    try:
        inspect.signature(function).bind(*range(n_arguments))
    except TypeError:
        return False
    except ValueError:  # it does not say what it takes
        return True
    return True


class Evaluation:
    """An op in float64, longdouble or complex128, as a function of one of its leaves.

    All float inputs, and arrays of floats among the keywords, are taken in that dtype, whatever
    they were: a derivative is measured of the exact function, not of its rounding.
    """

    def __init__(self, op: Callable, inputs: list, keywords: dict, dtype: type):
        self.op, self.dtype = op, np.dtype(dtype)
        self.inputs = [
            tree_map(self.as_double, value) if holds_arrays(value) else value for value in inputs
        ]
        self.keywords = {name: self.keyword(value) for name, value in keywords.items()}
        self.leaves = [dict(tree_leaves(value)) for value in self.inputs]

    def as_double(self, leaf: np.ndarray) -> np.ndarray:
        """A float array in the dtype of this evaluation; any other as it is."""
        return leaf.astype(self.dtype) if np.issubdtype(leaf.dtype, np.floating) else leaf

    def keyword(self, value):
        """The value of a keyword: an array of floats as float64."""
        floats = isinstance(value, np.ndarray) and np.issubdtype(value.dtype, np.floating)
        return value.astype(np.float64) if floats else value

    def leaf(self, position: int, path: str) -> np.ndarray:
        """The array of one input at this path."""
        return self.leaves[position][path]

    def __call__(self, position=None, path="", value=None) -> list[np.ndarray]:
        """The outputs, with another value at one leaf."""
        inputs: list[Tree] = list(self.inputs)
        if position is not None:
            leaves = self.leaves[position] | {path: value}
            inputs[position] = rebuild(inputs[position], leaves)
        return as_outputs(self.op(*inputs, **self.keywords)[0])
