"""What the pages show of the demo is what it prints, if its model were trained as long.

`text demo` blocks are held against one run with fewer epochs. The worked example, the data and the
truth must be the same; what the trained model says may differ by what training and the machine make
of it, and so may what it recommends after the first two.
"""

import contextlib
import io
import re
from unittest import mock

import pytest

from attention_from_scratch import plot
from attention_from_scratch.commands.demo import demo
from attention_from_scratch.data import Shop
from tests.docs.comparing import Tolerance, alike
from tests.docs.markdown import PAGES, blocks, name_of

EPOCHS = 6
CLOSE = Tolerance(within=0.1)  # of the model to its longer training, and to the truth
HEAD = re.compile(
    r"  (block \d, head \d): the last event takes (\d\.\d\d) from event (\d) of 9, (.*)"
)
BLOCKS = [
    (name_of(page), block)
    for page in PAGES
    for block in blocks(page.read_text(encoding="utf-8"))
    if block.words == ("demo",)
]


@pytest.fixture(scope="module")
def printed(tmp_path_factory):
    """The lines of the demo; its pictures are looked at in tests/commands."""
    with (
        mock.patch.object(plot, "save", lambda figure, path: path),
        contextlib.redirect_stdout(io.StringIO()) as text,
    ):
        demo(tmp_path_factory.mktemp("demo"), epochs=EPOCHS, progress=False)
    return text.getvalue().splitlines()


@pytest.fixture(scope="module")
def history(printed):
    """The names of the events of the customer who is looked at."""
    (line,) = (line for line in printed if line.startswith("history: "))
    return line.removeprefix("history: ").split(", ")


@pytest.mark.parametrize("place", BLOCKS, ids=[f"{page}:{block.first}" for page, block in BLOCKS])
def test_the_demo_prints_what_the_page_shows(place, printed, history):
    page, block = place
    for line in filter(str.strip, block.text.splitlines()):
        assert line in printed or holds(line, printed, history), f"{page}: {line!r}"


def holds(line: str, printed: list[str], history: list[str]) -> bool:
    """Whether the demo says so, but for what depends on the training."""
    if head := HEAD.fullmatch(line):
        which, share, event, name = head.groups()
        looks = any(other.startswith(f"  {which}:") for other in printed)
        return looks and float(share) <= 1 and history[int(event) - 1] == name
    if " epochs in " in line:
        people, _, training = line.partition(";")
        return any(other.startswith(people + ";") for other in printed) and bool(
            re.fullmatch(r" \d+ epochs in \d+ s, best: \d+", training)
        )
    if line.startswith("SASRec "):
        return any(alike(line, other, CLOSE) for other in printed)
    return is_a_recommendation(line, history)


def is_a_recommendation(line: str, history: list[str]) -> bool:
    """Whether it tells the truth beside a probability that is near it."""
    name, model, truth = re.split(r" {2,}", line.strip())
    shop = Shop()
    ids = [shop.names.index(event) for event in history]
    (probabilities,) = shop.next_probabilities([ids])
    true = f"{probabilities[shop.names.index(name)]:.3f}"
    return truth == true and CLOSE.allows(model, truth)


def test_the_pages_show_the_worked_example_in_full(printed):
    start = printed.index("embeddings X, one row per position")
    end = next(place for place, line in enumerate(printed) if line.startswith("2. SASRec"))
    example = [line for line in printed[start:end] if line]
    assert example in [block.text.splitlines() for _, block in BLOCKS]


def test_the_first_two_recommendations_are_those_of_the_pages(printed):
    lines = {line.split("  ")[1] for line in printed if line.startswith("  ")}
    for page, block in BLOCKS:
        after = block.text.partition("recommended next")[2].splitlines()[1:3]
        for line in after:
            assert line.split("  ")[1] in lines, f"{page}: {line!r}"
