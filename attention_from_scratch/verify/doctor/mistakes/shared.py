"""What the mistakes of all families are written with: a probe, and a sum that was left out."""

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from attention_from_scratch.tree import tree_map


@dataclass(frozen=True)
class Probe:
    """One evaluation of the right op: gradients by name, such as d_query or d_params.key.bias."""

    inputs: tuple
    keywords: dict
    d_output: np.ndarray
    output: np.ndarray
    right: dict
    with_ones: dict = field(default_factory=dict)  # the gradients of a d_output of ones

    def in_float64(self) -> "Probe":
        """Turn all floats into float64, for formulas that need not mind the dtype."""
        return Probe(
            tuple(tree_map(in_float64, value) for value in self.inputs),
            {name: in_float64(value) for name, value in self.keywords.items()},
            *map(in_float64, (self.d_output, self.output)),
            *(tree_map(in_float64, named) for named in (self.right, self.with_ones)),
        )


def in_float64(value):
    """Turn a float array into float64 and leave anything else as it is."""
    is_float = isinstance(value, np.ndarray | np.generic) and value.dtype.kind == "f"
    return np.asarray(value, np.float64) if is_float else value


def not_summed(name: str, contributions: np.ndarray) -> Iterator:
    """A parameter's gradient before the sum over positions, or with a part of that sum only."""
    if not contributions.size:
        return
    yield "bias_not_summed", {name: contributions}
    rows = contributions.reshape(-1, contributions.shape[-1])
    for kept in (rows, rows[0], rows[-1]):
        yield "bias_not_summed", {name: kept}
    positions = range(contributions.ndim - 1)
    for axis in positions:
        yield "bias_not_summed", {name: contributions.sum(axis=axis)}
        yield "bias_not_summed", {name: contributions.sum(axis=axis, keepdims=True)}
        rest = tuple(other for other in positions if other != axis)
        for place in (0, -1):
            kept = contributions.take(place, axis=axis)
            yield "bias_not_summed", {name: kept}
            yield "bias_not_summed", {name: kept.reshape(-1, kept.shape[-1]).sum(axis=0)}
        if rest:
            yield "bias_not_summed", {name: contributions.mean(axis=axis).sum(axis=0)}
    yield "sum_wrong_axis", {name: contributions.sum(axis=-1)}
    yield "sum_wrong_axis", {name: contributions.reshape(-1, contributions.shape[-1]).sum(axis=1)}
