"""One step of a random function: its formula, its two passes by hand, and its forward in mpmath."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

# Families of primitives by name; a family draws one of its members into a function.
FAMILIES: dict[str, "Family"] = {}


@dataclass(frozen=True)
class Primitive:
    """A step as the package writes its ops, beside the same step on arrays of mpmath numbers.

    Attributes
    ----------
    formula : str
        With {0}, {1}, ... for the arguments and {name} for a setting: "ops.dropout({0}, p={p})".
    op : (*arrays, **settings) -> (output, backward)
        Under the contract of `attention_from_scratch.ops`.
    exact : (*arrays, **settings) -> array
        Float arguments are object arrays of mpmath numbers, integer ones are as `op` gets them.
    analytic : bool
        Whether a complex step through `op` gives its derivative.
    """

    formula: str
    op: Callable
    exact: Callable
    analytic: bool = True


@dataclass(frozen=True)
class Family:
    """A way to draw a step: `draw` takes the function drawn so far and adds to it.

    `analytic` is False where no member of it is, `kinked` True where its members have corners, and
    `weight` is how often it is tried, against the others.
    """

    name: str
    draw: Callable
    analytic: bool
    kinked: bool
    weight: float


class NoFitError(Exception):
    """A step does not fit what has been drawn so far; another may."""


def family(*, analytic: bool = True, kinked: bool = False, weight: float = 1.0) -> Callable:
    """Register a function that draws a step, as a `Family`."""

    def register(draw: Callable) -> Callable:
        FAMILIES[draw.__name__] = Family(draw.__name__, draw, analytic, kinked, weight)
        return draw

    return register


def plain(
    formula: str,
    forward: Callable,
    vjp: Callable,
    exact: Callable | None = None,
    *,
    analytic: bool = True,
) -> Primitive:
    """A primitive from NumPy expressions.

    Parameters
    ----------
    formula : str
    forward : (*arrays, **settings) -> output
    vjp : (d_output, output, *arrays, **settings) -> gradient, or a tuple of them
        The vector-Jacobian product, for the float arguments in order.
    exact : (*arrays, **settings) -> output, or None
        None where the code of `forward` means the same on mpmath numbers (sums, reshapes, ...).
    analytic : bool
    """

    def op(*arrays, **settings):
        output = forward(*arrays, **settings)
        return output, lambda d_output: vjp(d_output, output, *arrays, **settings)

    return Primitive(formula, op, exact or forward, analytic)


def named(settings: dict) -> str:
    """Settings in a formula: "mask={mask}, scale={scale}"."""
    return ", ".join(f"{name}={{{name}}}" for name in settings)


def constant(number: np.ndarray | float, x: np.ndarray) -> np.ndarray:
    """A constant in the real dtype of x, so that it changes no dtype."""
    return np.asarray(number, x.real.dtype)
