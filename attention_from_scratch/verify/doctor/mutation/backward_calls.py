"""The ways in which the call of a saved backward pass is written wrongly.

In `y, back = op(x)` and later `back(d)`, the backward pass may belong to another op, to another
input of the same op, to a call without a setting, or may be a slope that is written out wrongly.
"""

import ast
from collections.abc import Iterator
from dataclasses import replace

from attention_from_scratch.verify.doctor.mutation.templates import (
    DROPPED,
    INDEX,
    ODD,
    OTHER_NAME,
    shown,
    written,
)

# Slopes in terms of the output v, and of the input v, that may be written for a backward pass.
SLOPES = ("v * (1 - v)", "1 - v * v", "1 - v", "v", "v * v")


def saved_backward(place, names) -> Iterator:
    """All of these ways, for a call of a name on the way back."""
    node = place.node
    if len(place.inside) < 2 or not isinstance(node.func, ast.Name):
        return
    made = maker_of(place, node.func.id)
    if made is None:
        return
    output, call = made
    yield from at_other_inputs(place, names, output, call)
    yield from without_settings(node, call)
    if len(node.args) == len(call.args) == 1 and not call.keywords:
        others = names(replace(place, node=as_name(output.id)))[0]
        yield from as_slopes(node, output, call.args[0], others)


def maker_of(place, name) -> tuple[ast.expr, ast.Call] | None:
    """The name of the output and the call that gave a backward pass of this name."""
    for statement in ast.walk(place.piece.tree):
        if not isinstance(statement, ast.Assign) or not isinstance(statement.value, ast.Call):
            continue
        (target,) = statement.targets[:1]
        elements = target.elts if isinstance(target, ast.Tuple) else []
        names = [element.id for element in elements if isinstance(element, ast.Name)]
        if len(elements) == len(names) == 2 and names[1] == name:
            return elements[0], statement.value
    return None


def at_other_inputs(place, names, output, call) -> Iterator:
    """The backward pass of the same op, but at the output or at another value like an input."""
    for index, argument in enumerate(call.args):
        others = {output.id: True} if output.id != "_" else {}
        if isinstance(argument, ast.Name):
            others |= names(replace(place, node=argument, holder=call, field="args"))[0]
        elif isinstance(argument, ast.Starred):
            return
        parts = [] if isinstance(argument, ast.Name) else other_parts(place.piece.tree, argument)
        for other in [*map(as_name, others), *parts, *returned_by(place.piece.tree)]:
            inputs = list(call.args)
            inputs[index] = other
            words = f"the backward pass of `{shown(call.func)}` at `{shown(other)}`, not at "
            new = ast.Call(call.func, inputs, call.keywords)
            yield taken(place.node, new), f"{words}`{shown(argument)}`", OTHER_NAME


def other_parts(tree, node) -> list[ast.expr]:
    """What a function reads from other keys of the same dict: params["key"] for params["query"]."""
    if not is_part(node):
        return []
    found = {
        ast.unparse(other): other
        for other in ast.walk(tree)
        if is_part(other) and ast.unparse(other.value) == ast.unparse(node.value)
    }
    found.pop(ast.unparse(node), None)
    return list(found.values())


def is_part(node) -> bool:
    """Whether it is read from a dict under a name."""
    return (
        isinstance(node, ast.Subscript)
        and isinstance(node.slice, ast.Constant)
        and isinstance(node.slice.value, str)
        and isinstance(node.ctx, ast.Load)
    )


def another_part(place) -> Iterator:
    """Another part of the same dict."""
    for other in other_parts(place.piece.tree, place.node):
        yield other, f"`{shown(other)}`, not `{shown(place.node)}`", OTHER_NAME


def returned_by(tree) -> list[ast.expr]:
    """What a function returns as its output, where it is computed on the spot."""
    last = tree.body[-1]
    value = getattr(last, "value", None) if isinstance(last, ast.Return) else None
    if not isinstance(value, ast.Tuple) or isinstance(value.elts[0], ast.Name):
        return []
    inside = [n for n in ast.walk(value.elts[0]) if isinstance(n, ast.List)]
    of_list = [e for n in inside for e in n.elts if isinstance(e, ast.BinOp)]
    return of_list or [value.elts[0]]


def without_settings(node, call) -> Iterator:
    """The backward pass of a call without one of its keywords."""
    for index, keyword in enumerate(call.keywords):
        if keyword.arg is not None:
            rest = [*call.keywords[:index], *call.keywords[index + 1 :]]
            new = ast.Call(call.func, call.args, rest)
            words = f"the backward pass of `{shown(call.func)}` without `{shown(keyword)}`"
            yield taken(node, new), words, DROPPED


def as_slopes(node, output, argument, others) -> Iterator:
    """A slope of the output, of the input or of a value like these, not the backward pass."""
    (d,) = node.args
    values = [(value, SLOPES) for value in (as_name(output.id), argument)]
    values += [(as_name(other), SLOPES[:2]) for other in others]
    for place, (value, slopes) in enumerate(values):
        for slope in slopes:
            new = written(f"a * ({slope})", a=d, v=value)
            words = f"the slope `{shown(new.right)}`, not that of `{shown(node.func)}`"
            yield new, words, ODD if place else OTHER_NAME


def taken(node, call) -> ast.Call:
    """The second thing that a call gives, called as the node is."""
    second = ast.Subscript(call, ast.Constant(1), ast.Load())
    return ast.Call(second, node.args, node.keywords)


def as_name(name) -> ast.Name:
    """A name that is read."""
    return ast.Name(name, ast.Load())


def other_functions(place, names) -> Iterator:
    """Another saved backward pass, called in the place of this one."""
    if place.field != "func" or len(place.inside) < 2:
        return
    others, kind = names(place)
    around = {getattr(function, "name", "") for function in place.inside}
    for other in others if kind == "function" else ():
        if other not in around:
            yield as_name(other), f"`{other}`, not `{place.node.id}`", OTHER_NAME


def before_its_call(place, names) -> Iterator:
    """What a name was computed from by a saved backward pass, at this use of the name alone."""
    if len(place.inside) < 2 or not isinstance(place.node.ctx, ast.Load):
        return
    for statement in place.inside[-1].body if isinstance(place.inside[-1].body, list) else ():
        value = getattr(statement, "value", None)
        if not isinstance(statement, ast.Assign) or not isinstance(value, ast.Call):
            continue
        (target,) = statement.targets[:1]
        is_it = isinstance(target, ast.Name) and target.id == place.node.id
        if is_it and isinstance(value.func, ast.Name) and len(value.args) == 1:
            words = (
                f"`{shown(value.args[0])}`, not `{place.node.id}` that `{shown(value.func)}` made"
            )
            yield value.args[0], words, ODD


def led_back_apart(place, names) -> Iterator:
    """Of the two gradients of a saved backward pass one is that of another gradient."""
    node = place.node
    (target,) = node.targets[:1]
    value = node.value
    if len(place.inside) < 2 or not isinstance(target, ast.Tuple) or len(target.elts) != 2:
        return
    is_saved = isinstance(value, ast.Call) and isinstance(value.func, ast.Name)
    if not is_saved or len(value.args) != 1 or not isinstance(value.args[0], ast.Name):
        return
    now = value.args[0]
    for other in names(replace(place, node=now, holder=value, field="args"))[0]:
        for index, text in enumerate(("(f(b)[0], f(a)[1])", "(f(a)[0], f(b)[1])")):
            new = written(text, f=value.func, a=now, b=as_name(other))
            words = f"`{shown(target.elts[index])}` from `{other}`, not from `{now.id}`"
            yield [ast.Assign([target], new)], words, INDEX
