"""check_grads of HIPS autograd, by a primitive that calls the op."""

from collections.abc import Callable
from importlib.metadata import version

import numpy as np
from autograd.extend import defvjp_argnums, primitive
from autograd.test_util import check_grads

from benchmarks.verdicts.contenders import Contender
from benchmarks.verdicts.flat import Flat


def contenders() -> list[Contender]:
    """One random direction of all inputs, and one of the output."""
    return [Contender("autograd check_grads", f"autograd {version('autograd')}", check)]


def check(op: Callable, inputs: tuple, keywords: dict) -> str:
    """What check_grads says of the first derivative, backwards, at its default tolerances."""
    flat = Flat(op, inputs, keywords)
    np.random.seed(0)  # noqa: NPY002 -- its directions come from there
    positions = tuple(range(len(flat.arrays)))
    try:
        check_grads(as_autograd(flat), positions, modes=["rev"], order=1)(*flat.arrays)
    except AssertionError:
        return "wrong"
    return "right"


def as_autograd(flat: Flat) -> Callable:
    """A function of autograd's boxes, with the op's backward pass."""

    @primitive
    def function(*arrays):
        return flat(*arrays)[0]

    def backward_of(positions, output, arrays, keywords):
        def backward(d_output):
            gradients = flat.gradients(arrays, d_output)
            return tuple(gradients[position] for position in positions)

        return backward

    defvjp_argnums(function, backward_of)
    return function
