"""Mistakes of the lookup: repeated ids that overwrite one another, padding that learns."""

from collections.abc import Iterator

import numpy as np

from attention_from_scratch.verify.doctor.mistakes.shared import Probe


def embedding(probe: Probe) -> Iterator:
    """The mistakes of the table's gradient, from ids and what comes back to their rows."""
    ids, weight = probe.inputs
    d, padding = probe.d_output, probe.keywords.get("padding_id", 0)
    flat_ids, flat_d = ids.reshape(-1), d.reshape(-1, d.shape[-1])

    def cleared(d_weight):
        if padding is not None:
            d_weight[padding] = 0
        return d_weight

    last, first, added = np.zeros((3, *weight.shape))
    last[flat_ids] = flat_d
    first[flat_ids[::-1]] = flat_d[::-1]
    np.add.at(added, flat_ids, flat_d)
    yield "padding_gets_gradient", {"d_weight": added.copy()}
    zero_cleared = added.copy()
    zero_cleared[0] = 0
    yield "padding_gets_gradient", {"d_weight": zero_cleared}
    for overwritten in (last, first):
        yield "overwrites_repeats", {"d_weight": cleared(overwritten.copy())}
        yield "overwrites_repeats", {"d_weight": overwritten}
    if ids.ndim > 1:
        within = np.zeros_like(added)
        for row, d_row in zip(ids, d, strict=True):
            within[row] += d_row
        yield "overwrites_repeats", {"d_weight": cleared(within)}
