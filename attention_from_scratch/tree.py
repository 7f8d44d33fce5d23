"""Parameters as plain nested dicts and lists of arrays, and the three things one does with them."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

Tree = Any  # an array, None, or a dict, list or tuple of trees


@dataclass(frozen=True)
class Rows:
    """A gradient that is 0 but for some rows: that of a table of which a batch looks up little.

    Attributes
    ----------
    ids : (n,) of integers, ascending
    rows : (n, ...)
    length : int
        How many rows there are, those of 0 too.
    """

    ids: np.ndarray
    rows: np.ndarray
    length: int

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the array that it stands for."""
        return (self.length, *self.rows.shape[1:])

    @property
    def dtype(self) -> np.dtype:
        """The same."""
        return self.rows.dtype

    def __len__(self) -> int:
        return self.length

    def __mul__(self, factor: float) -> "Rows":
        return Rows(self.ids, self.rows * factor, self.length)

    def __getitem__(self, part: slice) -> "Rows":
        """Some of the rows; ids begin with 0 again."""
        start, stop, _ = part.indices(self.length)
        here = slice(*np.searchsorted(self.ids, (start, stop)))
        return Rows(self.ids[here] - start, self.rows[here], max(0, stop - start))

    def dense(self) -> np.ndarray:
        """The array that it stands for."""
        array = np.zeros(self.shape, self.dtype)
        array[self.ids] = self.rows
        return array


def tree_map(function: Callable, tree: Tree, *others: Tree) -> Tree:
    """Apply `function` to the leaves of one tree, or of several alike; None stays None."""
    if tree is None:
        return None
    if isinstance(tree, dict):
        for other in others:
            if other.keys() != tree.keys():
                raise ValueError(f"trees differ: one has {list(tree)}, another {list(other)}")
        return {name: tree_map(function, tree[name], *(o[name] for o in others)) for name in tree}
    if isinstance(tree, list | tuple):
        return type(tree)(
            tree_map(function, *branches) for branches in zip(tree, *others, strict=True)
        )
    return function(tree, *others)


def tree_leaves(tree: Tree, path: str = "") -> Iterator[tuple[str, np.ndarray]]:
    """Yield (path, leaf) in order, with paths such as "blocks.0.attention.query.weight"."""
    if tree is None:
        return
    if isinstance(tree, dict | list | tuple):
        branches = tree.items() if isinstance(tree, dict) else enumerate(tree)
        for name, branch in branches:
            yield from tree_leaves(branch, f"{path}.{name}" if path else str(name))
    else:
        yield path, tree


def leaves(tree: Tree) -> list:
    """The leaves in order."""
    return [leaf for _, leaf in tree_leaves(tree)]


def tree_sum(trees: list[Tree]) -> Tree:
    """Add up trees alike, first to last, so that the rounding is the same every time."""
    return tree_map(leaf_sum, *trees)


def leaf_sum(*leaves: np.ndarray | Rows) -> np.ndarray | Rows:
    """A new array, or new rows."""
    first, *others = leaves
    if not isinstance(first, Rows):
        total = first.copy()
        for leaf in others:
            total += leaf
        return total
    occurs = np.zeros(len(first), bool)
    for leaf in leaves:
        occurs[leaf.ids] = True
    place = np.cumsum(occurs) - 1
    ids = np.flatnonzero(occurs)
    total = np.zeros((len(ids), *first.shape[1:]), first.dtype)
    for leaf in leaves:
        total[place[leaf.ids]] += leaf.rows
    return Rows(ids, total, len(first))


def nested(arrays: dict[str, np.ndarray]) -> Tree:
    """Turn {"blocks.0.weight": array} back into {"blocks": [{"weight": array}]}."""
    root: dict = {}
    for path, array in arrays.items():
        *branches, leaf = path.split(".")
        node = root
        for branch in branches:
            node = node.setdefault(branch, {})
        node[leaf] = array
    return lists_for_numbers(root)


def lists_for_numbers(node: Tree) -> Tree:
    """Dicts whose keys are 0, 1, 2, ... were lists."""
    if not isinstance(node, dict):
        return node
    node = {name: lists_for_numbers(branch) for name, branch in node.items()}
    if node and all(name.isdigit() for name in node):
        return [node[str(i)] for i in range(len(node))]
    return node
