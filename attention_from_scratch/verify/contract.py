"""What an op takes and what its backward pass gives back, and what to say where it does not."""

import inspect
from contextlib import contextmanager, suppress

import numpy as np

from attention_from_scratch.tree import leaves, tree_leaves, tree_map
from attention_from_scratch.verify.outputs import as_outputs, call_backward
from attention_from_scratch.verify.report import GradientError


def frozen(array):
    """A read-only copy of an array."""
    copy = np.array(array)
    copy.setflags(write=False)
    return copy


def as_input(value):
    """An input of an op, read-only: a tree of arrays, or one array, also of lists of numbers.

    A Python number, a string and the like stay what they are: constants. Complex numbers are an
    error.
    """
    if isinstance(value, np.generic):
        value = np.asarray(value)
    found = leaves(value)
    if any(np.iscomplexobj(leaf) for leaf in found):
        raise TypeError(
            "an input is complex, but must be real: a gradient here is that of real numbers "
            "(hand in the real and the imaginary part as two inputs)"
        )
    if not isinstance(value, dict | list | tuple | np.ndarray):
        return np.asarray(value) if hasattr(value, "__array__") else value
    numbers = isinstance(value, list | tuple) and all(map(np.isscalar, found))
    return frozen(value) if numbers else tree_map(frozen, value)


def as_inputs(values) -> list:
    """All inputs of a call; where there is no array, Python's floats are what is differentiated."""
    inputs = [as_input(value) for value in values]
    if not any(map(is_differentiable, inputs)):
        inputs = [frozen(value) if type(value) is float else value for value in inputs]
    return inputs


def is_differentiable(value) -> bool:
    """Whether the input is a float array, or a tree of them."""
    return any(
        isinstance(leaf, np.ndarray | np.generic) and np.issubdtype(leaf.dtype, np.floating)
        for _, leaf in tree_leaves(value)
    )


def argument_names(op, n_inputs) -> list[str]:
    """The op's own names for its positional arguments."""
    try:
        parameters = inspect.signature(op).parameters.values()
    except (TypeError, ValueError):
        parameters = []
    names = [p.name for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    return [names[i] if i < len(names) else f"input {i + 1}" for i in range(n_inputs)]


def differentiable_only(gradients, inputs) -> list:
    """The gradients of the float inputs, in their order; see `gradients_by_position`."""
    found = gradients_by_position(gradients, inputs)
    missing = [i for i, value in enumerate(inputs) if is_differentiable(value) and i not in found]
    if missing:
        raise GradientError(f"gradient {missing[0] + 1} is None, but its input is not None")
    return list(found.values())


def gradients_by_position(gradients, inputs, constant=()) -> dict[int, object]:
    """{position: gradient} of what is differentiated, after a look at the places of all.

    Backward may give one gradient for each input that is differentiated (None for an input that was
    None), or one for each input, as in PyTorch. An input whose gradient is None is a constant.

    Raises
    ------
    GradientError
        For another number of gradients, or one for an input that was None.
    """
    wanted = [i for i, v in enumerate(inputs) if v is None or is_differentiable(v)]
    without = [i for i in wanted if i not in constant]
    if isinstance(gradients, list) and not any(isinstance(inputs[i], list) for i in wanted):
        raise GradientError(
            f"backward returned a list of {len(gradients)}, but must return the gradient itself, "
            "or a tuple where there are several"
        )
    several = isinstance(gradients, tuple) and not is_one_tuple(gradients, inputs, without)
    gradients = gradients if several else (gradients,)
    while len(gradients) > len(wanted) and len(gradients) != len(inputs) and gradients[-1] is None:
        gradients = gradients[:-1]  # for an optional argument that was left out
    layouts = [without, wanted, list(range(len(inputs)))]
    layout = next((places for places in layouts if len(places) == len(gradients)), None)
    if layout is None:
        raise GradientError(
            f"backward returned {len(gradients)} gradients, but the op has {len(wanted)} "
            "differentiable inputs (None counts; name those that have no gradient: constant=...)"
        )
    found = {}
    for position, gradient in zip(layout, gradients, strict=True):
        if inputs[position] is None and gradient is not None:
            raise GradientError(
                f"gradient {layout.index(position) + 1} of {len(layout)} is not None, but its "
                "input is None"
            )
        if gradient is not None and position in without:
            found[position] = gradient
    return found


def is_one_tuple(gradients: tuple, inputs, wanted: list[int]) -> bool:
    """Whether a tuple is the gradient of the one input, which is a tuple itself."""
    if len(wanted) != 1 or not isinstance(inputs[wanted[0]], tuple):
        return False
    return len(gradients) == len(inputs[wanted[0]]) and not (
        len(gradients) == 1 and isinstance(gradients[0], tuple)
    )


def positions_of(constant, names: list[str]) -> set[int]:
    """The positions of the arguments that `constant` names.

    Raises ValueError for a name that the op does not have.
    """
    constant = (constant,) if isinstance(constant, str) else tuple(constant)
    for name in constant:
        if name not in names:
            raise ValueError(f"constant was {name!r}, but must be among {', '.join(names)}")
    return {names.index(name) for name in constant}


def dtype_of(inputs) -> np.dtype:
    """The dtype of the float inputs: float32 or float64, or an error."""
    for value in filter(is_differentiable, inputs):
        dtype = next(leaf.dtype for _, leaf in tree_leaves(value) if leaf.dtype.kind == "f")
        if dtype not in (np.float32, np.float64):
            raise ValueError(f"an input has dtype {dtype}, but must be float32 or float64")
        return dtype
    raise ValueError(f"none of the {len(inputs)} inputs holds floats: there is no gradient")


def require_dtype(outputs, dtype) -> None:
    """Raise unless the outputs have the dtype of the float inputs, and one of them is of floats."""
    floats = [output for output in outputs if output.dtype.kind not in "biu"]
    if not floats:
        raise GradientError("the output is of integers, which have no gradient")
    for output in floats:
        if output.dtype != dtype:
            raise GradientError(f"the output has dtype {output.dtype}, but the inputs have {dtype}")


def require_steady(op, inputs, keywords, outputs) -> None:
    """Raise unless the op gives the same outputs when it is called again."""
    again = as_outputs(op(*inputs, **keywords)[0], dtype_of(inputs))
    for first, second in zip(outputs, again, strict=True):
        if not np.array_equal(first, second, equal_nan=first.dtype.kind == "f"):
            raise GradientError(
                "the op gives another output when it is called again with the same inputs: it is "
                "random, or remembers. Hand it what is drawn (a keep mask), or make the generator "
                "inside it from a seed"
            )


def require_alike(name, value, gradient):
    """Raise unless the gradient has the same leaves, shapes and dtype as its input."""
    of_value, d_leaves = dict(tree_leaves(value)), dict(tree_leaves(gradient))
    if of_value.keys() != d_leaves.keys():
        odd = sorted(of_value.keys() ^ d_leaves.keys())
        raise GradientError(f"the gradient of {name} is another tree: {', '.join(odd)}")
    for path, leaf in of_value.items():
        d_leaf = d_leaves[path]
        full = f"{name}.{path}" if path else name
        if d_leaf.shape != leaf.shape or d_leaf.dtype != leaf.dtype:
            raise GradientError(
                f"the gradient of {full} has shape {d_leaf.shape} and dtype {d_leaf.dtype}, "
                f"but the input has {leaf.shape} and {leaf.dtype}"
            )


def require_equal(first, second) -> None:
    """Raise unless a second call of backward gave the same numbers."""
    if not np.array_equal(first, second, equal_nan=True):
        raise GradientError("backward gave another answer when called again")


def disturb(op, inputs, keywords, backward, d_outputs) -> None:
    """Use the op and its backward for something else: neither may remember it."""
    others = [
        tree_map(lambda leaf: frozen(leaf * leaf.dtype.type(0.9375)), value)
        if is_differentiable(value)
        else value
        for value in inputs
    ]
    with np.errstate(all="ignore"), suppress(Exception):  # it may not be made for such inputs
        op(*others, **keywords)
    call_backward(backward, [frozen(d_output + d_output) for d_output in d_outputs])


@contextmanager
def writing_told():
    """Say in one line what an op does that writes to what is not its own."""
    try:
        yield
    except ValueError as error:
        if "read-only" not in str(error):
            raise
        raise GradientError(
            f"{error}: the op or its backward writes to its inputs or to d_output, which are "
            "read-only, as they are still its caller's; let it copy what it changes"
        ) from error
