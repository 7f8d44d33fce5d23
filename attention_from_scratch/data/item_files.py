"""Read what is known of items: their titles, years and genres, from RecBole's files or MovieLens'.

Every format is one `_Columns`; from there on there is one way to read.
"""

import csv
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from io import StringIO
from os import PathLike
from pathlib import Path
from typing import NamedTuple, TextIO

from attention_from_scratch.data.tables import explain, find, listed

ITEM_NAMES = ("item", "item_id", "itemid", "movie_id", "movieid", "product_id")
GENRE_NAMES = ("class", "genre", "genres")
FLAGS = (  # the last 19 fields of u.item, in their order
    "unknown", "Action", "Adventure", "Animation", "Children's", "Comedy", "Crime", "Documentary",
    "Drama", "Fantasy", "Film-Noir", "Horror", "Musical", "Mystery", "Romance", "Sci-Fi",
    "Thriller", "War", "Western",
)  # fmt: skip
NO_GENRE = {"unknown", "(no genres listed)"}  # how MovieLens says that it does not know


class Item(NamedTuple):
    """What a file says of one item.

    Attributes
    ----------
    title : str
        As people are to read it, with the year where there is one; "" if it is not known.
    year : int or None
    genres : tuple of str
        Empty if none is known.
    """

    title: str
    year: int | None
    genres: tuple[str, ...]


@dataclass(frozen=True)
class _Columns:
    """Which fields of a line are what; None: there is no such field."""

    item: int | None = 0
    title: int | None = 1
    date: int | None = None
    genres: int | None = None
    between_genres: str | None = "|"  # None: spaces
    flags: int | None = None  # where a field for each of FLAGS begins


def read_items(path: str | PathLike) -> dict[str, Item]:
    """Read an item file: label -> `Item`; empty if it has no column of items.

    ==================  =====================================================================
    RecBole ``.item``   tabs; a header such as ``item_id:token movie_title:token_seq
                        release_year:token class:token_seq``; spaces between genres
    MovieLens-100K      ``u.item``: bars; id, title, date, video date, address, a 0 or 1 for
                        each of 19 genres
    MovieLens-1M        ``movies.dat``: ``id::Title (Year)::Genre|Genre``
    later ones          ``movies.csv``: a header ``movieId,title,genres``, bars between genres
    ==================  =====================================================================

    The text is UTF-8 or else latin-1. The year is the one in brackets at the end of the title (a
    `release_year` is put there), else that of the date.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If a line is too short or its quotes do not match.
    """
    path = Path(path)
    content = path.read_bytes()
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = content.decode("latin-1")  # as GroupLens ships u.item and movies.dat
    first = text.partition("\n")[0]
    separator = next((s for s in ("\t", "::", "|") if s in first), None)
    rows = _rows(path.name, StringIO(text, newline=None), separator)
    columns = _columns(separator, rows)
    if columns.item is None:
        return {}
    items = {}
    for number, fields in rows:
        row = [field.strip() for field in fields]
        if not any(row):
            continue
        if len(row) <= max(columns.item, columns.title or 0):
            raise ValueError(
                f"{path.name} line {number}: expected an item and its title, found {listed(row)}"
            )
        items[row[columns.item]] = _item(row, columns)
    return items


def _columns(separator: str | None, rows: Iterator[tuple[int, list[str]]]) -> _Columns:
    """Where things stand in a file with such a separator; takes the header off, if it has one."""
    if separator == "::":
        return _Columns(genres=2)
    if separator == "|":
        return _Columns(date=2, flags=5)
    header = [field.strip().split(":")[0] for field in next(rows, (1, []))[1]]
    titles = (i for i, field in enumerate(header) if field.endswith(("title", "name")))
    return _Columns(
        item=find(header, ITEM_NAMES),
        title=next(titles, None),
        date=find(header, ["release_year"]),
        genres=find(header, GENRE_NAMES),
        between_genres=None if separator == "\t" else "|",
    )


def _rows(name: str, lines: TextIO, separator: str | None) -> Iterator[tuple[int, list[str]]]:
    """The fields of an item file, and the number of the line where they begin."""
    if separator is not None:
        yield from ((number, line.split(separator)) for number, line in enumerate(lines, 1))
        return
    rows, number = csv.reader(lines, strict=True), 1
    try:
        for row in rows:
            yield number, row
            number = rows.line_num + 1
    except csv.Error as error:
        raise ValueError(
            f"{name} line {number}: expected an item and its title, found {explain(error)}"
        ) from None


def _item(row: Sequence[str], columns: _Columns) -> Item:
    """What a line says of its item."""
    title, date, genres = (
        row[place] if place is not None and place < len(row) else ""
        for place in (columns.title, columns.date, columns.genres)
    )
    if title and re.fullmatch("[0-9]{4}", date):
        title = f"{title} ({date})"
    years = re.findall(r"\(([0-9]{4})\)", title) or re.findall("[0-9]{4}$", date)
    if columns.flags is None:
        names = genres.split(columns.between_genres)
    else:  # a short line has fewer flags
        flags = zip(FLAGS, row[columns.flags :], strict=False)
        names = [name for name, flag in flags if flag == "1"]
    known = tuple(name.strip() for name in names if name.strip() not in ("", *NO_GENRE))
    return Item(title, int(years[-1]) if years else None, known)
