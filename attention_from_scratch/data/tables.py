"""What the readers of tables share: find a column, and show in an error what was found."""

import csv
from collections.abc import Sequence

from attention_from_scratch.arguments import quote


def find(header: Sequence[str], wanted: Sequence[str]) -> int | None:
    """Position of the first wanted name that is in the header, in any case."""
    names = [name.strip().lower() for name in header]
    return next((names.index(name.lower()) for name in wanted if name.lower() in names), None)


def listed(names: Sequence[str]) -> str:
    """The names as an error shows them: at most ten."""
    shown = ", ".join(map(quote, names[:10]))
    return shown if len(names) <= 10 else f"{shown}, … ({len(names)} in all)"


def explain(error: csv.Error) -> str:
    """Say why a line is no CSV."""
    return str(error) if "limit" in str(error) else "a quote that does not end as it should"
