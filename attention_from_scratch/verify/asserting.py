"""For a test: the gradients are right, or the message says what to do about it."""

from collections.abc import Callable

import numpy as np

from attention_from_scratch.verify.doctor import words
from attention_from_scratch.verify.foreign import as_op
from attention_from_scratch.verify.gradients import check_gradients
from attention_from_scratch.verify.report import GradientError, GradientReport, GradientRow


def assert_gradients(op, *inputs, reference: Callable | None = None, **settings) -> None:
    """Raise an AssertionError unless every gradient of the op is the derivative of its output.

    The message names the input and the entry that is furthest off, both values and the ratio
    between them; and, where a reference is known, what mistake it is.

    Parameters
    ----------
    op
        Anything that `as_op` takes.
    *inputs
        Arrays, trees of arrays, or None.
    reference : op of `ops`, or None
        What it should be, for a diagnosis; None: the op of ours that has the same name and gives
        the same output, if any.
    **settings
        Of `check_gradients`; other keywords go to the op.
    """
    op = as_op(op)
    report = check_gradients(op, *inputs, **settings)
    if report.passed:
        return
    if reference is not None:
        own = {"projections", "tolerances", "seed", "raise_on_failure"}
        keywords = {name: value for name, value in settings.items() if name not in own}
        report.diagnosis = words(op, reference, inputs, keywords)
    raise GradientError(f"{message(report)}\n{report}")


def message(report: GradientReport) -> str:
    """Which input, which entry, both values, the ratio between them."""
    if not report.rows:
        return f"{report.op}: its inputs are empty, so nothing was compared"
    worst = report.worst
    said, measured = worst.backward, worst.numerical
    ratio = f"{said / measured:.6g}" if measured else "undefined, as the derivative is 0"
    return (
        f"{report.op}: the gradient of {worst.name} is wrong {extent(worst)}: backward says "
        f"{said:.10g}, the {worst.method} measures {measured:.10g}, ratio {ratio}"
    )


def extent(row: GradientRow) -> str:
    """How much of an array is wrong, and where most."""
    wrong = ~(np.abs(row.gradient - row.measured) <= row.tolerance * row.scale)  # `not <=`: NaN too
    if row.directions:
        return f"along {wrong.sum()} of {wrong.size} random directions, most along {row.where[0]}"
    return f"in {wrong.mean():.0%} of its entries, most at {row.where}"
