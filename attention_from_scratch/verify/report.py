"""What a gradient check found, as a table."""

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from attention_from_scratch.verify.floors import RIGHT


class GradientError(AssertionError):
    """A backward pass that is not the derivative of its forward pass."""


@dataclass(frozen=True)
class GradientRow:
    """One array: what backward said, what was measured, and the verdict on each entry.

    `gradient` is all that backward said, `measured` all that was measured by `methods`, `floor` how
    far right code may be off (see `floors`) and `verdicts` "right", "open" or "wrong", all of the
    array's shape; with `directions` they are of slopes along random directions. `kinks` are the
    entries at which the slopes to both sides differ. The table shows the entry that is furthest
    beyond its floor. `errors` has for each method the largest difference over `scale`, the largest
    entry of the input's gradient.
    """

    name: str
    gradient: np.ndarray
    measured: np.ndarray
    floor: np.ndarray
    verdicts: np.ndarray
    methods: np.ndarray
    kinks: np.ndarray
    errors: dict[str, float] = field(default_factory=dict)
    directions: bool = False

    @cached_property
    def beyond(self) -> np.ndarray:
        """The difference of each entry, in floors."""
        with np.errstate(divide="ignore", invalid="ignore"):
            beyond = np.abs(self.gradient - self.measured) / self.floor
        return np.where(self.gradient == self.measured, 0, np.nan_to_num(beyond, nan=np.inf))

    @property
    def in_floors(self) -> float:
        """The largest difference of an entry, in floors; up to 16 is right."""
        return float(self.beyond.max())

    @cached_property
    def where(self) -> tuple[int, ...]:
        """Index of the entry that is furthest beyond its floor: first the wrong ones."""
        beyond = self.beyond
        rank = np.select([self.verdicts == "wrong", self.verdicts == "open"], [2, 1], 0)
        order = np.lexsort((beyond.ravel(), rank.ravel()))
        return tuple(map(int, np.unravel_index(order[-1], beyond.shape)))

    @property
    def method(self) -> str:
        """The method that decided on the entry shown."""
        return str(self.methods[self.where])

    @property
    def backward(self) -> float:
        """What backward said at the entry shown."""
        return float(self.gradient[self.where])

    @property
    def numerical(self) -> float:
        """What was measured at the entry shown."""
        return float(self.measured[self.where])

    @property
    def error(self) -> float:
        """The difference at the entry shown."""
        return abs(self.backward - self.numerical)

    @property
    def allowed(self) -> float:
        """The difference up to which the entry shown is right."""
        return RIGHT * float(self.floor[self.where])

    @property
    def verdict(self) -> str:
        """The verdict on the worst entry: "right", "cannot tell" or "wrong"."""
        if (self.verdicts == "wrong").any():
            return "wrong"
        return "cannot tell" if (self.verdicts == "open").any() else "right"

    @property
    def passed(self) -> bool:
        """Whether every entry is right."""
        return self.verdict == "right"


@dataclass
class GradientReport:
    """What a check found: a row for each array; prints as a table."""

    op: str
    rows: list[GradientRow] = field(default_factory=list)
    heading: str = "gradient check of"
    labels: tuple[str, str] = ("backward", "measured")
    faults: list[str] = field(default_factory=list)  # what is wrong with the whole of it
    notes: list[str] = field(default_factory=list)
    diagnosis: str = ""

    @property
    def verdict(self) -> str:
        """The verdict on all: "right" if every row is, "wrong" if any is, else "cannot tell"."""
        verdicts = {row.verdict for row in self.rows}
        if "wrong" in verdicts or self.faults:
            return "wrong"
        return "right" if verdicts == {"right"} else "cannot tell"

    @property
    def passed(self) -> bool:
        """Whether every row is right, and there was one."""
        return self.verdict == "right"

    @property
    def worst(self) -> GradientRow:
        """The row that is furthest beyond (or nearest to) what is allowed, if there is any row."""

        def beyond(row):
            ratio = row.error / row.allowed if row.allowed else np.inf if row.error else 0
            rank = ["right", "cannot tell", "wrong"].index(row.verdict)
            return rank, np.nan_to_num(ratio, nan=np.inf)

        return max(self.rows, key=beyond)

    def error(self, method: str = "complex step") -> float:
        """Largest difference by one method over the largest entry; NaN where it measured none."""
        errors = [row.errors[method] for row in self.rows if method in row.errors]
        return max(errors, default=float("nan"))

    def __str__(self) -> str:
        width = max([len("input"), *(len(row.name) for row in self.rows)])
        word = {"right": "passed", "wrong": "FAILED", "cannot tell": "CANNOT TELL"}[self.verdict]
        lines = [
            f"{self.heading} {self.op}: {word}",
            f"  {'input':{width}}  {'method':18}  {'differs':>7}  {'allowed':>7}  "
            f"{'at':>12}  {self.labels[0]:>17}  {self.labels[1]:>17}",
        ]
        for row in self.rows:
            lines.append(
                f"  {row.name:{width}}  {row.method:18}  {row.error:7.1e}  {row.allowed:7.0e}  "
                f"{row.where!s:>12}  {row.backward:17.10g}  {row.numerical:17.10g}"
                f"{'' if row.passed else f'  <- {row.verdict}'}"
            )
        if not self.rows:
            lines.append("  nothing was compared: the inputs are empty")
        lines += [f"  {line}" for line in (*self.faults, *self.notes)]
        return "\n".join([*lines, self.diagnosis] if self.diagnosis else lines)

    __repr__ = __str__  # so that a notebook shows it
