"""Complex numbers that go through what is not analytic, by the rules of real numbers.

In the complex step the imaginary part is a derivative: of x + i h d, with an h so small that its
square is nothing, f makes f(x) + i h f'(x) d. Sums, products and exponentials of complex numbers do
that by themselves. The size of a complex number, its real part or its conjugate do not; but what
they stand for, where a function of real numbers asks for them, has a derivative all the same: |x|
is x or -x, the conjugate and the real part of x are x. An array of this kind takes them so, and
says that it cannot where it knows no rule. At |0|, or where the larger of two equal numbers is
asked for, it has to choose one of two slopes, and writes that down.

Source: forward-mode differentiation (Wengert, A simple automatic derivative evaluation program,
1964), carried in the imaginary part.
"""

import numpy as np

from attention_from_scratch.tree import tree_leaves, tree_map
from attention_from_scratch.verify.outputs import Evaluation, holds_arrays

ANALYTIC = {
    np.add,
    np.subtract,
    np.multiply,
    np.true_divide,
    np.negative,
    np.positive,
    np.matmul,
    np.power,
    np.float_power,
    np.square,
    np.sqrt,
    np.reciprocal,
    np.exp,
    np.exp2,
    np.expm1,
    np.log,
    np.log2,
    np.log10,
    np.sin,
    np.cos,
    np.tan,
    np.sinh,
    np.cosh,
    np.tanh,
    np.arcsin,
    np.arccos,
    np.arctan,
    np.arcsinh,
    np.arccosh,
    np.arctanh,
}
CHOICES = {np.greater, np.greater_equal, np.less, np.less_equal, np.equal, np.not_equal}
COMPARISONS = CHOICES | {
    np.isfinite,
    np.isinf,
    np.isnan,
    np.signbit,
    np.logical_and,
    np.logical_or,
    np.logical_not,
}
STEPS = {np.sign, np.floor, np.ceil, np.rint, np.trunc, np.floor_divide, np.heaviside}


def real(x):
    """The real part; of a real number itself."""
    return np.real(np.asarray(x))


def carried(value, derivative):
    """A number and what its derivative has become, as one complex number."""
    return value + 1j * derivative


def absolute(x):
    """|x|: x or -x."""
    return np.where(real(x) < 0, -x, x)


def hypot(x, y):
    """sqrt(x^2 + y^2), of numbers of any size."""
    largest = np.maximum(np.abs(real(x)), np.abs(real(y)))
    largest = np.where(largest > 0, largest, 1.0)
    return largest * np.sqrt((x / largest) ** 2 + (y / largest) ** 2)


def larger(x, y):
    """The larger of two, and its derivative."""
    return np.where(real(x) >= real(y), x, y)


def smaller(x, y):
    """The smaller of two, and its derivative."""
    return np.where(real(x) <= real(y), x, y)


def logaddexp(x, y):
    """log(exp(x) + exp(y))."""
    largest = np.maximum(real(x), real(y))
    return largest + np.log(np.exp(x - largest) + np.exp(y - largest))


def log1p(x):
    """log(1 + x), right to the last digit: NumPy's takes the log of what 1 + x is rounded to."""
    return carried(np.log1p(real(x)), np.imag(x) / (1 + real(x)))


def cbrt(x):
    """The cube root."""
    root = np.cbrt(real(x))
    return carried(root, np.imag(x) / (3 * root * root))


def arctan2(y, x):
    """The angle of (x, y)."""
    a, b = real(y), real(x)
    return carried(np.arctan2(a, b), (b * np.imag(y) - a * np.imag(x)) / (a * a + b * b))


def itself(x, *_, **__):
    """What a real number is: its own conjugate and real part."""
    return x


RULES = {
    np.absolute: absolute,
    np.fabs: absolute,
    np.conjugate: itself,
    np.hypot: hypot,
    np.maximum: larger,
    np.fmax: larger,
    np.minimum: smaller,
    np.fmin: smaller,
    np.logaddexp: logaddexp,
    np.log1p: log1p,
    np.cbrt: cbrt,
    np.arctan2: arctan2,
}


def variance(x, axis=None, *, ddof=0, keepdims=False):
    """The mean square of the distances from the mean."""
    distances = x - x.mean(axis=axis, keepdims=True)
    n = x.size if axis is None else np.prod([x.shape[a] for a in np.atleast_1d(axis)])
    return (distances * distances).sum(axis=axis, keepdims=keepdims) / (n - ddof)


def deviation(x, axis=None, *, ddof=0, keepdims=False):
    """The square root of the variance."""
    return np.sqrt(variance(x, axis, ddof=ddof, keepdims=keepdims))


def norm(x, ord=None, axis=None, keepdims=False):
    """The Euclidean length."""
    one_axis = axis is not None and np.ndim(axis) == 0
    if not (ord is None or (ord == 2 and (one_axis or x.ndim == 1))):
        raise TypeError(f"no rule for a norm of order {ord!r}")
    return np.sqrt((x * x).sum(axis=axis, keepdims=keepdims))


FUNCTIONS = {
    np.var: variance,
    np.std: deviation,
    np.linalg.norm: norm,
    np.real: itself,
    np.real_if_close: itself,
    np.vdot: lambda x, y: np.dot(np.ravel(x), np.ravel(y)),
}
UNKNOWN = {np.imag, np.angle, np.nan_to_num}


class Following(np.ndarray):
    """An array of complex numbers to which real functions do what they do to real ones.

    `met` is where it writes down "a kink", if it is a set.
    """

    met: set | None = None

    def __array_finalize__(self, source):
        self.met = getattr(source, "met", None)

    def __array_ufunc__(self, ufunc, method, *inputs, out=None, **keywords):
        given = [plain(x) for x in inputs]
        if self.met is not None and at_kink(ufunc, given):
            self.met.add("a kink")
        called = method == "__call__"
        if ufunc in COMPARISONS or ufunc in STEPS:
            result = getattr(ufunc, method)(*map(real, given), **keywords)
        elif ufunc.__name__ == "clip":
            result = smaller(larger(given[0], given[1]), given[2])
        elif ufunc in RULES and called and not keywords:
            result = RULES[ufunc](*given)
        elif ufunc in ANALYTIC or (ufunc in (np.maximum, np.minimum) and not called):
            result = getattr(ufunc, method)(*given, **keywords)
        else:
            raise TypeError(f"no rule for {ufunc.__name__}")
        if result is None or out is None:
            return following(result, self.met)
        (target,) = out
        if np.iscomplexobj(result) and not np.iscomplexobj(target):
            raise TypeError("complex numbers were written into an array of real ones")
        plain(target)[...] = result
        return target

    def __array_function__(self, function, types, arguments, keywords):
        if function in UNKNOWN:
            raise TypeError(f"no rule for {function.__name__}")
        if function in FUNCTIONS:
            return FUNCTIONS[function](*arguments, **keywords)
        result = super().__array_function__(function, types, arguments, keywords)
        several = isinstance(result, list | tuple)  # np.split
        if several:
            return type(result)(following(one, self.met) for one in result)
        return following(result, self.met)

    @property
    def real(self):
        """A real number is its own real part."""
        return self

    @property
    def imag(self):
        """A real number has none."""
        return np.zeros(self.shape)

    def conj(self):
        """A real number is its own conjugate."""
        return self

    conjugate = conj

    def var(self, axis=None, *, ddof=0, keepdims=False):
        """The variance, with its derivative."""
        return variance(self, axis, ddof=ddof, keepdims=keepdims)

    def std(self, axis=None, *, ddof=0, keepdims=False):
        """The deviation, with its derivative."""
        return deviation(self, axis, ddof=ddof, keepdims=keepdims)

    def astype(self, dtype, *arguments, **keywords):
        """A cast to floats keeps the derivative; one to whole numbers has none."""
        if np.dtype(dtype).kind in "fc":
            return self.copy()
        return real(plain(self)).astype(dtype, *arguments, **keywords)


def plain(x):
    """An ordinary array."""
    return x.view(np.ndarray) if isinstance(x, Following) else x


def at_kink(ufunc, given: list) -> bool:
    """Whether the function has more than one slope at these numbers."""
    if ufunc in (np.absolute, np.fabs, np.sign):
        return bool((real(given[0]) == 0).any())
    if ufunc in (np.maximum, np.fmax, np.minimum, np.fmin) or ufunc in CHOICES:
        return len(given) == 2 and bool((real(given[0]) == real(given[1])).any())
    return False


def following(result, met: set | None = None):
    """Complex numbers as an array of this kind; anything else as it is."""
    if not (isinstance(result, np.ndarray | np.generic) and np.iscomplexobj(result)):
        return result
    result = np.asarray(result).view(Following)
    result.met = met
    return result


class Followed(Evaluation):
    """An op in complex numbers of this kind.

    Parameters
    ----------
    function : the op in complex128
    met : where "a kink" is written down, if anywhere
    """

    def __init__(self, function: Evaluation, met: set | None = None):
        self.op, self.dtype, self.keywords = function.op, function.dtype, function.keywords
        self.inputs = [
            tree_map(lambda leaf: following(leaf, met), value) if holds_arrays(value) else value
            for value in function.inputs
        ]
        self.leaves = [dict(tree_leaves(value)) for value in self.inputs]

    def __call__(self, position=None, path="", value=None) -> list[np.ndarray]:
        """The outputs, with another value at one leaf, as ordinary arrays."""
        return [plain(one) for one in super().__call__(position, path, following(value))]
