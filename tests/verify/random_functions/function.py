"""A composition of primitives, as an op under the package's contract."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from attention_from_scratch.tree import Tree, tree_leaves, tree_map
from tests.verify.random_functions.primitive import Primitive


@dataclass(frozen=True)
class Step:
    """values[result] = primitive(*values[arguments]).

    `settings` names the function's keyword for each setting of the primitive: {"mask": "mask_4"}.
    """

    primitive: Primitive
    family: str
    arguments: tuple[int, ...]
    result: int
    settings: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Fault:
    """What a planted error does to a backward pass: it changes one gradient on its way.

    step None: the whole gradient of the value in `slot`, once all its uses are added up.
    Otherwise: what this step sends back to its argument number `argument`, one summand of it.
    """

    change: Callable[[np.ndarray, np.ndarray], np.ndarray]  # (gradient, d_output of the step)
    slot: int | None = None
    step: int | None = None
    argument: int | None = None


@dataclass(frozen=True, eq=False)
class Function:
    """Steps on numbered values ("slots"); some slots are leaves of the inputs.

    Attributes
    ----------
    layout : tuple of trees of slots
        Like `inputs`: where each leaf goes.
    steps : tuple of Step
        In order; the last one makes the output.
    inputs : tuple
        Float arrays, integer arrays, trees of float arrays: what to call `op` with.
    keywords : dict
        And what to call it with by name.
    d_output : np.ndarray
        A gradient of the output with which this function has been checked.
    corners : frozenset of str
        "at" and "close" where entries were put exactly at, or close to, the corner of a step.
    """

    layout: tuple[Tree, ...]
    steps: tuple[Step, ...]
    inputs: tuple
    keywords: dict[str, Any]
    d_output: np.ndarray
    corners: frozenset[str] = frozenset()

    @property
    def op(self) -> Callable:
        """(*inputs, **keywords) -> (output, backward), under the contract of the package's ops."""
        return self.op_with(None)

    @property
    def analytic(self) -> bool:
        """Whether a complex step through `op` gives its derivative."""
        return all(step.primitive.analytic for step in self.steps)

    @property
    def n_slots(self) -> int:
        """One more than the largest slot number."""
        return 1 + max(self.names())

    @cached_property
    def float_slots(self) -> list[int]:
        """The slots of the float leaves, in the order of `leaves(inputs)`."""
        return [slot for slot, leaf in self.placed(self.inputs) if is_float(leaf)]

    @cached_property
    def paths(self) -> list[str]:
        """The names of the float leaves within the inputs: "0", "1.weight", ..."""
        return [path for path, leaf in tree_leaves(self.inputs) if is_float(leaf)]

    def placed(self, inputs: tuple) -> Iterator[tuple[int, np.ndarray]]:
        """(slot, leaf) for all leaves of the inputs."""
        slots = (slot for _, slot in tree_leaves(self.layout))
        leaves = (leaf for _, leaf in tree_leaves(inputs))
        return zip(slots, leaves, strict=True)

    def gathered(self, arrays: dict[int, np.ndarray]) -> tuple:
        """A tree for each float input, from {slot: array}: the shape of the gradients."""
        return tuple(
            tree_map(lambda slot: arrays[slot], tree)
            for tree, given in zip(self.layout, self.inputs, strict=True)
            if any(is_float(leaf) for _, leaf in tree_leaves(given))
        )

    def steps_after(self, slot: int) -> list[Step]:
        """The steps whose results depend on this slot, in order."""
        reached, after = {slot}, []
        for step in self.steps:
            if reached & set(step.arguments):
                reached.add(step.result)
                after.append(step)
        return after

    def settings_of(self, step: Step, keywords: dict) -> dict[str, Any]:
        """The settings of a step out of the function's keywords."""
        return {setting: keywords[name] for setting, name in step.settings.items()}

    def op_with(self, fault: Fault | None) -> Callable:
        """The op, with a fault in its backward pass."""

        def op(*inputs, **keywords):
            values, backs = self.forward(inputs, keywords)

            def backward(d_output=1.0):
                d_values: list = [None] * self.n_slots
                d_values[self.steps[-1].result] = d_output
                for i in reversed(range(len(self.steps))):
                    self.step_back(i, backs[i], values, d_values, fault)
                return self.gradients(values, d_values, fault)

            return values[self.steps[-1].result], backward

        return op

    def forward(self, inputs: tuple, keywords: dict) -> tuple[list, list[Callable]]:
        """The values in all slots, and the backward pass of each step."""
        values: list = [None] * self.n_slots
        for slot, leaf in self.placed(inputs):
            values[slot] = leaf
        backs = []
        for step in self.steps:
            arguments = [values[slot] for slot in step.arguments]
            settings = self.settings_of(step, keywords)
            values[step.result], back = step.primitive.op(*arguments, **settings)
            backs.append(back)
        return values, backs

    def step_back(
        self, i: int, back: Callable, values: list, d_values: list, fault: Fault | None
    ) -> None:
        """Add to the gradients of the arguments of step i what that of its result makes them."""
        step = self.steps[i]
        d_result = d_values[step.result]
        if d_result is None:
            return  # nothing that follows looked at it
        if fault and fault.slot == step.result:
            d_result = fault.change(d_result, d_result)
        sent = back(d_result)
        float_arguments = [slot for slot in step.arguments if is_float(values[slot])]
        sent = sent if isinstance(sent, tuple) else (sent,)
        for number, (slot, d_argument) in enumerate(zip(float_arguments, sent, strict=True)):
            if fault and (fault.step, fault.argument) == (i, number):
                d_argument = fault.change(d_argument, d_result)
            before = d_values[slot]
            d_values[slot] = d_argument if before is None else before + d_argument

    def gradients(self, values: list, d_values: list, fault: Fault | None) -> Any:
        """One gradient for each float input: bare where there is one, else a tuple."""
        found = {}
        for slot in self.float_slots:
            d_leaf = d_values[slot]
            found[slot] = np.zeros_like(values[slot]) if d_leaf is None else d_leaf
            if fault and fault.slot == slot:
                found[slot] = fault.change(found[slot], found[slot])
        gathered = self.gathered(found)
        return gathered[0] if len(gathered) == 1 else gathered

    def output(self, inputs: tuple) -> np.ndarray:
        """What the forward pass says at these inputs."""
        output, _ = self.op(*inputs, **self.keywords)
        return output

    def gradient(self, inputs: tuple, d_output: np.ndarray) -> Any:
        """What the op's own backward pass says at these inputs."""
        _, backward = self.op(*inputs, **self.keywords)
        return backward(d_output)

    def names(self) -> dict[int, str]:
        """A name for each slot: x0, x1.weight, ... for inputs, then t1, t2, ..., output."""
        names = {slot: f"x{path}" for path, slot in tree_leaves(self.layout)}
        names |= {step.result: f"t{i}" for i, step in enumerate(self.steps, 1)}
        return names | {self.steps[-1].result: "output"}

    def describe(self) -> str:
        """The composition, one line a step, after a line for the inputs."""
        names = self.names()
        given = ", ".join(
            f"{names[slot]} {np.shape(leaf)} {leaf.dtype}"
            for slot, leaf in self.placed(self.inputs)
        )
        formulas = (
            f"{names[step.result]} = "
            + step.primitive.formula.format(*(names[s] for s in step.arguments), **step.settings)
            for step in self.steps
        )
        return "\n".join([f"inputs: {given}", *formulas])


def is_float(array: np.ndarray | float) -> bool:
    """Whether this is something that can be differentiated."""
    return np.issubdtype(np.asarray(array).dtype, np.inexact)
