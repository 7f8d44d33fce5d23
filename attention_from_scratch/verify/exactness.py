"""Which results of floats are exact: where nothing was rounded, rounding explains nothing.

x / x is 1 and x - x is 0 to the last digit, and so is twice a number. What is exact is found by
doing the same in longer numbers: a sum or a product that comes out the same had nothing to round.
Longer numbers lose what is smaller than their own last digit as well, so of a sum of very unlike
numbers it is not said; and of other functions only that exp(0) is 1 and the like.
"""

from collections.abc import Callable

import numpy as np

LONGER = {
    np.dtype(np.float32): np.dtype(np.float64),
    np.dtype(np.float64): np.dtype(np.longdouble),  # on some machines no longer
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
    floats = [
        x for x in arguments if isinstance(x, np.ndarray | np.generic) and x.dtype.kind == "f"
    ]
    dtypes = {x.dtype for x in floats}
    if not dtypes or not dtypes <= LONGER.keys() or sum(x.size for x in floats) > MOST:
        return np.False_
    if keywords.get("where", True) is not True:  # of the rest nothing is computed
        written = np.broadcast_to(keywords["where"], result.shape) if method == "__call__" else True
        return np.logical_not(written)
    if keywords.get("dtype") is not None or not all(map(has_longer, dtypes)):
        return np.False_
    sums = function in SUMS_OF_PRODUCTS or (function in SUMS and method != "__call__")
    if sums and unlike(np.concatenate([np.abs(x).ravel() for x in floats])) < UNLIKE**0.5:
        return np.False_
    if not (sums or function in PRODUCTS or function in SUMS):
        zero = len(arguments) == 1 and method == "__call__"
        return (arguments[0] == 0) if zero else np.False_
    longer = [x.astype(LONGER[x.dtype]) if any(x is y for y in floats) else x for x in arguments]
    call = getattr(function, method) if method else function
    with np.errstate(all="ignore"):
        try:
            same = np.asarray(call(*longer, **keywords) == result)
        except TypeError:  # a function that knows no numbers that long
            return np.False_
        if function in SUMS and not sums:
            first, second = np.abs(arguments[0]), np.abs(arguments[1])
            small, large = np.minimum(first, second), np.maximum(first, second)
            same &= (small == 0) | (small >= UNLIKE * large)
    return same


def has_longer(dtype: np.dtype) -> bool:
    """Whether this machine has floats that are longer."""
    return bool(np.finfo(LONGER[dtype]).eps < np.finfo(dtype).eps)


def unlike(sizes: np.ndarray) -> float:
    """The smallest of some sizes but 0, over the largest."""
    sizes = sizes[sizes > 0]
    return float(sizes.min() / sizes.max()) if sizes.size else 1.0
