"""Two values that meet entry by entry, broadcast against each other."""

import numpy as np

from attention_from_scratch.ops.contract import unbroadcast
from tests.verify.random_functions import exactly
from tests.verify.random_functions.drawing import Drawing
from tests.verify.random_functions.primitive import family, plain


@family(weight=2)
def add(draw: Drawing) -> int:
    x = draw.pick()
    primitive = plain(
        "{0} + {1}",
        lambda x, y: x + y,
        lambda d, z, x, y: (unbroadcast(d, np.shape(x)), unbroadcast(d, np.shape(y))),
    )
    return draw.add(primitive, x, draw.partner(x))


@family(weight=2)
def residual(draw: Drawing) -> int:
    """x + f(x): a new value and one that it came from, or another of its shape."""
    x = draw.pick()
    shape = np.shape(draw.values[x])
    y = draw.pick(lambda value: np.shape(value) == shape and value is not draw.values[x])
    primitive = plain("{0} + {1}", lambda x, y: x + y, lambda d, z, x, y: (d, d))
    return draw.add(primitive, x, y)


@family()
def subtract(draw: Drawing) -> int:
    x = draw.pick()
    primitive = plain(
        "{0} - {1}",
        lambda x, y: x - y,
        lambda d, z, x, y: (unbroadcast(d, np.shape(x)), unbroadcast(-d, np.shape(y))),
    )
    return draw.add(primitive, x, draw.partner(x))


@family(weight=2)
def multiply(draw: Drawing) -> int:
    x = draw.pick()
    primitive = plain(
        "{0} * {1}",
        lambda x, y: x * y,
        lambda d, z, x, y: (unbroadcast(d * y, np.shape(x)), unbroadcast(d * x, np.shape(y))),
    )
    return draw.add(primitive, x, draw.partner(x))


@family()
def divide(draw: Drawing) -> int:
    """x / (y^2 + c): a denominator that cannot vanish."""
    x, c = draw.pick(), draw.number()

    def vjp(d, z, x, y):
        below = y**2 + c
        return unbroadcast(d / below, np.shape(x)), unbroadcast(-d * z * 2 * y / below, np.shape(y))

    primitive = plain(f"{{0}} / ({{1}} ** 2 + {c})", lambda x, y: x / (y**2 + c), vjp)
    return draw.add(primitive, x, draw.partner(x))


@family()
def power(draw: Drawing) -> int:
    """x ** y, where both can be differentiated."""
    x = draw.tame(draw.pick(lambda value: np.min(value) > 0), 10)
    y = draw.tame(draw.partner(x), 3)

    def vjp(d, z, x, y):
        return (
            unbroadcast(d * y * x ** (y - 1), np.shape(x)),
            unbroadcast(d * z * np.log(x), np.shape(y)),
        )

    exact = lambda x, y: exactly.exp(y * exactly.log(x))
    return draw.add(plain("{0} ** {1}", lambda x, y: x**y, vjp, exact), x, y)


@family(weight=0.5)
def vanishing(draw: Drawing) -> int:
    """y + (x - x): the same input twice, with a gradient that is truly zero."""
    x = draw.pick()
    y = draw.partner(x)

    def vjp(d, z, y, x, x_again):
        d_x = unbroadcast(d, np.shape(x))
        return unbroadcast(d, np.shape(y)), d_x, -d_x

    return draw.add(plain("{0} + ({1} - {2})", lambda y, x, w: y + (x - w), vjp), y, x, x)


@family(weight=0.5)
def detached(draw: Drawing) -> int:
    """y times a count of x: x is looked at, but small changes of it change nothing."""
    x = draw.pick(lambda value: np.min(np.abs(value)) > 1e-3 * np.max(np.abs(value)))

    def vjp(d, z, y, x):
        return d * constant_count(x), np.zeros_like(x)

    primitive = plain(
        "{0} * (1 + ({1}.real > 0).sum())", lambda y, x: y * constant_count(x), vjp, exact_count
    )
    return draw.add(primitive, draw.pick(), x)


def constant_count(x: np.ndarray) -> int:
    return 1 + int((x.real > 0).sum())


def exact_count(y: np.ndarray, x: np.ndarray) -> np.ndarray:
    return y * (1 + int((x > 0).sum()))
