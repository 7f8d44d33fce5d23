"""Settings that cannot be are errors that name them."""

import math
from numbers import Integral, Real

# What overflows shows in the loss, the parameters or the scores, and that is an error with a name.
SILENT = {"over": "ignore", "invalid": "ignore"}


def check_integer(name: str, value: int, least: int) -> int:
    """`value` as an int, if it is an integer from `least` on (a boolean is none)."""
    if not isinstance(value, Integral) or isinstance(value, bool) or value < least:
        raise ValueError(f"{name} was {value!r}, but must be an integer from {least} on")
    return int(value)


def check_positive(name: str, value: float) -> None:
    """Raise unless `value` is a finite number above 0."""
    if not (isinstance(value, Real) and 0 < value < math.inf):
        raise ValueError(f"{name} was {value!r}, but must be finite and above 0")
