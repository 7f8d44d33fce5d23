"""What the processes of a training share: parameters, and the gradients of a batch's shards."""

import math
import mmap
from collections.abc import Callable

import numpy as np

from attention_from_scratch.tree import Rows, Tree, leaves, tree_map

MAX_SHARDS = 8  # of a batch
LARGE = 2**15  # numbers: a larger array lies by itself, and may have a gradient of `Rows`


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
            kind = number if leaf.size > LARGE else (leaf.dtype, leaf.ndim > 1)
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


class Common:
    """What all members see: parameters, and for each shard of a batch its loss and gradients."""

    def __init__(self, params: Tree):
        self.layout = Layout(params)
        self.arrays = self.layout.lay(params, shared)
        self.params = self.layout.tree(self.arrays)
        self.losses = shared((MAX_SHARDS,), float)
        self.slots = [Slot(self.layout) for _ in range(MAX_SHARDS)]


class Slot:
    """Where the gradients of a shard are put: each array of a layout dense, or a large one `Rows`.

    A small one must not be `Rows`: what it lies with is dense, and Adam rounds the two otherwise.
    """

    def __init__(self, layout: Layout):
        self.layout = layout
        self.arrays = [shared(*of) for of in layout.arrays]
        self.leaves = leaves(layout.tree(self.arrays))
        self.ids = [shared(array.shape[:1], np.int64) for array in self.arrays]
        self.n_rows = shared((len(self.arrays),), np.int64)  # that are there; -1: all

    def put(self, grads: Tree) -> None:
        """Write them."""
        self.n_rows[:] = -1
        tree_map(self.put_leaf, self.layout.numbers, grads)

    def put_leaf(self, number: int, grad: np.ndarray | Rows) -> None:
        """Write one of them."""
        if not isinstance(grad, Rows):
            self.leaves[number][...] = grad
            return
        if number not in self.layout.alone:
            raise ValueError(
                f"a gradient of shape {grad.shape} came as Rows, but with several processes that "
                f"must be an array of more than {LARGE} numbers"
            )
        at, n_rows = self.layout.alone[number], len(grad.ids)
        self.ids[at][:n_rows], self.arrays[at][:n_rows] = grad.ids, grad.rows
        self.n_rows[at] = n_rows

    def get(self) -> list[np.ndarray | Rows]:
        """Views of them."""
        return [
            array if n_rows < 0 else Rows(ids[:n_rows], array[:n_rows], len(array))
            for array, ids, n_rows in zip(self.arrays, self.ids, self.n_rows.tolist(), strict=True)
        ]


def shared(shape: tuple[int, ...], dtype) -> np.ndarray:
    """Zeros that will be shared with forks. What is never written to takes no memory."""
    dtype, size = np.dtype(dtype), math.prod(shape)
    memory = mmap.mmap(-1, max(1, size * dtype.itemsize))
    return np.frombuffer(memory, dtype, size).reshape(shape)
