"""Which results of floats are exact: where nothing was rounded, rounding explains nothing.

x / x is 1 and x - x is 0 to the last digit, and so is twice a number. What is exact is found by
doing the same in longer numbers: a sum or a product that comes out the same had nothing to round.
Longer numbers lose what is smaller than their own last digit as well, so of a sum of very unlike
numbers it is not said; and of other functions only that exp(0) is 1 and the like.
"""

from collections.abc import Callable

import numpy as np

LONGER = {
    dtype: longer
    for dtype, longer in (
        (np.dtype(np.float32), np.dtype(np.float64)),
        (np.dtype(np.float64), np.dtype(np.longdouble)),  # on some machines no longer
    )
    if np.finfo(longer).eps < np.finfo(dtype).eps
}
PRODUCTS = {np.multiply, np.true_divide, np.square, np.sqrt, np.reciprocal}
SUMS = {np.add, np.subtract}
SUMS_OF_PRODUCTS = {np.matmul, np.dot, np.einsum, np.inner, np.outer, np.tensordot, np.vdot}
UNLIKE = 2.0**-60  # the share of the largest that may be lost beside it
MOST = 1 << 16  # numbers that go into a function: of more it is not asked


def exact(function: Callable, method: str, arguments: list, keywords: dict, result) -> np.ndarray:
    """Where a result is exact, or a single False where that cannot be said.

    Parameters
    ----------
    function : a ufunc or another function of NumPy
    method : of the ufunc: "__call__", "reduce", ...; else ""
    arguments, keywords : of the call, plain arrays; `out` not among them
    result : array of floats
        What came of it.
    """
    if keywords.get("where", True) is not True:  # of the rest nothing is computed
        written = np.broadcast_to(keywords["where"], result.shape) if method == "__call__" else True
        return np.logical_not(written)
    called, longer = method == "__call__", LONGER.get(result.dtype)
    sums = function in SUMS_OF_PRODUCTS or (function in SUMS and not called)
    if not (sums or function in PRODUCTS or function in SUMS):
        return arguments[0] == 0 if len(arguments) == 1 and called else np.False_
    if longer is None or keywords.get("dtype") is not None:
        return np.False_
    floats = [x for x in arguments if is_float(x)]
    if sum(x.size for x in floats) > MOST or (sums and unlike(floats) < UNLIKE**0.5):
        return np.False_
    given = [x.astype(longer) if is_float(x) else x for x in arguments]
    call = getattr(function, method) if method else function
    with np.errstate(all="ignore"):
        try:
            same = np.asarray(call(*given, **keywords) == result)
        except TypeError:  # a function that knows no numbers that long
            return np.False_
        if function in SUMS and not sums:
            first, second = np.abs(arguments[0]), np.abs(arguments[1])
            small, large = np.minimum(first, second), np.maximum(first, second)
            same &= (small == 0) | (small >= UNLIKE * large)
    return same


def is_float(x) -> bool:
    """Whether an argument is an array of floats, or one of its numbers."""
    return isinstance(x, np.ndarray | np.generic) and x.dtype.kind == "f"


def unlike(arrays: list[np.ndarray]) -> float:
    """The smallest size of any number but 0, over the largest."""
    sizes = np.abs(np.concatenate([np.ravel(x) for x in arrays]))
    largest = sizes.max(initial=0)
    return float(sizes.min(initial=largest, where=sizes > 0) / largest) if largest else 1.0
