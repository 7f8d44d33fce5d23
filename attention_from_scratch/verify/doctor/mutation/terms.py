"""Is a wrong gradient a combination of terms that the reference knows? "Term 1 minus twice term 2".

The coefficients have to be the same at all probes, the terms independent and fewer than the
entries. Terms are the summands of a sum on the way back, each by itself with all that follows; the
part of the gradient that takes one path of the tape, and the rest; and the named values.
"""

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import numpy as np

from attention_from_scratch.verify.doctor.mutation.edges import WrongPath
from attention_from_scratch.verify.doctor.mutation.matching import (
    Clock,
    Match,
    Question,
    attempted,
)
from attention_from_scratch.verify.doctor.mutation.mutants import BACKWARD, Mutant
from attention_from_scratch.verify.doctor.mutation.names import Run, watched
from attention_from_scratch.verify.doctor.mutation.places import Edit, Place, line_of, places_of
from attention_from_scratch.verify.doctor.mutation.templates import (
    is_sum,
    shown,
    summands_of,
    written,
)
from attention_from_scratch.verify.doctor.mutation.twin import Twin

MOST_TERMS = 5  # of one sum
MOST_VALUES = 40  # that are tried two by two


@dataclass(eq=False)
class Combination:
    """Terms, each of which gives gradients at a probe, and how to say them."""

    terms: list
    names: list[str]
    where: str
    rank: tuple = (3,)
    said: dict = field(default_factory=dict)
    plain: bool = False  # whether only simple coefficients are believed: 1, -1/2, 2/3

    def at(self, visit) -> list[dict] | None:
        """What all terms give at a visit, computed once."""
        if id(visit) not in self.said:
            gradients = [attempted(term, visit.probe) for term in self.terms]
            self.said[id(visit)] = None if None in gradients else gradients
        return self.said[id(visit)]

    def coefficients(self, question: Question, name) -> np.ndarray | None:
        """The coefficients with which the terms are the wrong gradient, at all visits."""
        found: np.ndarray | None = None
        for visit in question.visits:
            if name not in visit.probe.right:
                continue
            gradients = self.at(visit)
            wrong = visit.found.get(name)
            shapes = {np.shape(g.get(name)) for g in gradients or [{}]} | {np.shape(wrong)}
            if gradients is None or len(shapes) > 1:
                return None
            columns = np.stack([np.ravel(g[name]) for g in gradients], axis=1)
            if found is None:
                found = solved(columns, np.ravel(wrong))
            if found is None:
                return None
            fit = (columns @ found).reshape(np.shape(wrong))
            if not np.isfinite(fit).all() or not visit.same(fit, wrong, visit.size_of(name)):
                return None
        return found


@dataclass(frozen=True, eq=False)
class InWords:
    """A combination that fits, with its coefficients."""

    words: str
    rank: tuple


def solved(columns, wanted) -> np.ndarray | None:
    """The coefficients of independent columns that come nearest; None if there is no telling."""
    if not np.isfinite(columns).all() or columns.shape[0] <= columns.shape[1] + 1:
        return None
    sizes = np.linalg.norm(columns, axis=0)
    if not sizes.all():
        return None
    scaled, _, rank, _ = np.linalg.lstsq(columns / sizes, wanted, rcond=1e-9)
    return scaled / sizes if rank == columns.shape[1] else None


def combined(combinations, question: Question, name, clock: Clock) -> Match | None:
    """The first combination that fits, as a match."""
    for combination in combinations:
        if clock.is_over:
            return None
        found = combination.coefficients(question, name)
        if found is not None and not (combination.plain and is_odd(found)):
            words = f"is {in_words(found, combination.names)}{combination.where}"
            return Match(InWords(words, combination.rank), {name: 1.0}, frozenset())
    return None


def is_odd(coefficients) -> bool:
    """Whether any is no multiple of a twelfth: it may be a fit by chance."""
    return bool(np.abs(12 * coefficients - np.round(12 * coefficients)).max() > 1e-6)


def in_words(coefficients, names) -> str:
    """A sum with its coefficients, and what is missing from it."""
    parts, missing = [], []
    for coefficient, name in zip(coefficients, names, strict=True):
        number = f"{coefficient:.6g}"
        if abs(coefficient) < 1e-9 * np.abs(coefficients).max():
            missing.append(name)
        else:
            parts.append(name if number == "1" else f"{number} times {name}")
    return " + ".join(parts) + (f" without {' and '.join(missing)}" if missing else "")


def sums_of(twin: Twin, run: Run) -> Iterator[Combination]:
    """The summands of every sum on the way back, each by itself with all that follows."""
    for piece in filter(lambda piece: piece.may_be_changed, twin.pieces.values()):
        for place in list(filter(run.reaches, places_of(piece))):
            if len(place.inside) == 1 or not is_sum(place.node) or is_sum(place.holder):
                continue
            summands = list(summands_of(place.node))
            if len(summands) <= MOST_TERMS:
                alone = [alone_in(twin, place, sign, node) for sign, node in summands]
                where = f" in `{line_of(place.statement)}` ({piece.place_of(place.node)})"
                names = [f"`{shown(mutant.edits[0].new)}`" for mutant in alone]
                yield Combination(alone, names, where)


def alone_in(twin: Twin, place: Place, sign, node) -> Mutant:
    """The mutant in which a summand stands alone, the others being 0."""
    others = [other for _, other in summands_of(place.node) if other is not node]
    text = "a" if sign > 0 else "-a"
    zeros = "".join(f" + 0 * b{i}" for i in range(len(others)))  # for the shape
    parts = {"a": node} | {f"b{i}": other for i, other in enumerate(others)}
    edit = Edit(place, written(text, a=node), "", 0)
    with Edit(place, written(text + zeros, **parts), "", 0).applied():
        code = place.piece.compiled()
    return Mutant(twin, (edit,), ((place.piece, code, False),), BACKWARD)


@dataclass(frozen=True, eq=False)
class ThePath:
    """What a path of the tape adds to the gradients, right or with a change on it."""

    without: WrongPath
    changed: WrongPath | None = None

    def gradients(self, probe) -> dict:
        """The gradients with the path less those without."""
        without = self.without.gradients(probe)
        with_path = self.changed.gradients(probe) if self.changed else probe.right
        return {name: gradient - without[name] for name, gradient in with_path.items()}


def paths_of(paths: list[WrongPath]) -> Iterator[Combination]:
    """All else and a path of the tape: as it should be, or with another derivative on it."""
    dropped = {(path.place, path.index): path for path in paths if path.drops}
    for path in paths:
        without = dropped[path.place, path.index]
        if path.drops or path.of_slope:
            terms = [without, ThePath(without, None if path.drops else path)]
            share = path.line if path.drops else f"{path.line} with {path.share}"
            names = ["all else", f"what comes back through {share}"]
            yield Combination(terms, names, "", plain=not path.drops)


@dataclass(frozen=True, eq=False)
class NamedValue:
    """A value of a name in the reference, taken for the gradient of an argument."""

    twin: Twin
    function: tuple[str, int]
    name: str
    argument: str
    held: dict

    def gradients(self, probe) -> dict:
        """The value, under the name of the argument."""
        if id(probe) not in self.held:
            self.held[id(probe)] = watched(self.twin, probe).held
        return {self.argument: np.asarray(self.held[id(probe)][self.function][self.name])}


def values_of(twin: Twin, question: Question, argument) -> Iterator[Combination]:
    """The named values that have the shape of a gradient, one by one and two by two."""
    held: dict = {}
    probe = question.first.probe
    shape = probe.right[argument].shape
    held[id(probe)] = watched(twin, probe).held
    values, seen = [], set()
    returning = {piece.label for piece in twin.pieces.values() if piece.returns}
    told = {key: names for key, names in held[id(probe)].items() if key[0] in returning}
    for function, names in told.items():
        for name, value in names.items():
            array = np.asarray(value) if isinstance(value, np.ndarray) else None
            if array is None or array.shape != shape or array.dtype.kind != "f":
                continue
            if (key := array.tobytes()) not in seen:
                seen.add(key)
                values.append(NamedValue(twin, function, name, argument, held))
    values = values[:MOST_VALUES]
    for value in values:
        yield Combination([value], [f"`{value.name}`"], f" of {label(value)}")
    for first, second in itertools.combinations(values, 2):
        where = f" of {label(first)}"
        names = [f"`{first.name}`", f"`{second.name}`"]
        yield Combination([first, second], names, where, (4,))


def label(value: NamedValue) -> str:
    """The function that a named value is in."""
    return value.function[0].strip("<>").rsplit(".", 1)[-1]


@dataclass(frozen=True, eq=False)
class Slope:
    """A d_output times a function of the input, the output and the right slope, entry by entry."""

    function: Callable
    argument: str

    def gradients(self, probe) -> dict:
        """That product, under the name of the argument."""
        x = next(v for v in probe.inputs if isinstance(v, np.ndarray) and v.dtype.kind == "f")
        slope = probe.right[self.argument] / probe.d_output
        return {self.argument: probe.d_output * self.function(x, np.asarray(probe.output), slope)}


# What a slope may wrongly be made of: x is the input, y the output, s the right slope.
IN_A_SLOPE = {
    "1": lambda x, y, s: np.ones_like(x),
    "y": lambda x, y, s: y,
    "y^2": lambda x, y, s: y * y,
    "x": lambda x, y, s: x,
    "x y": lambda x, y, s: x * y,
    "s": lambda x, y, s: s,
    "s^2": lambda x, y, s: s * s,
    "1 / s": lambda x, y, s: 1 / s,
    "x s": lambda x, y, s: x * s,
    "y s": lambda x, y, s: y * s,
}
MOST_IN_A_SLOPE = 3


def slopes_of(question: Question) -> Iterator[Combination]:
    """Slopes that are made of the input, the output and the right slope, for an op of entries."""
    probe, names = question.first.probe, list(question.first.probe.right)
    if len(names) != 1 or probe.right[names[0]].shape != np.shape(probe.output):
        return
    for n in range(1, MOST_IN_A_SLOPE + 1):
        for chosen in itertools.combinations(IN_A_SLOPE, n):
            slopes = [Slope(IN_A_SLOPE[name], names[0]) for name in chosen]
            where = " times d_output, entry by entry (x: input, y: output, s: the right slope)"
            yield Combination(slopes, list(chosen), where, (5, n))
