"""What can be measured of an op at a call and beside: by the complex step and by differences."""

from collections.abc import Iterator
from functools import cached_property

import numpy as np

from attention_from_scratch.tree import tree_map
from attention_from_scratch.verify.analytic import goes_through, what_is_met
from attention_from_scratch.verify.differences import Differences
from attention_from_scratch.verify.floors import at_run, nudged, plain
from attention_from_scratch.verify.following import Followed
from attention_from_scratch.verify.numerical import COMPLEX_STEP
from attention_from_scratch.verify.outputs import Evaluation, holds_arrays

METHODS = ("complex step", "central difference")
BESIDE = 24  # calls beside this one: enough to meet the orders of a few equal numbers

Run = tuple[list, list, dict]  # inputs, d_outputs, and gradients by (position, path)


class Measurement:
    """An op at one call: what its backward says there and nearby, and what can be measured.

    Parameters
    ----------
    op : in our contract
    inputs, keywords : of the call; inputs read-only
    d_outputs : one for each output
    gradients_of : (inputs, backward, d_outputs) -> {(position, path): array}
    methods : some of `METHODS`
    eps : of the dtype that the op is asked in
    """

    def __init__(self, op, inputs, keywords, d_outputs, gradients_of, methods, eps, seed):
        self.op, self.keywords, self.eps, self.methods = op, keywords, eps, methods
        self.faults: list[str] = []
        self.runs: list[Run] = []
        self.beside: list[tuple[dict, Evaluation, Differences]] = []  # as far as they were asked

        def gradients_at(inputs, d_outputs):
            _, backward = op(*inputs, **keywords)
            return gradients_of(inputs, backward, d_outputs)

        self.gradients_at, self.asked_of = gradients_at, d_outputs
        for moved, d_moved in nudged(inputs, d_outputs, eps, seed):
            gradients = at_run(gradients_at, moved, d_moved)
            self.runs.append((plain(moved), plain(d_moved), gradients))
        self.dtype = longest_dtype(op, inputs, keywords)
        self.real = Evaluation(op, inputs, keywords, self.dtype)
        self.complex = Evaluation(op, inputs, keywords, np.complex128)
        self.d_outputs = [d_output.astype(np.float64) for d_output in d_outputs]
        self.inputs = inputs

    @cached_property
    def obstacle(self) -> str:
        """Why the complex step cannot go through the op; nothing if it can."""
        return "" if self.is_followed else self.own_obstacle

    @cached_property
    def met(self) -> set[str]:
        """What a complex step does not see through: what is not analytic, or kinks if followed."""
        if not self.is_followed:
            return self.noted - {"log1p"}
        found: set[str] = set()
        Followed(self.complex, found)()
        return found

    @cached_property
    def own_obstacle(self) -> str:
        """Why ordinary complex numbers cannot go through the op; nothing if they can."""
        if "complex step" not in self.methods:
            return "it was not asked for"
        return goes_through(self.op, self.complex, self.differences.here)

    @cached_property
    def noted(self) -> set[str]:
        """What the op does to ordinary complex numbers that is not analytic, or not exact."""
        return what_is_met(self.complex)

    @cached_property
    def is_followed(self) -> bool:
        """Whether complex numbers by the rules of real ones are needed, and go through."""
        if "complex step" not in self.methods or not (self.own_obstacle or self.noted):
            return False
        return not goes_through(self.op, Followed(self.complex), self.differences.here)

    def in_complex(self, function: Evaluation) -> Evaluation:
        """The op in complex numbers of the kind that goes through."""
        return Followed(function) if self.is_followed else function

    @cached_property
    def differences(self) -> Differences:
        """Central differences at this call."""
        return Differences(self.real, self.d_outputs)

    @cached_property
    def nearby(self) -> list[tuple[Evaluation, Differences]]:
        """The op in double precision and its central differences, at the call of each run."""
        return [self.measures_at(moved, d_moved) for moved, d_moved, _ in self.runs]

    def calls_beside(self) -> Iterator[tuple[dict, Evaluation, Differences]]:
        """What backward says, and what measures, at calls which only ties tell from this one.

        Each number is moved at random by a small share of its size.
        """
        for n in range(BESIDE):
            if n == len(self.beside):
                inputs = self.moved(max(1e-6, 64 * self.eps), np.random.default_rng([5, n]))
                try:
                    gradients = self.gradients_at(inputs, self.asked_of)
                except Exception:  # whatever a reader's op does with other inputs
                    return
                self.beside.append((gradients, *self.measures_at(inputs, self.d_outputs)))
            yield self.beside[n]

    def moved(self, distance: float, rng: np.random.Generator) -> list:
        """The inputs with each number moved at random, by this share of its size."""

        def moved(leaf):
            if leaf.dtype.kind != "f":
                return leaf
            size = np.abs(leaf) + 1e-3 * (np.abs(leaf).max(initial=0) or 1.0)
            step = distance * size * rng.standard_normal(leaf.shape)
            return np.asarray(leaf + step, leaf.dtype)

        return [tree_map(moved, v) if holds_arrays(v) else v for v in self.inputs]

    def measures_at(self, inputs: list, d_outputs: list) -> tuple[Evaluation, Differences]:
        """The op in complex numbers, and its differences, at another call."""
        real = Evaluation(self.op, inputs, self.keywords, self.dtype)
        function = Evaluation(self.op, inputs, self.keywords, np.complex128)
        return self.in_complex(function), Differences(real, d_outputs)

    def natural_size(self, leaf: np.ndarray) -> float:
        """The size that a gradient of this leaf has where outputs of 1 move in step with it."""
        total = sum(float(np.abs(d_output).sum()) for d_output in self.d_outputs)
        largest = float(np.abs(leaf).max(initial=0))
        return total / (largest or 1.0)


def longest_dtype(op, inputs, keywords) -> type:
    """The longest floats that an op computes with: longdouble if it can, else float64."""
    try:
        with np.errstate(all="ignore"):
            outputs = Evaluation(op, inputs, keywords, np.longdouble)()
    except Exception:  # whatever a reader's op does with numbers of another kind
        return np.float64
    floats = [out.dtype for out in outputs if out.dtype.kind == "f"]
    return np.longdouble if set(floats) == {np.dtype(np.longdouble)} else np.float64


def complex_slope(
    function: Evaluation, d_outputs, position, path, direction, step: float = COMPLEX_STEP
) -> float:
    """The slope along a direction by the complex step."""
    leaf = function.leaf(position, path)
    with np.errstate(all="ignore"):
        outputs = function(position, path, leaf + 1j * step * direction)
        moved = (out.imag * d for out, d in zip(outputs, d_outputs, strict=True))
        return float(sum(float(part.sum()) for part in moved) / step)
