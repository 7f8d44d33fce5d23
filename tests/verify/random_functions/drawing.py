"""A function while it is drawn: its values so far, and what a family may ask of them."""

from collections.abc import Callable
from copy import copy
from typing import Any

import numpy as np

from attention_from_scratch.tree import Tree, tree_leaves, tree_map
from tests.verify.random_functions.function import Function, Step, is_float
from tests.verify.random_functions.inputs import (
    log_uniform,
    random_array,
    short_number,
)
from tests.verify.random_functions.primitive import Family, NoFitError, Primitive, constant, plain

MAX_FLOATS = 30  # entries of all float inputs together, and of any value in between
MAX_LEAVES = 4


class Drawing:
    """Values in numbered slots: those of leaves are drawn, those of steps computed at once.

    So that a family can see what it is given: shapes, signs, sizes. It takes its arguments with
    `pick`, `partner`, `leaf`, adds a step with `add`, and raises NoFitError where there is nothing
    for it.
    """

    def __init__(self, rng: np.random.Generator, dtype: str, *, analytic: bool):
        self.rng, self.dtype, self.analytic = rng, dtype, analytic
        self.values: list = []
        self.steps: list[Step] = []
        self.keywords: dict[str, Any] = {}
        self.trees: list[Tree] = []  # inputs that are trees of slots
        self.family = ""
        self.corners: set[str] = set()
        self.kinks = rng.choice(["away", "close", "at"], p=[0.4, 0.25, 0.35])

    # --- trying

    def attempt(self, family: Family) -> bool:
        """Draw a step of this family; leave all as it was where it does not fit."""
        names = ("values", "steps", "keywords", "trees", "corners")
        kept = {name: copy(getattr(self, name)) for name in names}
        self.family = family.name
        try:
            family.draw(self)
        except NoFitError:
            vars(self).update(kept)
            return False
        return True

    # --- what there is

    def is_leaf(self, slot: int) -> bool:
        return slot not in {step.result for step in self.steps}

    def is_used(self, slot: int) -> bool:
        return any(slot in step.arguments for step in self.steps)

    def floats(self) -> list[int]:
        return [slot for slot, value in enumerate(self.values) if is_float(value)]

    def dangling(self) -> list[int]:
        """Results that nothing uses yet."""
        return [step.result for step in self.steps if not self.is_used(step.result)]

    # --- arguments of a step

    def pick(self, fits: Callable[[np.ndarray], bool] = lambda value: True) -> int:
        """A value that fits: an unused one for preference, else any, which makes a branch."""
        fitting = [slot for slot in self.floats() if fits(self.values[slot])]
        fresh = [slot for slot in fitting if not self.is_used(slot)]
        if fresh and self.rng.random() < 0.8:
            return int(self.rng.choice(fresh))
        if not fitting:
            raise NoFitError
        return int(self.rng.choice(fitting))

    def tame(self, slot: int, limit: float) -> int:
        """The same value times a constant where it is larger than the limit, or far smaller."""
        size = float(np.max(np.abs(self.values[slot]), initial=0))
        small = size < 1e-3 * limit and self.rng.random() < 0.6
        if size == 0 or (size <= limit and not small):
            return slot
        return self.scaled(slot, short_number(self.rng, 0.05 * limit, 0.9 * limit) / size)

    def scaled(self, slot: int, factor: float) -> int:
        """The value times a power of two near this factor."""
        c = float(2.0 ** np.floor(np.log2(factor)))
        step = plain(f"{c} * {{0}}", lambda x: c * x, lambda d, y, x: c * d)
        return self.add(step, slot)

    def leaf(self, shape: tuple[int, ...], low: float | None = None) -> int:
        """A new float input of this shape, or an existing value; between `low` and 1 if given."""
        size = int(np.prod(shape))
        leaves = [slot for slot in self.floats() if self.is_leaf(slot)]
        n_floats = sum(self.values[slot].size for slot in leaves)
        if len(leaves) >= MAX_LEAVES or n_floats + size > MAX_FLOATS:
            return self.pick(lambda value: np.shape(value) == shape and low is None)
        if low is not None:
            return self.given(np.asarray(self.rng.uniform(low, 1, shape), self.dtype))
        same = [slot for slot in leaves if self.values[slot].shape == shape]
        if same and self.rng.random() < 0.25:  # the same array at two positions
            return self.given(self.values[int(self.rng.choice(same))])
        return self.given(random_array(self.rng, shape, self.dtype))

    def leaves(self, *shapes: tuple[int, ...]) -> list[int]:
        """New float inputs with numbers near 1, beyond all limits: a layer's parameters."""
        return [
            self.given(np.asarray(self.rng.standard_normal(shape), self.dtype)) for shape in shapes
        ]

    def given(self, array: np.ndarray) -> int:
        """A slot for an input."""
        self.values.append(array)
        return len(self.values) - 1

    def ids(self, shape: tuple[int, ...], n_rows: int) -> int:
        """A new integer input with numbers in 0..n_rows-1."""
        return self.given(self.rng.integers(n_rows, size=shape))

    def partner(self, slot: int) -> int:
        """Something that broadcasts against this value: a new input, or one of those before it."""
        shape = np.shape(self.values[slot])
        if self.rng.random() < 0.5:
            return self.pick(lambda value: broadcasts(np.shape(value), shape))
        kind = self.rng.random()
        if kind < 0.6:
            return self.leaf(shape)
        if kind < 0.8:
            return self.leaf(shape[int(self.rng.integers(len(shape) + 1)) :])
        return self.leaf(tuple(1 if self.rng.random() < 0.5 else n for n in shape))

    def partner_of_shape(self, slot: int) -> int:
        """Another value of the same shape: a new input, or one of those before it."""
        shape = np.shape(self.values[slot])
        if self.rng.random() < 0.5:
            return self.leaf(shape)
        return self.pick(lambda value: np.shape(value) == shape)

    def axis(self, slot: int) -> int:
        """One of its axes, sometimes counted from the end."""
        n_axes = np.ndim(self.values[slot])
        return int(self.rng.integers(-n_axes, n_axes))

    def number(self, low: float = 0.25, high: float = 4.0) -> float:
        return short_number(self.rng, low, high)

    # --- kinks

    def near(self, slot: int, corner: np.ndarray | float) -> int:
        """Bring some entries to a corner (a number, or an array to be equal to) or close to it.

        Close is 1e-9 to 1e-3 of its size. An input's entries are put there; any other value is
        moved by a constant.
        """
        value = np.asarray(self.values[slot])
        if self.kinks == "away" or value.size == 0:
            return slot
        self.corners.add(str(self.kinks))
        corner = np.broadcast_to(corner, value.shape)
        size = np.where(corner == 0, np.max(np.abs(value), initial=0) or 1, np.abs(corner))
        gap = log_uniform(self.rng, 1e-9, 1e-3, value.shape) * size
        gap = gap * self.rng.choice([-1, 1], value.shape) * (self.kinks == "close")
        if not self.is_leaf(slot) or self.is_used(slot):
            entry = tuple(int(self.rng.integers(n)) for n in value.shape)
            by = np.asarray(value - corner - gap, self.dtype)[entry]
            return self.shifted(slot, by) if by else slot
        chosen = self.rng.random(value.shape) < 0.4
        chosen.reshape(-1)[int(self.rng.integers(value.size))] = True
        self.values[slot] = np.where(chosen, corner + gap, value).astype(self.dtype)
        return slot

    def shifted(self, slot: int, by: np.floating) -> int:
        step = plain(
            f"{{0}} - {by!s}",
            lambda x: x - constant(by, x),
            lambda d, y, x: d,
            lambda x: x - float(by),
        )
        return self.add(step, slot)

    # --- steps

    def add(self, primitive: Primitive, *slots: int, **settings) -> int:
        """Take a step; NoFitError where its output is empty, too large or not finite."""
        if self.analytic and not primitive.analytic:
            raise NoFitError
        with np.errstate(over="raise", divide="raise"):
            try:
                output, _ = primitive.op(*(self.values[slot] for slot in slots), **settings)
            except FloatingPointError:
                raise NoFitError from None
        if not 0 < np.size(output) <= MAX_FLOATS or not np.isfinite(output).all():
            raise NoFitError
        names = {setting: self.keyword(setting, value) for setting, value in settings.items()}
        self.values.append(output)
        result = len(self.values) - 1
        self.steps.append(Step(primitive, self.family, slots, result, names))
        return result

    def keyword(self, name: str, value: Any) -> str:
        """A keyword of the function for a setting of a step."""
        taken = name if name not in self.keywords else f"{name}_{len(self.values)}"
        self.keywords[taken] = value
        return taken

    def tree(self, slots: Tree) -> None:
        """Make one input of these leaves; a function has one such input at most."""
        if self.trees:
            raise NoFitError
        self.trees.append(slots)

    # --- the end

    def function(self, d_output: np.ndarray) -> Function:
        """The function drawn, with the inputs in an order of their own."""
        in_trees = {slot for tree in self.trees for _, slot in tree_leaves(tree)}
        loose = [s for s in range(len(self.values)) if self.is_leaf(s) and s not in in_trees]
        layout = [*self.trees, *self.grouped(loose)]
        layout = [layout[i] for i in self.rng.permutation(len(layout))]
        inputs = tuple(tree_map(lambda slot: self.values[slot], tree) for tree in layout)
        return Function(
            tuple(layout),
            tuple(self.steps),
            inputs,
            self.keywords,
            d_output,
            frozenset(self.corners),
        )

    def grouped(self, slots: list[int]) -> list[Tree]:
        """Some float leaves as a dict: where there are more than three inputs, or by chance."""
        floats = [slot for slot in slots if is_float(self.values[slot])]
        n_inputs = len(self.trees) + len(floats)
        if len(floats) < 2 or (n_inputs <= 3 and self.rng.random() < 0.75):
            return slots
        n_grouped = int(self.rng.integers(max(2, n_inputs - 2), len(floats) + 1))
        chosen = sorted(self.rng.choice(floats, n_grouped, replace=False).tolist())
        names = ["weight", "bias", "scale", "shift", "extra"]
        group = dict(zip(names, chosen, strict=False))
        return [group, *(slot for slot in slots if slot not in chosen)]


def broadcasts(shape: tuple[int, ...], to: tuple[int, ...]) -> bool:
    """Whether the two shapes broadcast to something not much larger."""
    try:
        return np.prod(np.broadcast_shapes(shape, to), dtype=int) <= MAX_FLOATS // 2
    except ValueError:
        return False


def random_d_output(rng: np.random.Generator, output: Any, dtype: str) -> np.ndarray:
    """A gradient of the output: random; sometimes all ones, or with zeros."""
    kind, shape = rng.random(), np.shape(output)
    if kind < 0.15:
        return np.ones(shape, dtype)
    d_output = log_uniform(rng, 1e-3, 1e3) * rng.standard_normal(shape)
    if kind < 0.3 and np.size(output) > 1:
        d_output = np.where(rng.random(shape) < 0.3, 0, d_output)
    return np.asarray(d_output, dtype)
