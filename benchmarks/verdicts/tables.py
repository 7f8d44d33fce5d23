"""From the counts to the tables: a row for each contender and dtype."""

from collections import Counter
from collections.abc import Iterator
from typing import NamedTuple

from benchmarks.verdicts.contenders import OURS
from benchmarks.verdicts.measuring import ANALYTIC, DTYPES, NOT_ANALYTIC, PLANTED, VERDICTS

HEADER = (
    "",
    "right functions accused",
    "cannot tell, analytic",
    "cannot tell, not analytic",
    "planted errors missed",
    "of these, cannot tell",
    "refused",
    "ms a check",
)


class Record(NamedTuple):
    """How often a contender gave which verdict, in one dtype."""

    contender: str
    dtype: str
    analytic: Counter  # of right functions
    not_analytic: Counter  # of right functions
    planted: Counter

    @property
    def right(self) -> Counter:
        """Of all right functions."""
        return self.analytic + self.not_analytic

    @property
    def missed(self) -> int:
        """Planted errors that were not called wrong; a refusal is no verdict."""
        return self.planted["right"] + self.planted["cannot tell"]

    @property
    def refused(self) -> int:
        """Refusals of both."""
        return self.right["refused"] + self.planted["refused"]


def records(result: dict, *, moderate: bool = False) -> Iterator[Record]:
    """Those of all functions, or of those of moderate numbers alone."""
    rows = [row for row in result["counts"] if row["moderate"] or not moderate]
    for who in result["contenders"]:
        for dtype in who["dtypes"]:
            of_who = [r for r in rows if (r["contender"], r["dtype"]) == (who["name"], dtype)]
            counts = (counts_of(of_who, op) for op in (ANALYTIC, NOT_ANALYTIC, PLANTED))
            yield Record(who["name"], dtype, *counts)


def counts_of(rows: list[dict], op: str) -> Counter:
    """How often which verdict, over all rows of this kind of op."""
    found = Counter()
    for row in rows:
        if row["op"] == op:
            found.update({verdict: row[verdict] for verdict in VERDICTS})
    return found


def how_many(found: list[Record]) -> str:
    """How many functions there are, and what none of so many means."""
    ours = {record.dtype: record for record in found if record.contender == OURS.name}
    parts = []
    for dtype in DTYPES:
        right, analytic, planted = (
            counts.total()
            for counts in (ours[dtype].right, ours[dtype].analytic, ours[dtype].planted)
        )
        parts.append(
            f"In {dtype}: {right:,} right functions ({analytic:,} analytic), {planted:,} planted "
            "errors."
        )
    n = ours["float64"].planted.total()
    if n:
        parts.append(
            f"None of {n:,} means less than {1 - 0.05 ** (1 / n):.1%}, with 95 % confidence."
        )
    return " ".join(parts)


def cells(record: Record) -> list[str]:
    """A row of the table, without its milliseconds; only ours has a verdict "cannot tell"."""
    open_ = [
        share(record.analytic, "cannot tell"),
        share(record.not_analytic, "cannot tell"),
        f"{record.planted['cannot tell']:,}",
    ]
    if record.contender != OURS.name:
        open_ = ["-", "-", "-"]
    return [
        f"{record.contender}, {record.dtype}",
        share(record.right, "wrong"),
        *open_[:2],
        of(record.missed, record.planted.total()),
        open_[2],
        f"{record.refused:,}",
    ]


def share(counts: Counter, verdict: str) -> str:
    """How many of all have this verdict."""
    return of(counts[verdict], counts.total())


def of(n: int, total: int) -> str:
    """3 of 1,000 (0.3%)."""
    return f"{n:,} of {total:,} ({n / total:.1%})" if total else "0 of 0"
