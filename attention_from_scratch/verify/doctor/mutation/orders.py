"""The ways in which axes are split, folded and put together in another order."""

import ast
import copy
from collections.abc import Iterator

from attention_from_scratch.verify.doctor.mutation.templates import INDEX, is_numpy, written

IN_OTHER_ORDER = "split in the other order: blocks of neighbours are taken for every so manieth"


def axes_in_other_order(place) -> Iterator:
    """A reshape that is summed over, or moved, along axes that were split the other way round."""
    node = place.node
    function = node.func
    if not isinstance(function, ast.Attribute) or not is_reshape(function.value):
        return
    if function.attr in ("swapaxes", "transpose"):
        parts = {"a": function.value.func.value, "moved": node}
        yield written("a.reshape(moved.shape)", **parts), "reshaped, with no axes moved", INDEX
    if function.attr in ("sum", "mean"):
        yield from summed_in_other_order(node, function.value)


def repeated_as_a_whole(place) -> Iterator:
    """What is repeated entry by entry, repeated as a whole in all of a line: the order of tile."""
    new = Tiling().visit(copy.deepcopy(place.node))
    if ast.dump(new) != ast.dump(place.node):
        yield [new], "repeated as a whole (the order of tile), not entry by entry", INDEX


class Tiling(ast.NodeTransformer):
    """Repeats the whole where entries are repeated."""

    def visit_Call(self, node):
        """Put a concatenation in the place of a call of repeat."""
        self.generic_visit(node)
        if not isinstance(node.func, ast.Attribute) or node.func.attr != "repeat":
            return node
        value = node.func.value
        arguments = node.args if is_numpy(value) else [value, *node.args]
        axis = [k.value for k in node.keywords if k.arg == "axis"] + arguments[2:]
        if len(arguments) < 2 or len(axis) != 1:
            return node
        parts = {"a": arguments[0], "n": arguments[1], "k": axis[0]}
        return written("np.concatenate([a] * n, axis=k)", **parts)


def is_reshape(node) -> bool:
    """Whether it is a call of the method reshape."""
    return (
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr == "reshape"
    )


def summed_in_other_order(node, reshape) -> Iterator:
    """The axis that is summed over exchanged with a neighbour, in the split and in the sum."""
    lengths = list(reshape.args)
    if len(lengths) == 1 and isinstance(lengths[0], ast.Tuple):
        lengths = list(lengths[0].elts)
    axis = [k.value for k in node.keywords if k.arg == "axis"] + node.args
    if len(axis) != 1 or not isinstance(axis[0], ast.Constant):
        return
    at = axis[0].value
    for other in (at - 1, at + 1) if isinstance(at, int) and at >= 0 else ():
        if not 0 <= other < len(lengths) or at >= len(lengths):
            continue
        exchanged = list(lengths)
        exchanged[at], exchanged[other] = lengths[other], lengths[at]
        if any(isinstance(n, ast.Starred) for n in exchanged[: max(at, other) + 1]):
            continue
        split = ast.Call(reshape.func, exchanged, [])
        function = ast.Attribute(split, node.func.attr, ast.Load())
        held = [k for k in node.keywords if k.arg != "axis"]
        new = ast.Call(function, [], [ast.keyword("axis", ast.Constant(other)), *held])
        yield new, IN_OTHER_ORDER, INDEX
