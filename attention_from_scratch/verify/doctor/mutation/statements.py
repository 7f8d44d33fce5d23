"""The ways in which a statement is written wrongly: left out, assigned, of other names."""

import ast
import copy
import itertools
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace

from attention_from_scratch.verify.doctor.mutation.places import Edit, Place, computes
from attention_from_scratch.verify.doctor.mutation.templates import (
    DROPPED,
    INDEX,
    ODD,
    OTHER_NAME,
    SIGN,
    shown,
    written,
)

MOST_NAMES = 12  # in a line of which two may be exchanged


def is_first(place: Place) -> bool:
    """Whether a statement is the first of the piece that computes something."""
    tree = place.piece.tree
    return place.holder is tree and place.index == next(
        i for i, statement in enumerate(tree.body) if computes(statement)
    )


def parameters(place) -> Iterator[Edit]:
    """A setting of the function that is taken for another: not used, or inverted, or 0."""
    tree = place.piece.tree
    strings = [n.value for n in ast.walk(tree) if isinstance(n, ast.Constant)]
    strings = [f"{value!r}" for value in dict.fromkeys(strings) if type(value) is str]
    for argument, default in zip(tree.args.kwonlyargs, tree.args.kw_defaults, strict=True):
        text = default and ast.unparse(default)
        others = ["None", *strings] if text and text[0] in "\"'" else ["None", "0", "1", "~a"]
        for other in others:
            name = ast.Name(argument.arg, ast.Load())
            value = ast.Assign([ast.Name(argument.arg, ast.Store())], written(other, a=name))
            setting = f"{argument.arg}={ast.unparse(value.value)}"
            yield Edit(place, [value, place.node], "", DROPPED, setting)


def renamed(place, names) -> Iterator:
    """Another name in all places of a backward pass: what was saved is not what is needed."""
    inside = [node for node in ast.walk(place.node) if isinstance(node, ast.Name)]
    assigned = {node.id for node in inside if isinstance(node.ctx, ast.Store)}
    read = Counter(node.id for node in inside if isinstance(node.ctx, ast.Load))
    for now in [name for name, count in read.items() if count > 1 and name not in assigned]:
        others, _ = names(replace(place, node=ast.Name(now)))
        for other, at_home in others.items():
            new = Renaming(now, other).visit(copy.deepcopy(place.node))
            rank = OTHER_NAME if at_home else ODD
            yield [new], f"`{other}`, not `{now}`, throughout", rank


class Renaming(ast.NodeTransformer):
    """Reads another name."""

    def __init__(self, now, other):
        self.now, self.other = now, other

    def visit_Name(self, node):
        """Put the other name in the place of the one."""
        if node.id == self.now and isinstance(node.ctx, ast.Load):
            node.id = self.other
        return node


def everywhere(place, names) -> Iterator:
    """A condition that is forgotten in more than one place of a backward pass, or in all."""
    inside = [node for node in ast.walk(place.node) if isinstance(node, ast.Name)]
    read = Counter(node.id for node in inside if isinstance(node.ctx, ast.Load))
    for now, count in read.items():
        if not 1 < count < 5 or names(replace(place, node=ast.Name(now)))[1] != "bool":
            continue
        for size in range(count, 1, -1):
            often = "throughout" if size == count else "in these places"
            for uses in itertools.combinations(range(count), size):
                new = Forgetting(now, uses).visit(copy.deepcopy(place.node))
                yield [new], f"without `{now}` {often}", DROPPED


class Forgetting(ast.NodeTransformer):
    """Takes a condition for true at some of its uses."""

    def __init__(self, now, uses):
        self.now, self.uses, self.count = now, uses, 0

    def visit_Name(self, node):
        """Put what is always true in the place of the condition."""
        if node.id != self.now or not isinstance(node.ctx, ast.Load):
            return node
        self.count += 1
        return written("a | True", a=node) if self.count - 1 in self.uses else node


def assignment(place) -> Iterator:
    """An assignment to a part that is left out, or names that are unpacked in another order."""
    (target,) = place.node.targets[:1]
    if isinstance(target, ast.Subscript):
        yield [], "left out", DROPPED
        added = ast.AugAssign(target, ast.Add(), place.node.value)
        yield [added], "added, not assigned", ODD
    if isinstance(target, ast.Tuple) and len(target.elts) <= 4:
        for i, j in itertools.combinations(range(len(target.elts)), 2):
            names = list(target.elts)
            names[i], names[j] = target.elts[j], target.elts[i]
            new = ast.Assign([ast.Tuple(names, ast.Store())], place.node.value)
            yield [new], "unpacked in another order", OTHER_NAME


def added(place) -> Iterator:
    """What is added is assigned, subtracted or left out."""
    node = place.node
    yield [], "left out", DROPPED
    if isinstance(node.op, ast.Add):
        yield [ast.Assign([node.target], node.value)], "assigned, not added", DROPPED
        yield [ast.AugAssign(node.target, ast.Sub(), node.value)], "subtracted", SIGN


def lone_call(place) -> Iterator:
    """A call for what it does: left out, or `np.add.at` that adds each index once."""
    yield [], "left out", DROPPED
    call = place.node.value
    if isinstance(call, ast.Call) and ast.unparse(call.func) == "np.add.at":
        at = ast.Subscript(call.args[0], call.args[1], ast.Store())
        yield [ast.AugAssign(at, ast.Add(), call.args[2])], "repeats added once", DROPPED
        yield [ast.Assign([at], call.args[2])], "repeats overwritten", DROPPED


def branch(place) -> Iterator:
    """One branch, whatever its condition says."""
    node = place.node
    while True:
        if not all(isinstance(statement, ast.Raise) for statement in node.body):
            yield node.body, f"as if `{shown(node.test)}`", DROPPED
        if len(node.orelse) != 1 or not isinstance(node.orelse[0], ast.If):
            break
        node = node.orelse[0]
    if not node.orelse or not all(isinstance(statement, ast.Raise) for statement in node.orelse):
        yield node.orelse, f"as if not `{shown(place.node.test)}`", DROPPED


def loop(place) -> Iterator:
    """A loop that leaves out steps, or runs the other way."""
    node = place.node
    for text, words in (
        ("list(a)[:1]", "the first step alone"),
        ("list(a)[-1:]", "the last step alone"),
        ("list(a)[1:]", "without the first step"),
        ("list(a)[:-1]", "without the last step"),
        ("list(a)[::-1]", "the other way round"),
    ):
        steps = written(text, a=node.iter)
        yield [ast.For(node.target, steps, node.body, node.orelse)], words, INDEX


def exchanged_names(place, names) -> Iterator:
    """Two names in each other's place throughout a line of the backward pass."""
    inside = [n for n in ast.walk(place.node) if isinstance(n, ast.Name)]
    read = dict.fromkeys(n.id for n in inside if isinstance(n.ctx, ast.Load))
    if len(place.inside) < 2 or len(read) > MOST_NAMES:
        return
    like = {name: names(replace(place, node=ast.Name(name)))[0] for name in read}
    for one, other in itertools.combinations(read, 2):
        if other in like[one]:
            new = Exchanging(one, other).visit(copy.deepcopy(place.node))
            yield [new], f"`{one}` and `{other}` exchanged", INDEX


class Exchanging(ast.NodeTransformer):
    """Reads either of two names where the other was read."""

    def __init__(self, one, other):
        self.names = {one: other, other: one}

    def visit_Name(self, node):
        """Put the one in the place of the other."""
        if isinstance(node.ctx, ast.Load):
            node.id = self.names.get(node.id, node.id)
        return node
