"""What a model is told: a frozen dataclass, each of whose fields says what it may be.

    @dataclass(frozen=True)
    class MySettings(Settings):
        dim: int = option(50, Whole(1), "width of the model")

From such a class follow the model's constructor and its documentation, the checks, the options of
the command line, and what is saved. So an option is written down once.
"""

import inspect
import math
import textwrap
from collections.abc import Callable
from dataclasses import MISSING, asdict, dataclass, field, fields
from numbers import Integral, Real
from typing import Any

import numpy as np

from attention_from_scratch.arguments import (
    DTYPES,
    check_choice,
    check_dtype,
    check_integer,
    check_names,
    check_positive,
    check_share,
)

EPS = 1e-8  # of all layer norms, as in the code of SASRec's authors: no model is told another
INDENT = 4  # spaces by which a docstring is indented


@dataclass(frozen=True)
class Whole:
    """A setting that is an integer, at least `least`."""

    least: int = 1

    def check(self, name: str, value) -> int:
        """The value as an int; raise unless it is an integer, large enough."""
        return check_integer(name, value, self.least)

    def __str__(self):
        return f"int, at least {self.least}"


@dataclass(frozen=True)
class Number:
    """A setting that is a finite number: above 0, or at least 0."""

    above_0: bool = True

    def check(self, name: str, value) -> float:
        """The value as a float."""
        if self.above_0:
            check_positive(name, value)
        elif not (isinstance(value, Real) and 0 <= value < math.inf):
            raise ValueError(f"{name} was {value!r}, but must be finite and at least 0")
        return float(value)

    def __str__(self):
        return "float above 0" if self.above_0 else "float, at least 0"


@dataclass(frozen=True)
class Share:
    """A setting that is a part of 1: a number between 0 and 1, which may be 0, or 1, or neither."""

    with_0: bool = True
    with_1: bool = False

    def check(self, name: str, value) -> float:
        """The value as a float; raise unless it is a part of 1."""
        return check_share(name, value, with_0=self.with_0, with_1=self.with_1)

    def __str__(self):
        return f"float in {'[' if self.with_0 else '('}0, 1{']' if self.with_1 else ')'}"


@dataclass(frozen=True)
class Choice:
    """A setting that is one of some words."""

    words: tuple[str, ...]

    def check(self, name: str, value) -> str:
        """The word; raise unless it is one of `words`."""
        return check_choice(name, value, self.words)

    def __str__(self):
        *others, last = (f'"{word}"' for word in self.words)
        return f"{', '.join(others)} or {last}"


class Flag:
    """A setting that is True or False."""

    def check(self, name: str, value) -> bool:
        """The value as a bool; 0 and 1, also of NumPy, will do."""
        if not isinstance(value, Integral | np.bool_) or value not in (0, 1):
            raise ValueError(f"{name} was {value!r}, but must be True or False")
        return bool(value)

    def __str__(self):
        return "bool"


class Dtype:
    """A setting that is the name of a float dtype."""

    words = DTYPES

    def check(self, name: str, value) -> str:
        """The name of the dtype, given as a name or in any other form that NumPy knows."""
        return check_dtype(value)

    def __str__(self):
        return '"float32" or "float64"'


class Kinds:
    """A setting that says what is known of an event: a number of kinds for each name."""

    def check(self, name: str, value) -> dict[str, int]:
        """The mapping as a dict; empty for None."""
        return {
            key: check_integer(f"{name}[{key!r}]", kinds, 1)
            for key, kinds in check_names(name, value, "a number of kinds").items()
        }

    def __str__(self):
        return "mapping from name to int"


@dataclass(frozen=True)
class OrNone:
    """A setting that may be None, or else what `otherwise` says."""

    otherwise: Any

    def check(self, name: str, value):
        """None as it is; any other value as `otherwise` checks it."""
        return None if value is None else self.otherwise.check(name, value)

    def __str__(self):
        return f"{self.otherwise}, or None"


def option(default=MISSING, may_be=None, says: str = "") -> Any:
    """A field of `Settings`.

    Parameters
    ----------
    default : value, or left out where one must be given
    may_be : one of the classes above
        Its `check(name, value)` gives the value as Python's own number or word, or raises an error
        that names the field, the value and what it may be.
    says : str
        What it is, in a line: for the documentation and for the command line.
    """
    return field(default=default, metadata={"may_be": may_be, "says": says})


@dataclass(frozen=True)
class Settings:
    """Base class of settings: a subclass adds fields, and what must hold of several together."""

    def __post_init__(self):
        for each in fields(self):
            self.put(each.name, each.metadata["may_be"].check(each.name, getattr(self, each.name)))
        self.check_together()

    def check_together(self) -> None:
        """Raise where settings contradict each other; set those that are derived from others."""

    def put(self, name: str, value) -> None:
        """Set a field while the settings are being made; frozen, they take it no other way."""
        object.__setattr__(self, name, value)

    def only(self, *names: str) -> dict[str, Any]:
        """The settings of these names, as a dict."""
        return {name: getattr(self, name) for name in names}

    def as_dict(self) -> dict[str, Any]:
        """All settings as a dict, which is how a file holds them."""
        return asdict(self)


def signature_of(constructor: Callable, settings_class: type[Settings]) -> inspect.Signature:
    """The signature of a constructor that hands on `*args, **settings` to a settings class."""
    own = list(inspect.signature(constructor).parameters.values())[1:]  # but for self
    own = [each for each in own if each.kind not in (each.VAR_POSITIONAL, each.VAR_KEYWORD)]
    named = {each.name for each in own}
    told = inspect.signature(settings_class).parameters.values()
    rest = [each for each in told if each.name not in named]
    return inspect.Signature(sorted([*own, *rest], key=lambda each: each.kind))


def documented(settings_class: type[Settings]) -> str:
    """The section "Parameters" of a model's docstring, made of its settings."""
    lines = ["Parameters", "----------"]
    for each in fields(settings_class):
        default = "" if each.default is MISSING else f" (default {each.default!r})"
        lines += [f"{each.name} : {each.metadata['may_be']}{default}"]
        lines += [f"{' ' * INDENT}{each.metadata['says']}"]
    return textwrap.indent("\n".join(lines), " " * INDENT)
