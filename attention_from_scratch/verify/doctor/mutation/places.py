"""The places of a function at which it can be changed, and a change of one of them."""

import ast
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from attention_from_scratch.verify.doctor.mutation.source import Piece

FUNCTIONS = (ast.FunctionDef, ast.Lambda)


@dataclass(frozen=True, eq=False)
class Place:
    """Where a node hangs in the tree of a piece: `holder.field`, or `holder.field[index]`.

    `statement` is the line that it is a part of, `inside` the functions around it from the outside
    in: the piece alone in the forward pass, more of them in the backward pass.
    """

    piece: Piece
    node: ast.AST
    holder: ast.AST
    field: str
    index: int | None
    statement: ast.stmt
    inside: tuple[ast.AST, ...]

    def put(self, new) -> None:
        """Hang another node here; of statements, a list of them."""
        if self.index is None:
            setattr(self.holder, self.field, new)
        elif isinstance(new, list):
            getattr(self.holder, self.field)[self.index : self.index + 1] = new
        else:
            getattr(self.holder, self.field)[self.index] = new


@dataclass(frozen=True, eq=False)
class Edit:
    """A node put in the place of another, with words for it.

    `rank` orders edits that come to the same: what people do more often first.
    """

    place: Place
    new: ast.AST | list[ast.stmt]
    words: str
    rank: int
    setting: str = ""  # of a call of the whole piece with another setting: which

    @contextmanager
    def applied(self) -> Iterator[None]:
        """Change the tree for as long as the context lasts."""
        siblings = None
        if isinstance(self.new, list):
            siblings = list(getattr(self.place.holder, self.place.field))
        located(self.new, self.place.node)
        self.place.put(self.new or [located(ast.Pass(), self.place.node)])
        try:
            yield
        finally:
            if siblings is None:
                self.place.put(self.place.node)
            else:
                getattr(self.place.holder, self.place.field)[:] = siblings

    @property
    def in_forward_pass(self) -> bool:
        """Whether it is outside of all functions that the piece defines."""
        return len(self.place.inside) == 1

    def in_words(self) -> str:
        """The line, where it stands, and the line as it is changed."""
        if self.setting:
            tree = self.place.piece.tree
            return f"`{tree.name}` ({self.place.piece.place_of(tree)}) with `{self.setting}`"
        before, after = self.lines()
        place = self.place.piece.place_of(self.place.node)
        if self.new == []:
            return f"`{before}` ({place}) {self.words}"
        return f"`{before}` ({place}) read as `{after}`: {self.words}"

    def lines(self) -> tuple[str, str]:
        """The line as it stands and as it is changed."""
        if isinstance(self.new, list):
            if isinstance(self.place.node, ast.FunctionDef):
                return lines_that_differ(self.place.node, *self.new)
            new = located(self.new, self.place.node)
            changed = "; ".join(line_of(statement) for statement in new)
            return line_of(self.place.node), changed or "nothing"
        before = line_of(self.place.statement)
        with self.applied():
            return before, line_of(self.place.statement)


def located(new, old: ast.AST):
    """Give new nodes the line of the old one, which the compiler asks for."""
    waiting = list(new) if isinstance(new, list) else [new]
    while waiting:
        node = waiting.pop()
        if hasattr(node, "lineno") and not isinstance(new, list):
            continue  # a part of the text as it was
        if "lineno" in node._attributes and not hasattr(node, "lineno"):
            node.lineno, node.col_offset = old.lineno, old.col_offset
            node.end_lineno, node.end_col_offset = old.end_lineno, old.end_col_offset
        waiting.extend(ast.iter_child_nodes(node))
    return new


def line_of(statement: ast.stmt) -> str:
    """A statement as one line; of one that has a body, the line above the body."""
    if isinstance(statement, ast.FunctionDef):
        return f"def {statement.name}({ast.unparse(statement.args)}):"
    if isinstance(statement, ast.For):
        return f"for {ast.unparse(statement.target)} in {ast.unparse(statement.iter)}:"
    if isinstance(statement, ast.If):
        return f"if {ast.unparse(statement.test)}: {'; '.join(map(line_of, statement.body))}"
    return ast.unparse(statement)


def lines_that_differ(old: ast.FunctionDef, new: ast.FunctionDef) -> tuple[str, str]:
    """The lines of two versions of a function that are not the same, each version as one line."""
    pairs = zip(lines_in(old), lines_in(new), strict=True)
    different = [(a, b) for a, b in pairs if a != b]
    return "; ".join(a for a, _ in different), "; ".join(b for _, b in different)


def lines_in(function: ast.FunctionDef) -> list[str]:
    """The lines of a function that compute something, and of the functions inside it."""
    statements = [node for node in ast.walk(function) if isinstance(node, ast.stmt)]
    return [line_of(s) for s in statements if not isinstance(s, ast.FunctionDef) and computes(s)]


def places_of(piece: Piece) -> Iterator[Place]:
    """Every expression and statement of a piece that computes something, from the top down."""
    yield from in_block(piece, piece.tree, "body", (piece.tree,))


def in_block(piece, holder, field, inside) -> Iterator[Place]:
    """The places of a list of statements."""
    for index, statement in enumerate(getattr(holder, field)):
        if computes(statement):
            yield Place(piece, statement, holder, field, index, statement, inside)
            yield from in_statement(piece, statement, inside)


def in_statement(piece, statement, inside) -> Iterator[Place]:
    """The places inside a statement."""
    if isinstance(statement, ast.FunctionDef):
        yield from in_block(piece, statement, "body", (*inside, statement))
        return
    for field, value in ast.iter_fields(statement):
        if field in ("body", "orelse") and isinstance(value, list):
            yield from in_block(piece, statement, field, inside)
        else:
            yield from in_field(piece, statement, field, value, statement, inside)


def in_field(piece, holder, field, value, statement, inside) -> Iterator[Place]:
    """The places of one field of a node, and of all below it."""
    for index, node in enumerate(value) if isinstance(value, list) else [(None, value)]:
        if not isinstance(node, ast.AST) or isinstance(node, ast.arguments):
            continue
        around = (*inside, node) if isinstance(node, ast.Lambda) else inside
        if isinstance(node, ast.expr | ast.keyword):
            yield Place(piece, node, holder, field, index, statement, inside)
        for name, inner in ast.iter_fields(node):
            yield from in_field(piece, node, name, inner, statement, around)


def computes(statement: ast.stmt) -> bool:
    """Whether a statement may matter to the numbers: not a check, nor what raises an error."""
    if isinstance(statement, ast.Raise | ast.Assert | ast.Pass | ast.Import | ast.ImportFrom):
        return False
    if isinstance(statement, ast.If) and all(isinstance(s, ast.Raise) for s in statement.body):
        return False
    call = getattr(statement, "value", None)
    if isinstance(statement, ast.Expr) and isinstance(call, ast.Call):
        return isinstance(call.func, ast.Attribute)  # x.fill(0), np.add.at; not check_floats(x)
    return not (isinstance(statement, ast.Expr) and isinstance(call, ast.Constant))
