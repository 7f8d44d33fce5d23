"""Can the complex step go through an op? Asked by sending an array through it that takes notes."""

import warnings
from collections.abc import Callable

import numpy as np

from attention_from_scratch.tree import leaves, tree_map
from attention_from_scratch.verify.numerical import COMPLEX_STEP
from attention_from_scratch.verify.outputs import Evaluation, as_outputs

# Functions of complex numbers that are not those of calculus: they look at the size or the parts.
UFUNCS = {np.absolute, np.fabs, np.conjugate, np.sign}
FUNCTIONS = {
    np.linalg.norm,
    np.var,
    np.std,
    np.real,
    np.imag,
    np.angle,
    np.nan_to_num,
    np.real_if_close,
    np.vdot,
}


class Noting(np.ndarray):
    """An array of complex numbers that writes down what is done to it that is not analytic."""

    met: set | None = None
    nudge: float = 0.0  # by which the real part is off, when somebody asks for it

    def __array_finalize__(self, source):
        self.met, self.nudge = getattr(source, "met", None), getattr(source, "nudge", 0.0)

    def note(self, name: str) -> None:
        """Write down a name."""
        if self.met is not None:
            self.met.add(name)

    def __array_ufunc__(self, ufunc, method, *inputs, **keywords):
        if ufunc in UFUNCS or ufunc is np.log1p:
            self.note(ufunc.__name__)
        plain = [np.asarray(x) if isinstance(x, Noting) else x for x in inputs]
        if "out" in keywords:
            keywords["out"] = tuple(
                x.view(np.ndarray) if isinstance(x, Noting) else x for x in keywords["out"]
            )
        result = getattr(ufunc, method)(*plain, **keywords)
        return tree_map(self.noting, result) if isinstance(result, tuple) else self.noting(result)

    def noting(self, result):
        """What came out, as an array that takes notes where it is complex."""
        if not (isinstance(result, np.ndarray | np.generic) and np.iscomplexobj(result)):
            return result
        result = np.asarray(result).view(Noting)
        result.met, result.nudge = self.met, self.nudge
        return result

    def __array_function__(self, function, types, arguments, keywords):
        if function in FUNCTIONS:
            self.note(function.__name__)
        result = super().__array_function__(function, types, arguments, keywords)
        several = isinstance(result, list | tuple)  # np.split
        return type(result)(map(self.noting, result)) if several else self.noting(result)

    @property
    def real(self):
        """The real part, which the derivative does not go through."""
        self.note("real")
        return self.view(np.ndarray).real * (1 + self.nudge)

    @property
    def imag(self):
        """The imaginary part."""
        self.note("imag")
        return self.view(np.ndarray).imag

    def conj(self):
        """The conjugate."""
        self.note("conj")
        return self.noting(self.view(np.ndarray).conj())

    conjugate = conj

    def var(self, *arguments, **keywords):
        """The variance, of complex numbers that of their distances from the mean."""
        self.note("var")
        return self.view(np.ndarray).var(*arguments, **keywords)

    def std(self, *arguments, **keywords):
        """The standard deviation, of complex numbers that of their distances from the mean."""
        self.note("std")
        return self.view(np.ndarray).std(*arguments, **keywords)

    def astype(self, dtype, *arguments, **keywords):
        """A cast, which loses the imaginary part unless it is to complex numbers."""
        if np.dtype(dtype).kind != "c":
            self.note("a cast")
        return super().astype(dtype, *arguments, **keywords)


def what_is_met(function: Evaluation) -> set[str]:
    """What an op does to complex inputs that a complex step does not see through; empty: nothing.

    That it takes real parts is nothing where they do not matter: where the outputs stay what they
    are if these are a little off. A softmax takes the largest score away, but whatever is taken
    away changes nothing; relu compares, and no more. That it takes log1p is
    written down as well: it is analytic, but NumPy's is not exact near 0.

    Parameters
    ----------
    function : the op in complex128
    """
    met: set[str] = set()
    outputs = noted_outputs(function, met, nudge=0.0)
    if met - {"log1p"} == {"real"}:
        for nudge in (NUDGE, -NUDGE):
            nudged = noted_outputs(function, met, nudge)
            if not all(map(same_but_for_rounding, outputs, nudged)):
                return met
        return met - {"real"}
    return met


NUDGE = 1e-6


def same_but_for_rounding(first: np.ndarray, second: np.ndarray) -> bool:
    """Whether two outputs are the same, as far as rounding lets them."""
    size = np.abs(first).max(initial=0)
    return np.allclose(first, second, rtol=1e-9, atol=1e-12 * size, equal_nan=True)


def noted_outputs(function: Evaluation, met: set[str], nudge: float) -> list[np.ndarray]:
    """The outputs of an op for arrays that write down what they meet; none if it fails."""
    rng = np.random.default_rng(3)

    def noting(leaf):
        if leaf.dtype.kind != "c":
            return leaf
        array = np.asarray(leaf + 1j * COMPLEX_STEP * rng.standard_normal(leaf.shape)).view(Noting)
        array.met, array.nudge = met, nudge
        return array

    inputs = [tree_map(noting, v) if has_complex(v) else v for v in function.inputs]
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("error", np.exceptions.ComplexWarning)
        try:
            return as_outputs(function.op(*inputs, **function.keywords)[0])
        except Exception as error:  # whatever a reader's op does with an array of another kind
            met.add("a cast" if isinstance(error, Warning) else type(error).__name__)
            return []


def has_complex(value) -> bool:
    """Whether an input holds complex numbers."""
    return any(np.iscomplexobj(leaf) for leaf in leaves(value))


def goes_through(op: Callable, function: Evaluation, real_outputs: list[np.ndarray]) -> str:
    """Why the complex step cannot go through an op; nothing if it can.

    The output of the complex inputs must be complex, and its real part what it was.
    """
    if not getattr(op, "complex_step", True):
        return "a framework computes it"
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("error", np.exceptions.ComplexWarning)
        try:
            outputs = function()
        except np.exceptions.ComplexWarning:
            return "it casts complex numbers to real ones"
        except Exception as error:  # whatever a reader's op does with complex numbers
            return f"complex numbers end in {type(error).__name__}"
    for output, real in zip(outputs, real_outputs, strict=False):
        if real.dtype.kind == "f" and output.dtype.kind != "c":
            return "its output loses the imaginary part"
        if not np.allclose(output.real, real, rtol=1e-6, atol=1e-9 * np.abs(real).max(initial=0)):
            return "complex numbers give it another output"
    return "" if len(outputs) == len(real_outputs) else "complex numbers give it another output"
