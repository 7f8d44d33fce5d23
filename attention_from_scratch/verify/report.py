"""What a gradient check found, as a table."""

from dataclasses import dataclass, field

import numpy as np


class GradientError(AssertionError):
    """A backward pass that is not the derivative of its forward pass."""


@dataclass(frozen=True)
class GradientRow:
    """One array compared by one method.

    `gradient` is all that backward said and `measured` all that the method found; `scale` is what
    errors are divided by. The table shows the entry that differs most. With `directions` the two
    hold slopes along random directions in place of entries.
    """

    name: str
    method: str
    tolerance: float
    gradient: np.ndarray
    measured: np.ndarray
    scale: float
    directions: bool = False

    @property
    def where(self) -> tuple[int, ...]:
        """Index of the entry that differs most; one that is not a number comes first."""
        difference = np.abs(self.gradient - self.measured)
        worst = np.nan_to_num(difference, nan=np.inf).argmax()
        return tuple(map(int, np.unravel_index(worst, difference.shape)))

    @property
    def backward(self) -> float:
        """What backward said at the entry that differs most."""
        return float(self.gradient[self.where])

    @property
    def numerical(self) -> float:
        """What was measured at the entry that differs most."""
        return float(self.measured[self.where])

    @property
    def error(self) -> float:
        """The largest difference, over `scale`."""
        return abs(self.backward - self.numerical) / self.scale

    @property
    def passed(self) -> bool:
        """Whether the error is within the tolerance; NaN is not."""
        return self.error <= self.tolerance and bool(np.isfinite(self.scale))


@dataclass
class GradientReport:
    """What a check found: a row for each array and method; prints as a table."""

    op: str
    rows: list[GradientRow] = field(default_factory=list)
    heading: str = "gradient check of"
    labels: tuple[str, str] = ("backward", "numerical")
    diagnosis: str = ""

    @property
    def passed(self) -> bool:
        """Whether every row passed, and there was one."""
        return bool(self.rows) and all(row.passed for row in self.rows)

    @property
    def worst(self) -> GradientRow:
        """The row that is furthest beyond (or nearest to) its tolerance, if there is any row."""
        return max(self.rows, key=lambda r: np.nan_to_num(r.error / r.tolerance, nan=np.inf))

    def error(self, method: str = "complex step") -> float:
        """Largest error of any input by one method; NaN where it compared nothing."""
        errors = (row.error for row in self.rows if row.method == method)
        return max(errors, default=float("nan"))

    def __str__(self) -> str:
        width = max([len("input"), *(len(row.name) for row in self.rows)])
        lines = [
            f"{self.heading} {self.op}: {'passed' if self.passed else 'FAILED'}",
            f"  {'input':{width}}  {'method':18}  {'error':>7}  {'allowed':>7}  "
            f"{'at':>12}  {self.labels[0]:>17}  {self.labels[1]:>17}",
        ]
        for row in self.rows:
            lines.append(
                f"  {row.name:{width}}  {row.method:18}  {row.error:7.1e}  {row.tolerance:7.0e}  "
                f"{row.where!s:>12}  {row.backward:17.10g}  {row.numerical:17.10g}"
                f"{'' if row.passed else '  <- wrong'}"
            )
        if not self.rows:
            lines.append("  nothing was compared: the inputs are empty")
        if self.only_complex_step_fails:
            lines.append(
                "  Only the complex step disagrees. Either the error is too small to be seen by a\n"
                "  difference, or the forward pass is not analytic (abs, conj, norm, ...)."
            )
        return "\n".join([*lines, self.diagnosis] if self.diagnosis else lines)

    @property
    def only_complex_step_fails(self) -> bool:
        """Whether central differences found nothing that the complex step finds."""
        failed = {row.method for row in self.rows if not row.passed}
        return failed == {"complex step"} and len({row.method for row in self.rows}) > 1

    __repr__ = __str__  # so that a notebook shows it
