"""NumPy's functions on object arrays of mpmath numbers, at the precision set in mpmath.

In a product with a single number the array stands on the left: the number would first try to make
a number of the array, which takes longer than the product.
"""

from collections.abc import Callable

import mpmath
import numpy as np


def over_entries(function: Callable) -> Callable:
    """A function of one number, applied to each entry."""
    return np.frompyfunc(function, 1, 1)


def of_positive(function: Callable) -> Callable:
    """The same function, which raises where mpmath would go on with complex numbers."""

    def checked(x):
        if x < 0:
            raise OutsideError(f"{mpmath.nstr(x)} is negative")
        return function(x)

    return over_entries(checked)


class OutsideError(ArithmeticError):
    """A number is where a function has no real value."""


exp = over_entries(mpmath.exp)
log, sqrt = of_positive(mpmath.log), of_positive(mpmath.sqrt)
tanh = over_entries(mpmath.tanh)
sigmoid = over_entries(lambda x: 1 / (1 + mpmath.exp(-x)))
normal_cdf = over_entries(mpmath.ncdf)


def numbers(array: np.ndarray | float) -> np.ndarray:
    """The exact values of an array of floats, as an object array."""
    array = np.asarray(array)
    flat = [mpmath.mpf(float(entry)) for entry in array.ravel()]
    return objects(flat, array.shape)


def objects(flat: list, shape: tuple[int, ...]) -> np.ndarray:
    """An object array of this shape."""
    array = np.empty(len(flat), object)
    array[:] = flat
    return array.reshape(shape)


def softmax(x: np.ndarray, axis: int = -1, where: np.ndarray | None = None) -> np.ndarray:
    """exp(x) / sum exp(x); exp cannot overflow here. Rows where nothing takes part are zeros."""
    powers = exp(x) if where is None else np.where(where, exp(x), mpmath.mpf(0))
    total = np.sum(powers, axis=axis, keepdims=True)
    return powers / np.where(total == 0, mpmath.mpf(1), total)


def log_softmax(x: np.ndarray, axis: int = -1) -> np.ndarray:
    return x - log(np.sum(exp(x), axis=axis, keepdims=True))
