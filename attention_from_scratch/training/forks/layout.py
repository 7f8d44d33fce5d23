"""How the arrays of a tree lie in memory that processes share."""

import math
from collections.abc import Callable

import numpy as np

from attention_from_scratch.rows import is_large
from attention_from_scratch.tree import Tree, leaves, tree_map


class Layout:
    """How the arrays of a tree lie in memory: large ones by themselves, small ones end to end.

    What is done number by number is then done to a few arrays. Small matrices become a column and
    small vectors a row: weight decay must tell them apart.
    """

    def __init__(self, tree: Tree):
        self.shapes = [leaf.shape for leaf in leaves(tree)]
        numbers = iter(range(len(self.shapes)))
        self.numbers = tree_map(lambda leaf: next(numbers), tree)
        groups: dict = {}  # what the leaves of an array have in common -> their numbers
        for number, leaf in enumerate(leaves(tree)):
            kind = number if is_large(leaf) else (leaf.dtype, leaf.ndim > 1)
            groups.setdefault(kind, []).append((number, leaf))
        self.alone = {kind: at for at, kind in enumerate(groups) if isinstance(kind, int)}
        self.groups = [[number for number, _ in group] for group in groups.values()]
        self.arrays = []  # the shape and the dtype of each
        for kind, group in groups.items():
            (_, first), size = group[0], sum(leaf.size for _, leaf in group)
            shape = (size, 1) if first.ndim > 1 else (size,)
            self.arrays.append((first.shape if kind in self.alone else shape, first.dtype))

    def lay(self, tree: Tree, zeros: Callable = np.zeros) -> list[np.ndarray]:
        """Copy a tree into new arrays, which `zeros` makes."""
        arrays = [zeros(shape, dtype) for shape, dtype in self.arrays]
        tree_map(np.copyto, self.tree(arrays), tree)
        return arrays

    def tree(self, arrays: list) -> Tree:
        """The tree whose numbers lie in such arrays: its leaves are views of them."""
        found: dict = {}
        for group, array in zip(self.groups, arrays, strict=True):
            if group[0] in self.alone:
                found[group[0]] = array
                continue
            sizes = [math.prod(self.shapes[number]) for number in group]
            parts = np.split(array.reshape(-1), np.cumsum(sizes)[:-1])
            found |= {n: part.reshape(self.shapes[n]) for n, part in zip(group, parts, strict=True)}
        return tree_map(found.get, self.numbers)
