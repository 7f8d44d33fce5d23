"""Expressions written as text with parts put in, and the ranks of changes."""

import ast
from collections.abc import Iterator
from functools import cache

# Ranks: the more usual mistake first. What is rare is tried last of all.
DROPPED, SIGN, OTHER_NAME, FACTOR, INDEX, ODD, RARE = range(7)


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


def is_numpy(node) -> bool:
    """Whether it is a module as it is usually named."""
    return isinstance(node, ast.Name) and node.id in ("np", "numpy", "math", "ops")
