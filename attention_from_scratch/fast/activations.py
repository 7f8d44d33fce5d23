"""Activations without a branch."""

import numpy as np

from attention_from_scratch.ops.contract import Backward, check_d_output, check_floats


def relu(x: np.ndarray) -> tuple[np.ndarray, Backward]:
    """max(x, 0): a maximum and a product with 0 or 1 are several times faster than a choice.

    Parameters and returns are those of `ops.relu`.
    """
    check_floats(x=x)
    positive = x.real > 0
    output = np.maximum(x, 0)
    output *= positive  # at the corner too, where a complex step would be the larger of two

    def backward(d_output):
        check_d_output(d_output, output)
        return d_output * positive

    return output, backward
