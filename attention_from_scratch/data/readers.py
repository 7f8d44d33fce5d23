"""Read interactions from the files people have: RecBole, MovieLens, plain text, CSV.

Every format is one `_Layout`; from there on there is one way to read. Files are read in blocks of
lines and taken apart by column, which is what makes a million lines a matter of a second.
"""

import csv
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from os import PathLike
from pathlib import Path
from typing import TextIO

import numpy as np

from attention_from_scratch.arguments import quote
from attention_from_scratch.data.interactions import Interactions
from attention_from_scratch.data.item_files import ITEM_NAMES, read_items
from attention_from_scratch.data.tables import explain, find, listed

COMMON_NAMES = {
    "user": ("user", "user_id", "userid", "visitorid"),
    "item": ITEM_NAMES,
    "timestamp": ("timestamp", "time", "unixtimestamp", "unixreviewtime", "ts", "datetime", "date"),
    "behaviour": ("behaviour", "behavior", "event_type", "event"),
}
OPTIONAL = ("timestamp", "behaviour")  # a file need not have them
KNOWN_FORMATS = (
    "RecBole .inter ('user_id:token<tab>item_id:token'), MovieLens u.data (4 tab-separated fields) "
    "and ratings.dat ('user::item::rating::timestamp'), plain text ('user item'), "
    "CSV with a header"
)
SEPARATOR_NAMES = {"\t": "tab", " ": "space", ",": "comma", ";": "semicolon", "::": "'::'"}
ITEM_FILES = {"u.data": "u.item", "ratings.dat": "movies.dat", "ratings.csv": "movies.csv"}
BLOCK_CHARACTERS = 1 << 22  # how much of a file is held in memory as strings at a time


@dataclass(frozen=True)
class _Layout:
    """How the lines of a file are made, and which fields are the user, the item and so on."""

    separator: str
    width: int  # fields in a line
    user: int = 0
    item: int = 1
    timestamp: int | None = None
    behaviour: int | None = None
    skip: int = 0  # lines up to the end of the header
    quoted: bool = False  # fields may stand in quotes, as the csv module reads them
    header: Sequence[str] = ()


def read_interactions(
    path: str | PathLike,
    *,
    columns: Mapping[str, str | None] | None = None,
    titles: str | PathLike | None = None,
) -> Interactions:
    r"""Read a file of events; its format is recognised by its name and its first line.

    ====================  ==============================================================
    RecBole ``.inter``    tabs; a header ``user_id:token item_id:token timestamp:float``
    MovieLens ``u.data``  user, item, rating, timestamp; tabs, no header
    ``ratings.dat``       ``user::item::rating::timestamp``
    plain text            ``user item``, a space or tab between; lines in order of time
    CSV                   a header, then comma, semicolon, tab or space between fields
    ====================  ==============================================================

    Parameters
    ----------
    path : path
        UTF-8, with or without a byte order mark. Blank lines are skipped.
    columns : mapping, optional
        Where a file with a header keeps "user", "item", "timestamp" and "behaviour". By default
        the common names, such as ``user_id``, ``userId``, ``item``, ``movieId``, ``timestamp``,
        ``event_type``, in any case. A file need not have a timestamp: then its lines are in the
        order of time, and `Interactions.ordered_by` says so. Nor need it have a behaviour (what
        the user did: looked, bought). None for one of these two leaves its column unread.
    titles : path, optional
        The file with the names of the items. By default the one that comes with the data, if it
        is there: ``x.item`` beside ``x.inter``, ``u.item`` beside ``u.data``, ``movies.dat`` beside
        ``ratings.dat``, ``movies.csv`` beside ``ratings.csv``.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If the file is empty or in no known format, a column is missing, or a line is malformed:
        ``ml.inter line 17: expected 4 tab-separated fields, found 3: '196\t242\t3'``.
    """
    path = Path(path)
    users, items, times, behaviours = [], [], [], []
    try:
        with path.open(encoding="utf-8-sig") as file:
            layout = _recognise(path.name, file, columns)
            for numbers, fields in _blocks(path.name, file, layout):
                users += _labels("user", path.name, numbers, fields[layout.user])
                items += _labels("item", path.name, numbers, fields[layout.item])
                if layout.timestamp is not None:
                    times.append(_times(path.name, numbers, fields[layout.timestamp]))
                if layout.behaviour is not None:
                    column = fields[layout.behaviour]
                    behaviours += _labels("behaviour", path.name, numbers, column)
    except UnicodeDecodeError:
        raise ValueError(f"{path.name}: not a text file in UTF-8") from None
    if not users:
        raise ValueError(f"{path.name}: no events, only a header")
    timestamps = np.concatenate(times) if times else None
    data = Interactions.from_events(
        users, items, timestamps, _find_titles(path, titles), behaviours or None
    )
    if times or not layout.header or "timestamp" in (columns or {}):
        return data
    why = f"line, as none of the columns {listed(layout.header)} is known as a timestamp"
    return replace(data, ordered_by=why)


def _recognise(name: str, file: TextIO, columns: Mapping[str, str | None] | None) -> _Layout:
    """Tell the layout from the name and the first line that is not blank, and rewind the file."""
    lines = ((n, line.strip("\n")) for n, line in enumerate(file, 1) if line.strip())
    number, first = next(lines, (0, ""))
    file.seek(0)
    if not number:
        raise ValueError(f"{name}: the file is empty")
    if re.search(":(token|float)", first):
        header = [field.split(":")[0] for field in first.split("\t")]
        found = _columns(name, header, columns)
        return _Layout("\t", len(header), **found, skip=number, header=header)
    if name.endswith(".inter"):
        raise ValueError(
            f"{name} line {number}: expected a header such as "
            f"'user_id:token\\titem_id:token\\ttimestamp:float', found {quote(first)}"
        )
    if "::" in first or name == "ratings.dat":
        return _Layout("::", 4, timestamp=3)
    separator = next((s for s in ",;\t " if s in first), ",")
    try:
        header = next(csv.reader([first], delimiter=separator, skipinitialspace=True))
    except csv.Error as error:
        raise ValueError(f"{name} line {number}: {error}") from None
    named = all(find(header, COMMON_NAMES[role]) is not None for role in ("user", "item"))
    if named or columns or name.endswith(".csv") or (separator in first and separator in ",;"):
        found = _columns(name, header, columns)
        return _Layout(separator, len(header), **found, skip=number, quoted=True, header=header)
    if name == "u.data" or first.count("\t") == 3:
        return _Layout("\t", 4, timestamp=3)
    if len(first.split()) == 2:
        return _Layout(separator, 2)
    raise ValueError(
        f"{name}: no known format begins with {quote(first)}; known are {KNOWN_FORMATS}"
    )


def _columns(
    name: str, header: Sequence[str], columns: Mapping[str, str | None] | None
) -> dict[str, int | None]:
    """Find the user, the item and (if there are any) the rest in a header: role -> position."""
    columns = columns or {}
    if unknown := set(columns) - set(COMMON_NAMES):
        raise ValueError(f"columns has {min(unknown)!r}; it may have {', '.join(COMMON_NAMES)}")
    found = {}
    # What was asked for comes first: a guess must not take its column.
    for role in sorted(COMMON_NAMES, key=lambda role: role not in columns):
        asked = columns.get(role)
        wanted = COMMON_NAMES[role] if asked is None else (asked,)
        place = find(header, wanted)
        if place is None and (role not in OPTIONAL or asked is not None):
            raise ValueError(
                f"{name}: no {role} column {' or '.join(map(repr, wanted))}; "
                f"its columns are {listed(header)}"
            )
        if role in OPTIONAL and asked is None and (role in columns or place in found.values()):
            place = None
        found[role] = place
    places = {role: place for role, place in found.items() if place is not None}
    if len(set(places.values())) < len(places):
        roles = ", ".join(f"{role} {quote(header[place])}" for role, place in places.items())
        raise ValueError(f"{name}: each role must have a column of its own, but they are {roles}")
    return found


def _blocks(name: str, file: TextIO, layout: _Layout) -> Iterator[tuple[Sequence[int], list]]:
    """Cut the file into blocks: the line number of each row, and one list of strings per field."""
    start = 1 + sum(1 for _ in islice(file, layout.skip))
    while lines := file.readlines(BLOCK_CHARACTERS):
        numbers = range(start, start + len(lines))
        start += len(lines)
        lines = [line.strip(None if layout.separator == " " else "\n") for line in lines]
        fields = _fields(lines, layout)
        if fields is None:  # rare: blank lines to skip, or a line to complain about
            rows = [(n, line) for n, line in zip(numbers, lines, strict=True) if line.strip()]
            for number, line in rows:
                if (found := _count(line, layout)) != layout.width:
                    raise ValueError(
                        f"{name} line {number}: expected {layout.width} "
                        f"{SEPARATOR_NAMES[layout.separator]}-separated fields, "
                        f"found {found}: {quote(line)}"
                    )
            numbers, lines = [n for n, _ in rows], [line for _, line in rows]
            fields = _fields(lines, layout)
        if lines:
            yield numbers, fields


def _fields(lines: list[str], layout: _Layout) -> list[Sequence[str]] | None:
    """Take all lines apart at once, into one column per field; None if they are not all alike."""
    separator, width = layout.separator, layout.width
    text = separator.join(lines)
    if layout.quoted and ('"' in text or f"{separator} " in text):
        try:
            rows = list(csv.reader(lines, delimiter=separator, skipinitialspace=True, strict=True))
        except csv.Error:
            return None
        alike = len(rows) == len(lines) and {len(row) for row in rows} == {width}
        return list(zip(*rows, strict=True)) if alike else None
    if {line.count(separator) for line in lines} != {width - 1}:
        return None
    fields = text.split(separator)
    return [fields[field::width] for field in range(width)]


def _count(line: str, layout: _Layout) -> int | str:
    """How many fields a line has, or what is wrong with its quotes."""
    if not layout.quoted:
        return line.count(layout.separator) + 1
    try:
        reader = csv.reader([line], delimiter=layout.separator, skipinitialspace=True, strict=True)
        return len(next(reader))
    except csv.Error as error:
        return explain(error)


def _labels(role: str, name: str, numbers: Sequence[int], column: Sequence[str]) -> Iterator[str]:
    """Pass the labels on, stripped and interned: one string a label, however many its events."""
    column = list(map(str.strip, column))
    if "" in column:
        number = numbers[column.index("")]
        raise ValueError(f"{name} line {number}: expected the {role}'s label, found ''")
    return map(sys.intern, column)


def _times(name: str, numbers: Sequence[int], column: Sequence[str]) -> np.ndarray:
    """Read a column of timestamps, (rows,) float64."""
    try:
        times = np.fromiter(map(float, column), np.float64, len(column))
    except ValueError:
        times = np.array([_float_or_nan(text) for text in column])
    if not np.isfinite(times).all():
        row = int(np.argmin(np.isfinite(times)))
        found = quote(column[row])
        raise ValueError(
            f"{name} line {numbers[row]}: expected a number as timestamp, found {found}"
        )
    return times


def _float_or_nan(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return float("nan")


def _find_titles(path: Path, titles: str | PathLike | None) -> dict[str, str] | None:
    """Read the titles from the file that is named, or from the one that comes with the data."""
    if titles is not None:
        found = _titles(Path(titles))
        if not found:
            raise ValueError(f"{Path(titles).name}: no item with a title in it")
        return found
    default = f"{path.stem}.item" if path.suffix == ".inter" else ITEM_FILES.get(path.name)
    if default and path.with_name(default).is_file():
        return _titles(path.with_name(default))
    return None


def _titles(path: Path) -> dict[str, str]:
    """The titles in an item file: label -> title; empty if it has none."""
    return {label: item.title for label, item in read_items(path).items() if item.title}
