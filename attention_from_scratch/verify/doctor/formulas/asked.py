"""A wrong gradient at all visits, to hold a formula against."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from attention_from_scratch.verify.doctor.mutation.matching import Clock

ENOUGH = 3  # entries, of which fewer may fit by chance; twice as many in float32
SECONDS = 0.4  # for all formulas of a gradient


@dataclass(frozen=True)
class Fit:
    """A formula for a wrong gradient in words, and in how many places it is not the right one."""

    words: str
    changes: int
    is_factor: bool = False  # whether it is the right gradient times a number, and no more


class Formula(Protocol):
    """What a function of a probe gives: `fitted` says what in it gives the wrong gradient."""

    def fitted(self, asked: "Asked", formula: Callable) -> Fit | None:
        """The fit, of the formula at this probe and at all others."""


class Asked:
    """The visits at which a gradient is wrong, the clearest first, and those at which it is right.

    Where it is right it has to be so in the formula as well, unless the call has settings with
    which the gradient is never wrong: what is wrong in the mean need not be so in the sum.
    """

    def __init__(self, visits, name):
        self.name = name
        own = [visit for visit in visits if name in visit.probe.right]
        wrong = [visit for visit in own if not visit.right_at(name)]
        self.wrong = sorted(wrong, key=lambda v: (v.tolerance, -v.probe.right[name].size))
        settings = [settings_of(visit) for visit in self.wrong]
        self.right = [v for v in own if v.right_at(name) and settings_of(v) in settings]
        self.made: dict = {}
        self.clock = Clock(SECONDS)

    @property
    def can_be_told(self) -> bool:
        """Whether the wrong gradient has the right shape, and more than a few entries."""
        least = min((visit.tolerance for visit in self.wrong), default=0)
        entries = sum(visit.probe.right[self.name].size for visit in self.wrong)
        return entries >= (ENOUGH if least < 1e-4 else 2 * ENOUGH) and all(
            np.shape(v.found.get(self.name)) == v.probe.right[self.name].shape
            and np.isfinite(v.found[self.name]).all()
            for v in self.wrong
        )

    def at(self, visit, formula: Callable):
        """The formula at a visit, computed once."""
        key = (id(visit), formula)
        if key not in self.made:
            with np.errstate(all="ignore"):
                self.made[key] = formula(visit.probe.in_float64())
        return self.made[key]

    def fit(self, formula: Callable) -> Fit | None:
        """What in a formula gives the wrong gradient."""
        try:
            with np.errstate(all="ignore"):
                return self.at(self.wrong[0], formula).fitted(self, formula)
        except (ValueError, TypeError, KeyError, IndexError):  # an input it was not made for
            return None

    def is_found(self, visit, gradient, factor=1.0) -> bool:
        """Whether a gradient is what the op says at a visit, but for a factor."""
        found = visit.found[self.name]
        return visit.same(factor * np.asarray(gradient), found, visit.size_of(self.name))


def settings_of(visit) -> tuple:
    """The keywords of a call, of arrays only whether they are given."""
    keywords = visit.probe.keywords.items()
    words = {k: v if isinstance(v, str | int | float) else "given" for k, v in keywords}
    return tuple(
        sorted((k, repr(v)) for k, v in words.items() if visit.probe.keywords[k] is not None)
    )
