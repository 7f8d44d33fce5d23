"""Gradients and outputs of the reference itself for another d_output, or for other inputs.

What needs no source: the reference is run as it is, on something else than it should be.
"""

import inspect
import itertools
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np

from attention_from_scratch import ops
from attention_from_scratch.tree import tree_leaves, tree_map
from attention_from_scratch.verify.contract import is_differentiable
from attention_from_scratch.verify.doctor.visits import gradients_at

OUTPUT = "output"  # the name of the output, where outputs are asked for and not gradients


@dataclass(frozen=True, eq=False)
class OtherCall:
    """The reference on a call that `change` makes of a probe."""

    reference: Callable
    change: Callable
    words: str
    rank: tuple = (1, 1)

    def gradients(self, probe) -> dict:
        """The gradients of that call."""
        return gradients_at(self.reference, self.change(probe))


@dataclass(frozen=True, eq=False)
class OtherOutput:
    """A function of the right output, or the output of the reference on other inputs."""

    function: Callable
    words: str
    rank: tuple = (1, 1)

    def gradients(self, probe) -> dict:
        """The output, where a gradient is asked for."""
        return {OUTPUT: np.asarray(self.function(probe))}


def for_another_d_output(reference, probe) -> Iterator[OtherCall]:
    """Parts of d_output alone, d_output turned round or shifted, or multiplied by the output."""
    for axis in range(probe.d_output.ndim):
        for name, function in along(axis).items():
            words = f"is the right gradient for a d_output {name} axis {axis}"
            yield OtherCall(reference, with_d_output(function), words)
    of_output = {
        "multiplied by the output": lambda d, y: d * y,
        "multiplied by itself": lambda d, y: d * d,
        "that is the output itself": lambda d, y: y,
        "cut to what is positive": lambda d, y: np.maximum(d, 0),
        "cut to between -1 and 1": lambda d, y: np.clip(d, -1, 1),
        "of which the sign alone is taken": lambda d, y: np.sign(d),
        "divided by its norm": lambda d, y: d / np.linalg.norm(d),
    }
    if probe.d_output.ndim > 1:
        of_output["that is 0 but at the last position"] = lambda d, y: at_position(d, -1)
        of_output["that is 0 but at the first position"] = lambda d, y: at_position(d, 0)
    for name, function in of_output.items():
        words = f"is the right gradient for a d_output {name}"
        yield OtherCall(reference, with_d_output(function), words)
    for name, change in at_another_input(probe).items():
        yield OtherCall(reference, change, f"is the right gradient taken {name}")


def at_another_input(probe) -> dict[str, Callable]:
    """Changes of an input of the shape of the output: to the output, and to minus itself."""
    shape, changes = np.shape(probe.output), {}
    for index, value in enumerate(probe.inputs):
        if shape and isinstance(value, np.ndarray) and value.shape == shape:
            which = f"input {index + 1}" if len(probe.inputs) > 1 else "the input"
            output = with_input(index, lambda probe, _: np.asarray(probe.output))
            changes[f"at the output in the place of {which}"] = output
            changes[f"at minus {which}"] = with_input(index, lambda _, value: -value)
    return changes


def with_input(index, function) -> Callable:
    """A change of one input of a probe, to a function of the probe and of that input."""

    def change(probe):
        inputs = list(probe.inputs)
        inputs[index] = function(probe, inputs[index]).astype(inputs[index].dtype)
        return replace(probe, inputs=tuple(inputs))

    return change


def with_d_output(function) -> Callable:
    """A change of a probe's d_output, to a function of d_output and the output."""

    def change(probe):
        d_output = np.asarray(function(probe.d_output, np.asarray(probe.output)))
        return replace(probe, d_output=d_output.astype(probe.d_output.dtype))

    return change


def at_position(d, which) -> np.ndarray:
    """One row of an array alone, rows being along its last axis."""
    part = np.zeros(d.shape, d.dtype)
    part.reshape(-1, d.shape[-1])[which] = d.reshape(-1, d.shape[-1])[which]
    return part


def along(axis) -> dict[str, Callable]:
    """What may become of d_output along an axis, in words that end with the axis."""

    def kept(which):
        def function(d, _):
            part = np.zeros_like(d)
            index = (slice(None),) * axis + (which,)
            part[index] = d[index]
            return part

        return function

    return {
        "that is 0 but at the first index of": kept(slice(0, 1)),
        "that is 0 but at the last index of": kept(slice(-1, None)),
        "that is 0 at the first index of": kept(slice(1, None)),
        "that is 0 at the last index of": kept(slice(0, -1)),
        "turned round along": lambda d, _: np.flip(d, axis),
        "averaged along": lambda d, _: d.mean(axis=axis, keepdims=True) + 0 * d,
        "added up along": lambda d, _: d.sum(axis=axis, keepdims=True) + 0 * d,
    }


FUNCTIONS = {
    "np.exp": np.exp,
    "np.log": np.log,
    "np.tanh": np.tanh,
    "softmax": lambda x: ops.softmax(x)[0],
    "log_softmax": lambda x: ops.log_softmax(x)[0],
    "sigmoid": lambda x: ops.sigmoid(x)[0],
}


def of_other_inputs(reference, probe, names) -> Iterator[OtherOutput]:
    """The right output, a function of it, or that of inputs which went through a function."""
    yield OtherOutput(lambda probe: probe.output, "is the right output", (0,))
    for name, function in FUNCTIONS.items():
        of_output = lambda probe, f=function: f(np.asarray(probe.output))
        yield OtherOutput(of_output, f"is `{name}` of the right output")
    if np.ndim(probe.output) > 1:
        of_output = lambda probe: probe.output.swapaxes(-1, -2)
        yield OtherOutput(of_output, "is the right output transposed")
    yield from of_other_pairs(reference, probe)
    yield from of_other_leaves(reference, probe, names)
    for name, value in other_settings(reference, probe.keywords):
        of_output = on_setting(reference, name, value)
        yield OtherOutput(of_output, f"is the right output for `{name}={value!r}`")
    for index, value in enumerate(probe.inputs):
        for name, function in FUNCTIONS.items():
            if isinstance(value, np.ndarray) and value.dtype.kind == "f":
                words = f"is the right output for `{name}({names[index]})`, not `{names[index]}`"
                yield OtherOutput(on_inputs(reference, index, function), words)


def of_other_pairs(reference, probe) -> Iterator[OtherOutput]:
    """The output where columns that belong together are neighbours, not halves, and back."""
    width = np.shape(probe.output)[-1] if np.ndim(probe.output) else 1
    neighbours, halves = "neighbours (columns 2i and 2i + 1)", "halves (columns i and i + D/2)"
    pairs = ((False, f"{neighbours}, not {halves}"), (True, f"{halves}, not {neighbours}"))
    for inverse, words in pairs:
        if width % 2 == 0 and width > 2:
            of_output = on_columns(reference, inverse)
            yield OtherOutput(of_output, f"is the right output if pairs are {words}")


def on_columns(reference, inverse) -> Callable:
    """The output of the reference with neighbouring columns put into halves before, and back."""

    def output(probe):
        width = probe.output.shape[-1]
        order = np.arange(width).reshape(-1, 2).T.ravel()
        order = np.argsort(order) if inverse else order
        inputs = [x[..., order] if np.shape(x)[-1:] == (width,) else x for x in probe.inputs]
        return reference(*inputs, **probe.keywords)[0][..., np.argsort(order)]

    return output


def of_other_leaves(reference, probe, names) -> Iterator[OtherOutput]:
    """The output where an input, or a leaf of a tree of parameters, is left out or is another."""
    leaves = list(leaves_of(probe.inputs, names))
    for name, _ in leaves:
        for value, words in ((0.0, "were 0"), (1.0, "were 1")):
            of_output = on_leaves(reference, names, {name: lambda leaf, v=value: v + 0 * leaf})
            yield OtherOutput(of_output, f"is the right output if `{name}` {words}")
    for (name, leaf), (other, that) in itertools.permutations(leaves, 2):
        if leaf.shape == that.shape:
            words = f"is the right output with `{other}` in the place of `{name}`"
            yield OtherOutput(on_leaves(reference, names, {name: other}), words)
    for (name, leaf), (other, that) in itertools.combinations(leaves, 2):
        if leaf.shape == that.shape:
            words = f"is the right output with `{name}` and `{other}` exchanged"
            yield OtherOutput(on_leaves(reference, names, {name: other, other: name}), words)


def leaves_of(inputs, names) -> Iterator[tuple[str, np.ndarray]]:
    """The float leaves of inputs, each with its name."""
    for name, value in zip(names, inputs, strict=True):
        for path, leaf in tree_leaves(value) if is_differentiable(value) else ():
            yield f"{name}.{path}" if path else name, np.asarray(leaf)


def on_leaves(reference, names, changes: dict) -> Callable:
    """The output of the reference with leaves exchanged for others, or put through functions."""

    def output(probe):
        leaves = dict(leaves_of(probe.inputs, names))
        new = {
            name: leaves[change] if isinstance(change, str) else change(leaves[name])
            for name, change in changes.items()
        }
        inputs = []
        for name, value in zip(names, probe.inputs, strict=True):
            if not is_differentiable(value):
                inputs.append(value)
                continue
            paths = iter([f"{name}.{path}" if path else name for path, _ in tree_leaves(value)])
            inputs.append(tree_map(lambda leaf, paths=paths: new.get(next(paths), leaf), value))
        return reference(*inputs, **probe.keywords)[0]

    return output


def other_settings(reference, keywords) -> Iterator[tuple[str, object]]:
    """Settings that the reference may have been meant with: flags, and words of its docstring."""
    try:
        parameters = inspect.signature(reference).parameters.values()
    except (TypeError, ValueError):
        return
    words = re.findall(r"[\"'](\w+)[\"']", inspect.getdoc(reference) or "")
    for parameter in parameters:
        value = keywords.get(parameter.name, parameter.default)
        if isinstance(value, bool):
            yield parameter.name, not value
        elif isinstance(value, str):
            yield from ((parameter.name, word) for word in dict.fromkeys(words) if word != value)


def on_setting(reference, name, value) -> Callable:
    """The output of the reference with another value of a keyword; nothing where it refuses it."""

    def output(probe):
        try:
            return reference(*probe.inputs, **probe.keywords | {name: value})[0]
        except (TypeError, ValueError):
            return np.nan

    return output


def on_inputs(reference, index, function) -> Callable:
    """The output of the reference where one input went through a function."""

    def output(probe):
        inputs = list(probe.inputs)
        inputs[index] = function(inputs[index])
        return reference(*inputs, **probe.keywords)[0]

    return output
