"""The source of a function, read and made into code again: also with a change in it."""

import ast
import inspect
import os
import sysconfig
import textwrap
import warnings
from dataclasses import dataclass
from pathlib import Path
from types import CodeType, FunctionType

PACKAGE = "attention_from_scratch"
INSTALLED = tuple(
    sysconfig.get_path(name) + os.sep for name in ("stdlib", "platstdlib", "purelib", "platlib")
)

# What gives without end: NumPy reads an object that has an entry at every index for ever, once a
# change has taken its index away; and so does a loop an iterator, once zip is gone.
ENDLESS = {"r_", "c_", "s_", "index_exp", "mgrid", "ogrid", "count", "cycle", "iter"}


@dataclass(eq=False)
class Piece:
    """A function and its text: a syntax tree without docstring and decorators."""

    function: FunctionType
    tree: ast.FunctionDef
    file: str
    first_line: int
    lines: list[str]

    @property
    def makes_backward(self) -> bool:
        """Whether it defines functions of its own, as an op does its backward pass."""
        inner = (ast.FunctionDef, ast.Lambda)
        return any(isinstance(node, inner) for node in ast.walk(self.tree) if node is not self.tree)

    @property
    def returns(self) -> bool:
        """Whether it gives anything back, as a check does not."""
        return any(isinstance(n, ast.Return) and n.value is not None for n in ast.walk(self.tree))

    @property
    def only_checks(self) -> bool:
        """Whether it is a function of ours that raises an error or does nothing."""
        name = self.function.__name__
        return belongs_to_us(self.function) and name.startswith("check_") and not self.returns

    @property
    def may_be_changed(self) -> bool:
        """Whether a change can matter, and cannot keep a loop running for ever."""
        return self.returns and not any(
            isinstance(n, ast.While) or name_of(n) in ENDLESS for n in ast.walk(self.tree)
        )

    @property
    def label(self) -> str:
        """The file name of its code, which tells one piece from another in a trace."""
        return f"<{self.function.__module__}.{self.function.__qualname__}>"

    def place_of(self, node: ast.AST) -> str:
        """Say where a node stands: file and line."""
        return self.place_of_line(node.lineno)

    def place_of_line(self, line: int) -> str:
        """Say where a line of the text stands in its file."""
        return f"{self.file}, line {self.first_line + line - 1}"

    def text_between(self, first: int, last: int, left: int, right: int) -> str:
        """The text from a column of one line to a column of another, on one line."""
        lines = [line.encode() for line in self.lines[first - 1 : last]]
        lines[-1] = lines[-1][:right]
        lines[0] = lines[0][left:]
        return " ".join(line.decode().strip() for line in lines)

    def compiled(self) -> CodeType:
        """The tree as it is now, as code."""
        free = self.function.__code__.co_freevars
        inner = self.tree
        if free:  # inside a function that has these names, they are free as they were
            arguments = ast.arguments([], [ast.arg(name) for name in free], None, [], [], None, [])
            inner = ast.FunctionDef("around", arguments, [self.tree], [], None, None)
            inner = ast.fix_missing_locations(ast.copy_location(inner, self.tree))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", SyntaxWarning)  # a changed line may look odd
            code = compile(ast.Module([inner], []), self.label, "exec", dont_inherit=True)
        for name in ["around", self.tree.name] if free else [self.tree.name]:
            code = next(
                const
                for const in code.co_consts
                if isinstance(const, CodeType) and const.co_name == name
            )
        return code


def read(function: FunctionType) -> Piece | None:
    """The piece of a function; None where there is no text of it to be read."""
    try:
        lines, first = inspect.getsourcelines(function.__code__)
        text = textwrap.dedent("".join(lines))
        module = ast.parse(text)
    except (OSError, TypeError, SyntaxError):
        return None
    tree = module.body[0]
    if function.__name__ == "<lambda>":
        tree = as_definition(module, function)
    if not isinstance(tree, ast.FunctionDef) or tree.name != function.__code__.co_name:
        return None
    tree.decorator_list = []
    if len(tree.body) > 1 and ast.get_docstring(tree) is not None:
        del tree.body[0]
    return Piece(function, tree, file_of(function), first, text.splitlines())


def as_definition(module: ast.Module, function: FunctionType) -> ast.FunctionDef | None:
    """The only lambda of a statement as a definition, `return` before its body."""
    found = [node for node in ast.walk(module) if isinstance(node, ast.Lambda)]
    arguments = function.__code__.co_varnames[: function.__code__.co_argcount]
    found = [node for node in found if tuple(a.arg for a in node.args.args) == arguments]
    if len(found) != 1:
        return None
    body = ast.copy_location(ast.Return(found[0].body), found[0])
    tree = ast.FunctionDef("<lambda>", found[0].args, [body], [], None, None)
    return ast.copy_location(tree, found[0])


def file_of(function: FunctionType) -> str:
    """The file of a function: from the package on if it is ours, else its name alone."""
    path = Path(function.__code__.co_filename)
    if belongs_to_us(function):
        return path.as_posix().rsplit(f"{PACKAGE}/", 1)[-1]
    return path.name


def belongs_to_us(function) -> bool:
    """Whether a function is one of this package."""
    return (getattr(function, "__module__", None) or "").split(".")[0] == PACKAGE


def is_to_be_read(value) -> bool:
    """Whether it is a Python function of ours or of a reader: not of NumPy, nor of Python."""
    if not isinstance(value, FunctionType):
        return False
    installed = value.__code__.co_filename.startswith(INSTALLED)
    return belongs_to_us(value) or not installed


def name_of(node: ast.AST) -> str:
    """The last name of `np.r_` or `r_`; nothing of another node."""
    return getattr(node, "attr", "") or getattr(node, "id", "")
