"""The parts of a page of Markdown that can be held to something: blocks, tables, links."""

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]

FENCE = re.compile(r"^```(.*)$")
COMMENT = re.compile(r"^<!-- (.*) -->$")
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
HEADING = re.compile(r"^#+ (.*)$")


@dataclass(frozen=True)
class Block:
    """A fenced block.

    Attributes
    ----------
    language : str
        The first word after the fence, "" if there is none.
    words : tuple of str
        The words after that.
    text : str
        What stands between the fences, with a line feed at the end unless it is empty.
    first, last : int
        Numbers of the lines of its two fences, from 1 on.
    """

    language: str
    words: tuple[str, ...]
    text: str
    first: int
    last: int


@dataclass(frozen=True)
class Table:
    """A table; `source` is the comment that stands above it, or None."""

    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    source: str | None
    line: int


def name_of(page: Path) -> str:
    """The path from the root of the project on."""
    return page.relative_to(ROOT).as_posix()


def blocks(text: str) -> list[Block]:
    """All fenced blocks, in their order."""
    found, opened = [], None
    lines = text.splitlines()
    for number, line in enumerate(lines, 1):
        fence = FENCE.match(line)
        if fence and opened is None:
            opened, (language, *words) = number, fence[1].split() or [""]
        elif fence:
            inside = "".join(f"{each}\n" for each in lines[opened : number - 1])
            found.append(Block(language, tuple(words), inside, opened, number))
            opened = None
    if opened is not None:
        raise ValueError(f"the block that begins in line {opened} does not end")
    return found


def without_blocks(text: str) -> str:
    """The page with the lines of its blocks left empty, so that the others keep their numbers."""
    lines = text.splitlines()
    for block in blocks(text):
        lines[block.first - 1 : block.last] = [""] * (block.last - block.first + 1)
    return "\n".join(lines)


def cells(line: str) -> tuple[str, ...]:
    """The cells of a row."""
    return tuple(cell.strip() for cell in line.strip().strip("|").split("|"))


def tables(text: str) -> list[Table]:
    """All tables outside blocks."""
    found, lines = [], without_blocks(text).splitlines()
    for number, line in enumerate(lines, 1):
        if re.fullmatch(r"\|( --- \|)+", line):
            end = number
            while end < len(lines) and lines[end].startswith("|"):
                end += 1
            comment = COMMENT.match(lines[number - 3]) if number > 2 else None
            rows = tuple(cells(row) for row in lines[number:end])
            source = comment[1] if comment else None
            found.append(Table(cells(lines[number - 2]), rows, source, number - 1))
    return found


def links(text: str) -> list[str]:
    """The targets of all links and pictures."""
    return LINK.findall(re.sub(r"`[^`]*`", "", without_blocks(text)))


def anchors(text: str) -> set[str]:
    """What GitHub lets a link point to: the headings, in small letters, with dashes."""
    headings = [HEADING.match(line) for line in without_blocks(text).splitlines()]
    return {
        re.sub(r"[^\w\- ]", "", heading[1].lower()).replace(" ", "-")
        for heading in headings
        if heading
    }
