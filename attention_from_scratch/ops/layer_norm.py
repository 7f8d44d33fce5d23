"""Normalisation of each position by itself."""

import numpy as np

from attention_from_scratch.ops.contract import Backward, check_d_output, check_floats


def layer_norm(
    x: np.ndarray, weight: np.ndarray | None, bias: np.ndarray | None, *, eps: float = 1e-5
) -> tuple[np.ndarray, Backward]:
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
        D is at least 1, as an empty row has no mean.
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


def check_features(x: np.ndarray, weight: np.ndarray | None, bias: np.ndarray | None) -> None:
    """Raise unless weight and bias have a number for each feature of x."""
    check_floats(x=x, weight=weight, bias=bias)
    if x.ndim == 0 or x.shape[-1] == 0:
        raise ValueError(f"x has shape {x.shape}, but must be (..., D) with D at least 1")
    width = x.shape[-1]
    for name, array in (("weight", weight), ("bias", bias)):
        if array is not None and array.shape != (width,):
            raise ValueError(f"{name} has shape {array.shape}, but x {x.shape} needs ({width},)")
