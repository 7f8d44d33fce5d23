"""The ways in which a line is written wrongly: each takes a place and yields what may stand there.

The kinds of change are small functions, one for each kind of node, gathered in `OPERATORS`. Most
are tables of templates: what stands for `a * b` where a factor is dropped, doubled or inverted.
"""

import ast
from collections.abc import Callable, Iterator
from dataclasses import replace

from attention_from_scratch.verify.doctor.mutation.backward_calls import (
    another_part,
    before_its_call,
    led_back_apart,
    other_functions,
    saved_backward,
)
from attention_from_scratch.verify.doctor.mutation.calls import call, keyword
from attention_from_scratch.verify.doctor.mutation.expressions import (
    arithmetic,
    attribute,
    choice,
    comparison,
    constant,
    exchanged_elements,
    exchanged_values,
    other_names,
    subscript,
    unary,
)
from attention_from_scratch.verify.doctor.mutation.orders import (
    axes_in_other_order,
    repeated_as_a_whole,
)
from attention_from_scratch.verify.doctor.mutation.places import Edit, Place
from attention_from_scratch.verify.doctor.mutation.statements import (
    added,
    assignment,
    branch,
    everywhere,
    exchanged_names,
    is_first,
    lone_call,
    loop,
    parameters,
    renamed,
)
from attention_from_scratch.verify.doctor.mutation.templates import (
    DROPPED,
    FACTOR,
    RARE,
    SIGN,
    shown,
    written,
)


def edits_of(place: Place, names: Callable) -> Iterator[Edit]:
    """Every change of one place. `names(place)` gives the names of values like that of a name."""
    if is_target(place):
        return
    if isinstance(place.node, ast.stmt) and is_first(place):
        yield from parameters(place)
    for operator in OPERATORS.get(type(place.node), ()):
        arguments = (place, names) if operator in OF_NAMES else (place,)
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
    ("0 * a", "0 in its place", DROPPED),
)


# Slopes of a value v, which a gradient may wrongly be multiplied or divided by.
SLOPES_OF = ("v", "(v * (1 - v))", "(1 - v * v)")


def with_a_slope(place, names) -> Iterator[Edit]:
    """A slope that is multiplied by once too often, or divided by."""
    inside = {node.id for node in ast.walk(place.node) if isinstance(node, ast.Name)}
    alike = [names(replace(place, node=ast.Name(now))) for now in sorted(inside)]
    values = dict.fromkeys(other for others, kind in alike if kind == "float" for other in others)
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


OPERATORS: dict[type, tuple[Callable, ...]] = {
    ast.BinOp: (arithmetic,),
    ast.UnaryOp: (unary,),
    ast.Compare: (comparison,),
    ast.Constant: (constant,),
    ast.Call: (call, saved_backward, axes_in_other_order),
    ast.keyword: (keyword,),
    ast.Name: (other_names, other_functions, before_its_call),
    ast.Attribute: (attribute,),
    ast.Subscript: (subscript, another_part),
    ast.IfExp: (choice,),
    ast.Tuple: (exchanged_elements,),
    ast.List: (exchanged_elements,),
    ast.Dict: (exchanged_values,),
    ast.Assign: (assignment, led_back_apart, exchanged_names, repeated_as_a_whole),
    ast.Return: (exchanged_names, repeated_as_a_whole),
    ast.AugAssign: (added,),
    ast.Expr: (lone_call,),
    ast.If: (branch,),
    ast.For: (loop,),
    ast.FunctionDef: (renamed, everywhere),
}

# Those that are told which names hold values like that of a name.
OF_NAMES = (
    other_names,
    renamed,
    everywhere,
    saved_backward,
    other_functions,
    before_its_call,
    led_back_apart,
    exchanged_names,
)
