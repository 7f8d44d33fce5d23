"""An op as a function of float arrays alone: what the checkers of frameworks take."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from attention_from_scratch.tree import leaves, rebuild, tree_leaves


@dataclass(frozen=True)
class Flat:
    """An op whose trees are flattened, with integer inputs and keywords closed over.

    Whatever goes in and comes out is a copy of its own, in one piece, so that neither a checker
    that moves its inputs in place nor a view with odd strides makes a difference.
    """

    op: Callable
    inputs: tuple
    keywords: dict

    @cached_property
    def arrays(self) -> list[np.ndarray]:
        """The float arrays, in the order of `leaves(inputs)`."""
        return [in_one_piece(leaf) for leaf in leaves(self.inputs) if leaf.dtype.kind == "f"]

    @cached_property
    def output(self) -> np.ndarray:
        """What it gives for these arrays."""
        return self(*self.arrays)[0]

    def __call__(self, *arrays: np.ndarray) -> tuple[np.ndarray, Callable]:
        """The output, and backward: d_output -> a tuple with a gradient for each array."""
        given = map(in_one_piece, arrays)
        of_path = {
            path: next(given) if leaf.dtype.kind == "f" else leaf
            for path, leaf in tree_leaves(self.inputs)
        }
        output, back = self.op(*rebuild(self.inputs, of_path), **self.keywords)

        def backward(d_output: np.ndarray) -> tuple[np.ndarray, ...]:
            return tuple(map(in_one_piece, leaves(back(in_one_piece(d_output)))))

        return in_one_piece(output), backward

    def gradients(self, arrays: tuple[np.ndarray, ...], d_output: np.ndarray) -> tuple:
        """What backward says at these arrays."""
        _, backward = self(*arrays)
        return backward(d_output)


def in_one_piece(array) -> np.ndarray:
    """A copy as a contiguous array; of a Python float too."""
    return np.array(array, order="C")
