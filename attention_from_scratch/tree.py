"""Parameters as plain nested dicts and lists of arrays, and what one does with them."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

Tree = Any  # an array, None, or a dict, list or tuple of trees


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
        branches = [tree_map(function, *found) for found in zip(tree, *others, strict=True)]
        return like_sequence(tree, branches)
    return function(tree, *others)


def like_sequence(tree: list | tuple, branches: list) -> list | tuple:
    """Other branches in the form of a list, a tuple or a namedtuple."""
    return type(tree)(*branches) if hasattr(tree, "_fields") else type(tree)(branches)


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
    """The leaves of a tree as a list, in the order of `tree_leaves`."""
    return [leaf for _, leaf in tree_leaves(tree)]


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
    """Turn the dicts whose keys are 0, 1, 2, ... into the lists that they were."""
    if not isinstance(node, dict):
        return node
    node = {name: lists_for_numbers(branch) for name, branch in node.items()}
    if node and all(name.isdigit() for name in node):
        return [node[str(i)] for i in range(len(node))]
    return node


def rebuild(tree: Tree, leaves: dict, path: str = "") -> Tree:
    """A tree like `tree` with the leaves of {path: leaf}."""
    if tree is None:
        return None
    if isinstance(tree, dict | list | tuple):
        items = tree.items() if isinstance(tree, dict) else enumerate(tree)
        built = {n: rebuild(b, leaves, f"{path}.{n}" if path else str(n)) for n, b in items}
        return built if isinstance(tree, dict) else like_sequence(tree, list(built.values()))
    return leaves[path]


def in_dtype(tree: Tree, dtype: str) -> Tree:
    """A copy of a tree of arrays, all of them in one dtype."""
    return tree_map(lambda array: array.astype(dtype), tree)


def with_dtype(tree: Tree, like: Tree) -> Tree:
    """A tree of arrays in the dtype that another tree has."""
    dtypes = {path: leaf.dtype for path, leaf in tree_leaves(like)}
    leaves = {path: leaf.astype(dtypes.get(path, leaf.dtype)) for path, leaf in tree_leaves(tree)}
    return rebuild(tree, leaves)
