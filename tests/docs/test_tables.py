"""Every table of results says what the results say."""

import re

import pytest

from tests.docs.markdown import PAGES, ROOT, cells, links, name_of, tables
from tests.docs.results import BY_SOURCE
from tests.docs.running import run_command

COPIED, PRINTED = "rows of ", "printed by "
ALL = [
    (name_of(page), table) for page in PAGES for table in tables(page.read_text(encoding="utf-8"))
]
DECIMAL = re.compile(r"\d\.\d")


def with_source(beginning: str):
    found = [each for each in ALL if (each[1].source or "").startswith(beginning)]
    ids = [f"{page}:{table.line}" for page, table in found]
    return pytest.mark.parametrize(("page", "table"), found, ids=ids)


@with_source(COPIED)
def test_rows_that_are_copied_stand_in_the_results(page, table):
    name = table.source.removeprefix(COPIED)
    kept = [cells(line) for line in (ROOT / name).read_text(encoding="utf-8").splitlines()]
    assert table.header[1:] in [row[1:] for row in kept]
    for row in table.rows:
        assert row in kept


@with_source("made of ")
def test_rows_that_are_made_of_results_say_what_they_say(page, table):
    make = BY_SOURCE.get(table.source) or BY_SOURCE[page, table.source]
    made = make()
    assert len(table.rows) == len(made)
    for row, result in zip(table.rows, sorted_like(table.rows, made), strict=True):
        assert row[1 : 1 + len(result)] == result


def sorted_like(rows, made):
    """Results in the order of the rows, if it is another."""
    if len(set(made)) < len(made):
        return made
    places = {result: place for place, result in enumerate(made)}
    width = len(made[0])
    order = [places.get(row[1 : 1 + width]) for row in rows]
    return made if None in order else [made[place] for place in order]


def test_minutes_of_a_published_table_are_those_of_a_run():
    """As "12 min, 2 cores": of a seed that had the cores to itself."""
    (table,) = (table for page, table in ALL if table.header[-1] == "training and validation")
    for row in table.rows:
        (page,) = links(row[0])
        (runs,) = (
            runs
            for runs in tables((ROOT / "docs" / page).read_text(encoding="utf-8"))
            if runs.header[-1] == "cores"
        )
        times = [
            f"{float(run[3].removesuffix(' s').replace(',', '')) / 60:.0f} min, {run[-1]} cores"
            for run in runs.rows
        ]
        assert row[-1] in times


@with_source("numbers of the pages")
def test_numbers_stand_in_the_pages_that_the_row_names(page, table):
    for row in table.rows:
        text = " | ".join(row)
        named = [(ROOT / page).parent / target for target in links(text)]
        assert named, f"no page is named: {text}"
        results = " ".join(path.read_text(encoding="utf-8") for path in named)
        for number in re.findall(r"\d+\.\d+", text):
            assert re.search(rf"(?<![\d.]){re.escape(number)}(?!\d)", results), number


@pytest.mark.long  # its sample: tests/verify/doctor/test_mutants.py
@with_source(PRINTED)
def test_what_a_command_prints_as_a_table_is_the_table(page, table):
    printed = run_command(table.source.removeprefix(PRINTED)).splitlines()
    rows = [cells(line) for line in printed if line.startswith("|")]
    assert (table.header, table.rows) == (rows[0], tuple(rows[2:]))
    text = (ROOT / page).read_text(encoding="utf-8").splitlines()
    for line in printed:
        assert line.startswith("|") or line in text


def test_every_table_with_measured_numbers_has_a_source():
    for page, table in ALL:
        measured = any(DECIMAL.search(cell) for row in table.rows for cell in row)
        assert table.source or not measured, f"{page}, line {table.line}"


def test_every_way_to_make_a_table_is_used():
    sources = {table.source for _, table in ALL} | {(page, table.source) for page, table in ALL}
    assert set(BY_SOURCE) <= sources
