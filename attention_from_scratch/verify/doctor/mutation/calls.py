"""The ways in which a call is written wrongly: left out, of another function, axis or argument."""

import ast
import itertools
from collections.abc import Iterator

from attention_from_scratch.verify.doctor.mutation.templates import (
    DROPPED,
    FACTOR,
    INDEX,
    SIGN,
    is_numpy,
    shown,
    template,
    written,
)

# For a method or a function of NumPy: those that are taken for it.
TAKEN_FOR = {
    "sum": ("mean", "max"),
    "mean": ("sum",),
    "max": ("sum", "mean"),
    "tanh": ("exp",),
    "zeros_like": ("ones_like",),
    "log1p": ("log",),
    "maximum": ("minimum",),
}


ACTIVATIONS = ("relu", "sigmoid", "tanh", "gelu", "softmax")


def call(place) -> Iterator:
    """A call left out, its arguments exchanged, a keyword left out, another function called."""
    node = place.node
    function, arguments = node.func, node.args
    name = getattr(function, "attr", getattr(function, "id", ""))
    if name == "where" and len(arguments) == 3:
        condition, yes, no = arguments
        kept = shown(condition)
        yield yes, f"without the condition `{kept}`", DROPPED
        yield no, f"without the condition `{kept}`", DROPPED
        yield called(node, condition, no, yes), f"the condition `{kept}` inverted", SIGN
    elif arguments and isinstance(function, ast.Name | ast.Attribute):
        yield arguments[0], f"without `{shown(function)}`", DROPPED
    if isinstance(function, ast.Attribute) and not is_numpy(function.value):
        yield function.value, f"without `.{name}`", DROPPED
    yield from other_activation(place, name)
    for other in TAKEN_FOR.get(name, ()):
        new = ast.Attribute(function.value, other, ast.Load()) if has_value(function) else None
        if new is not None:
            yield ast.Call(new, arguments, node.keywords), f"`{other}`, not `{name}`", FACTOR
    if name in ("sum", "mean") and has_value(function):
        yield from one_of_all(node, name)
    if name == "mean" and has_value(function) and not is_numpy(function.value):
        unbiased = "m * (a.shape[-1] / (a.shape[-1] - 1))"
        parts = {"m": node, "a": function.value}
        yield written(unbiased, **parts), "divided by n - 1, not n", FACTOR
    for i, j in itertools.combinations(range(len(arguments)), 2):
        if len(arguments) <= 4 and name != "where":
            exchanged = list(arguments)
            exchanged[i], exchanged[j] = arguments[j], arguments[i]
            words = f"`{shown(arguments[i])}` and `{shown(arguments[j])}` exchanged"
            yield called(node, *exchanged), words, INDEX
    for index, keyword in enumerate(node.keywords):
        rest = [*node.keywords[:index], *node.keywords[index + 1 :]]
        yield ast.Call(function, arguments, rest), f"without `{ast.unparse(keyword)}`", DROPPED
    if len(arguments) == 1 and isinstance(arguments[0], ast.BinOp):
        parts = {"f": function, "a": arguments[0].left, "b": arguments[0].right}
        operator = {ast.Add: "f(a) + b", ast.Sub: "f(a) - b"}.get(type(arguments[0].op))
        if operator:
            yield written(operator, **parts), f"with `{shown(parts['b'])}` outside", INDEX


def other_activation(place, name) -> Iterator:
    """Another activation, where the function knows one of that name."""
    function, known = place.node.func, place.piece.function.__globals__
    for other in ACTIVATIONS if name in ACTIVATIONS and len(place.node.args) == 1 else ():
        if other == name:
            continue
        if isinstance(function, ast.Attribute) and function.value.__class__ is ast.Name:
            module = known.get(function.value.id)
            new = (
                ast.Attribute(function.value, other, ast.Load()) if hasattr(module, other) else None
            )
        else:
            new = ast.Name(other, ast.Load()) if other in known else None
        if new is not None:
            words = f"`{other}`, not `{name}`"
            yield ast.Call(new, place.node.args, place.node.keywords), words, DROPPED
            yield ast.Call(new, place.node.args, []), words, DROPPED


def one_of_all(node, name) -> Iterator:
    """The first or the last of what is to be added up along one axis."""
    axis = [k.value for k in node.keywords if k.arg == "axis"] + node.args[
        is_numpy(node.func.value) :
    ]
    summed = node.args[0] if is_numpy(node.func.value) and node.args else node.func.value
    if len(axis) != 1:
        return
    held = any(k.arg == "keepdims" for k in node.keywords)
    for which, word in ((0, "first"), (-1, "last")):
        text = f"a.take([{which}], axis=k)" if held else f"a.take({which}, axis=k)"
        yield written(text, a=summed, k=axis[0]), f"the {word} alone, not the {name}", INDEX


def called(node, *arguments) -> ast.Call:
    """The same call with other arguments."""
    return ast.Call(node.func, list(arguments), node.keywords)


def has_value(function) -> bool:
    """Whether it is a function of something: np.sum, x.sum."""
    return isinstance(function, ast.Attribute)


def keyword(place) -> Iterator:
    """Another axis."""
    if place.node.arg == "axis":
        now = ast.unparse(place.node.value)
        for axis in ("-1", "-2", "0", "1", "None"):
            if axis != now:
                new = ast.keyword("axis", template(axis))
                yield new, f"over the axis {axis}, not {now}", INDEX
