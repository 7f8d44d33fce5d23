"""Normalisation of each position by itself."""

import numpy as np

from attention_from_scratch.ops.contract import check_d_output, check_floats


def layer_norm(x, weight, bias, *, eps=1e-5):
    """z * weight + bias, where z = (x - mean) / sqrt(variance + eps) over the last axis.

    The variance is the biased one, divided by D. Let s = sqrt(variance + eps). Moving x_j moves
    z_i in three ways: directly, through the mean, d mean / dx_j = 1/D, and through s. Since the
    centred entries sum to 0, d variance / dx_j = 2 (x_j - mean) / D and so ds / dx_j = z_j / D:

        dz_i / dx_j = (1[i = j] - 1/D - z_i z_j / D) / s

    hence, with d_z = d_y * weight,

        d_x = (d_z - mean(d_z) - z * mean(d_z * z)) / s

    The two means take out of d_z what the normalisation makes impossible: a shift and, but for eps,
    a stretch.

    Parameters
    ----------
    x : (..., D)
    weight, bias : (D,) or None
    eps : float
        1e-5 as in PyTorch; SASRec uses 1e-8.

    Returns
    -------
    output : (..., D)
    backward : d_output (..., D) -> d_x, d_weight, d_bias

    Source: Ba, Kiros & Hinton, Layer Normalization (2016), eq. (4).
    """
    check_features(x, weight, bias)
    eps = float(eps)

    centred = x - x.mean(axis=-1, keepdims=True)
    deviation = np.sqrt((centred * centred).mean(axis=-1, keepdims=True) + eps)
    z = centred / deviation
    output = z if weight is None else z * weight
    output = output if bias is None else output + bias

    def backward(d_output):
        check_d_output(d_output, output)
        d_z = d_output if weight is None else d_output * weight
        d_x = d_z - d_z.mean(axis=-1, keepdims=True) - z * (d_z * z).mean(axis=-1, keepdims=True)
        positions = tuple(range(x.ndim - 1))
        d_weight = None if weight is None else (d_output * z).sum(axis=positions)
        d_bias = None if bias is None else d_output.sum(axis=positions)
        return d_x / deviation, d_weight, d_bias

    return output, backward


def check_features(x, weight, bias):
    """Raise unless weight and bias have a number for each feature of x."""
    check_floats(x=x, weight=weight, bias=bias)
    if x.ndim == 0:
        raise ValueError("x has no axis, but must be (..., D)")
    width = x.shape[-1]
    for name, array in (("weight", weight), ("bias", bias)):
        if array is not None and array.shape != (width,):
            raise ValueError(f"{name} has shape {array.shape}, but x {x.shape} needs ({width},)")
