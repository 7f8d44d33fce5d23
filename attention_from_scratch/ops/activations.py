"""Functions of one number, applied to each entry: d_x = f'(x) * d_output, entry by entry."""

import math
from collections.abc import Callable

import numpy as np

from attention_from_scratch.ops.contract import Backward, check_d_output, check_floats
from attention_from_scratch.ops.special import exp, normal_bump


def relu(x: np.ndarray) -> tuple[np.ndarray, Backward]:
    """max(x, 0). The slope is 1 where x > 0, else 0: at the corner too, as in PyTorch.

    Parameters
    ----------
    x : (...)

    Returns
    -------
    output : (...)
    backward : d_output (...) -> d_x (...)
    """
    check_floats(x=x)
    off = x.real <= 0  # not of NaN, which stays NaN
    output = np.where(off, 0, x)

    def backward(d_output):
        check_d_output(d_output, output)
        return np.where(off, 0, d_output)

    return output, backward


def sigmoid(x: np.ndarray) -> tuple[np.ndarray, Backward]:
    """s = 1 / (1 + exp(-x)). Its slope is s (1 - s).

    Where s is near 1, 1 - s has lost its digits. Nothing is lost, and nothing overflows, with
    on = exp(min(x, 0)) and e = exp(-|x|):

        s = on / (1 + e)        slope = e / (1 + e)^2

    (min and max of complex numbers go by the real parts first, so the complex step goes through.)

    Parameters
    ----------
    x : (...)

    Returns
    -------
    output : (...)
    backward : d_output (...) -> d_x (...)
    """
    check_floats(x=x)
    negative = np.minimum(x, 0)
    on, e = exp(negative), exp(negative - np.maximum(x, 0))
    output = on / (1 + e)

    def backward(d_output):
        check_d_output(d_output, output)
        return d_output * (e / (1 + e * (2 + e)))  # a square would round 1 + e twice

    return output, backward


def tanh(x: np.ndarray) -> tuple[np.ndarray, Backward]:
    """(e^x - e^-x) / (e^x + e^-x). Its slope is 1 - tanh(x)^2.

    Where tanh(x) is near 1 or -1, that difference has lost its digits. It is also

        4 / (e^x + e^-x)^2 = 4 e / (1 + e)^2        with e = exp(-2 |x|)

    Parameters
    ----------
    x : (...)

    Returns
    -------
    output : (...)
    backward : d_output (...) -> d_x (...)
    """
    check_floats(x=x)
    output = np.tanh(x)

    def backward(d_output):
        check_d_output(d_output, output)
        e = exp(-2 * np.minimum(np.maximum(x, -x), 400))  # it is 0 further out
        return d_output * (4 * e / (1 + e * (2 + e)))

    return output, backward


def gelu(x: np.ndarray, *, approximate: str = "none") -> tuple[np.ndarray, Backward]:
    """x P(x), where P goes from 0 to 1, and P(-x) = 1 - P(x).

    approximate="none": P is Phi, the distribution function of the standard normal.

    approximate="tanh", the form of GPT-2:

        P = (1 + tanh(u)) / 2        u = sqrt(2 / pi) (x + 0.044715 x^3)

    As P(x) = 1 - P(-x), both are max(x, 0) less a bump at 0, which is the same on both sides. It
    keeps its digits where 1 + tanh(u), or 1 + erf, would have lost theirs:

        y = max(x, 0) - b(|x|)        b(a) = a P(-a)
        dy/dx = b'(-x) where x < 0, and 1 - b'(x) where x > 0

    The two forms differ by up to 5e-4; mixing one forward with the other backward is a classic
    mistake.

    Parameters
    ----------
    x : (...)
    approximate : "none" or "tanh"

    Returns
    -------
    output : (...)
    backward : d_output (...) -> d_x (...)

    Source: Hendrycks & Gimpel, Gaussian Error Linear Units (2016).
    """
    check_floats(x=x)
    if approximate not in BUMPS:
        raise ValueError(f"approximate was {approximate!r}, but must be 'none' or 'tanh'")
    size = np.minimum(np.maximum(x, -x), 40)  # |x|; further out there is no bump
    bump, slope_of_bump = BUMPS[approximate](size)
    output = np.maximum(x, 0) - bump

    def backward(d_output):
        check_d_output(d_output, output)
        slope = slope_of_bump()
        return d_output * np.where(x.real > 0, 1 - slope, slope)

    return output, backward


def tanh_bump(a: np.ndarray) -> tuple[np.ndarray, Callable[[], np.ndarray]]:
    """b(a) = a (1 - tanh(u)) / 2 of `gelu`, a >= 0, and what gives its slope.

    With q = exp(-u), (1 - tanh(u)) / 2 is q^2 / (1 + q^2), so that

        b(a) = a q^2 / (1 + q^2)        b'(a) = (q^2 + 1 - 2 a u') (q / (1 + q^2))^2

    The factors q are multiplied one by one, as q^2 alone may be too small a number. u is a sum, and
    exp(-u) makes its rounding errors u times as large: so float32 is computed in float64.
    """
    dtype, a = a.dtype, a.astype(np.result_type(a, np.float64), copy=False)
    c, k = math.sqrt(2 / math.pi), 0.044715
    q = np.exp(-a * (c + c * k * (a * a)))
    share = q / (1 + q * q)

    def slope():
        slope_of_u = c + 3 * c * k * (a * a)
        return ((q * q - (2 * a * slope_of_u - 1)) * share * share).astype(dtype)

    return (a * share * q).astype(dtype), slope


BUMPS = {"none": normal_bump, "tanh": tanh_bump}
