"""Functions of one number, applied to each entry: d_x = f'(x) * d_output, entry by entry."""

import math

import numpy as np

from attention_from_scratch.ops.contract import Backward, check_d_output, check_floats
from attention_from_scratch.ops.special import erfc


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
    """s = 1 / (1 + exp(-x)). Its slope is s (1 - s) = exp(-x) / (1 + exp(-x))^2.

    Both are written with exp(-|x|), named `small` below, which never overflows. The slope is not
    computed as s (1 - s), because 1 - s loses all its digits where s is near 1.

    Parameters
    ----------
    x : (...)

    Returns
    -------
    output : (...)
    backward : d_output (...) -> d_x (...)
    """
    check_floats(x=x)
    positive = x.real > 0
    small = np.exp(np.where(positive, -x, x))
    output = np.where(positive, 1, small) / (1 + small)

    def backward(d_output):
        check_d_output(d_output, output)
        return d_output * small / (1 + small) ** 2

    return output, backward


def tanh(x: np.ndarray) -> tuple[np.ndarray, Backward]:
    """(e^x - e^-x) / (e^x + e^-x). Its slope is 1 - tanh(x)^2.

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
        return d_output * (1 - output * output)

    return output, backward


def gelu(x: np.ndarray, *, approximate: str = "none") -> tuple[np.ndarray, Backward]:
    """x Phi(x), where Phi is the distribution function of the standard normal.

    approximate="none": Phi(x) = erfc(-x / sqrt(2)) / 2, so with its density phi = Phi'

        y = x Phi(x)        dy/dx = Phi(x) + x phi(x)

    approximate="tanh", the form of GPT-2:

        y = x (1 + t) / 2               t = tanh(u),  u = sqrt(2 / pi) (x + 0.044715 x^3)
        dy/dx = (1 + t) / 2 + x (1 - t^2) u' / 2

    The two differ by up to 5e-4; mixing one forward with the other backward is a classic mistake.

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
    if approximate == "none":
        phi = np.exp(-x * x / 2) / math.sqrt(2 * math.pi)
        share = erfc(-x / math.sqrt(2)) / 2
        slope = share + x * phi
    elif approximate == "tanh":
        c = math.sqrt(2 / math.pi)
        t = np.tanh(c * (x + 0.044715 * x * x * x))
        slope_of_u = c * (1 + 3 * 0.044715 * x * x)
        share = (1 + t) / 2
        slope = share + x * (1 - t * t) * slope_of_u / 2
    else:
        raise ValueError(f"approximate was {approximate!r}, but must be 'none' or 'tanh'")

    output = x * share

    def backward(d_output):
        check_d_output(d_output, output)
        return d_output * slope

    return output, backward
