"""Calls like a caller's, for ops of which the doctor has no probes: new values, other sizes.

A mistake may hide in one call: where two axes are of one length, where a bias is 0. So the leaves
of all inputs are drawn anew, and then each length in turn is changed wherever it occurs, which
leaves axes that differ where they can. Whether an op takes such a call is for the op to say.
"""

from collections.abc import Iterator

import numpy as np

from attention_from_scratch.tree import tree_leaves, tree_map
from attention_from_scratch.verify.contract import is_differentiable


def calls_like(inputs, keywords) -> Iterator[tuple[tuple, dict]]:
    """The calls to try, of inputs and keywords like these."""
    rng = np.random.default_rng(29)
    yield varied(inputs, keywords, {}, rng)
    lengths = lengths_in(inputs)
    taken = set(lengths)
    for length in lengths:
        longer = [n for n in (length + 1, length + 2, 2 * length) if n not in taken]
        for other in dict.fromkeys([*longer, *lengths]):
            if other > length:
                yield varied(inputs, keywords, {length: other}, rng)


def with_one_more_axis(inputs, keywords) -> tuple[tuple, dict]:
    """A call whose first input has one more axis in front."""
    first = np.stack([inputs[0], inputs[0]]) if is_array(inputs[0]) else inputs[0]
    return varied((first, *inputs[1:]), keywords, {}, np.random.default_rng(30))


def lengths_in(inputs) -> list[int]:
    """All lengths of axes, but for 1, which may stand for a broadcast."""
    shapes = [np.shape(leaf) for value in inputs for _, leaf in tree_leaves(value)]
    return list(dict.fromkeys(n for shape in shapes for n in shape if n > 1))


def is_array(value) -> bool:
    """Whether it is one array of floats that has axes."""
    return isinstance(value, np.ndarray) and is_differentiable(value) and value.ndim > 0


def varied(inputs, keywords, lengths, rng) -> tuple[tuple, dict]:
    """A call with leaves drawn anew, and with other lengths of some axes."""

    def leaf(array):
        array = np.asarray(array)
        for axis, n in enumerate(array.shape):
            if n in lengths:
                array = array.take(np.arange(lengths[n]) % n, axis=axis)
        return drawn_like(array, rng)

    def keyword(value):
        return leaf(value) if isinstance(value, np.ndarray) and value.ndim else value

    return (
        tuple(value if value is None else tree_map(leaf, value) for value in inputs),
        {name: keyword(value) for name, value in keywords.items()},
    )


def drawn_like(array, rng) -> np.ndarray:
    """Other numbers of the same kind: floats that are never negative stay so, flags stay.

    Floats are float64: a call of the doctor's own need not lose digits.
    """
    if is_ids(array):
        return rng.permutation(array.ravel()).reshape(array.shape)
    if array.dtype.kind != "f" or not array.size:
        return array.astype(np.float64) if array.dtype.kind == "f" else array
    noise = rng.standard_normal(array.shape) * (array.std() or 0.5)
    new = rng.permutation(array.ravel()).reshape(array.shape) + 0.5 * noise
    if array.min() >= 0:
        low, high = array.min(), array.max()
        new = np.abs(new) if high > 1 or low == high else np.clip(np.abs(new), low, high)
    return new.astype(np.float64)


def is_ids(array) -> bool:
    """Whether it holds whole numbers."""
    return array.dtype.kind in "iu"
