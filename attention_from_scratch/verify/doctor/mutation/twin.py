"""A private copy of a function and of all that it calls, in which one of them can be exchanged."""

import ast
import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import CellType, CodeType, FunctionType, ModuleType

import numpy as np

from attention_from_scratch.tree import tree_leaves
from attention_from_scratch.verify.contract import (
    argument_names,
    differentiable_only,
    is_differentiable,
)
from attention_from_scratch.verify.doctor.mutation.source import Piece, is_to_be_read, read
from attention_from_scratch.verify.doctor.visits import by_name


class Twin:
    """The reference and all functions it calls, rebuilt from their source in copied globals.

    Nothing here is shared with the living modules: what is exchanged is exchanged in the copies.

    Attributes
    ----------
    pieces : {function: Piece}
        Every function that was read, from the reference on downwards.
    backwards : bool
        Whether a backward pass is running: `run` says so, `felt_backwards` asks.
    """

    def __init__(self, reference: FunctionType):
        self.reference = reference
        self.pieces: dict[FunctionType, Piece] = {}
        self.backwards = False
        self.arguments: dict[int, tuple] = {}  # by the id of a probe: it, its names, which move
        self.entry = {"reference": reference}
        self.spaces: dict[int, dict] = {}
        self.modules: dict[ModuleType, ModuleType] = {}
        self.copies: dict[FunctionType, FunctionType] = {}
        self.slots: dict[FunctionType, list[tuple]] = {}
        self.collect(reference)
        for piece in self.pieces.values():
            built = nothing if piece.only_checks else self.build(piece, piece.compiled())
            self.copies[piece.function] = built
        holders = [self.entry, *self.spaces.values(), *(vars(m) for m in self.modules.values())]
        built = [copy for copy in self.copies.values() if copy is not nothing]
        holders += [copy.__kwdefaults__ for copy in built if copy.__kwdefaults__]
        holders += [table for space in self.spaces.values() for table in tables_in(space)]
        for holder in holders:
            self.furnish(holder)
        for copy in built:
            for cell in copy.__closure__ or ():
                self.furnish_cell(cell)

    def collect(self, reference) -> None:
        """Read the reference and, one call after the other, all functions that it may call."""
        waiting = [reference]
        while waiting:
            function = waiting.pop(0)
            if function in self.pieces or (piece := read(function)) is None:
                continue
            self.pieces[function] = piece
            if id(function.__globals__) not in self.spaces:
                self.spaces[id(function.__globals__)] = dict(function.__globals__)
            for value in self.values_seen_by(function):
                waiting += [value] if is_to_be_read(value) else []

    def values_seen_by(self, function) -> Iterator:
        """Every value that the code of a function names, be it an attribute of a module."""
        names = dict.fromkeys(names_in(function.__code__))
        seen = [function.__globals__[name] for name in names if name in function.__globals__]
        seen += [contents(cell) for cell in function.__closure__ or ()]
        seen += [*(function.__defaults__ or ()), *(function.__kwdefaults__ or {}).values()]
        for value in seen:
            if isinstance(value, ModuleType):
                called = [vars(value)[name] for name in names if name in vars(value)]
                called = [inner for inner in called if is_to_be_read(inner)]
                if called and value not in self.modules:
                    self.modules[value] = ModuleType(value.__name__)
                    vars(self.modules[value]).update(vars(value))
                yield from called
            elif isinstance(value, dict):
                yield from value.values()
            else:
                yield value

    def build(self, piece: Piece, code: CodeType) -> FunctionType:
        """A function of this code that lives in the copied globals, with cells of its own."""
        original = piece.function
        cells = dict(zip(original.__code__.co_freevars, original.__closure__ or (), strict=True))
        closure = []
        for name in code.co_freevars:
            closure.append(CellType())
            if (value := contents(cells[name])) is not EMPTY:
                closure[-1].cell_contents = self.own(value)
        function = FunctionType(
            code, self.spaces[id(original.__globals__)], original.__name__, closure=tuple(closure)
        )
        function.__defaults__ = original.__defaults__ and tuple(
            self.own(value) for value in original.__defaults__
        )
        keywords = original.__kwdefaults__ or {}
        function.__kwdefaults__ = {name: self.own(value) for name, value in keywords.items()}
        return function

    def own(self, value):
        """The twin's own copy of a function or module; any other value as it is."""
        if isinstance(value, ModuleType):
            return self.modules.get(value, value)
        if isinstance(value, FunctionType):
            return self.copies.get(value, value)
        return value

    def furnish(self, holder: dict) -> None:
        """Put the copies into a dict that holds originals, and remember where."""
        for name, value in list(holder.items()):
            if isinstance(value, FunctionType | ModuleType):
                holder[name] = self.own(value)
                if value in self.copies:
                    self.slots.setdefault(value, []).append((holder, name))

    def furnish_cell(self, cell: CellType) -> None:
        """Put the copy of what a cell holds into it, and remember where."""
        value = contents(cell)
        if isinstance(value, FunctionType | ModuleType):
            cell.cell_contents = self.own(value)
            if value in self.copies:
                self.slots.setdefault(value, []).append((cell, None))

    @contextmanager
    def exchanged(self, piece: Piece, function: Callable) -> Iterator[None]:
        """For as long as the context lasts, `function` stands wherever the piece did."""
        slots = self.slots.get(piece.function, [])
        put(slots, function)
        try:
            yield
        finally:
            put(slots, self.copies[piece.function])

    def forward(self, probe) -> tuple:
        """Output and backward at a probe."""
        return self.forward_of(probe.inputs, probe.keywords)

    def forward_of(self, inputs, keywords) -> tuple:
        """Output and backward of a call."""
        keywords = {name: self.own(value) for name, value in keywords.items()}
        return self.entry["reference"](*inputs, **keywords)

    def run(self, probe) -> tuple:
        """Output and gradients at a probe, as the reference returns them."""
        output, backward = self.forward(probe)
        self.backwards = True
        try:
            return output, backward(probe.d_output.astype(output.dtype))
        finally:
            self.backwards = False

    def named(self, gradients, probe) -> dict[str, np.ndarray]:
        """The gradients of a run at a probe by name."""
        if id(probe) not in self.arguments:
            names = argument_names(self.reference, len(probe.inputs))
            moving = [is_differentiable(value) for value in probe.inputs]
            self.arguments[id(probe)] = (probe, names, moving)
        _, names, moving = self.arguments[id(probe)]
        if isinstance(gradients, tuple) and len(gradients) == len(names):
            given = zip(names, moving, gradients, strict=True)
            return {
                f"d_{name}.{path}" if path else f"d_{name}": np.asarray(leaf)
                for name, moves, gradient in given
                if moves
                for path, leaf in tree_leaves(gradient)
            }
        gradients = differentiable_only(gradients, probe.inputs)
        return by_name(gradients, self.reference, probe.inputs)

    @contextmanager
    def numpy_replaced(self, functions: dict) -> Iterator[None]:
        """For as long as the context lasts, some functions of NumPy are these."""
        other = ModuleType("numpy")
        vars(other).update(vars(np) | functions)
        places = [(s, name) for s in self.spaces.values() for name in s if s[name] is np]
        for space, name in places:
            space[name] = other
        try:
            yield
        finally:
            for space, name in places:
                space[name] = np

    def text_at(self, code: CodeType, instruction: int, operand: int) -> str:
        """The expression of an instruction with one of its operands, and where it stands."""
        piece = next(p for p in self.pieces.values() if p.label == code.co_filename)
        first, last, left, right = list(code.co_positions())[instruction // 2]
        text = piece.text_between(first, last, left, right)
        through = operand_of(text, operand)
        through = f"`{through}` in `{text}`" if through else f"`{text}`"
        return f"{through} ({piece.place_of_line(first)})"

    def felt_backwards(self, piece: Piece, changed: Callable) -> Callable:
        """A function that gives the right output, so that its change is felt on the way back alone.

        An op gives the output of the piece with the backward pass of the changed one; any other
        function is the changed one while a backward pass runs.
        """
        right = self.copies[piece.function]

        def op(*inputs, **keywords):
            output, _ = right(*inputs, **keywords)
            _, backward = changed(*inputs, **keywords)
            return output, backward

        def helper(*inputs, **keywords):
            return (changed if self.backwards else right)(*inputs, **keywords)

        return op if piece.makes_backward else helper


def twin_of(reference, visit) -> Twin | None:
    """The twin of a reference; None where what can be read of it is not what it does."""
    try:
        twin = Twin(inspect.unwrap(reference))
        output, _ = twin.forward(visit.probe)
        running, _ = reference(*visit.probe.inputs, **visit.probe.keywords)
    except Exception:  # no source, or a source that is not that of the running code
        return None
    is_read = twin.reference in twin.pieces
    return twin if is_read and np.array_equal(output, running, equal_nan=True) else None


def nothing(*_, **__) -> None:
    """What stands for a check of ours: a mutant may be asked what it gives to wrong arguments."""


EMPTY = object()


def contents(cell: CellType):
    """What a cell holds; EMPTY if nothing yet."""
    try:
        return cell.cell_contents
    except ValueError:
        return EMPTY


def tables_in(space: dict) -> Iterator[dict]:
    """The dicts of functions among globals, each of them copied in its place."""
    for name, value in list(space.items()):
        if isinstance(value, dict) and any(map(is_to_be_read, value.values())):
            space[name] = dict(value)
            yield space[name]


def put(slots, function) -> None:
    """Put a function into all these slots."""
    for holder, name in slots:
        if isinstance(holder, CellType):
            holder.cell_contents = function
        else:
            holder[name] = function


def operand_of(text: str, index: int) -> str:
    """The text of one operand of an operation; nothing where it has but one."""
    try:
        node = ast.parse(text, mode="eval").body
    except SyntaxError:
        return ""
    if isinstance(node, ast.BinOp):
        return ast.unparse((node.left, node.right)[index])
    return ""


def names_in(code: CodeType) -> Iterator[str]:
    """All names that a code and the functions inside it look up."""
    yield from code.co_names
    for const in code.co_consts:
        if isinstance(const, CodeType):
            yield from names_in(const)
