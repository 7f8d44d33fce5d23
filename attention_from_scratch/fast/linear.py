"""The linear map; sums over positions as products with a row of ones."""

import numpy as np

from attention_from_scratch.ops.contract import check_d_output
from attention_from_scratch.ops.linear import check_map
from attention_from_scratch.ops.linear import project as plain_project


def linear(x, weight, bias=None):
    """As `ops.linear`.

    The product sums over all positions of a batch at once, where it is one of (positions, in); and
    a sum over positions is a product with ones, which the matrix library does at its own speed.
    """
    check_map(x, weight, bias)
    rows = x.reshape(-1, len(weight))
    output = rows @ weight
    if bias is not None:
        output += bias
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


def sum_of_rows(matrix):
    """(N, D) -> (D,)."""
    return np.ones(len(matrix), matrix.dtype) @ matrix
