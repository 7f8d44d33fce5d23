"""What the right function does at a probe: which lines it runs, which values its names hold."""

import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from types import FunctionType

import numpy as np

from attention_from_scratch.verify.doctor.mutation.places import Place
from attention_from_scratch.verify.doctor.mutation.twin import Twin


@dataclass
class Run:
    """One run of a twin.

    Attributes
    ----------
    lines : the lines that were run, as (label of a piece, line)
    held : the values that the names of a function held when it returned
        The key is the label of the piece and the line at which the function begins.
    """

    lines: set[tuple[str, int]] = field(default_factory=set)
    held: dict[tuple[str, int], dict] = field(default_factory=dict)
    edits: list | None = None  # the changes of these lines, once they are made

    def noted(self, make: Callable) -> list:
        """The changes of these lines, made when they are first asked for."""
        if self.edits is None:
            self.edits = make()
        return self.edits

    def reaches(self, place: Place) -> bool:
        """Whether the statement of a place was run."""
        return (place.piece.label, place.statement.lineno) in self.lines

    def names_like(self, place: Place) -> tuple[dict[str, bool], str]:
        """The other names that hold values like that of a name, and what kind of value it is.

        They are alike if they are both floats, integers or booleans, of one shape, or both
        functions made by a call, as a backward pass is. Of each it is told whether it is at home in
        the same function: saved by the forward pass like the name itself, or computed on the way
        back like it.
        """
        visible, home = {}, {}
        for depth, function in enumerate(place.inside):
            held = self.held.get((place.piece.label, function.lineno), {})
            visible |= held
            home = dict.fromkeys(held, depth) | home
        now = place.node.id
        kind = kind_of(visible.get(now))
        if kind is None:
            return {}, ""
        others = [n for n, v in visible.items() if n != now and kind_of(v) == kind]
        return {other: home[other] == home[now] for other in others}, kind[0]


def watched(twin: Twin, probe) -> Run:
    """Run the twin at a probe and note what it does."""
    labels = {piece.label for piece in twin.pieces.values()}
    run = Run()

    def look(frame, event, _) -> Callable | None:
        code = frame.f_code
        if code.co_filename not in labels:
            return None
        if event == "line":
            run.lines.add((code.co_filename, frame.f_lineno))
        elif event == "return":
            key = (code.co_filename, code.co_firstlineno)
            run.held.setdefault(key, {}).update(frame.f_locals)
        return look

    before = sys.gettrace()
    sys.settrace(look)
    try:
        twin.run(probe)
    finally:
        sys.settrace(before)
    return run


KINDS = {"f": "float", "i": "int", "u": "int", "b": "bool"}


def kind_of(value) -> tuple[str, tuple] | None:
    """The kind of numbers that a value is, and its shape; or that it is made by a call; or None."""
    if isinstance(value, FunctionType) and "<locals>" in value.__qualname__:
        return "function", ()
    if isinstance(value, np.ndarray | np.generic | int | float):
        array = np.asarray(value)
        return (KINDS[array.dtype.kind], array.shape) if array.dtype.kind in KINDS else None
    return None
