"""An update in parts that fit into the cache, side by side: what an optimizer has for speed alone.

It works number by number, so nothing changes if large arrays are taken some rows at a time and
small ones together, as one row.
"""

from collections.abc import Callable

import numpy as np

from attention_from_scratch.rows import Rows
from attention_from_scratch.tree import Tree, tree_map

PIECE = 2**17  # numbers that are taken at a time

Arrays = tuple  # a gradient, and the arrays of the same shape that it moves


def in_pieces(move: Callable, grads: Tree, moved: tuple[Tree, ...], parallel: Callable) -> None:
    """Call `move(grad, *arrays)`, which writes into the arrays, for all leaves of trees alike.

    Parameters
    ----------
    move : works number by number, on arrays of one shape
    grads : tree of arrays or `Rows`
    moved : trees of arrays
    parallel : map of `training.shard_pool`
    """
    pieces: list[Arrays] = []

    def add(first, grad, *others):
        pieces.extend(cut((grad, first, *others)))

    tree_map(add, moved[0], grads, *moved[1:])  # branches are matched by their names

    def move_group(group):
        if len(group) == 1:
            return move(*group[0])
        together = [as_one_row(arrays) for arrays in zip(*group, strict=True)]
        move(*together)
        for row, arrays in zip(together[1:], list(zip(*group, strict=True))[1:], strict=True):
            put_back(row, arrays)

    list(parallel(move_group, in_groups(pieces)))


def cut(arrays: Arrays) -> list[Arrays]:
    """Arrays of one shape, some rows at a time."""
    first = arrays[1]
    if first.size <= PIECE:
        return [arrays]
    n_rows = max(1, PIECE * len(first) // first.size)
    return [
        tuple(array[start : start + n_rows] for array in arrays)
        for start in range(0, len(first), n_rows)
    ]


def in_groups(pieces: list[Arrays]) -> list[list[Arrays]]:
    """Neighbours of like dtypes together, at most `PIECE` numbers a group.

    A piece whose gradient is `Rows` is a group by itself.
    """
    groups, size, last = [], 0, None
    for piece in pieces:
        size, kinds = size + piece[1].size, [(type(array), array.dtype) for array in piece]
        if size > PIECE or kinds != last or Rows in [kind for kind, _ in kinds]:
            groups.append([])
            last = kinds
            size = piece[1].size
        groups[-1].append(piece)
    return groups


def as_one_row(arrays) -> np.ndarray:
    """A copy of all their numbers, in one row."""
    return np.concatenate([array.reshape(-1) for array in arrays])


def put_back(row: np.ndarray, arrays) -> None:
    """Copy the numbers of one row back to the arrays they are of."""
    start = 0
    for array in arrays:
        array[...] = row[start : start + array.size].reshape(array.shape)
        start += array.size
