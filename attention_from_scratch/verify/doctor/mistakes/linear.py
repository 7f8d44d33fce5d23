"""Mistakes of the affine map: a transpose that is missing, a sum over positions left out."""

from collections.abc import Iterator

from attention_from_scratch.ops.attention import transpose
from attention_from_scratch.verify.doctor.mistakes.shared import Probe, not_summed


def linear(probe: Probe) -> Iterator:
    """The mistakes of x @ weight + bias."""
    x, weight, *_ = probe.inputs
    d = probe.d_output
    n_in, n_out = weight.shape
    rows, d_rows = x.reshape(-1, n_in), d.reshape(-1, n_out)
    if n_in == n_out:
        yield "transpose_missing", {"d_x": d @ weight}
    yield "transpose_missing", {"d_weight": d_rows.T @ rows}
    if len(rows) == n_in:
        yield "transpose_missing", {"d_weight": rows @ d_rows}
    if x.ndim > 2:
        by_batch = transpose(x) @ d
        for kept in (by_batch, *by_batch[:1], *by_batch[-1:]):
            yield "bias_not_summed", {"d_weight": kept}
    if "d_bias" in probe.right:
        yield from not_summed("d_bias", d)
