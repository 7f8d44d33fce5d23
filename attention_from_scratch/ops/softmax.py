"""From scores to weights that sum to 1."""

import numpy as np

from attention_from_scratch.ops.contract import Backward, check_d_output, check_floats, check_mask


def softmax(
    x: np.ndarray, *, axis: int = -1, where: np.ndarray | None = None
) -> tuple[np.ndarray, Backward]:
    """p_i = exp(x_i) / sum_j exp(x_j), along one axis.

    Its Jacobian is dp_i / dx_j = p_i (1[i = j] - p_j): raising one score raises its own weight and
    takes from all others. Summed against d_p,

        d_x_j = sum_i d_p_i p_i (1[i = j] - p_j) = p_j (d_p_j - sum_i d_p_i p_i)

    The sum is the gradient's mean under p; without it the softmax would be an elementwise function.
    Subtracting the largest score first changes nothing (numerator and denominator shrink alike) and
    keeps exp from overflowing.

    Parameters
    ----------
    x : (...)
        At least one axis.
    axis : int
        A softmax of one number is always 1: it acts on a row, not on an entry.
    where : bool, broadcasts to x, or None
        Entries that take part; the others get weight 0 and gradient 0. A row in which nothing takes
        part is all zeros, and so is one of -inf only. Named as in `jax.nn.softmax`.

    Returns
    -------
    output : (...)
    backward : d_output (...) -> d_x (...)
    """
    check_floats(x=x)
    check_mask("where", where, x.shape)
    if where is not None:
        x = np.where(where, x, -np.inf)
    largest = np.max(x.real, axis=axis, keepdims=True, initial=-np.inf)
    largest = np.where(largest == -np.inf, 0, largest)  # a row of nothing: no inf - inf
    exponentials = np.exp(x - largest)
    total = exponentials.sum(axis=axis, keepdims=True)
    weights = exponentials / np.where(total.real == 0, 1, total)

    def backward(d_weights):
        check_d_output(d_weights, weights)
        mean = (d_weights * weights).sum(axis=axis, keepdims=True)
        return weights * (d_weights - mean)

    return weights, backward


def log_softmax(x: np.ndarray, *, axis: int = -1) -> tuple[np.ndarray, Backward]:
    """log p_i = x_i - log sum_j exp(x_j), along one axis; never log(0).

    d(log p_i) / dx_j = 1[i = j] - p_j, so with y = log p

        d_x_j = d_y_j - p_j sum_i d_y_i

    Parameters
    ----------
    x : (...)
        At least one axis.
    axis : int

    Returns
    -------
    output : (...)
    backward : d_output (...) -> d_x (...)
    """
    check_floats(x=x)
    shifted = x - np.max(x.real, axis=axis, keepdims=True, initial=-np.inf)
    total = np.exp(shifted).sum(axis=axis, keepdims=True)
    output = shifted - np.log(np.where(total.real == 0, 1, total))  # 0: the axis has no entries

    def backward(d_output):
        check_d_output(d_output, output)
        return d_output - np.exp(output) * d_output.sum(axis=axis, keepdims=True)

    return output, backward
