"""The affine map."""

import numpy as np

from attention_from_scratch.ops.contract import (
    Backward,
    Params,
    check_d_output,
    check_floats,
    check_width,
)


def linear(
    x: np.ndarray, weight: np.ndarray, bias: np.ndarray | None = None
) -> tuple[np.ndarray, Backward]:
    """x @ weight + bias: every position through the same matrix.

    With y_o = sum_i x_i W_io + b_o the chain rule reads, for one position,

        d_x_i  = sum_o d_y_o W_io       d_x = d_y @ W^T
        d_W_io = x_i d_y_o              summed over positions: X^T @ d_Y
        d_b_o  = d_y_o                  summed over positions

    The sums over positions are there because one weight serves them all.

    Parameters
    ----------
    x : (..., in)
    weight : (in, out)
        The transpose of `torch.nn.Linear.weight`.
    bias : (out,) or None

    Returns
    -------
    output : (..., out)
    backward : d_output (..., out) -> d_x, d_weight, d_bias

    Raises
    ------
    TypeError, ValueError
        Mixed dtypes; a width that does not fit.
    """
    check_map(x, weight, bias)
    output = x @ weight if bias is None else x @ weight + bias

    def backward(d_output):
        check_d_output(d_output, output)
        positions, (n_in, n_out) = int(np.prod(x.shape[:-1])), weight.shape
        d_rows = d_output.reshape(positions, n_out)
        d_x = d_output @ weight.T
        d_weight = x.reshape(positions, n_in).T @ d_rows
        d_bias = None if bias is None else d_rows.sum(axis=0)
        return d_x, d_weight, d_bias

    return output, backward


def project(params: Params | None, x: np.ndarray) -> tuple[np.ndarray, Backward]:
    """`linear` over a tree: backward gives grads (like params), d_x. None is the identity."""
    if params is None:
        return x, lambda d_output: (None, d_output)
    output, back_linear = linear(x, **params)

    def backward(d_output):
        d_x, d_weight, d_bias = back_linear(d_output)
        return {"weight": d_weight, "bias": d_bias}, d_x

    return output, backward


def check_map(x: np.ndarray, weight: np.ndarray, bias: np.ndarray | None) -> None:
    """Raise unless x can be multiplied by weight, and bias added."""
    check_floats(x=x, weight=weight, bias=bias)
    if weight.ndim != 2:
        raise ValueError(f"weight has shape {weight.shape}, but must be (in, out)")
    n_in, n_out = weight.shape
    check_width("x", x, n_in, f"{n_in} long, as weight is {weight.shape}")
    if bias is not None and bias.shape != (n_out,):
        raise ValueError(f"bias has shape {bias.shape}, but weight {weight.shape} needs ({n_out},)")
