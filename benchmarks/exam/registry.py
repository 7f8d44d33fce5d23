"""The cases of the exam: `@case(...)` above an implementation puts it into `CASES`."""

from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import NamedTuple

from attention_from_scratch import ops

KINDS = ("wrong", "two", "forward", "right")


class Case(NamedTuple):
    """An implementation, and what is wrong with it.

    `kind` is "wrong" for a mistake in the backward pass, "two" for two of them, "forward" for a
    wrong forward pass with the backward pass that belongs to it, and "right". Without `alone`, it
    is only asked with its inputs.
    """

    name: str
    op: Callable
    reference: Callable
    truth: str
    kind: str
    inputs: tuple | None
    keywords: dict
    alone: bool


CASES: list[Case] = []


def case(ref, truth, kind="wrong", name=None, inputs=None, kw=None, need_inputs=False):
    """Put an implementation of `ref`, an op of ours by name or another function, into the exam."""

    def put(op):
        reference = getattr(ops, ref) if isinstance(ref, str) else ref
        called = name or op.__name__
        CASES.append(Case(called, op, reference, truth, kind, inputs, kw or {}, not need_inputs))
        return op

    return put


def cases() -> list[Case]:
    """All of them, in the order of their files."""
    if not CASES:
        for path in sorted((Path(__file__).parent / "cases").glob("[a-z]_*.py")):
            import_module(f"benchmarks.exam.cases.{path.stem}")
    return CASES
