"""Monte Carlo arithmetic: arrays that round each result at random, to see what rounding does.

Each number that NumPy computes from such an array is multiplied by 1 + eps or 1 - eps. What then
changes from run to run is what rounding may have changed in the first place, in intermediate
results as well as in inputs: where a softmax is saturated its inputs may change as they like and
its weight stays 1, but that this 1 is a rounded number shows.

A zero stays a zero, and what is exact stays as it is: a copy, a maximum, a sign, a comparison; and
what had nothing to round, as x / x (see `exactness`). And what is equal stays equal, as it does in
rounding: which way a number goes depends on its digits and on the run alone. So an input that is
handed in twice is one, and a tie stays a tie.

Source: Parker, Monte Carlo Arithmetic (1997); Vignes, A stochastic arithmetic for reliable
scientific computation (1993).
"""

import numpy as np

from attention_from_scratch.verify.exactness import exact

# Ufuncs that round nothing, and functions that only move numbers or choose among them.
EXACT_UFUNCS = {
    np.absolute,
    np.conjugate,
    np.copysign,
    np.fabs,
    np.fmax,
    np.fmin,
    np.maximum,
    np.minimum,
    np.negative,
    np.positive,
    np.sign,
}
ROUNDING_FUNCTIONS = {
    np.convolve,
    np.cross,
    np.dot,
    np.einsum,
    np.inner,
    np.interp,
    np.kron,
    np.linalg.norm,
    np.outer,
    np.tensordot,
    np.trace,
    np.vdot,
}


def signs(array: np.ndarray, run: int) -> np.ndarray:
    """1 or -1 for each number of an array of floats, by its digits and the number of the run."""
    digits = np.ascontiguousarray(array, np.float64).view(np.uint64)
    with np.errstate(over="ignore"):
        for factor in (0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9):  # odd, as in splitmix64
            digits = (digits ^ np.uint64(run)) * np.uint64(factor)
            digits = digits ^ (digits >> np.uint64(29))
    return np.where(digits >> np.uint64(63), 1.0, -1.0).reshape(np.shape(array))


class RandomlyRounded(np.ndarray):
    """An array of floats, what is computed from which is off by eps in a random direction."""

    run: int = 0
    eps: float = 0.0
    spares: bool = True  # what is exact

    def __array_finalize__(self, source):
        self.run, self.eps = getattr(source, "run", 0), getattr(source, "eps", 0.0)
        self.spares = getattr(source, "spares", True)

    def rounded(self, result, where_exact=np.False_):
        """A result of floats, off by eps at random where it is not exact."""
        if not is_float(result):
            return result
        result = np.asarray(result)
        dtype = np.result_type(result, float)
        with np.errstate(all="ignore"):
            moved = result * (1 + (self.eps * signs(result, self.run)).astype(dtype, copy=False))
        if np.any(where_exact):
            moved = np.where(where_exact, result, moved)
        return self.like_self(np.asarray(moved).astype(result.dtype, copy=False))

    def like_self(self, array: np.ndarray) -> "RandomlyRounded":
        """The array as one that rounds at random, as this one does."""
        array = np.asarray(array).view(RandomlyRounded)
        array.run, array.eps, array.spares = self.run, self.eps, self.spares
        return array

    def __array_ufunc__(self, ufunc, method, *inputs, out=None, **keywords):
        given = [plain(x) for x in inputs]
        into = {}
        if out is not None:  # a copy, as it may be among what is given
            into["out"] = tuple(None if t is None else np.array(plain(t)) for t in out)
        result = getattr(ufunc, method)(*given, **keywords, **into)
        if result is None:  # ufunc.at writes into what it is given
            return None
        results = result if isinstance(result, tuple) else (result,)
        found = tuple(self.result_of(ufunc, method, given, keywords, one) for one in results)
        if out is not None:
            for target, one in zip(out, found, strict=True):
                if target is not None:
                    np.asarray(target)[...] = np.asarray(one)
            found = tuple(one if t is None else t for t, one in zip(out, found, strict=True))
        return found if isinstance(result, tuple) else found[0]

    def result_of(self, function, method: str, given, keywords: dict, result):
        """What a function gave, off by eps where it had something to round."""
        if not is_float(result) or not self.eps:
            return result
        if function in EXACT_UFUNCS:
            return self.like_self(result)
        if not self.spares:
            return self.rounded(result)
        return self.rounded(result, exact(function, method, given, keywords, result))

    def __array_function__(self, function, types, arguments, keywords):
        result = super().__array_function__(function, types, arguments, keywords)
        if not self.eps:
            return result
        if function in ROUNDING_FUNCTIONS:
            return self.result_of(function, "", [plain(x) for x in arguments], keywords, result)
        if isinstance(result, list | tuple):  # np.split
            return type(result)(self.like_self(r) if is_float(r) else r for r in result)
        return self.like_self(result) if is_float(result) else result


def plain(value):
    """An array that rounds at random as an ordinary one; any other value as it is."""
    return value.view(np.ndarray) if isinstance(value, RandomlyRounded) else value


def is_float(result) -> bool:
    """Whether a result is an array of floats."""
    return isinstance(result, np.ndarray | np.generic) and result.dtype.kind == "f"


def randomly_rounded(
    array: np.ndarray, eps: float, run: int, *, spares: bool = True
) -> RandomlyRounded:
    """A read-only array of floats that rounds at random; itself off by eps at random.

    Parameters
    ----------
    array : of floats
    eps : float
    run : int, at least 1
        Its number: in another run, numbers go other ways.
    spares : bool
        False moves what is exact as well: other code, which does the same in other steps, may have
        to round there.
    """
    first = np.asarray(array).view(RandomlyRounded)
    first.run, first.eps, first.spares = run, eps, spares
    result = first.rounded(first)
    result.setflags(write=False)
    return result
