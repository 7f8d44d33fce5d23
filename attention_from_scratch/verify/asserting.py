"""For a test: the gradients are right, or the message says what to do about it."""

from collections.abc import Callable

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
        own = {"projections", "tolerances", "constant", "seed", "raise_on_failure"}
        keywords = {name: value for name, value in settings.items() if name not in own}
        report.diagnosis = words(op, reference, inputs, keywords)
    raise GradientError(f"{message(report)}\n{report}")


def message(report: GradientReport) -> str:
    """Which input, which entry, both values, the ratio between them."""
    if not report.rows:
        return f"{report.op}: its inputs are empty, so nothing was compared"
    if report.faults:
        return f"{report.op}: {report.faults[0]}"
    worst = report.worst
    said, measured = worst.backward, worst.numerical
    if report.verdict == "cannot tell":
        return (
            f"{report.op}: whether the gradient of {worst.name} is right cannot be told "
            f"{extent(worst, 'open')}: {report.notes[-1]}"
        )
    ratio = f"{said / measured:.6g}" if measured else "undefined, as the derivative is 0"
    return (
        f"{report.op}: the gradient of {worst.name} is wrong {extent(worst, 'wrong')}: backward "
        f"says {said:.10g}, the {worst.method} measures {measured:.10g}, ratio {ratio}"
    )


def extent(row: GradientRow, verdict: str) -> str:
    """How much of an array has this verdict, and where most."""
    some = row.verdicts == verdict
    if row.directions:
        return f"along {some.sum()} of {some.size} random directions, most along {row.where[0]}"
    return f"in {some.mean():.0%} of its entries, most at {row.where}"
