"""The linear map; sums over positions as products with a row of ones."""

import math
from collections.abc import Callable

import numpy as np

from attention_from_scratch.ops.contract import Backward, Params, check_d_output
from attention_from_scratch.ops.linear import check_map


def linear(
    x: np.ndarray, weight: np.ndarray, bias: np.ndarray | None = None
) -> tuple[np.ndarray, Backward]:
    """x @ weight + bias, with all positions of a batch as the rows of one matrix.

    That is one large product in place of one for each sequence. A sum over positions is a product
    with ones, which the matrix library does at its own speed. Parameters and returns are those of
    `ops.linear`.
    """
    check_map(x, weight, bias)
    n_rows, (n_in, n_out) = math.prod(x.shape[:-1]), weight.shape
    rows = x.reshape(n_rows, n_in)
    output = rows @ weight
    if bias is not None:
        by_row(np.add, output, bias, out=output)
    output = output.reshape(*x.shape[:-1], n_out)

    def backward(d_output):
        check_d_output(d_output, output)
        d_rows = d_output.reshape(n_rows, n_out)
        d_x = (d_rows @ weight.T).reshape(x.shape)
        return d_x, rows.T @ d_rows, None if bias is None else sum_of_rows(d_rows)

    return output, backward


def project(params: Params | None, x: np.ndarray) -> tuple[np.ndarray, Backward]:
    """The fast `linear` over a tree: backward gives grads, d_x. None is the identity."""
    if params is None:
        return x, lambda d_output: (None, d_output)
    output, back_linear = linear(x, **params)

    def backward(d_output):
        d_x, d_weight, d_bias = back_linear(d_output)
        return {"weight": d_weight, "bias": d_bias}, d_x

    return output, backward


def by_row(
    function: Callable, matrix: np.ndarray, row: np.ndarray, out: np.ndarray | None = None
) -> np.ndarray:
    """function of each row of a matrix and one row: (N, D), (D,) -> (N, D).

    NumPy begins its innermost loop anew for each row, which for 50 numbers takes longer than the
    loop itself. So gcd(N, 16) rows are taken as one long one. `out` must be contiguous.
    """
    together = math.gcd(len(matrix), 16)
    shape = len(matrix) // together, together * len(row)
    out = None if out is None else out.reshape(shape)
    long_row = row[None].repeat(together, axis=0).reshape(-1)
    return function(matrix.reshape(shape), long_row, out).reshape(matrix.shape)


def sum_of_rows(matrix: np.ndarray) -> np.ndarray:
    """(N, D) -> (D,)."""
    return np.ones(len(matrix), matrix.dtype) @ matrix
