"""Layer normalisation; means over the features as products with a column of 1 / D."""

import numpy as np

from attention_from_scratch.fast.linear import sum_of_rows
from attention_from_scratch.ops.contract import check_d_output
from attention_from_scratch.ops.layer_norm import check_features


def layer_norm(x, weight, bias, *, eps=1e-5):
    """As `ops.layer_norm`, with the same formulas."""
    check_features(x, weight, bias)
    width, eps = x.shape[-1], float(eps)
    average = np.full((width, 1), 1 / width, x.dtype)

    rows = x.reshape(-1, width)
    z = rows - rows @ average
    steepness = 1 / np.sqrt(mean_product(z, z) + eps)  # one over the deviation
    z *= steepness
    output = z.copy() if weight is None else z * weight
    if bias is not None:
        output += bias
    output = output.reshape(x.shape)

    def backward(d_output):
        check_d_output(d_output, output)
        d_rows = d_output.reshape(-1, width)
        d_z = d_rows if weight is None else d_rows * weight
        d_x = d_z - d_z @ average
        d_x -= z * mean_product(d_z, z)
        d_x *= steepness
        d_weight = None if weight is None else np.einsum("ij,ij->j", d_rows, z)
        d_bias = None if bias is None else sum_of_rows(d_rows)
        return d_x.reshape(x.shape), d_weight, d_bias

    return output, backward


def mean_product(a, b):
    """Mean over the features of a * b: (N, D), (N, D) -> (N, 1)."""
    return np.einsum("ij,ij->i", a, b)[:, None] / a.shape[1]
