"""The linear map; sums over positions as products with a row of ones."""

import math

import numpy as np

from attention_from_scratch.ops.contract import check_d_output
from attention_from_scratch.ops.linear import check_map
from attention_from_scratch.ops.linear import project as plain_project


def linear(x, weight, bias=None):
    """As `ops.linear`.

    All positions of a batch are the rows of one matrix: one large product in place of one for each
    sequence. A sum over positions is a product with ones, which the matrix library does at its own
    speed.
    """
    check_map(x, weight, bias)
    rows = x.reshape(-1, len(weight))
    output = rows @ weight
    if bias is not None:
        by_row(np.add, output, bias, out=output)
    output = output.reshape(*x.shape[:-1], weight.shape[1])

    def backward(d_output):
        check_d_output(d_output, output)
        d_rows = d_output.reshape(-1, weight.shape[1])
        d_x = (d_rows @ weight.T).reshape(x.shape)
        return d_x, rows.T @ d_rows, None if bias is None else sum_of_rows(d_rows)

    return output, backward


def project(params, x):
    """As `ops.linear.project`."""
    return plain_project(params, x, linear=linear)


def by_row(function, matrix, row, out=None):
    """function of each row of a matrix and one row: (N, D), (D,) -> (N, D).

    NumPy begins its innermost loop anew for each row, which for 50 numbers takes longer than the
    loop itself. So gcd(N, 16) rows are taken as one long one. `out` must be contiguous.
    """
    together = math.gcd(len(matrix), 16)
    shape = len(matrix) // together, together * len(row)
    out = None if out is None else out.reshape(shape)
    long_row = row[None].repeat(together, axis=0).reshape(-1)
    return function(matrix.reshape(shape), long_row, out).reshape(matrix.shape)


def sum_of_rows(matrix):
    """(N, D) -> (D,)."""
    return np.ones(len(matrix), matrix.dtype) @ matrix
