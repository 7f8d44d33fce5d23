"""The folder of a run, and what somebody may have done to it."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from attention_from_scratch.commands import runs

ITEMS = range(101, 121)
LABELS = ["", *map(str, ITEMS)]


CATALOGUES = {
    "lists for items": {"items": ["", *[["101"]] * 20], "titles": None},
    "objects for items": {"items": ["", *[{"a": 1}] * 20], "titles": None},
    "numbers for items": {"items": ["", *ITEMS], "titles": None},
    "an item twice": {"items": ["", *["101"] * 20], "titles": None},
    "an object of items": {"items": dict.fromkeys(LABELS), "titles": None},
    "a string of items": {"items": "", "titles": None},
    "an object of titles": {"items": LABELS, "titles": dict.fromkeys(LABELS)},
    "a string of titles": {"items": LABELS, "titles": "x" * 21},
    "an empty title": {"items": LABELS, "titles": ""},
    "numbers for titles": {"items": LABELS, "titles": [1] * 21},
    "titles too few": {"items": LABELS, "titles": LABELS[:-1]},
    "no titles": {"items": LABELS},
    "no items": {"titles": None},
    "a list": [LABELS, None],
    "nothing": None,
}


@pytest.mark.parametrize("catalogue", CATALOGUES.values(), ids=CATALOGUES)
def test_a_catalogue_that_somebody_edited_is_status_2_and_one_line(
    call, shelf, tmp_path, catalogue
):
    refused(call, shelf, tmp_path, json.dumps(catalogue))


def test_a_catalogue_too_deep_to_read_is_status_2_and_one_line(call, shelf, tmp_path):
    refused(call, shelf, tmp_path, '{"items": ' + "[" * 200_000 + "]" * 200_000 + "}")


def refused(call, shelf, tmp_path, catalogue):
    run = shelf.spoiled(tmp_path, "catalogue.json", catalogue.encode())
    result = call("recommend", run, "--history", "101")
    assert result.status == 2
    error = f"error: {run / 'catalogue.json'} is not a catalogue that train wrote\n"
    assert result.err == f"attention-from-scratch recommend: {error}"


# --- runs of before

BEFORE = Path(__file__).parent.parent / "golden" / "before"


@pytest.mark.parametrize("name", ["run", "run-fast"])
def test_a_run_of_before_evaluates_to_what_was_written_into_it(call, name):
    result = call("evaluate", BEFORE / name, "--data", BEFORE / "shop.csv")
    assert (result.status, result.err) == (0, "")
    test = json.loads((BEFORE / name / "result.json").read_text())["test"]
    assert result.out.splitlines()[-1] == runs.describe_metrics(test)
    recommended = call("recommend", BEFORE / name, "--history", "camera,drone", "-k", 2)
    assert (recommended.status, len(recommended.out.splitlines())) == (0, 5)


def test_a_model_of_a_newer_version_costs_one_line(call, tmp_path):
    shutil.copytree(BEFORE / "run", tmp_path / "newer")
    path = tmp_path / "newer" / "model.npz"
    arrays = dict(np.load(path))
    description = json.loads(str(arrays["description"])) | {"format": 3}
    np.savez(path, **arrays | {"description": np.array(json.dumps(description))})
    result = call("recommend", tmp_path / "newer", "--history", "camera")
    assert (result.status, result.err.count("\n")) == (2, 1)
    assert "model.npz has format 3, but this version reads formats 1 to 2" in result.err


# --- mistakes


MISTAKES = {
    "a run that is not there": (
        lambda s, tmp: ["recommend", tmp / "nowhere", "--history", "101"],
        "nowhere is not a folder",
    ),
    "a folder that is no run": (
        lambda s, tmp: ["recommend", tmp, "--history", "101"],
        "model.npz: No such file or directory",
    ),
    "a file for a run": (lambda s, tmp: ["evaluate", s.data, "--data", s.data], "not a folder"),
    "a model that is garbage": (
        lambda s, tmp: ["recommend", s.spoiled(tmp, "model.npz", b"junk"), "--history", "101"],
        "model.npz is not a model",
    ),
    "a model that is empty": (
        lambda s, tmp: ["recommend", s.spoiled(tmp, "model.npz", b""), "--history", "101"],
        "model.npz is not a model",
    ),
    "no catalogue": (
        lambda s, tmp: ["recommend", s.spoiled(tmp, "catalogue.json", None), "--history", "101"],
        "catalogue.json: No such file or directory",
    ),
    "a catalogue that is garbage": (
        lambda s, tmp: [
            *("recommend", s.spoiled(tmp, "catalogue.json", b"\xff{"), "--history", "101")
        ],
        "catalogue.json is not a catalogue",
    ),
    "a catalogue of something else": (
        lambda s, tmp: [
            *("recommend", s.spoiled(tmp, "catalogue.json", b'{"items": 3}'), "--history", "101")
        ],
        "catalogue.json is not a catalogue",
    ),
    "a catalogue of other items": (
        lambda s, tmp: [
            "attention",
            s.spoiled(tmp, "catalogue.json", b'{"items": ["", "101"], "titles": null}'),
            *("--history", "101"),
        ],
        "has 1 items, but the model 20",
    ),
}


@pytest.mark.parametrize(("arguments", "message"), MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_is_status_2_and_one_clear_line(
    shelf, tmp_path, costs_one_line, arguments, message
):
    costs_one_line(arguments(shelf, tmp_path), message)
