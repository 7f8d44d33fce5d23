"""Mistakes of dropout: the mask forgotten, inverted, or not divided by 1 - p."""

from collections.abc import Iterator

import numpy as np

from attention_from_scratch.verify.doctor.mistakes.shared import Probe


def dropout_factors(keep, p) -> Iterator:
    """Every (mistake, factor) by which the gradient of dropout may wrongly be multiplied."""
    yield "dropout_not_applied", np.ones(keep.shape)
    yield "dropout_not_applied", np.full(keep.shape, 1 / (1 - p))
    yield "dropout_not_rescaled", keep * 1.0
    yield "dropout_not_rescaled", keep * (1 - p)
    dropped = 1.0 - keep
    yield "dropout_inverted", dropped
    yield "dropout_inverted", dropped / (1 - p)
    if p:
        yield "dropout_not_rescaled", keep / p
        yield "dropout_inverted", dropped / p


def dropout(probe: Probe) -> Iterator:
    """The mistakes of dropout where the mask is given; without one there are none to be told."""
    keep, p = probe.keywords.get("keep"), probe.keywords["p"]
    if keep is not None:
        for mistake, factor in dropout_factors(np.broadcast_to(keep, probe.output.shape), p):
            yield mistake, {"d_x": probe.d_output * factor}
