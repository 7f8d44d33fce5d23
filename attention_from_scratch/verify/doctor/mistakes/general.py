"""Mistakes that can be made in any op: a sign, nothing at all, a d_output that does not enter."""

from collections.abc import Iterator

import numpy as np

from attention_from_scratch.verify.doctor.mistakes.shared import Probe


def generic_mistakes(probe: Probe) -> Iterator:
    """The mistakes of any op, in all its gradients or in those of one argument."""
    arguments = list(dict.fromkeys(name.split(".")[0] for name in probe.right))
    for among in (arguments, *([argument] for argument in arguments)):
        right = {n: g for n, g in probe.right.items() if n.split(".")[0] in among}
        yield "wrong_sign", {n: -g for n, g in right.items()}
        yield "zero_gradient", {n: 0 * g for n, g in right.items()}
        ignoring = {n: probe.with_ones[n] for n in right}
        if any(np.abs(ignoring[n]).max(initial=0) > 1e-8 for n in right):  # not softmax: all 0
            yield "d_output_ignored", ignoring
