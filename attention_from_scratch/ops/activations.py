"""Elementwise functions. Each gradient is d_x = f'(x) * d_output, entry by entry."""

import math

import numpy as np

from attention_from_scratch.ops.contract import check_floats
from attention_from_scratch.ops.special import erfc


def relu(x):
    """max(x, 0). The slope is 1 where x > 0, else 0 (at the corner too, as in PyTorch).

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

    def backward(d_output):
        return np.where(positive, d_output, 0)

    return np.where(positive, x, 0), backward


def sigmoid(x):
    """s = 1 / (1 + exp(-x)). Its slope is s (1 - s).

    Written with exp(-|x|), which never overflows.

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
        return d_output * output * (1 - output)

    return output, backward


def tanh(x):
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
        return d_output * (1 - output * output)

    return output, backward


def gelu(x, *, approximate="none"):
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
        cumulative = erfc(-x / math.sqrt(2)) / 2
        slope = cumulative + x * phi
    elif approximate == "tanh":
        c = math.sqrt(2 / math.pi)
        t = np.tanh(c * (x + 0.044715 * x * x * x))
        d_u = c * (1 + 3 * 0.044715 * x * x)
        cumulative = (1 + t) / 2
        slope = cumulative + x * (1 - t * t) * d_u / 2
    else:
        raise ValueError(f"approximate was {approximate!r}, but must be 'none' or 'tanh'")

    def backward(d_output):
        return d_output * slope

    return x * cumulative, backward
