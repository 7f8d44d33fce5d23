"""What can be said of a wrong gradient from numbers alone, where there is nothing to read."""

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

ROUNDING = 1e-5  # of the largest entry: what float32 loses, and no formula that is wrong


@dataclass(frozen=True, eq=False)
class OfTheRight:
    """A function of the right gradients, in words."""

    words: str
    function: Callable
    rank: tuple = (1,)

    def gradients(self, probe) -> dict:
        """The gradients that the function makes of the right ones."""
        return self.function(probe)


def readings(right: dict) -> Iterator[OfTheRight]:
    """What may stand in the place of right gradients of these names: one another, transposed."""

    def transposed(probe):
        return {name: gradient.swapaxes(-1, -2) for name, gradient in probe.right.items()}

    if all(gradient.ndim > 1 for gradient in right.values()):
        yield OfTheRight("is the right gradient transposed", transposed)
    for name, gradient in right.items():
        if gradient.ndim > 1:
            yield OfTheRight("is the right gradient transposed", of_one(name, transpose_of))
        for axis in range(gradient.ndim):
            words = f"is the right gradient the other way round along axis {axis}"
            yield OfTheRight(words, of_one(name, reversing(axis)))
        yield from in_blocks(name, gradient)
        for other in right:
            if other != name:
                yield OfTheRight(
                    f"is the gradient that belongs to {other}", of_another(name, other)
                )


def in_blocks(name, gradient) -> Iterator[OfTheRight]:
    """A gradient whose blocks of columns are exchanged, or of which but one has not become 0."""
    for n_blocks in (2, 3, 4):
        if (
            not gradient.ndim
            or gradient.shape[-1] % n_blocks
            or gradient.shape[-1] == n_blocks == 2
        ):
            continue
        for order in itertools.permutations(range(n_blocks)):
            if order != tuple(range(n_blocks)):
                said = ", ".join(str(i + 1) for i in order)
                words = (
                    f"is the right gradient, its {n_blocks} blocks of columns in the order {said}"
                )
                yield OfTheRight(words, of_one(name, reordering(order)))
        for block in range(n_blocks):
            where = f"block {block + 1} of the {n_blocks} blocks of columns"
            words = f"is the right gradient, but {where} is 0"
            yield OfTheRight(words, of_one(name, without_block(n_blocks, block)))
            words = f"is the right gradient in {where}, and else 0"
            yield OfTheRight(words, of_one(name, of_block(n_blocks, block)))


def reordering(order) -> Callable:
    """A function that puts blocks of columns into another order."""
    return lambda g: np.concatenate([np.split(g, len(order), axis=-1)[i] for i in order], axis=-1)


def of_block(n_blocks, block) -> Callable:
    """A function that keeps one block of columns."""
    return lambda g: g * (np.arange(g.shape[-1]) // (g.shape[-1] // n_blocks) == block)


def without_block(n_blocks, block) -> Callable:
    """A function that sets one block of columns to 0."""
    return lambda g: g - of_block(n_blocks, block)(g)


def of_one(name, function) -> Callable:
    """The right gradients with a function applied to one of them, where there is that one."""
    return lambda probe: probe.right | {n: function(g) for n, g in probe.right.items() if n == name}


def of_another(name, other) -> Callable:
    """The right gradients with one in the place of another, where there are both."""
    return lambda probe: (
        probe.right | ({name: probe.right[other]} if {name, other} <= probe.right.keys() else {})
    )


def transpose_of(gradient):
    """The last two axes exchanged."""
    return gradient.swapaxes(-1, -2)


def reversing(axis) -> Callable:
    """A function that turns an axis round."""
    return lambda gradient: np.flip(gradient, axis)


def rounding(visits, name) -> str:
    """Words, if a gradient is off by no more than float32 loses at all visits; else none."""
    off = [relative_error(visit, name) for visit in visits if name in visit.probe.right]
    if max(off) > ROUNDING:
        return ""
    return f"{max(off):.0e} of the largest entry: rounding, as of float32 on the way, no mistake"


def only_at_this_rank(visits, name) -> str:
    """Words, if a gradient is right wherever the first input has so many axes, and only there."""
    ranks: dict[bool, set[int]] = {True: set(), False: set()}
    for visit in visits:
        first = next((v for v in visit.probe.inputs if isinstance(v, np.ndarray)), None)
        if first is not None and name in visit.probe.right:
            ranks[visit.right_at(name)].add(first.ndim)
    right, wrong = ranks[True], ranks[False]
    if not right or not wrong or right & wrong:
        return ""
    several = " or ".join(map(str, sorted(right)))
    return f"right where the first input has {several} axes, wrong where it has " + " or ".join(
        map(str, sorted(wrong))
    )


def relative_error(visit, name) -> float:
    """How far a gradient is off, relative to its largest entry; infinite for another shape."""
    right, found = visit.probe.right[name], visit.found.get(name)
    if np.shape(found) != right.shape:
        return np.inf
    size = visit.scale(visit.size_of(name))
    return float(np.abs(found - right).max(initial=0) / size)


def extent(visit, name) -> str:
    """How large the difference is at a visit, and where."""
    right, found = visit.probe.right[name], visit.found.get(name)
    if found is None:
        return "is missing"
    if np.shape(found) != right.shape:
        return f"has shape {np.shape(found)}, not {right.shape}"
    size = visit.scale(visit.size_of(name))
    wrong = ~(np.abs(found - right) <= visit.tolerance * size)
    amount = np.abs(found - right)[wrong].max() / size
    often = f"{wrong.sum()} of {wrong.size} entries"
    return f"is off by up to {amount:.2g} of its largest entry, at {often}{where(wrong)}"


def where(wrong: np.ndarray) -> str:
    """Say if what is wrong lies at a few places of one axis alone."""
    for axis, n in enumerate(wrong.shape):
        others = tuple(i for i in range(wrong.ndim) if i != axis)
        places = np.flatnonzero(wrong.any(axis=others))
        if 0 < len(places) <= n // 2:
            several = ", ".join(map(str, places[:4])) + (", ..." if len(places) > 4 else "")
            return f", all at index {several} of axis {axis}"
    return ""
