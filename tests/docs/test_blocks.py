"""Every block of every page does what it says."""

import json
import re

import pytest

from tests.docs.commands import check, commands_of
from tests.docs.comparing import Tolerance, difference
from tests.docs.markdown import PAGES, ROOT, blocks, name_of, without_blocks
from tests.docs.running import directly_below, is_record, run_page

KNOWN = {"python", "text", "mermaid", "console", "sh", "bat"}
OF_THE_DEMO = ("demo",)  # test_demo holds these
ALL = [(name_of(page), block) for page in PAGES for block in blocks(page.read_text("utf-8"))]
pages = pytest.mark.parametrize("page", PAGES, ids=name_of)


def named(page_and_block) -> str:
    page, block = page_and_block
    return f"{page}:{block.first}"


@pages
def test_a_page_prints_what_it_says(page, readers_folder):
    for output in run_page(page.read_text(encoding="utf-8")):
        wrong = difference(output.expected or "", output.printed, output.tolerance)
        assert wrong is None, f"{name_of(page)}, line {output.line}: {wrong}"


@pytest.mark.parametrize(
    "place", [each for each in ALL if each[1].language in ("sh", "bat")], ids=named
)
def test_commands_that_are_not_run_exist(place):
    for command in commands_of(place[1].text):
        check(command)


@pytest.mark.parametrize("place", [each for each in ALL if is_record(each[1])], ids=named)
def test_commands_of_what_was_printed_once_exist(place):
    for line in place[1].text.splitlines():
        if line.startswith("$ "):
            check(line.removeprefix("$ "))


@pytest.mark.parametrize("place", [each for each in ALL if is_record(each[1])], ids=named)
def test_what_was_printed_once_stands_in_the_results(place):
    block = place[1]
    kept = iter(record(block.words[0]))
    for line in filter(str.strip, block.text.splitlines()):  # in this order
        assert line.split() in kept, line


def record(name: str) -> list[list[str]]:
    """The lines of a file of results, each as its words; of a notebook, those of its outputs."""
    text = (ROOT / name).read_text(encoding="utf-8")
    if name.endswith(".ipynb"):
        cells = json.loads(text)["cells"]
        outputs = [output for cell in cells for output in cell.get("outputs", [])]
        text = "".join("".join(output.get("text", [])) for output in outputs)
    return [line.split() for line in text.splitlines() if line.strip()]


@pages
def test_every_block_is_of_a_kind_that_is_held_to_something(page):
    text = page.read_text(encoding="utf-8")
    claimed = {block for output in outputs_of(text) for block in output}
    for block in blocks(text):
        assert block.language in KNOWN, f"line {block.first}: {block.language!r}"
        if block.language in ("text", "mermaid"):
            held = block in claimed or is_record(block) or block.words == OF_THE_DEMO
            assert held, f"line {block.first} is nobody's output"
    indented = re.search(r"^(?:    |\t)(?![-*|\d])\S.*$", without_blocks(text), re.MULTILINE)
    assert not indented, f"{indented[0]!r} is in no fenced block"


def outputs_of(text: str):
    everything = blocks(text)
    for place, block in enumerate(everything):
        if block.language == "python":
            yield directly_below(text, everything[place:])


@pages
def test_python_blocks_that_need_a_framework_are_python(page):
    for block in blocks(page.read_text(encoding="utf-8")):
        if block.language == "python" and block.words:
            assert block.words == ("torch",)
            compile(block.text, name_of(page), "exec")


def test_the_words_of_console_blocks_are_tolerances():
    for _, block in ALL:
        if block.language == "console":
            Tolerance.of(block.words)
