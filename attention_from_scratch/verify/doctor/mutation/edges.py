"""Mistakes on the way back along a tape: a path that is missing, doubled, or of another slope."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from attention_from_scratch.ops.contract import unbroadcast
from attention_from_scratch.tree import tree_map
from attention_from_scratch.verify.contract import is_differentiable
from attention_from_scratch.verify.doctor.mutation.tape import (
    Edge,
    Step,
    UntraceableError,
    tape_at,
)
from attention_from_scratch.verify.doctor.mutation.twin import Twin
from attention_from_scratch.verify.doctor.visits import by_name


@dataclass(eq=False)
class Derivation:
    """The gradient of an op, derived step by step from its forward pass, at any probe."""

    twin: Twin
    tapes: dict = field(default_factory=dict)

    def tape(self, probe):
        """The tape of a probe, made once."""
        if id(probe) not in self.tapes:
            self.tapes[id(probe)] = (probe, tape_at(self.twin, probe))
        return self.tapes[id(probe)][1]

    def gradients(self, probe, change: Callable | None = None, place=None, index=None) -> dict:
        """The gradients at a probe, with a change on the edge `index` of the steps at a place.

        `change(edge, step, d)` is what goes back along the edge in place of what should.
        """
        tape, inputs, output = self.tape(probe)
        arrived: dict[int, np.ndarray] = {id(output.step): probe.d_output}
        for step in reversed(tape.steps):
            d = arrived.get(id(step))
            if d is None:
                continue
            for edge in step.edges:
                changed = change is not None and step.place == place and edge.index == index
                sent = change(edge, step, d) if changed else edge.back(step, d)
                before = arrived.get(id(edge.source))
                arrived[id(edge.source)] = sent if before is None else before + sent

        def leaf(traced):
            return arrived.get(id(traced.step), np.zeros(traced.shape))

        given = zip(inputs, probe.inputs, strict=True)
        gradients = [tree_map(leaf, value) for value, own in given if is_differentiable(own)]
        return by_name(gradients, self.twin.reference, probe.inputs)

    def is_right_at(self, visit) -> bool:
        """Whether the tape holds the forward pass, and its derivative is the right gradient."""
        try:
            gradients = self.gradients(visit.probe)
        except (UntraceableError, TypeError, ValueError, AttributeError, IndexError):
            return False
        right = visit.probe.right
        return all(visit.same(gradients[n], right[n], visit.size_of(n)) for n in right)


@dataclass(frozen=True, eq=False)
class WrongPath:
    """A change on one edge of the tape, wherever this line is run by these calls."""

    derivation: Derivation
    place: tuple
    index: int
    change: Callable
    phrase: str
    rank_of_change: int

    @property
    def rank(self) -> tuple:
        """What orders those that come to the same."""
        return (1, False, self.rank_of_change, len(self.place), 0)

    @property
    def drops(self) -> bool:
        """Whether it is the path that is left out."""
        return self.change is dropped

    @property
    def of_slope(self) -> bool:
        """Whether it takes another derivative on the path."""
        return self.change in (slope_of_one, slope_at_output, slope_at_input)

    def gradients(self, probe) -> dict:
        """The gradients with this change."""
        return self.derivation.gradients(probe, self.change, self.place, self.index)

    @cached_property
    def line(self) -> str:
        """The line of the forward pass, and which of its operands."""
        return self.derivation.twin.text_at(*self.place[-1], self.index)

    @property
    def words(self) -> str:
        """What is wrong on the way back through the line."""
        return f"is what comes if {self.phrase.format(self.line)}"

    @property
    def share(self) -> str:
        """The same of this path alone."""
        return self.phrase.format("it")


def dropped(edge: Edge, step: Step, d):
    """Nothing goes this way."""
    return 0 * edge.back(step, d)


def times(factor) -> Callable:
    """The gradient is multiplied."""
    return lambda edge, step, d: factor * edge.back(step, d)


def slope_of_one(edge: Edge, step: Step, d):
    """The derivative is taken for 1."""
    if edge.slopes is None:
        raise UntraceableError("no slope")
    return unsummed(edge, d * np.ones(step.value.shape))


def slope_inverted(edge: Edge, step: Step, d):
    """The derivative is divided by."""
    if edge.slopes is None:
        raise UntraceableError("no slope")
    return unsummed(edge, d / edge.slopes(*step.values, step.value))


def slope_at_output(edge: Edge, step: Step, d):
    """The derivative is taken at the output."""
    if edge.slopes is None or len(step.values) != 1:
        raise UntraceableError("no slope of one input")
    value = step.value
    with_output = edge.slopes(value, value)
    return d * with_output


def slope_at_input(edge: Edge, step: Step, d):
    """What is computed from the output is computed from the input."""
    if edge.slopes is None or len(step.values) != 1:
        raise UntraceableError("no slope of one input")
    return d * edge.slopes(step.values[0], step.values[0])


def unsummed(edge, d):
    """Sum a gradient down to the shape of the input of an edge."""
    return unbroadcast(d, edge.source.value.shape)


def not_transposed(edge: Edge, step: Step, d):
    """The other factor of a matrix product is not transposed."""
    if edge.untransposed is None:
        raise UntraceableError("no matrix product")
    return edge.untransposed(d)


def mean_of_repeats(edge: Edge, step: Step, d):
    """The mean is taken over the axes along which the input was repeated, not the sum."""
    sent = edge.back(step, d)
    return sent * (sent.size / max(np.size(d), 1))


# For each change: the condition in words, for the path as {}, and a rank.
CHANGES = (
    (dropped, "nothing goes back through {}", 0),
    (times(-1.0), "what goes back through {} has the other sign", 1),
    (times(2.0), "what goes back through {} is doubled", 3),
    (times(0.5), "what goes back through {} is halved", 3),
    (not_transposed, "the transpose is left out on the way back through {}", 0),
    (slope_of_one, "the derivative of {} is taken for 1", 3),
    (slope_inverted, "the derivative of {} is divided by, not multiplied", 4),
    (slope_at_output, "the derivative of {} is taken at its output, not its input", 2),
    (slope_at_input, "the derivative of {} is computed from its input, not its output", 2),
    (mean_of_repeats, "the mean is taken over what {} repeats, not the sum", 4),
)


def wrong_paths(twin: Twin, visit) -> Iterator[WrongPath]:
    """Every change of every edge of the tape; none where the tape does not give what is right."""
    derivation = Derivation(twin)
    if not derivation.is_right_at(visit):
        return
    tape, _, _ = derivation.tape(visit.probe)
    edges = dict.fromkeys(
        (step.place, edge.index) for step in tape.steps if step.place for edge in step.edges
    )
    for place, index in edges:
        for change, phrase, rank in CHANGES:
            yield WrongPath(derivation, place, index, change, phrase, rank)
