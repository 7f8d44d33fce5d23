"""What an op takes and what its backward pass gives back, and what to say where it does not."""

import inspect

import numpy as np

from attention_from_scratch.tree import tree_leaves, tree_map
from attention_from_scratch.verify.report import GradientError


def frozen(array):
    """A read-only copy of an array."""
    copy = np.array(array)
    copy.setflags(write=False)
    return copy


def as_input(value):
    """An input of an op, read-only: a tree of arrays, or one array, also of lists of numbers."""
    leaves = [leaf for _, leaf in tree_leaves(value)]
    numbers = isinstance(value, list | tuple) and all(np.isscalar(leaf) for leaf in leaves)
    return frozen(value) if numbers else tree_map(frozen, value)


def is_differentiable(value) -> bool:
    """Whether the input is a float array, or a tree of them."""
    return any(np.issubdtype(leaf.dtype, np.floating) for _, leaf in tree_leaves(value))


def argument_names(op, n_inputs) -> list[str]:
    """The op's own names for its positional arguments."""
    try:
        parameters = inspect.signature(op).parameters.values()
    except (TypeError, ValueError):
        parameters = []
    names = [p.name for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    return [names[i] if i < len(names) else f"input {i + 1}" for i in range(n_inputs)]


def differentiable_only(gradients, inputs) -> list:
    """The gradients of the float inputs, after a look at the places of all.

    There has to be one for each positional input that is not of integers, in their order: None for
    an input that was None.
    """
    expected = [value for value in inputs if value is None or is_differentiable(value)]
    if isinstance(gradients, list) and not any(isinstance(value, list) for value in expected):
        raise GradientError(
            f"backward returned a list of {len(gradients)}, but must return the gradient itself, "
            "or a tuple where there are several"
        )
    gradients = gradients if isinstance(gradients, tuple) else (gradients,)
    while len(gradients) > len(expected) and gradients[-1] is None:
        gradients = gradients[:-1]  # for an optional argument that was left out
    if len(gradients) != len(expected):
        raise GradientError(
            f"backward returned {len(gradients)} gradients, but the op has {len(expected)} "
            "differentiable inputs (None counts)"
        )
    for index, (gradient, value) in enumerate(zip(gradients, expected, strict=True)):
        if (gradient is None) != (value is None):
            raise GradientError(
                f"gradient {index + 1} of {len(expected)} is {describe(gradient)}, "
                f"but its input is {describe(value)}"
            )
    return [gradient for gradient in gradients if gradient is not None]


def describe(value) -> str:
    """Whether a gradient is None, in words for an error."""
    return "None" if value is None else "not None"


def require_dtype(output, inputs) -> None:
    """Raise unless the output has the dtype of the float inputs."""
    for value in filter(is_differentiable, inputs):
        dtype = next(leaf for _, leaf in tree_leaves(value)).dtype
        if output.dtype != dtype:
            raise GradientError(f"the output has dtype {output.dtype}, but the inputs have {dtype}")


def require_alike(name, value, gradient):
    """Raise unless the gradient has the same leaves, shapes and dtype as its input."""
    leaves, d_leaves = dict(tree_leaves(value)), dict(tree_leaves(gradient))
    if leaves.keys() != d_leaves.keys():
        odd = sorted(leaves.keys() ^ d_leaves.keys())
        raise GradientError(f"the gradient of {name} is another tree: {', '.join(odd)}")
    for path, leaf in leaves.items():
        d_leaf = d_leaves[path]
        full = f"{name}.{path}" if path else name
        if d_leaf.shape != leaf.shape or d_leaf.dtype != leaf.dtype:
            raise GradientError(
                f"the gradient of {full} has shape {d_leaf.shape} and dtype {d_leaf.dtype}, "
                f"but the input has {leaf.shape} and {leaf.dtype}"
            )


def require_equal(first, second):
    """Raise unless a second call of backward gave the same numbers."""
    if not np.array_equal(first, second, equal_nan=True):
        raise GradientError(
            "backward gave another answer when called again, or (of a loss) without an argument"
        )


def disturb(op, inputs, keywords, backward, d_output) -> None:
    """Use the op and its backward for something else: neither may remember it."""
    others = [
        tree_map(lambda leaf: frozen(2 * leaf), value) if is_differentiable(value) else value
        for value in inputs
    ]
    op(*others, **keywords)
    backward(frozen(d_output + d_output))
