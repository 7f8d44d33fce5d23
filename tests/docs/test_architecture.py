"""The tour for a new contributor leads through what is there."""

import ast
import importlib.util
import re
import sys

import pytest

from attention_from_scratch import SASRec
from tests.docs.markdown import ROOT

PAGE = ROOT / "docs" / "architecture.md"
STOP = re.compile(r"^\| (\d+) \| \[[^]]+\]\(\.\./([^)]+)\) \| `(\w+)` \|", re.MULTILINE)
STOPS = [(file, function) for _, file, function in STOP.findall(PAGE.read_text(encoding="utf-8"))]
MOST_FILES, MOST_VISITS, MOST_LINES = 12, 2, 400
SPEED = ("training/threads.py", "training/pieces.py", "training/memory.py")
AROUND = ("divergence", "memory", "pieces", "streams", "threads")


def functions(file):
    """The names of all functions of a file, those inside of others included."""
    tree = ast.parse((ROOT / file).read_text(encoding="utf-8"))
    return {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}


@pytest.mark.parametrize(("file", "function"), STOPS)
def test_every_stop_of_the_walk_is_there(file, function):
    assert function in functions(file)


def test_the_walk_holds_events_out_where_they_are_held_out_and_says_what_reads_them():
    text = PAGE.read_text(encoding="utf-8")
    assert ("attention_from_scratch/commands/events.py", "of") in STOPS
    for file, function in (("commands/runs.py", "read"), ("data/split.py", "leave_one_out")):
        assert f"`{function}` in\n[{file}]" in text
        assert function in functions(f"attention_from_scratch/{file}")


def test_what_is_there_for_speed_alone_is_named_and_there():
    text = PAGE.read_text(encoding="utf-8")
    for name in ("fast", "training/forks", "rows.py", "models/trained.py", *SPEED):
        assert f"`{name}`" in text
        assert (ROOT / "attention_from_scratch" / name).exists()


def test_the_walk_opens_few_files_seldom_and_short_ones():
    files = [file for file, _ in STOPS]
    assert len(STOPS) > 15
    assert len(set(files)) <= MOST_FILES
    assert max(map(files.count, files)) <= MOST_VISITS
    for file in files:
        assert len((ROOT / file).read_text(encoding="utf-8").splitlines()) <= MOST_LINES, file


def test_a_step_of_training_enters_no_file_that_the_walk_leaves_out():
    """But what stands around the ids: random numbers, negatives, trees, checks, clocks."""
    model = SASRec(9, max_len=5, dim=4, n_blocks=1, ops="plain")
    entered = set()

    def note(frame, event, argument):
        if event == "call":
            entered.add(frame.f_code.co_filename)

    sys.setprofile(note)
    try:
        model.fit([[1, 2, 3], [4, 5, 6, 7]], epochs=1, threads=1, progress=False)
    finally:
        sys.setprofile(None)
    package = ROOT / "attention_from_scratch"
    ours = {file.removeprefix(f"{ROOT}/") for file in entered if file.startswith(str(package))}
    rooms = {file for file in ours if file.split("/")[1] in ("models", "networks", "training")}
    around = {
        *(f"attention_from_scratch/training/{name}.py" for name in AROUND),
        "attention_from_scratch/training/forks/choice.py",
        "attention_from_scratch/training/forks/crew.py",
        "attention_from_scratch/networks/initial.py",
        "attention_from_scratch/models/checks.py",
        "attention_from_scratch/models/recommender.py",
    }
    assert rooms - around <= {file for file, _ in STOPS}


def test_the_picture_has_every_room_and_imports_go_down_in_it():
    spec = importlib.util.spec_from_file_location("rooms", ROOT / "docs" / "rooms.py")
    rooms = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(rooms)
    there = {path.parent.name for path in (ROOT / "attention_from_scratch").glob("*/__init__.py")}
    assert set(rooms.ROOMS) == there
    for room, others in rooms.imports().items():
        for other in others:
            assert rooms.ROOMS[room][2] > rooms.ROOMS[other][2], f"{room} leans on {other}"
    assert len(rooms.draw().axes) == 1
