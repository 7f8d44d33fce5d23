"""Whose checkers take part: ours, and those of the packages that are installed."""

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec

import numpy as np

from attention_from_scratch.verify import GradientError, check_gradients

PEERS = ("torch", "jax", "autograd")  # each package's checkers stand in with_<package>


@dataclass(frozen=True)
class Contender:
    """A checker of gradients.

    Attributes
    ----------
    name, version : str
        What it is called, and what it is a part of: "torch 2.13.0".
    check : (op, inputs, keywords) -> str
        Whether `op(*inputs, **keywords)` has the right gradients: "right", "wrong" or "cannot
        tell". An exception is a refusal to say.
    dtypes : tuple of str
        Those for which its tolerances are meant.
    """

    name: str
    version: str
    check: Callable[[Callable, tuple, dict], str]
    dtypes: tuple[str, ...] = ("float64",)


def check_with_ours(op: Callable, inputs: tuple, keywords: dict) -> str:
    """The verdict of `check_gradients`; a broken contract is wrong."""
    try:
        return check_gradients(op, *inputs, **keywords).verdict
    except GradientError:
        return "wrong"


OURS = Contender("ours", f"NumPy {np.__version__}", check_with_ours, dtypes=("float64", "float32"))


def everybody() -> tuple[list[Contender], list[str]]:
    """Those who can take part, and the packages that are missing."""
    missing = [package for package in PEERS if find_spec(package) is None]
    found = [OURS]
    for package in PEERS:
        if package not in missing:
            found += import_module(f"benchmarks.verdicts.with_{package}").contenders()
    return found, missing
