"""Is a wrong gradient a sum of which a part is left out: some heads, some keys, some steps?

What goes back along the last edge to an input, such as d_scores K on the way to the query, is a sum
over an axis, and over all the steps of the tape at which the input is met. How often each summand
was counted is fitted, at every visit: where all counts are whole and small, and not all are 1, it
is said which are not. A loop that assigns what it should add leaves the last one.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from attention_from_scratch.tree import tree_leaves
from attention_from_scratch.verify.contract import argument_names, is_differentiable
from attention_from_scratch.verify.doctor.mutation.edges import Derivation
from attention_from_scratch.verify.doctor.mutation.matching import Clock, Match, Question
from attention_from_scratch.verify.doctor.mutation.tape import Edge, Step, UntraceableError
from attention_from_scratch.verify.doctor.mutation.twin import Twin

MOST_SUMMANDS = 16
POSITIONS = "positions"  # all axes but the last as one
AXES = {None: "the steps", POSITIONS: "all positions"}
MOST_COUNTED = 2  # a summand may be counted so often


@dataclass(frozen=True)
class Arrival:
    """What arrives at an input along one edge: the edge, its step and the gradient of that."""

    edge: Edge
    step: Step
    d: np.ndarray


@dataclass(eq=False)
class PartOfASum:
    """The hypothesis that of the summands along an axis (None: of the steps) some are missing."""

    derivation: Derivation
    visits: dict  # by the id of their probe
    name: str
    place: tuple
    axis: int | str | None
    rank: tuple = (2,)
    counts: dict = field(default_factory=dict)  # by the id of a probe

    def gradients(self, probe) -> dict:
        """The right gradients, but for the one that is fitted."""
        if self.name not in probe.right:
            return probe.right
        visit = self.visits[id(probe)]
        edges = [
            a for a in arrivals(self.derivation, probe, self.name) if a.step.place == self.place
        ]
        summands = np.stack([*self.summands(edges)])
        rest = probe.right[self.name] - summands.sum(axis=0)
        whole = counts_of(summands, visit.found[self.name] - rest)
        self.counts[id(probe)] = whole
        return probe.right | {self.name: rest + np.tensordot(whole, summands, 1)}

    def summands(self, edges: list[Arrival]) -> Iterator[np.ndarray]:
        """Every summand: what each step sends back, or what each index of an axis does."""
        if self.axis is None:
            yield from (a.edge.back(a.step, a.d) for a in edges)
            return
        for chosen in self.indices(edges[0].d.shape):
            total = 0
            for arrival in edges:
                alone = np.zeros_like(arrival.d)
                alone[chosen] = arrival.d[chosen]
                total = total + arrival.edge.back(arrival.step, alone)
            yield total

    def indices(self, shape) -> Iterator[tuple]:
        """What picks each index of the axis, or each position."""
        if self.axis == POSITIONS:
            yield from np.ndindex(shape[:-1])
        else:
            before = (slice(None),) * (len(shape) + self.axis)
            yield from ((*before, index) for index in range(shape[self.axis]))

    @property
    def words(self) -> str:
        """Which are missing, or counted more than once."""
        visit = next(v for v in self.visits.values() if not v.right_at(self.name))
        counts = self.counts[id(visit.probe)]
        place, edge = self.place[-1], arrivals(self.derivation, visit.probe, self.name, self.place)
        line = self.derivation.twin.text_at(*place, edge[0].edge.index)
        what = AXES.get(self.axis, f"axis {self.axis} of its gradient")
        said = [
            f"{which(np.flatnonzero(counts == count))} {often}"
            for count, often in ((0, "left out"), (2, "counted twice"))
            if (counts == count).any()
        ]
        only = (
            "" if (counts == 1).sum() != 1 else f" (only {which(np.flatnonzero(counts == 1))} is)"
        )
        return (
            f"not all that goes back through {line} is added up: of {len(counts)} along {what}, "
            + (" and ".join(said) + only)
        )


def counts_of(summands, total) -> np.ndarray:
    """How often each summand is counted in a total; once where it is 0."""
    columns = summands.reshape(len(summands), -1).T
    sizes = np.linalg.norm(columns, axis=0)
    there = sizes > 1e-9 * sizes.max(initial=0)
    if ((columns != 0).sum(axis=1) < 2).all():
        raise UntraceableError("nothing is added up")
    if len(summands) > MOST_SUMMANDS or len(columns) < there.sum() + 2:
        raise UntraceableError("too many to tell")
    found, _, rank, _ = np.linalg.lstsq(columns[:, there], np.ravel(total), rcond=1e-10)
    counts = np.ones(len(summands))
    counts[there] = np.round(found)
    if rank < there.sum() or np.abs(counts[there] - found).max(initial=0) > 1e-4:
        raise UntraceableError("not counted in whole numbers")
    if counts.min() < 0 or counts.max() > MOST_COUNTED:
        raise UntraceableError("not counted, or too often")
    return counts


def which(indices) -> str:
    """Indices in words."""
    return "index " + ", ".join(map(str, indices))


def arrivals(derivation: Derivation, probe, name, place=None) -> list[Arrival]:
    """All that arrives at the input of this name, along the edges of a place if one is given."""
    tape, inputs, output = derivation.tape(probe)
    leaf = leaf_of(derivation, probe, inputs, name)
    arrived: dict[int, np.ndarray] = {id(output.step): probe.d_output}
    found = []
    for step in reversed(tape.steps):
        d = arrived.get(id(step))
        if d is None:
            continue
        for edge in step.edges:
            if edge.source is leaf and step.place and place in (None, step.place):
                found.append(Arrival(edge, step, np.broadcast_to(d, step.value.shape)))
            before = arrived.get(id(edge.source))
            sent = edge.back(step, d)
            arrived[id(edge.source)] = sent if before is None else before + sent
    return found


def leaf_of(derivation: Derivation, probe, inputs, name) -> Step:
    """The step of the tape that is the input of this name."""
    arguments = argument_names(derivation.twin.reference, len(probe.inputs))
    for argument, value, own in zip(arguments, inputs, probe.inputs, strict=True):
        for path, leaf in tree_leaves(value) if is_differentiable(own) else ():
            if name == (f"d_{argument}.{path}" if path else f"d_{argument}"):
                return leaf.step
    raise KeyError(name)


def axes_of(d) -> list:
    """The axes along which summands may be missing, all positions, and the steps."""
    several = [POSITIONS] if d.ndim > 2 and d[..., 0].size <= MOST_SUMMANDS else []
    return [*range(-1, -d.ndim - 1, -1), *several, None]


def parts_of_sums(twin: Twin, question: Question, clock: Clock) -> list[Match]:
    """The gradients that are sums of which some summands are missing."""
    derivation = Derivation(twin)
    if not derivation.is_right_at(question.first):
        return []
    visits = {id(visit.probe): visit for visit in question.visits}
    found = []
    for name in question.wrong_at(question.first):
        alone = Question(question.visits, [name])
        edges = arrivals(derivation, question.first.probe, name)
        for place, arrival in {a.step.place: a for a in edges}.items():
            for axis in axes_of(arrival.d):
                if clock.is_over:
                    return found
                part = PartOfASum(derivation, visits, name, place, axis)
                match = alone.ask(part)
                found += [match] if match is not None and match.is_complete else []
    return found
