"""Planted errors: a right backward pass made wrong in one place, in ways in which people err."""

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from attention_from_scratch.tree import Tree, leaves
from tests.verify.random_functions.floor import distances
from tests.verify.random_functions.function import Fault, Function, is_float
from tests.verify.random_functions.generator import judge

WRONG = 1000  # floors from the truth: as far as an entry must be to count as wrong
TRIES = 500


class Plant(NamedTuple):
    """A wrong op, what is wrong with it, and where that shows.

    `changed` is a tuple with a tree for each float input: True where the gradient is off by more
    than 1,000 floors at the function's own inputs and d_output.
    """

    op: Callable
    description: str
    changed: tuple[Tree, ...]


Change = Callable[[np.ndarray, np.ndarray], np.ndarray]


def plant(function: Function, rng: np.random.Generator) -> Plant:
    """Plant an error that moves at least one entry by more than 1,000 floors.

    Its place is the gradient of an input or of a value in between, or one of the summands of
    that: what a single step sends back to a single argument. Errors that do not show, as a swap of
    two equal entries, are drawn again.

    Parameters
    ----------
    function : Function
        One that `random_function` gave.
    rng : numpy.random.Generator

    Raises
    ------
    ValueError
        If no error shows, as where all gradients are zero.
    """
    for _ in range(TRIES):
        where, what, fault = random_fault(function, rng)
        op = function.op_with(fault)
        changed = entries_off(function, op)
        if changed is not None and any(leaf.any() for leaf in leaves(changed)):
            return Plant(op, f"{where}: {what}", changed)
    raise ValueError(f"no planted error shows in\n{function.describe()}")


def entries_off(function: Function, op: Callable) -> tuple[Tree, ...] | None:
    """Where the gradient of an op is more than 1,000 floors off; None if it is not finite."""
    judged = judge(function)
    _, backward = op(*function.inputs, **function.keywords)
    with np.errstate(over="ignore", invalid="ignore"):
        gradient = backward(function.d_output)
    if not all(np.isfinite(leaf).all() for leaf in leaves(gradient)):
        return None
    away = distances(gradient, judged.exact)
    off = [d > WRONG * u for d, u in zip(away, leaves(judged.floor), strict=True)]
    return function.gathered(dict(zip(function.float_slots, off, strict=True)))


def random_fault(function: Function, rng: np.random.Generator) -> tuple[str, str, Fault]:
    """Where, what, and the fault itself."""
    values, _ = function.forward(function.inputs, function.keywords)
    names = function.names()
    kind = rng.random()
    if kind < 0.4:
        slot = int(rng.choice(function.float_slots))
        what, change = random_change(rng, np.shape(values[slot]))
        return f"gradient of {names[slot]}", what, Fault(change, slot=slot)
    i = int(rng.integers(len(function.steps)))
    step = function.steps[i]
    if kind < 0.6:
        what, change = random_change(rng, np.shape(values[step.result]))
        return f"gradient of {names[step.result]}", what, Fault(change, slot=step.result)
    arguments = [slot for slot in step.arguments if is_float(values[slot])]
    number = int(rng.integers(len(arguments)))
    shape, name = np.shape(values[arguments[number]]), names[arguments[number]]
    fault = random_change(rng, shape)
    if rng.random() < 0.3:
        fault = "lost", lambda gradient, d: gradient * 0
    elif shape == np.shape(values[step.result]) and rng.random() < 0.5:
        fault = "d_output passed on as it is", lambda gradient, d: d + 0 * gradient
    what, change = fault
    where = f"what {names[step.result]} sends back to {name} (argument {number})"
    return where, what, Fault(change, step=i, argument=number)


def random_change(rng: np.random.Generator, shape: tuple[int, ...]) -> tuple[str, Change]:
    """One of the changes that this shape admits, and its name."""
    changes = [factor, factor, factor, zeroed, absolute, rounded]
    if math.prod(shape) > 1:
        changes += [
            zeroed_entry,
            entry_times,
            swapped,
            leaked,
            shifted_rows,
            averaged,
            reversed_row,
        ]
    if len(shape) >= 2 and shape[-1] == shape[-2] > 1:
        changes += [transposed, transposed]
    return changes[int(rng.integers(len(changes)))](rng, shape)


def factor(rng: np.random.Generator, shape: tuple[int, ...]) -> tuple[str, Change]:
    n = shape[-1] if shape else 2
    factors = [2, 0.5, -1, 1.001, 0.999, 1.01, 1.1, n, 1 / n, math.sqrt(n), 1 / math.sqrt(n)]
    by = float(rng.choice(factors))
    return f"times {by:.4g}", lambda gradient, d: gradient * by


def zeroed(rng: np.random.Generator, shape: tuple[int, ...]) -> tuple[str, Change]:
    return "all zero", lambda gradient, d: gradient * 0


def absolute(rng: np.random.Generator, shape: tuple[int, ...]) -> tuple[str, Change]:
    return "its absolute value", lambda gradient, d: np.abs(gradient)


def rounded(rng: np.random.Generator, shape: tuple[int, ...]) -> tuple[str, Change]:
    """As if it had passed through half precision."""

    def change(gradient, d):
        mantissa, exponent = np.frexp(gradient)
        return np.ldexp(np.round(mantissa * 1024) / 1024, exponent).astype(gradient.dtype)

    return "rounded to half precision", change


def random_entry(rng: np.random.Generator, shape: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(int(rng.integers(n)) for n in shape)


def zeroed_entry(rng: np.random.Generator, shape: tuple[int, ...]) -> tuple[str, Change]:
    entry = random_entry(rng, shape)
    return f"zero at {entry}", lambda gradient, d: with_entry(gradient, entry, 0)


def entry_times(rng: np.random.Generator, shape: tuple[int, ...]) -> tuple[str, Change]:
    entry, by = random_entry(rng, shape), float(rng.choice([-1, 2, 1.001, 1.01]))
    change = lambda gradient, d: with_entry(gradient, entry, by * gradient[entry])
    return f"times {by:g} at {entry}", change


def swapped(rng: np.random.Generator, shape: tuple[int, ...]) -> tuple[str, Change]:
    a, b = random_entry(rng, shape), random_entry(rng, shape)

    def change(gradient, d):
        return with_entry(with_entry(gradient, a, gradient[b]), b, gradient[a])

    return f"entries {a} and {b} swapped", change


def leaked(rng: np.random.Generator, shape: tuple[int, ...]) -> tuple[str, Change]:
    a, b = random_entry(rng, shape), random_entry(rng, shape)
    by = float(rng.choice([1, 0.1, 0.01]))

    def change(gradient, d):
        return with_entry(gradient, a, gradient[a] + by * gradient[b])

    return f"{by:g} of entry {b} added to {a}", change


def shifted_rows(rng: np.random.Generator, shape: tuple[int, ...]) -> tuple[str, Change]:
    axis = int(rng.integers(len(shape)))
    return f"shifted by one along axis {axis}", lambda gradient, d: np.roll(gradient, 1, axis)


def reversed_row(rng: np.random.Generator, shape: tuple[int, ...]) -> tuple[str, Change]:
    axis = int(rng.integers(len(shape)))
    return f"reversed along axis {axis}", lambda gradient, d: np.flip(gradient, axis)


def averaged(rng: np.random.Generator, shape: tuple[int, ...]) -> tuple[str, Change]:
    axis = int(rng.integers(len(shape)))

    def change(gradient, d):
        return np.broadcast_to(gradient.mean(axis=axis, keepdims=True), gradient.shape)

    return f"its mean over axis {axis} everywhere", change


def transposed(rng: np.random.Generator, shape: tuple[int, ...]) -> tuple[str, Change]:
    return "transposed", lambda gradient, d: gradient.swapaxes(-1, -2)


def with_entry(gradient: np.ndarray, entry: tuple[int, ...], number: float) -> np.ndarray:
    """A copy with another number at one entry."""
    changed = gradient.copy()
    changed[entry] = number
    return changed
