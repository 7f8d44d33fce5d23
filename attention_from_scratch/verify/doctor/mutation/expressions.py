"""The ways in which an operation, a name or an index is written wrongly."""

import ast
import itertools
from collections.abc import Iterator

from attention_from_scratch.verify.doctor.mutation.templates import (
    DROPPED,
    FACTOR,
    INDEX,
    ODD,
    OTHER_NAME,
    SIGN,
    is_sum,
    shown,
    summands_of,
    written,
)

# For an operation on a and b: (what may stand for it, in words, rank).
ARITHMETIC = {
    ast.Mult: [
        ("a", "without the factor `{b}`", DROPPED),
        ("b", "without the factor `{a}`", DROPPED),
        ("a / b", "divided by `{b}`, not multiplied", FACTOR),
        ("b / a", "divided by `{a}`, not multiplied", FACTOR),
        ("a * b * b", "with the factor `{b}` twice", FACTOR),
        ("a * a * b", "with the factor `{a}` twice", FACTOR),
        ("a + b", "a sum, not a product", ODD),
        ("-(a * b)", "with the other sign", SIGN),
    ],
    ast.Div: [
        ("a", "not divided by `{b}`", DROPPED),
        ("1 / b", "without the factor `{a}`", DROPPED),
        ("a * b", "multiplied by `{b}`, not divided", FACTOR),
        ("a / b / b", "divided by `{b}` twice", FACTOR),
        ("b / a", "upside down", FACTOR),
        ("-(a / b)", "with the other sign", SIGN),
    ],
    ast.Add: [
        ("a", "without the term `{b}`", DROPPED),
        ("b", "without the term `{a}`", DROPPED),
        ("a - b", "with the other sign before `{b}`", SIGN),
        ("b - a", "with the other sign before `{a}`", SIGN),
        ("a + 2 * b", "with the term `{b}` twice", FACTOR),
        ("2 * a + b", "with the term `{a}` twice", FACTOR),
        ("a + b / 2", "with half the term `{b}`", FACTOR),
        ("a / 2 + b", "with half the term `{a}`", FACTOR),
        ("a * b", "a product, not a sum", ODD),
    ],
    ast.Sub: [
        ("a", "without the term `{b}`", DROPPED),
        ("-b", "without the term `{a}`", DROPPED),
        ("b", "`{b}`, not `{a} - {b}`", OTHER_NAME),
        ("a + b", "with the other sign before `{b}`", SIGN),
        ("b - a", "with the other sign", SIGN),
        ("a - 2 * b", "with the term `{b}` twice", FACTOR),
        ("2 * a - b", "with the term `{a}` twice", FACTOR),
        ("a - b / 2", "with half the term `{b}`", FACTOR),
        ("a / 2 - b", "with half the term `{a}`", FACTOR),
        ("a * b", "a product, not a difference", ODD),
    ],
    ast.MatMult: [
        ("a @ b.mT", "with `{b}` transposed", DROPPED),
        ("a.mT @ b", "with `{a}` transposed", DROPPED),
        ("a.mT @ b.mT", "with both factors transposed", DROPPED),
        ("b @ a", "with the factors in the other order", INDEX),
        ("b @ a.mT", "with the factors in the other order, and `{a}` transposed", INDEX),
        ("b.mT @ a", "with the factors in the other order, and `{b}` transposed", INDEX),
        ("(a @ b).mT", "transposed", INDEX),
        ("a * b", "entry by entry, not a matrix product", ODD),
        ("a", "without the factor `{b}`", DROPPED),
        ("b", "without the factor `{a}`", DROPPED),
    ],
    ast.Pow: [
        ("a", "without its exponent", DROPPED),
        ("b * a", "times `{b}`, not to that power", ODD),
        ("1 / a ** b", "upside down", FACTOR),
    ],
    ast.BitAnd: [
        ("a", "without the condition `{b}`", DROPPED),
        ("b", "without the condition `{a}`", DROPPED),
    ],
}


COMPARISONS = {
    ast.Lt: (ast.LtE, ast.GtE),
    ast.LtE: (ast.Lt, ast.Gt),
    ast.Gt: (ast.GtE, ast.LtE),
    ast.GtE: (ast.Gt, ast.Lt),
    ast.Eq: (ast.NotEq,),
    ast.NotEq: (ast.Eq,),
}


def arithmetic(place) -> Iterator:
    """An operand, a factor, a term: dropped, doubled, inverted, with the other sign, transposed."""
    node = place.node
    parts = {"a": node.left, "b": node.right}
    words = {name: shown(part) for name, part in parts.items()}
    for text, phrase, rank in ARITHMETIC.get(type(node.op), ()):
        yield written(text, **parts), phrase.format(**words), rank
    summands = list(summands_of(node)) if is_sum(node) and not is_sum(place.holder) else []
    if len(summands) > 2:
        for sign, alone in summands:
            words = f"only `{shown(alone)}` of all that is added"
            yield written("a" if sign > 0 else "-a", a=alone), words, DROPPED


def unary(place) -> Iterator:
    """A sign or a negation that is left out."""
    word = "sign" if isinstance(place.node.op, ast.USub) else "negation"
    yield place.node.operand, f"without the {word}", SIGN


def comparison(place) -> Iterator:
    """Another comparison."""
    node = place.node
    for other in COMPARISONS.get(type(node.ops[0]), ()) if len(node.ops) == 1 else ():
        new = ast.Compare(node.left, [other()], node.comparators)
        yield new, "with another comparison", INDEX


def constant(place) -> Iterator:
    """Another number: the next ones, the negative, double and half."""
    value = place.node.value
    if isinstance(value, bool):
        yield ast.Constant(not value), f"{not value}, not {value}", INDEX
    elif isinstance(value, int):
        for other in dict.fromkeys((value + 1, value - 1, -value)):
            if other != value:
                yield ast.Constant(other), f"{other}, not {value}", INDEX
    elif isinstance(value, float):
        for other in dict.fromkeys((-value, 2 * value, value / 2, 1.0, 0.0)):
            if other != value:
                yield ast.Constant(other), f"{other}, not {value}", FACTOR


def other_names(place, names) -> Iterator:
    """The value of another name that is like this one: the saved input for the output."""
    if place.field == "func" or (
        isinstance(place.holder, ast.keyword) and place.holder.arg is None
    ):
        return
    now = place.node.id
    others, kind = names(place)
    for other, at_home in others.items():
        rank = OTHER_NAME if at_home else ODD
        yield ast.Name(other, ast.Load()), f"`{other}`, not `{now}`", rank
    if kind == "float" and isinstance(place.holder, ast.BinOp):
        if isinstance(place.holder.op, ast.Mult):
            yield written("(1 - a)", a=place.node), f"`1 - {now}`, not `{now}`", OTHER_NAME
        text = "(a - a.mean(axis=-1, keepdims=True))"
        yield written(text, a=place.node), f"the mean of `{now}` taken out", ODD
    if kind == "bool":
        yield written("~a", a=place.node), f"`{now}` inverted", SIGN
        yield written("a | True", a=place.node), f"without `{now}`", DROPPED
    if kind == "int":
        yield written("a - 1", a=place.node), f"the one before `{now}`", INDEX
        yield written("a + 1", a=place.node), f"the one after `{now}`", INDEX
        yield written("np.maximum(a - 1, 0)", a=place.node), f"the one before `{now}`", INDEX


def attribute(place) -> Iterator:
    """A transpose that is left out."""
    if place.node.attr in ("T", "mT") and place.field != "func":
        yield place.node.value, "not transposed", DROPPED


def subscript(place) -> Iterator:
    """An index that is left out, or a slice the other way round."""
    yield place.node.value, f"without `[{ast.unparse(place.node.slice)}]`", DROPPED
    if isinstance(place.node.slice, ast.Name | ast.BinOp):
        new = written("a[::-1][i]", a=place.node.value, i=place.node.slice)
        yield new, "counted from the other end", INDEX
    if isinstance(place.node.slice, ast.Slice):
        lower, upper, step = place.node.slice.lower, place.node.slice.upper, place.node.slice.step
        if step is None and (lower is None) != (upper is None):
            new = ast.Subscript(place.node.value, ast.Slice(upper, lower, None), ast.Load())
            yield new, "the other part", INDEX


def choice(place) -> Iterator:
    """One side of a choice, whatever its condition says."""
    yield place.node.body, "always", DROPPED
    yield place.node.orelse, "always", DROPPED


def exchanged_elements(place) -> Iterator:
    """Two elements in each other's place."""
    node = place.node
    for i, j in itertools.combinations(range(len(node.elts)), 2):
        elements = list(node.elts)
        elements[i], elements[j] = node.elts[j], node.elts[i]
        words = f"`{shown(node.elts[i])}` and `{shown(node.elts[j])}` exchanged"
        yield type(node)(elements, ast.Load()), words, OTHER_NAME


def exchanged_values(place) -> Iterator:
    """Two values of a dict in each other's place."""
    node = place.node
    for i, j in itertools.combinations(range(len(node.values)), 2):
        values = list(node.values)
        values[i], values[j] = node.values[j], node.values[i]
        words = f"`{shown(node.values[i])}` and `{shown(node.values[j])}` exchanged"
        yield ast.Dict(node.keys, values), words, OTHER_NAME
