"""Right functions through which no complex step goes: it is refused, or it says something wrong.

Each has a derivative all the same, and a right backward pass.
"""

import math

import mpmath
import numpy as np

from attention_from_scratch.ops.contract import unbroadcast
from tests.verify.random_functions import exactly
from tests.verify.random_functions.drawing import Drawing
from tests.verify.random_functions.families.reductions import back, has_axis
from tests.verify.random_functions.primitive import family, plain


@family(analytic=False, kinked=True, weight=2)
def absolute(draw: Drawing) -> int:
    x = draw.near(draw.pick(), 0)
    primitive = plain("np.abs({0})", np.abs, lambda d, y, x: d * np.sign(x.real), analytic=False)
    return draw.add(primitive, x)


@family(analytic=False)
def variance(draw: Drawing) -> int:
    """x.var(axis), which multiplies by the conjugate."""
    x = draw.pick(has_axis)
    axis = draw.axis(x)

    def vjp(d, y, x):
        return back(d, x, axis) * 2 * (x - x.mean(axis=axis, keepdims=True)) / x.shape[axis]

    primitive = plain(
        f"{{0}}.var(axis={axis})",
        lambda x: x.var(axis=axis),
        vjp,
        lambda x: exact_variance(x, axis),
        analytic=False,
    )
    return draw.add(primitive, x)


@family(analytic=False)
def deviation(draw: Drawing) -> int:
    """np.sqrt(x.var() + c): what a batch norm divides by."""
    x, c = draw.pick(has_axis), draw.number()
    axis = draw.axis(x)

    def vjp(d, y, x):
        return back(d / y, x, axis) * (x - x.mean(axis=axis, keepdims=True)) / x.shape[axis]

    primitive = plain(
        f"np.sqrt({{0}}.var(axis={axis}) + {c})",
        lambda x: np.sqrt(x.var(axis=axis) + c),
        vjp,
        lambda x: exactly.sqrt(exact_variance(x, axis) + c),
        analytic=False,
    )
    return draw.add(primitive, x)


def exact_variance(x: np.ndarray, axis: int) -> np.ndarray:
    n = x.shape[axis]
    centred = x - x.sum(axis=axis, keepdims=True) / n
    return (centred * centred).sum(axis=axis) / n


@family(analytic=False, kinked=True)
def norm(draw: Drawing) -> int:
    """np.linalg.norm along the last axis; a row of zeros is a kink."""
    x = draw.near(draw.pick(has_axis), 0)

    def vjp(d, y, x):
        return back(d / np.where(y == 0, 1, y), x, -1) * x

    primitive = plain(
        "np.linalg.norm({0}, axis=-1)",
        lambda x: np.linalg.norm(x, axis=-1),
        vjp,
        lambda x: exactly.sqrt((x * x).sum(axis=-1)),
        analytic=False,
    )
    return draw.add(primitive, x)


@family(analytic=False)
def moving_average(draw: Drawing) -> int:
    """A buffer of floats, filled in a loop: y[i] = c y[i - 1] + x[i]."""
    x = draw.pick(has_axis)
    c = draw.number(0.25, 1)

    def forward(x):
        y = np.zeros(x.shape, x.real.dtype)
        for i in range(len(x)):
            y[i] = x[i] if i == 0 else c * y[i - 1] + x[i]
        return y

    def vjp(d, y, x):
        d_x = d.copy()
        for i in reversed(range(1, len(x))):
            d_x[i - 1] += c * d_x[i]
        return d_x

    def exact(x):
        y = x.copy()
        for i in range(1, len(x)):
            y[i] = c * y[i - 1] + x[i]
        return y

    return draw.add(plain(f"moving_average({{0}}, {c})", forward, vjp, exact, analytic=False), x)


@family(analytic=False)
def distances(draw: Drawing) -> int:
    """A buffer of floats for the squared distances between the entries of a vector."""
    x = draw.pick(lambda value: np.ndim(value) == 1 and 1 < np.size(value) <= 4)

    def forward(x):
        table = np.zeros((len(x), len(x)), x.real.dtype)
        for i in range(len(x)):
            for j in range(len(x)):
                table[i, j] = (x[i] - x[j]) ** 2
        return table

    def vjp(d, y, x):
        pull = 2 * d * (x[:, None] - x)
        return pull.sum(axis=1) - pull.sum(axis=0)

    exact = lambda x: (x[:, None] - x) ** 2
    return draw.add(plain("distances({0})", forward, vjp, exact, analytic=False), x)


@family(analytic=False)
def error_function(draw: Drawing) -> int:
    """np.vectorize(math.erf), which takes no complex number."""
    x = draw.tame(draw.pick(), 2)
    primitive = plain(
        "np.vectorize(math.erf)({0})",
        lambda x: np.vectorize(math.erf, otypes=[float])(x).astype(x.dtype),
        lambda d, y, x: d * np.exp(-x * x) * (2 / math.sqrt(math.pi)),
        exactly.over_entries(mpmath.erf),
        analytic=False,
    )
    return draw.add(primitive, x)


@family(analytic=False)
def log_add_exp(draw: Drawing) -> int:
    """np.logaddexp, which NumPy has for real numbers only."""
    x = draw.tame(draw.pick(), 20)
    y = draw.tame(draw.partner(x), 20)

    def vjp(d, z, x, y):
        return (
            unbroadcast(d * np.exp(x - z), np.shape(x)),
            unbroadcast(d * np.exp(y - z), np.shape(y)),
        )

    exact = lambda x, y: exactly.log(exactly.exp(x) + exactly.exp(y))
    return draw.add(plain("np.logaddexp({0}, {1})", np.logaddexp, vjp, exact, analytic=False), x, y)


@family(analytic=False)
def hypotenuse(draw: Drawing) -> int:
    x = draw.pick(lambda value: np.all(value != 0))
    y = draw.partner(x)

    def vjp(d, z, x, y):
        return unbroadcast(d * (x / z), np.shape(x)), unbroadcast(d * (y / z), np.shape(y))

    exact = lambda x, y: exactly.sqrt(x * x + y * y)
    return draw.add(plain("np.hypot({0}, {1})", np.hypot, vjp, exact, analytic=False), x, y)


@family(analytic=False)
def angle(draw: Drawing) -> int:
    """np.arctan2(x, y) with y away from 0."""
    y = draw.pick(lambda value: np.min(value) > 0)
    x = draw.partner(y)

    def vjp(d, z, x, y):
        square = x**2 + y**2
        return unbroadcast(d * y / square, np.shape(x)), unbroadcast(-d * x / square, np.shape(y))

    exact = np.frompyfunc(mpmath.atan2, 2, 1)
    return draw.add(plain("np.arctan2({0}, {1})", np.arctan2, vjp, exact, analytic=False), x, y)


@family(analytic=False)
def cast(draw: Drawing) -> int:
    """A sum of squares in float64, whatever came in: a cast drops what is imaginary."""
    x = draw.pick(has_axis)

    def forward(x):
        return (x.astype(np.float64) ** 2).sum(axis=-1).astype(x.dtype)

    primitive = plain(
        "({0}.astype(np.float64) ** 2).sum(-1)",
        forward,
        lambda d, y, x: 2 * back(d, x, -1) * x,
        lambda x: (x * x).sum(axis=-1),
        analytic=False,
    )
    return draw.add(primitive, x)


@family(analytic=False)
def squared_modulus(draw: Drawing) -> int:
    """(x * x.conj()).real: a square to whoever thinks of real numbers."""
    x = draw.pick()
    primitive = plain(
        "({0} * {0}.conj()).real",
        lambda x: (x * x.conj()).real,
        lambda d, y, x: 2 * d * x.real,
        lambda x: x * x,
        analytic=False,
    )
    return draw.add(primitive, x)


def python_float(draw: Drawing, x: int) -> int:
    """float(loss), as the last step of all; so it is not among the families."""
    primitive = plain(
        "float({0})", float, lambda d, y, x: x.dtype.type(d), lambda x: x, analytic=False
    )
    return draw.add(primitive, x)
