"""What the processes of a training share: parameters, and the gradients of a batch's shards."""

import math
import mmap

import numpy as np

from attention_from_scratch.rows import Rows
from attention_from_scratch.training.forks.layout import Layout
from attention_from_scratch.tree import Tree, leaves, tree_map

MAX_SHARDS = 8  # that a batch may have


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

    A small one must not be `Rows`: it lies in one array with others that are dense, and Adam rounds
    a dense gradient differently.
    """

    def __init__(self, layout: Layout):
        self.layout = layout
        self.arrays = [shared(*of) for of in layout.arrays]
        self.leaves = leaves(layout.tree(self.arrays))
        self.ids = [shared(array.shape[:1], np.int64) for array in self.arrays]
        # How many rows of each array are there, if it is `Rows`; -1 if it is dense.
        self.n_rows = shared((len(self.arrays),), np.int64)

    def put(self, grads: Tree) -> None:
        """Write the gradients of a shard into this slot, in place of what it held."""
        self.n_rows[:] = -1
        tree_map(self.put_leaf, self.layout.numbers, grads)

    def put_leaf(self, number: int, grad: np.ndarray | Rows) -> None:
        """Write the gradient of one array, which is leaf `number` of the parameters."""
        if not isinstance(grad, Rows):
            self.leaves[number][...] = grad
            return
        if number not in self.layout.alone:
            raise ValueError(
                f"a gradient of shape {grad.shape} came as Rows, but with several processes that "
                "must be one of a large array"
            )
        at, n_rows = self.layout.alone[number], len(grad.ids)
        self.ids[at][:n_rows], self.arrays[at][:n_rows] = grad.ids, grad.rows
        self.n_rows[at] = n_rows

    def get(self) -> list[np.ndarray | Rows]:
        """The gradients as they lie here: views, in the order of the layout."""
        return [
            array if n_rows < 0 else Rows(ids[:n_rows], array[:n_rows], len(array))
            for array, ids, n_rows in zip(self.arrays, self.ids, self.n_rows.tolist(), strict=True)
        ]


def shared(shape: tuple[int, ...], dtype) -> np.ndarray:
    """Zeros that will be shared with forks. What is never written to takes no memory."""
    dtype, size = np.dtype(dtype), math.prod(shape)
    memory = mmap.mmap(-1, max(1, size * dtype.itemsize))
    return np.frombuffer(memory, dtype, size).reshape(shape)
