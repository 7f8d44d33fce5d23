"""What a form is: words, and a function of a probe that gives the output."""

from collections.abc import Callable

Form = tuple[str, Callable]
