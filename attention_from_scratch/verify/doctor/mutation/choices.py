"""Many changes of one place in one code, of which a number in the globals picks one.

To compile a function takes longer than to run it. So all expressions that may stand in one place
are compiled together, `a if _choice_ == 1 else b if _choice_ == 2 else as it was`.
"""

import ast
from dataclasses import dataclass, field
from types import CodeType

from attention_from_scratch.verify.doctor.mutation.places import Edit, Place

CHOICE = "_choice_"


@dataclass(eq=False)
class Choices:
    """The codes of the edits of many places, each made when it is first asked for."""

    edits: dict[int, list[Edit]] = field(default_factory=dict)  # by the id of the node of a place
    made: dict[int, CodeType | None] = field(default_factory=dict)

    def add(self, edit: Edit) -> None:
        """Note an edit."""
        if is_expression(edit):
            self.edits.setdefault(id(edit.place.node), []).append(edit)

    def code_of(self, edit: Edit) -> tuple[CodeType, int] | None:
        """The code of an edit and the choice that it is; None where it cannot be compiled."""
        together = self.edits.get(id(edit.place.node), ())
        if edit in together and len(together) > 1:
            key = id(edit.place.node)
            if key not in self.made:
                self.made[key] = compiled(edit.place, chosen(together, edit.place.node))
            if self.made[key] is not None:
                return self.made[key], together.index(edit) + 1
        code = compiled(edit.place, edit.new)
        return None if code is None else (code, 0)


def is_expression(edit: Edit) -> bool:
    """Whether an expression is put in the place of another that is read."""
    nodes = (edit.new, edit.place.node)
    return all(isinstance(node, ast.expr) and not isinstance(node, ast.Starred) for node in nodes)


def chosen(edits: list[Edit], node: ast.expr) -> ast.expr:
    """An expression that is the edit whose number is the choice, and else what it was."""
    for number, edit in reversed(list(enumerate(edits, start=1))):
        name, value = ast.Name(CHOICE, ast.Load()), ast.Constant(number)
        node = ast.IfExp(ast.Compare(name, [ast.Eq()], [value]), edit.new, node)
    return node


def compiled(place: Place, new) -> CodeType | None:
    """The code of the piece with something else in a place."""
    try:
        with Edit(place, new, "", 0).applied():
            return place.piece.compiled()
    except (SyntaxError, ValueError, TypeError):
        return None
