"""Functions of one step, for the tests of truth, floor and plants."""

import numpy as np

from tests.verify.random_functions.function import Function, Step
from tests.verify.random_functions.primitive import Primitive


def one_step(primitive: Primitive, *inputs: np.ndarray, d_output: np.ndarray | float) -> Function:
    """The function that is this primitive, of these inputs."""
    n = len(inputs)
    step = Step(primitive, "by hand", tuple(range(n)), n)
    d_output = np.asarray(d_output, inputs[0].dtype)
    return Function(tuple(range(n)), (step,), inputs, {}, d_output)
