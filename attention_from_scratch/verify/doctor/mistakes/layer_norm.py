"""Mistakes of layer norm: x moves mean and deviation too, and weight and bias are shared."""

from collections.abc import Iterator

import numpy as np

from attention_from_scratch.verify.doctor.mistakes.shared import Probe, not_summed


def layer_norm(probe: Probe) -> Iterator:
    """The mistakes of a layer norm, in d_x, in d_weight and in d_bias."""
    x, weight, bias = (*probe.inputs, None, None)[:3]
    d, eps, width = probe.d_output, probe.keywords.get("eps", 1e-5), x.shape[-1]
    centred = x - x.mean(axis=-1, keepdims=True)
    variance = (centred * centred).mean(axis=-1, keepdims=True)

    def wrong(d_z, deviation, mean=True, spread=True, axis=-1, count=width, z=None):
        z = centred / deviation if z is None else z
        mean_d = d_z.sum(axis=axis, keepdims=True) / count if mean else 0
        mean_dz = (d_z * z).sum(axis=axis, keepdims=True) / count if spread else 0
        return (d_z - mean_d - z * mean_dz) / deviation

    deviation = np.sqrt(variance + eps)
    z = centred / deviation
    d_z = d if weight is None else d * weight
    unbiased = np.sqrt(variance * width / (width - 1) + eps) if width > 1 else deviation
    yield "norm_mean_missing", {"d_x": wrong(d_z, deviation, mean=False)}
    yield "norm_variance_missing", {"d_x": wrong(d_z, deviation, spread=False)}
    yield "norm_statistics_detached", {"d_x": d_z / deviation}
    if width > 1:
        yield "norm_unbiased", {"d_x": wrong(d_z, unbiased)}
        yield "norm_unbiased", {"d_x": wrong(d_z, unbiased, z=z)}
        yield "norm_unbiased", {"d_x": wrong(d_z, deviation, count=width - 1)}
        yield "norm_unbiased", {"d_x": wrong(d_z, deviation, z=centred / unbiased)}
        mean_d = d_z.mean(axis=-1, keepdims=True)
        mean_dz = (d_z * z).sum(axis=-1, keepdims=True) / (width - 1)
        yield "norm_unbiased", {"d_x": (d_z - mean_d - z * mean_dz) / deviation}
        both = {"d_x": wrong(d_z, unbiased)}
        if weight is not None:
            both["d_weight"] = (d * centred / unbiased).reshape(-1, width).sum(axis=0)
        yield "norm_unbiased", both
    for axis in range(x.ndim - 1):
        n = x.shape[axis]
        yield "sum_wrong_axis", {"d_x": wrong(d_z, deviation, axis=axis, count=n)}
    yield "sum_wrong_axis", {"d_x": wrong(d_z, deviation, axis=None, count=d_z.size)}
    if weight is not None:
        yield from not_summed("d_weight", d * z)
        yield "norm_weight_forgotten", {"d_x": wrong(d, deviation)}
        for other in (x, centred, probe.output):
            of_other = (d * other).reshape(-1, width).sum(axis=0)
            yield "norm_weight_of_other_input", {"d_weight": of_other}
    if bias is not None:
        yield from not_summed("d_bias", d)
    if weight is not None and bias is not None:
        d_weight, d_bias = probe.right["d_weight"], probe.right["d_bias"]
        yield "weight_bias_swapped", {"d_weight": d_bias, "d_bias": d_weight}
