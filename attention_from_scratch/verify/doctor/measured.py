"""A reference where there is none: the op itself, with its gradients measured."""

import inspect
from collections.abc import Callable

import numpy as np

from attention_from_scratch.tree import tree_map
from attention_from_scratch.verify.contract import as_input, is_differentiable
from attention_from_scratch.verify.doctor.probes import PROBES, op_named, probes_of
from attention_from_scratch.verify.numerical import (
    central_difference,
    complex_step,
    measured_gradients,
)

# The tolerance where there is only a central difference to compare with: it can tell no more.
DIFFERENCE_TOLERANCE = 1e-5


def measured_op(op, name, inputs=(), keywords=None) -> Callable:
    """The op with its gradients measured, under the name of the op of ours that it should be.

    Measured by the complex step, unless a framework computes the op, or, where it has no name but
    inputs, the complex step sees another slope there than differences do.
    """
    if name is not None and name not in PROBES:
        raise ValueError(f"reference was {name}, but must be one of {', '.join(PROBES)}")
    analytic = getattr(op, "complex_step", True)
    if name is None and inputs:
        analytic = analytic and is_analytic(op, inputs, keywords or {})
    if name is not None:
        call = (inputs, keywords or {}) if inputs else probes_of(name)[0]
        analytic = analytic and takes_complex(op, *call)
    derivative = complex_step if analytic else central_difference

    def reference(*inputs, **keywords):
        output, _ = op(*inputs, **keywords)
        precise = [in_float64(value) for value in inputs]

        def backward(d_output=1.0):
            return measured_gradients(op, precise, d_output, keywords, derivative)

        return output, backward

    reference.__name__ = name or getattr(op, "__name__", "op")
    reference.family = name
    reference.__signature__ = inspect.signature(op_named(name) if name else op)
    reference.tolerance = 0.0 if analytic else DIFFERENCE_TOLERANCE
    reference.has_corners = not analytic
    return reference


def in_float64(value):
    """The floats of an input as float64; ids and None as they are."""
    return tree_map(np.float64, value) if is_differentiable(value) else value


def takes_complex(op, inputs, keywords) -> bool:
    """Whether an op that takes real numbers takes complex ones as well."""
    given = tuple(map(as_input, inputs))
    is_float = [is_differentiable(value) for value in given]
    turned = [
        tree_map(lambda leaf: leaf.astype(complex), value) if moves else value
        for value, moves in zip(given, is_float, strict=True)
    ]
    try:
        op(*given, **keywords)
    except Exception:  # a call that it was not made for tells nothing
        return True
    try:
        op(*turned, **keywords)
    except Exception:  # whatever an op does with complex numbers
        return False
    return True


def is_analytic(op, inputs, keywords) -> bool:
    """Whether complex numbers go through the op, to the slope that differences see."""
    precise = [in_float64(value) for value in inputs]
    moving = [i for i, value in enumerate(precise) if is_differentiable(value)]
    rng = np.random.default_rng(3)
    directions = [tree_map(lambda a: rng.standard_normal(a.shape), precise[i]) for i in moving]

    def total(parts):
        given = list(precise)
        for i, part in zip(moving, parts, strict=True):
            given[i] = part
        return np.sum(op(*given, **keywords)[0])

    parts = [precise[i] for i in moving]
    try:
        by_step = complex_step(total, parts, directions)
    except Exception:  # whatever an op does with complex numbers
        return False
    by_difference = central_difference(total, parts, directions)
    return bool(abs(by_step - by_difference) <= DIFFERENCE_TOLERANCE * max(1, abs(by_difference)))


def off_corners(inputs) -> tuple:
    """Inputs moved by a thousandth of their size, as there is no slope in a corner."""
    rng = np.random.default_rng(5)

    def moved(leaf):
        step = 1e-3 * (leaf.std() or 1.0) * rng.standard_normal(leaf.shape)
        return (leaf + step).astype(leaf.dtype)

    return tuple(tree_map(moved, x) if is_differentiable(x) else x for x in inputs)
