"""The ways in which a line is written wrongly: each takes a place and yields what may stand there.

The kinds of change are small functions, one for each kind of node, gathered in `OPERATORS`. Most
are tables of templates: what stands for `a * b` where a factor is dropped, doubled or inverted.
"""

import ast
import copy
import itertools
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cache

from attention_from_scratch.verify.doctor.mutation.places import Edit, Place, computes

# Ranks: the more usual mistake first. What is rare is tried last of all.
DROPPED, SIGN, OTHER_NAME, FACTOR, INDEX, ODD, RARE = range(7)

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
        ("b * a", "as in the derivative, but not", ODD),
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


@cache
def template(text: str) -> ast.expr:
    """The tree of an expression."""
    return ast.parse(text, mode="eval").body


class Filling(ast.NodeTransformer):
    """Puts nodes into a template, for the names in it."""

    def __init__(self, parts):
        self.parts = parts

    def generic_visit(self, node):
        """Make a node of its own, as templates are used more than once."""
        fields = {}
        for name, value in ast.iter_fields(node):
            if isinstance(value, list):
                fields[name] = [self.visit(v) if isinstance(v, ast.AST) else v for v in value]
            else:
                fields[name] = self.visit(value) if isinstance(value, ast.AST) else value
        return type(node)(**fields)

    def visit_Name(self, node):
        """Put the part of this name here."""
        return self.parts.get(node.id) or ast.Name(node.id, ast.Load())


def written(text: str, **parts: ast.expr) -> ast.expr:
    """The expression of a template with these parts for its names."""
    return Filling(parts).visit(template(text))


def shown(node: ast.AST) -> str:
    """A node in words, cut where it is long."""
    text = ast.unparse(node)
    return text if len(text) <= 60 else text[:57] + "..."


def edits_of(place: Place, names: Callable) -> Iterator[Edit]:
    """Every change of one place. `names(place)` gives the names of values like that of a name."""
    if is_target(place):
        return
    if isinstance(place.node, ast.stmt) and is_first(place):
        yield from parameters(place)
    for operator in OPERATORS.get(type(place.node), ()):
        arguments = (place, names) if operator in (other_names, renamed) else (place,)
        for new, words, rank in operator(*arguments):
            yield Edit(place, new, words, rank)
    if is_value(place):
        for text, words, rank in WHOLE:
            yield Edit(place, written(text, a=place.node), words, rank)
        if len(place.inside) > 1:
            yield from with_a_slope(place, names)


WHOLE = (
    ("-a", "with the other sign", SIGN),
    ("2 * a", "twice", FACTOR),
    ("a / 2", "half of it", FACTOR),
    ("0 * a", "0", DROPPED),
)


# Slopes of a value v, which a gradient may wrongly be multiplied or divided by.
SLOPES_OF = ("v", "(v * (1 - v))", "(1 - v * v)")


def with_a_slope(place, names) -> Iterator[Edit]:
    """A slope that is multiplied by once too often, or divided by."""
    inside = {node.id for node in ast.walk(place.node) if isinstance(node, ast.Name)}
    values = dict.fromkeys(
        other for now in sorted(inside) for other in names(replace(place, node=ast.Name(now)))[0]
    )
    for value in values:
        for slope in SLOPES_OF:
            for sign, words in (("*", "multiplied by"), ("/", "divided by")):
                new = written(f"a {sign} {slope}", a=place.node, v=ast.Name(value, ast.Load()))
                yield Edit(place, new, f"{words} `{shown(new.right)}` as well", RARE)


def is_target(place: Place) -> bool:
    """Whether it is what is assigned to, not what is read."""
    return isinstance(getattr(place.node, "ctx", None), ast.Store | ast.Del)


def is_value(place: Place) -> bool:
    """Whether it is the value of an assignment, or one of those that are returned."""
    if place.field == "value" and isinstance(place.holder, ast.Assign | ast.AugAssign):
        return not isinstance(place.node, ast.Tuple | ast.Dict | ast.Lambda)
    if place.field == "elts" and isinstance(place.holder, ast.Tuple):
        return isinstance(place.statement, ast.Return)
    return isinstance(place.holder, ast.Return | ast.Lambda) and not isinstance(
        place.node, ast.Tuple | ast.Dict | ast.Lambda
    )


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


def is_sum(node) -> bool:
    """Whether it adds or subtracts."""
    return isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add | ast.Sub)


def summands_of(node, sign=1) -> Iterator[tuple[int, ast.expr]]:
    """The summands of a sum with their signs."""
    if is_sum(node):
        yield from summands_of(node.left, sign)
        yield from summands_of(node.right, -sign if isinstance(node.op, ast.Sub) else sign)
    else:
        yield sign, node


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
    for other in TAKEN_FOR.get(name, ()):
        new = ast.Attribute(function.value, other, ast.Load()) if has_value(function) else None
        if new is not None:
            yield ast.Call(new, arguments, node.keywords), f"`{other}`, not `{name}`", FACTOR
    if name in ("sum", "mean"):
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


def is_numpy(node) -> bool:
    """Whether it is a module as it is usually named."""
    return isinstance(node, ast.Name) and node.id in ("np", "numpy", "math", "ops")


def keyword(place) -> Iterator:
    """Another axis."""
    if place.node.arg == "axis":
        now = ast.unparse(place.node.value)
        for axis in ("-1", "-2", "0", "1", "None"):
            if axis != now:
                new = ast.keyword("axis", template(axis))
                yield new, f"over the axis {axis}, not {now}", INDEX


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
        text = "(a - a.mean(axis=-1, keepdims=True))"
        yield written(text, a=place.node), f"the mean of `{now}` taken out", ODD
    if kind == "bool":
        yield written("~a", a=place.node), f"`{now}` inverted", SIGN
        yield written("a | True", a=place.node), f"without `{now}`", DROPPED
    if kind == "int":
        yield written("a - 1", a=place.node), f"the one before `{now}`", INDEX
        yield written("a + 1", a=place.node), f"the one after `{now}`", INDEX
        yield written("np.maximum(a - 1, 0)", a=place.node), f"the one before `{now}`", INDEX


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


def attribute(place) -> Iterator:
    """A transpose that is left out."""
    if place.node.attr in ("T", "mT") and place.field != "func":
        yield place.node.value, "not transposed", DROPPED


def subscript(place) -> Iterator:
    """An index that is left out, or a slice the other way round."""
    yield place.node.value, f"without `[{ast.unparse(place.node.slice)}]`", DROPPED
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


OPERATORS: dict[type, tuple[Callable, ...]] = {
    ast.BinOp: (arithmetic,),
    ast.UnaryOp: (unary,),
    ast.Compare: (comparison,),
    ast.Constant: (constant,),
    ast.Call: (call,),
    ast.keyword: (keyword,),
    ast.Name: (other_names,),
    ast.Attribute: (attribute,),
    ast.Subscript: (subscript,),
    ast.IfExp: (choice,),
    ast.Tuple: (exchanged_elements,),
    ast.List: (exchanged_elements,),
    ast.Dict: (exchanged_values,),
    ast.Assign: (assignment,),
    ast.AugAssign: (added,),
    ast.Expr: (lone_call,),
    ast.If: (branch,),
    ast.For: (loop,),
    ast.FunctionDef: (renamed,),
}
