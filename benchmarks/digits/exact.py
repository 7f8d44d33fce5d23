"""What the functions of one number are, and their slopes, in mpmath; how far a result is off.

A unit is one of the last place of the exact result in the dtype, or the least number above 0 where
that is more. Each function takes numbers of mpmath and gives one.
"""

from collections.abc import Callable

import mpmath
import numpy as np
from mpmath import exp, frexp, ldexp, log1p, mp, mpf, pi, sqrt, tanh

BITS = 160  # of mpmath's numbers; float64 has 53


def decay(x: mpf) -> mpf:
    """exp(-x); 0 where that is far below the least number of any dtype."""
    return exp(-x) if x < 3000 else mpf(0)


def relu(x: mpf) -> mpf:
    """The larger of x and 0."""
    return max(x, mpf(0))


def slope_of_relu(x: mpf) -> mpf:
    """0 at the corner too."""
    return mpf(int(x > 0))


def sigmoid(x: mpf) -> mpf:
    """1 / (1 + exp(-x))."""
    return 1 / (1 + decay(x)) if x > 0 else decay(-x) / (1 + decay(-x))


def slope_of_sigmoid(x: mpf) -> mpf:
    """sigmoid(x) sigmoid(-x)."""
    return sigmoid(x) * sigmoid(-x)


def slope_of_tanh(x: mpf) -> mpf:
    """The slope of tanh, as tanh(x) is 2 sigmoid(2x) - 1."""
    return 4 * slope_of_sigmoid(2 * x)


def erfc(x: mpf) -> mpf:
    """mpmath's own takes long where there is nothing left of it."""
    return mpmath.erfc(x) if abs(x) < 60 else mpf(2 * (x < 0))


def normal(x: mpf) -> mpf:
    """The distribution function of the standard normal."""
    return erfc(-x / sqrt(2)) / 2


def gelu(x: mpf) -> mpf:
    """The gelu of x, x Phi(x)."""
    return x * normal(x)


def slope_of_gelu(x: mpf) -> mpf:
    """Phi(x) + x phi(x)."""
    return normal(x) + x * decay(x * x / 2) / sqrt(2 * pi)


def argument_of_tanh(x: mpf) -> mpf:
    """The u of gelu's tanh form."""
    return sqrt(2 / pi) * (x + mpf("0.044715") * x**3)


def tanh_gelu(x: mpf) -> mpf:
    """The tanh form of the gelu, x (1 + tanh(u)) / 2."""
    return x * sigmoid(2 * argument_of_tanh(x))


def slope_of_tanh_gelu(x: mpf) -> mpf:
    """sigmoid(2u) + x times the slope of that."""
    u, slope_of_u = argument_of_tanh(x), sqrt(2 / pi) * (1 + 3 * mpf("0.044715") * x * x)
    return sigmoid(2 * u) + 2 * x * slope_of_u * slope_of_sigmoid(2 * u)


def softplus(x: mpf) -> mpf:
    """log(1 + exp(x)) = -log sigmoid(-x)."""
    return max(x, mpf(0)) + log1p(decay(abs(x)))


def binary_cross_entropy(x: mpf, t: mpf) -> mpf:
    """-t log s - (1 - t) log(1 - s) with s = sigmoid(x)."""
    return t * softplus(-x) + (1 - t) * softplus(x)


def slope_in_logits(x: mpf, t: mpf) -> mpf:
    """The slope of binary cross-entropy in the logit, s - t."""
    return (1 - t) * sigmoid(x) - t * sigmoid(-x)


def slope_in_targets(x: mpf, t: mpf) -> mpf:
    """-x."""
    return -x


# The value, and the slope in each input.
EXACT = {
    "relu": (relu, slope_of_relu),
    "sigmoid": (sigmoid, slope_of_sigmoid),
    "tanh": (tanh, slope_of_tanh),
    "gelu": (gelu, slope_of_gelu),
    "gelu, tanh form": (tanh_gelu, slope_of_tanh_gelu),
    "erfc": (erfc,),
    "binary cross-entropy": (binary_cross_entropy, slope_in_logits, slope_in_targets),
}


UNITS = 4  # that a result may be off, or what half a unit of an input changes, if that is more
# How many times as much, if not once. The tanh form's u is a sum with roundings of its own, which
# float64 does not hide. Where a soft target is what s rounds to, s - t is nothing but rounding.
TIMES = {
    (tanh_gelu, "float64"): 4,
    (slope_of_tanh_gelu, "float64"): 4,
    (slope_in_logits, "float64"): 1.25,
    (slope_in_logits, "float32"): 1.25,
}


def exact_values(function: Callable[..., mpf], inputs: tuple[np.ndarray, ...]) -> list[mpf]:
    """The function at each entry of its inputs, as they are in their dtype."""
    with mp.workprec(BITS):
        return [function(*map(mpf, entries)) for entries in zip(*map(floats, inputs), strict=True)]


def floats(array: np.ndarray) -> list[float]:
    """Numbers of Python, which are float64 and hold float32 as it is."""
    return array.astype(float).tolist()


def unit(value: mpf, dtype: np.dtype) -> mpf:
    """One of the last place of a number."""
    info = np.finfo(dtype)
    exponent = frexp(value)[1] - 1 if value else info.minexp
    return ldexp(1, max(exponent, info.minexp) - info.nmant)


def units_off(found: np.ndarray, exact: list[mpf]) -> np.ndarray:
    """How far each entry is off; infinitely where it is not finite."""
    with mp.workprec(BITS):
        off = [
            abs(mpf(entry) - value) / unit(value, found.dtype)
            for entry, value in zip(floats(found), exact, strict=True)
        ]
    return np.where(np.isfinite(found), np.array(off, float), np.inf)


def change(function: Callable[..., mpf], inputs: tuple[np.ndarray, ...], place: int) -> float:
    """What half a unit of an input changes, in units of the result; the sum over the inputs."""
    with mp.workprec(BITS):
        entries = [mpf(float(array[place])) for array in inputs]
        value, moved = function(*entries), mpf(0)
        for nth, array in enumerate(inputs):
            beside = list(entries)
            beside[nth] += unit(entries[nth], array.dtype) / 2
            moved += abs(function(*beside) - value)
        return float(moved / unit(value, inputs[0].dtype))


def share_of_allowed(
    function: Callable[..., mpf], inputs: tuple[np.ndarray, ...], off: np.ndarray
) -> np.ndarray:
    """Each error over what it may be."""
    allowed = np.full(off.shape, float(UNITS))
    for place in np.flatnonzero((off > UNITS) & np.isfinite(off)):
        allowed[place] = max(UNITS, change(function, inputs, place))
    return off / allowed / TIMES.get((function, inputs[0].dtype.name), 1)
