"""A number of the reference that is another one in the op: found by solving for it.

A wrong digit, a decimal point, a forgotten 3 of a derivative: which number stands there is not
among the usual ones, but one equation gives it, and all other entries, at all visits, confirm it.
"""

import ast
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np

from attention_from_scratch.verify.doctor.mutation.matching import Clock, Match, Question
from attention_from_scratch.verify.doctor.mutation.mutants import BACKWARD, THROUGHOUT, Mutant
from attention_from_scratch.verify.doctor.mutation.names import Run
from attention_from_scratch.verify.doctor.mutation.places import Edit, Place, places_of
from attention_from_scratch.verify.doctor.mutation.templates import FACTOR
from attention_from_scratch.verify.doctor.mutation.twin import Twin
from attention_from_scratch.verify.doctor.other_calls import OUTPUT

UNKNOWN = "_unknown_"  # the name that stands in the place of the number
MOST_STEPS = 25  # of the secant
HOLDERS = (ast.BinOp, ast.UnaryOp, ast.Assign, ast.Tuple)
STARTS = (1.1, 3.0, 0.3, -1.0)  # times the number as it is


@dataclass(eq=False)
class Unknown:
    """A mutant in which a number is read from a name, and what it gives for a value of that."""

    mutant: Mutant
    names: list[str]

    def at(self, value, probe) -> np.ndarray | None:
        """All that is asked for, in one row; None where it makes no sense."""
        twin, (piece, *_) = self.mutant.twin, self.mutant.changed[0]
        with given(twin, piece, value), np.errstate(all="ignore"):
            try:
                said = gradients_or_output(self.mutant, self.names, probe)
                row = np.concatenate([np.ravel(said[name]) for name in self.names])
            except Exception:  # whatever a changed line does with its arrays
                return None
        return row if row.dtype.kind == "f" and np.isfinite(row).all() else None


@dataclass(frozen=True, eq=False)
class WithNumber:
    """The hypothesis that a number of the reference is this one."""

    mutant: Mutant
    forwards: bool
    rank: tuple = (1, 1, FACTOR)

    @property
    def words(self) -> str:
        """The line with the number."""
        return self.mutant.words

    def gradients(self, probe) -> dict:
        """The gradients, or the output where a gradient is asked for."""
        return gradients_or_output(self.mutant, [OUTPUT] if self.forwards else [], probe)


def gradients_or_output(mutant: Mutant, names, probe) -> dict:
    """What a mutant gives under these names."""
    if names == [OUTPUT]:
        return {OUTPUT: np.asarray(mutant.output(probe))}
    return mutant.gradients(probe)


@contextmanager
def given(twin: Twin, piece, value) -> Iterator[None]:
    """The unknown has this value, for as long as the context lasts."""
    space = twin.spaces[id(piece.function.__globals__)]
    space[UNKNOWN] = value
    try:
        yield
    finally:
        del space[UNKNOWN]


def solved_constants(twin: Twin, run: Run, question: Question, clock: Clock) -> list[Match]:
    """The numbers that would give what the op says, each in the place of one of the reference."""
    forwards = question.wrong == (OUTPUT,)
    names = [OUTPUT] if forwards else question.wrong_at(question.first)
    if not question.fits(question.first):
        return []
    found = []
    for place in numbers_in(twin, run):
        if clock.is_over:
            break
        value = solved(question, Unknown(mutant_with(twin, place, None, forwards), names))
        if value is None:
            continue
        for rounded in dict.fromkeys(float(f"{value:.{digits}g}") for digits in (*range(1, 9), 17)):
            match = question.ask(WithNumber(mutant_with(twin, place, rounded, forwards), forwards))
            if match is not None and match.is_complete:
                found.append(match)
                break
    return found


def numbers_in(twin: Twin, run: Run) -> Iterator[Place]:
    """The numbers in the lines that are run, but for those that count axes or entries."""
    for piece in filter(lambda piece: piece.may_be_changed, twin.pieces.values()):
        for place in list(filter(run.reaches, places_of(piece))):
            value = getattr(place.node, "value", None)
            is_number = isinstance(place.node, ast.Constant) and type(value) in (int, float)
            if is_number and isinstance(place.holder, HOLDERS):
                yield place


def mutant_with(twin: Twin, place: Place, value, forwards) -> Mutant:
    """The mutant with a number, or with the unknown for None, in this place."""
    new = ast.Name(UNKNOWN, ast.Load()) if value is None else ast.Constant(shortest(value))
    edit = Edit(place, new, f"{shortest(value or 0.0)}, not {place.node.value}", FACTOR)
    with edit.applied():
        code = place.piece.compiled()
    felt = THROUGHOUT if forwards else BACKWARD
    return Mutant(twin, (edit,), ((place.piece, code, edit.in_forward_pass),), felt)


def shortest(value: float) -> float | int:
    """A whole number as an integer."""
    return int(value) if float(value).is_integer() and abs(value) < 1e6 else float(value)


def solved(question: Question, unknown: Unknown) -> float | None:
    """The number with which the first visit comes out, by secants from several starts."""
    visit = question.first
    wanted = np.concatenate([np.ravel(visit.found[name]) for name in unknown.names])
    near = visit.tolerance * (np.abs(wanted).max(initial=0) or 1.0)
    now = float(unknown.mutant.edits[0].place.node.value)
    along = np.random.default_rng(17).standard_normal(wanted.size)

    def off(value) -> tuple[float, float]:
        row = unknown.at(value, visit.probe)
        if row is None or row.shape != wanted.shape:
            return np.nan, np.inf
        return float(along @ (row - wanted)), float(np.abs(row - wanted).max())

    for start in STARTS:
        value = by_secants(off, now, now * start if now else start, near)
        if value is not None:
            return value
    return None


def by_secants(off: Callable, first: float, second: float, near: float) -> float | None:
    """The root of a function of one number; None where the secant does not come there."""
    (at_first, _), (at_second, worst) = off(first), off(second)
    for _ in range(MOST_STEPS):
        if worst <= near:
            return second
        if not np.isfinite([at_first, at_second]).all() or at_first == at_second:
            return None
        step = at_second * (second - first) / (at_second - at_first)
        first, at_first, second = second, at_second, second - step
        at_second, worst = off(second)
    return None
