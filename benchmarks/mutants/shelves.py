"""What a mutant is, and the decorators that put one on a shelf: `wrong`, `correct`, `unknown`."""

import inspect
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from benchmarks.mutants.cases import CASES


@dataclass(frozen=True)
class Mutant:
    """An op to be examined, what it should have been, and what is wrong with it.

    Attributes
    ----------
    op : the op under examination
    reference : the right one
    mistake : a key of `verify.doctor.mistakes.EXPLANATIONS`; or "none" (it is right), or "unknown"
        (it is wrong, without a name)
    inputs, keywords : at which it is handed in
    half : "first" or "second"
        The first half may be looked at while the doctor learns; the second is its examination, and
        takes in what readers got wrong since.
    """

    op: Callable
    reference: Callable
    mistake: str
    inputs: tuple = ()
    keywords: dict = field(default_factory=dict)
    half: str = "first"

    @property
    def name(self):
        """The name of the op under examination."""
        return self.op.__name__


# For each file of the package, in the order of its text: functions from a seed to a Mutant.
WRONG: dict[str, list[Callable]] = {}
CORRECT: dict[str, list[Callable]] = {}
UNKNOWN: dict[str, list[Callable]] = {}


def wrong(reference, mistake, half, case=None):
    """Enter the op below into the catalogue. `case` makes inputs, keywords from a generator."""
    return enter(WRONG, reference, mistake, half, case)


def correct(reference, case=None):
    """Enter the op below among the right ones."""
    return enter(CORRECT, reference, "none", "first", case)


def unknown(reference, case=None):
    """Enter the op below among those without a name for their mistake."""
    return enter(UNKNOWN, reference, "unknown", "first", case)


def enter(shelf, reference, mistake, half, case):
    """Make a decorator that puts an op on a shelf, as a function from a seed to a Mutant."""

    def decorate(op):
        op.__signature__ = inspect.signature(reference)

        def entry(seed):
            rng = np.random.default_rng([seed, *op.__name__.encode()])
            inputs, keywords = (case or CASES[reference])(rng)
            return Mutant(op, reference, mistake, inputs, keywords, half)

        shelf.setdefault(op.__module__, []).append(entry)
        return op

    return decorate
