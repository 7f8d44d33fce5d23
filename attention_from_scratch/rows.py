"""A kind of gradient: that of a large table of which a batch looks up few rows."""

from dataclasses import dataclass

import numpy as np

from attention_from_scratch.tree import Tree, tree_map

LARGE = 2**15  # numbers in a table; up to this size its dense gradient is as fast


@dataclass(frozen=True)
class Rows:
    """A gradient that is 0 but for some rows, as of a table of which a batch looks up few rows.

    Attributes
    ----------
    ids : (n,) of integers, ascending
    rows : (n, ...)
    length : int
        How many rows the whole array has, those of zeros too.
    """

    ids: np.ndarray
    rows: np.ndarray
    length: int

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the whole array."""
        return (self.length, *self.rows.shape[1:])

    @property
    def dtype(self) -> np.dtype:
        """Dtype of the whole array, which is that of the rows."""
        return self.rows.dtype

    def __len__(self) -> int:
        return self.length

    def __mul__(self, factor: float) -> "Rows":
        return Rows(self.ids, self.rows * factor, self.length)

    def __getitem__(self, part: slice) -> "Rows":
        """A slice of the whole array, again as `Rows`: ids are counted from where it begins."""
        start, stop, _ = part.indices(self.length)
        here = slice(*np.searchsorted(self.ids, (start, stop)))
        return Rows(self.ids[here] - start, self.rows[here], max(0, stop - start))

    def dense(self) -> np.ndarray:
        """The whole array, zeros included."""
        array = np.zeros(self.shape, self.dtype)
        array[self.ids] = self.rows
        return array


def is_large(array: np.ndarray) -> bool:
    """Whether an array is so large that its gradient may come as `Rows`."""
    return array.size > LARGE


def tree_sum(trees: list[Tree]) -> Tree:
    """Add up trees alike, first to last, so that the rounding is the same every time."""
    return tree_map(leaf_sum, *trees)


def leaf_sum(*leaves: np.ndarray | Rows) -> np.ndarray | Rows:
    """The sum of arrays, or of several `Rows` of one table, as a new one."""
    first, *others = leaves
    if not isinstance(first, Rows):
        total = first.copy()
        for leaf in others:
            total += leaf
        return total
    occurs = np.zeros(len(first), bool)
    for leaf in leaves:
        occurs[leaf.ids] = True
    ids = np.flatnonzero(occurs)
    place = places(ids, len(first))
    total = np.zeros((len(ids), *first.shape[1:]), first.dtype)
    for leaf in leaves:
        total[place[leaf.ids]] += leaf.rows
    return Rows(ids, total, len(first))


def places(ids: np.ndarray, length: int) -> np.ndarray:
    """At each id its place among `ids`, (length,); what stands at the others means nothing."""
    place = np.empty(length, np.int64)
    place[ids] = np.arange(len(ids))
    return place
