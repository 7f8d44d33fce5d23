"""Mutants: the reference with a changed line, run for its gradients at a probe."""

import ast
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from functools import cached_property
from types import CodeType

import numpy as np

from attention_from_scratch.verify.doctor.mutation.choices import CHOICE, Choices
from attention_from_scratch.verify.doctor.mutation.names import Run
from attention_from_scratch.verify.doctor.mutation.operators import edits_of
from attention_from_scratch.verify.doctor.mutation.places import Edit, places_of
from attention_from_scratch.verify.doctor.mutation.source import Piece
from attention_from_scratch.verify.doctor.mutation.templates import RARE
from attention_from_scratch.verify.doctor.mutation.twin import Twin

# Where a change is felt: in the backward pass alone, the forward pass staying as it is to the last
# bit; or in all that comes after it, as where a value is computed anew on the way back.
BACKWARD, THROUGHOUT = "backward", "throughout"


@dataclass(frozen=True, eq=False)
class Mutant:
    """Changed lines, the pieces that they make, and where the change is felt."""

    twin: Twin
    edits: tuple[Edit, ...]
    changed: tuple[tuple[Piece, CodeType, bool], ...]  # True: the forward pass is changed
    felt: str
    choice: int = 0  # where a code has many changes: which of them

    @contextmanager
    def put_in(self) -> Iterator[Twin]:
        """The twin with its lines changed, for as long as the context lasts."""
        with ExitStack() as stack:
            for piece, code, forward in self.changed:
                self.twin.spaces[id(piece.function.__globals__)][CHOICE] = self.choice
                function = self.twin.build(piece, code)
                if forward and self.felt == BACKWARD:
                    function = self.twin.felt_backwards(piece, function)
                stack.enter_context(self.twin.exchanged(piece, function))
            yield self.twin

    def gradients(self, probe) -> dict[str, np.ndarray]:
        """The gradients at a probe, by name."""
        with self.put_in() as twin:
            _, gradients = twin.run(probe)
        return twin.named(gradients, probe)

    def output(self, probe) -> np.ndarray:
        """The output at a probe."""
        with self.put_in() as twin:
            output, _ = twin.forward(probe)
        return output

    @property
    def group(self) -> tuple:
        """The mutants that are tried together."""
        return self.edits[0].in_forward_pass, self.edits[0].rank, self.felt

    @cached_property
    def rank(self) -> tuple:
        """What orders mutants that come to the same: the simplest first."""
        order = list(self.twin.pieces)
        return (
            len(self.edits),
            self.felt == THROUGHOUT,
            max(edit.rank for edit in self.edits),
            any(edit.in_forward_pass for edit in self.edits),
            min(order.index(edit.place.piece.function) for edit in self.edits),
            sum(abs(len(before) - len(after)) for before, after in map(Edit.lines, self.edits)),
        )

    @cached_property
    def words(self) -> str:
        """The lines as they are and as they are changed."""
        return "is what comes of " + " and of ".join(edit.in_words() for edit in self.edits)

    def and_also(self, other: "Mutant") -> "Mutant | None":
        """Both changes at once; None where one hides the other."""
        if self.felt != other.felt or overlap(self.edits, other.edits):
            return None
        edits = (*self.edits, *other.edits)
        changed = []
        for piece in dict.fromkeys(edit.place.piece for edit in edits):
            mine = [edit for edit in edits if edit.place.piece is piece]
            with ExitStack() as stack:
                for edit in mine:
                    stack.enter_context(edit.applied())
                changed.append((piece, piece.compiled(), any(e.in_forward_pass for e in mine)))
        return Mutant(self.twin, edits, tuple(changed), self.felt)


def overlap(first, second) -> bool:
    """Whether an edit of the one lies inside an edit of the other."""
    for a in first:
        for b in second:
            if a.place.piece is b.place.piece:
                inside_a, inside_b = (set(map(id, ast.walk(e.place.node))) for e in (a, b))
                lists = isinstance(a.new, list) and isinstance(b.new, list)
                if id(b.place.node) in inside_a or id(a.place.node) in inside_b or lists:
                    return True
    return False


def mutants_of(twin: Twin, run: Run, usual: bool | None = None) -> Iterator[Mutant]:
    """Every mutant with one change in a line that is run: the usual ones first, the rare last.

    Those of one rank come together, and among them those that are near the reference. `usual` is
    True for the usual ones alone and False for the others.
    """
    edits = run.noted(lambda: edits_of_twin(twin, run))
    often, rarely = ([e for e in edits if (e.rank == RARE) is rare] for rare in (False, True))
    choices = choices_of(often)
    if usual is not False:
        for edit in often:
            yield from mutant_of(twin, edit, BACKWARD, choices)
    if usual:
        return
    for edit in often:
        if edit.in_forward_pass:
            yield from mutant_of(twin, edit, THROUGHOUT, choices)
    choices = choices_of(rarely)
    for edit in rarely:
        yield from mutant_of(twin, edit, BACKWARD, choices)


def edits_of_twin(twin: Twin, run: Run) -> list[Edit]:
    """Every change of a line that is run: those of the way back first, of these the usual ones."""
    pieces = [piece for piece in twin.pieces.values() if piece.may_be_changed]
    edits = [edit for piece in pieces for edit in edits_in(piece, run)]
    return sorted(edits, key=lambda edit: (edit.in_forward_pass, edit.rank))


def choices_of(edits) -> Choices:
    """The codes of these edits, those of one place together."""
    choices = Choices()
    for edit in edits:
        choices.add(edit)
    return choices


def edits_in(piece: Piece, run: Run) -> Iterator[Edit]:
    """Every change of a line that is run, of those that the operators can read."""
    for place in list(filter(run.reaches, places_of(piece))):
        with suppress(AttributeError, IndexError, KeyError, TypeError, ValueError):
            yield from edits_of(place, run.names_like)


def mutant_of(twin: Twin, edit: Edit, felt: str, choices: Choices) -> Iterator[Mutant]:
    """The mutant of a change, if what comes of it can be compiled."""
    found = choices.code_of(edit)
    if found is not None:
        code, choice = found
        changed = ((edit.place.piece, code, edit.in_forward_pass),)
        yield Mutant(twin, (edit,), changed, felt, choice)
