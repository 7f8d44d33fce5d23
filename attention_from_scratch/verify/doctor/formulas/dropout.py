"""The gradient of dropout in parts: the mask, and what it is divided by."""

import numpy as np

from attention_from_scratch.verify.doctor.formulas.choices import RIGHT, Choices
from attention_from_scratch.verify.doctor.mistakes.shared import Probe


def dropout(probe: Probe) -> Choices:
    """d_x = keep d_output / (1 - p), where the mask is given."""
    d, p = probe.d_output, probe.keywords["p"]
    keep = np.broadcast_to(probe.keywords["keep"], d.shape) * 1.0
    x = probe.inputs[0]
    parts = {
        "mask": {
            RIGHT: keep,
            "the mask is not applied": np.ones_like(d),
            "the mask is inverted: gradient passes where x was dropped": 1 - keep,
            "the mask is that of positive x": (x > 0) * 1.0,
        },
        "share": {
            RIGHT: 1 - p,
            "it is not divided by 1 - p": 1.0,
            "it is multiplied by 1 - p, not divided": 1 / (1 - p),
            "it is divided by p, not by 1 - p": p or 1.0,
            "it is multiplied by p": 1 / p if p else np.inf,
            "it is divided by 1 - p twice": (1 - p) ** 2,
            "it is divided by the share that was kept, not by 1 - p": keep.mean() or 1.0,
        },
    }
    formula = "d_x = keep d_output / (1 - p)"
    return Choices(parts, lambda mask, share: mask * d / share, formula)


DROPOUT = {"d_x": (dropout,)}
