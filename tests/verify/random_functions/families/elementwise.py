"""Functions of one number, applied to each entry, as NumPy has them or people write them."""

from collections.abc import Callable
from typing import NamedTuple

import mpmath
import numpy as np

from tests.verify.random_functions import exactly
from tests.verify.random_functions.drawing import Drawing
from tests.verify.random_functions.primitive import NoFitError, family, plain

mp = exactly.over_entries


class Curve(NamedTuple):
    """y = f(x), dy/dx from x and y, f in mpmath, and where it may be evaluated."""

    formula: str
    f: Callable
    slope: Callable
    exact: Callable
    low: float
    high: float


CURVES = [
    Curve("np.exp({0})", np.exp, lambda x, y: y, mp(mpmath.exp), -20, 6),
    Curve("np.expm1({0})", np.expm1, lambda x, y: np.exp(x), mp(mpmath.expm1), -6, 6),
    Curve("np.log({0})", np.log, lambda x, y: 1 / x, exactly.log, 1e-9, 1e9),
    Curve(
        "np.log1p({0})", np.log1p, lambda x, y: 1 / (1 + x), lambda x: exactly.log(1 + x), -0.5, 1e9
    ),
    Curve("np.sqrt({0})", np.sqrt, lambda x, y: 1 / (2 * y), exactly.sqrt, 1e-12, 1e12),
    Curve("{0} ** 2", lambda x: x**2, lambda x, y: 2 * x, lambda x: x * x, -1e6, 1e6),
    Curve("{0} ** 3", lambda x: x**3, lambda x, y: 3 * x**2, lambda x: x * x * x, -1e4, 1e4),
    Curve(
        "{0} ** 1.5",
        lambda x: x**1.5,
        lambda x, y: 1.5 * x**0.5,
        lambda x: x * exactly.sqrt(x),
        1e-6,
        1e6,
    ),
    Curve("1 / {0}", lambda x: 1 / x, lambda x, y: -y * y, lambda x: 1 / x, 1e-6, 1e6),
    Curve(
        "{0} ** -0.5",
        lambda x: x**-0.5,
        lambda x, y: -0.5 * y / x,
        lambda x: 1 / exactly.sqrt(x),
        1e-6,
        1e6,
    ),
    Curve("np.sin({0})", np.sin, lambda x, y: np.cos(x), mp(mpmath.sin), -10, 10),
    Curve("np.cos({0})", np.cos, lambda x, y: -np.sin(x), mp(mpmath.cos), -10, 10),
    Curve("np.tanh({0})", np.tanh, lambda x, y: 1 - y**2, mp(mpmath.tanh), -2, 2),
    Curve("np.sinh({0})", np.sinh, lambda x, y: np.cosh(x), mp(mpmath.sinh), -6, 6),
    Curve("np.arctan({0})", np.arctan, lambda x, y: 1 / (1 + x * x), mp(mpmath.atan), -1e4, 1e4),
    Curve(
        "1 / (1 + np.exp(-{0}))",
        lambda x: 1 / (1 + np.exp(-x)),
        lambda x, y: y * (1 - y),
        exactly.sigmoid,
        -8,
        3,
    ),
    Curve(
        "np.log1p(np.exp({0}))",
        lambda x: np.log1p(np.exp(x)),
        lambda x, y: 1 / (1 + np.exp(-x)),
        mp(lambda x: mpmath.log1p(mpmath.exp(x))),
        -12,
        12,
    ),
    Curve(
        "np.exp(-{0} ** 2)",
        lambda x: np.exp(-(x**2)),
        lambda x, y: -2 * x * y,
        mp(lambda x: mpmath.exp(-x * x)),
        -3,
        3,
    ),
    Curve(
        "{0} / (1 + {0} ** 2)",
        lambda x: x / (1 + x**2),
        lambda x, y: (1 - x**2) / (1 + x**2) ** 2,
        lambda x: x / (1 + x * x),
        -1e3,
        1e3,
    ),
    Curve("-{0}", lambda x: -x, lambda x, y: -np.ones_like(x), lambda x: -x, -1e9, 1e9),
]


@family(weight=6)
def curve(draw: Drawing) -> int:
    """One of the functions of the table."""
    formula, f, slope, exact, low, high = CURVES[int(draw.rng.integers(len(CURVES)))]
    if low > 0:
        x = draw.tame(draw.pick(lambda value: np.min(value) > 0), high)
    else:
        x = draw.tame(draw.pick(), min(-low, high))
    value = draw.values[x]
    if np.min(value) < low or np.max(value) > high:
        raise NoFitError
    return draw.add(plain(formula, f, lambda d, y, x: d * slope(x, y), exact), x)


@family()
def affine(draw: Drawing) -> int:
    """c x + e, with constants."""
    x = draw.pick()
    c, e = draw.number(), draw.number()
    formula = f"{c} * {{0}} + {e}"
    return draw.add(plain(formula, lambda x: c * x + e, lambda d, y, x: c * d), x)


@family()
def log_of_square(draw: Drawing) -> int:
    """log(x^2 + c), which any number has."""
    x, c = draw.tame(draw.pick(), 100), draw.number()
    primitive = plain(
        f"np.log({{0}} ** 2 + {c})",
        lambda x: np.log(x**2 + c),
        lambda d, y, x: d * 2 * x / (x**2 + c),
        lambda x: exactly.log(x * x + c),
    )
    return draw.add(primitive, x)


@family()
def swish(draw: Drawing) -> int:
    """x sigmoid(x), with the product rule written out."""
    x = draw.tame(draw.pick(), 6)

    def vjp(d, y, x):
        s = 1 / (1 + np.exp(-x))
        return d * s * (1 + x * (1 - s))

    primitive = plain(
        "{0} / (1 + np.exp(-{0}))",
        lambda x: x / (1 + np.exp(-x)),
        vjp,
        lambda x: x * exactly.sigmoid(x),
    )
    return draw.add(primitive, x)
