"""Layer normalisation; means over the features as products with a column of 1 / D."""

import numpy as np

from attention_from_scratch.fast.linear import by_row, sum_of_rows
from attention_from_scratch.ops.contract import Backward, check_d_output
from attention_from_scratch.ops.layer_norm import check_features


def layer_norm(
    x: np.ndarray, weight: np.ndarray | None, bias: np.ndarray | None, *, eps: float = 1e-5
) -> tuple[np.ndarray, Backward]:
    """(x - mean) / deviation * weight + bias, with every mean as a product of matrices.

    Parameters and returns are those of `ops.layer_norm`, and so are the formulas. The gradient of
    the weight and the mean of d_z * z, where d_z = d_y * weight, are sums over the same products
    d_y * z: down, and across with the weight.
    """
    check_features(x, weight, bias)
    width, eps = x.shape[-1], float(eps)
    ones = np.ones((width, 1), x.dtype)
    average = ones / width

    rows = x.reshape(-1, width)
    z = rows - rows @ ones / width  # of a row of one number exactly 0
    steepness = 1 / np.sqrt((z * z) @ average + eps)  # one over the deviation
    z *= steepness
    output = z if weight is None else by_row(np.multiply, z, weight)
    if bias is not None:
        output = by_row(np.add, output, bias)
    output = output.reshape(x.shape)

    def backward(d_output):
        check_d_output(d_output, output)
        d_rows = d_output.reshape(-1, width)
        products = d_rows * z
        d_z, scales = d_rows, average
        if weight is not None:
            d_z, scales = by_row(np.multiply, d_rows, weight), weight[:, None] / width
        d_x = d_z - d_z @ average
        d_x -= z * (products @ scales)
        d_x *= steepness
        d_weight = None if weight is None else sum_of_rows(products)
        d_bias = None if bias is None else sum_of_rows(d_rows)
        return d_x.reshape(x.shape), d_weight, d_bias

    return output, backward
