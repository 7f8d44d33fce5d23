"""Which names of a function hold values of like shape, seen while the right function runs."""

import sys
from collections.abc import Callable

import numpy as np

from attention_from_scratch.verify.doctor.mutation.places import Place
from attention_from_scratch.verify.doctor.mutation.twin import Twin


def values_in(twin: Twin, probe) -> dict[tuple[str, int], dict]:
    """Run the twin and note what every name of every function held when it returned.

    The key is the label of the piece and the line at which the function begins.
    """
    labels = {piece.label for piece in twin.pieces.values()}
    held: dict[tuple[str, int], dict] = {}

    def look(frame, event, _):
        code = frame.f_code
        if event == "return" and code.co_filename in labels:
            held.setdefault((code.co_filename, code.co_firstlineno), {}).update(frame.f_locals)

    before = sys.getprofile()
    sys.setprofile(look)
    try:
        twin.run(probe)
    finally:
        sys.setprofile(before)
    return held


def names_of_like_shape(held: dict) -> Callable:
    """A function from the place of a name to the other names like it, and its kind.

    They are alike if they are both floats, integers or booleans, of one shape.
    """

    def names(place: Place) -> tuple[list[str], str]:
        visible: dict = {}
        for function in place.inside:
            visible |= held.get((place.piece.label, function.lineno), {})
        kind = kind_of(visible.get(place.node.id))
        if kind is None:
            return [], ""
        others = [n for n, v in visible.items() if n != place.node.id and kind_of(v) == kind]
        return others, kind[0] if isinstance(kind[0], str) else ""

    return names


KINDS = {"f": "float", "i": "int", "u": "int", "b": "bool"}


def kind_of(value):
    """What a value is: the kind of its numbers and its shape, or that it is a function."""
    if isinstance(value, np.ndarray | np.generic | int | float):
        array = np.asarray(value)
        return (KINDS[array.dtype.kind], array.shape) if array.dtype.kind in KINDS else None
    return None
