"""The exam of the doctor: what its page says is what its cases are, and nobody right is accused."""

import re
from collections import Counter
from pathlib import Path

import pytest

from benchmarks.exam.__main__ import answer, main
from benchmarks.exam.registry import cases

PAGE = (Path(__file__).parents[2] / "benchmarks" / "results" / "exam.md").read_text("utf-8")
DOCS = (Path(__file__).parents[2] / "docs" / "doctor.md").read_text("utf-8")
OF_KIND = {kind: [c for c in cases() if c.kind == kind] for kind in ("forward", "right")}


def test_every_wrong_case_has_a_grade_on_the_page():
    _, *rows = re.findall(r"^\| (\w+) \| (.*) \| ([a-z ]+) \|$", PAGE, re.M)
    wrong = [case for case in cases() if case.kind != "right"]
    assert [(name, truth) for name, truth, _ in rows] == [(c.name, c.truth) for c in wrong]
    grades = Counter(grade for _, _, grade in rows)
    grades.pop("explained")
    named, vague, part, misled, silent = (
        grades[grade] for grade in ("named", "vague", "in part", "misleading", "not named")
    )
    assert (
        f"Of {grades.total()} wrong backward passes {named} are named "
        f"({100 * named / grades.total():.0f} %), {vague} vague, {part} in part, "
        f"{misled} misleading, {silent} not named"
    ) in " ".join(PAGE.split())
    assert f"of {grades.total()} as people write who port kernels {named} " in " ".join(
        DOCS.split()
    )


@pytest.mark.parametrize("case", OF_KIND["right"], ids=lambda case: case.name)
def test_no_right_implementation_is_accused(case):
    assert "nothing is wrong" in answer(case)[0]


@pytest.mark.parametrize("case", OF_KIND["forward"], ids=lambda case: case.name)
def test_of_a_wrong_forward_pass_it_is_said_how_it_differs(case):
    assert "output: is what comes" in answer(case)[0]


def test_it_prints_what_is_true_and_what_is_said(capsys):
    main(["softmax_dim"])
    printed = capsys.readouterr().out
    assert "softmax_dim (wrong): The backward kernel sums" in printed
    assert "wrong gradient of d_x" in printed
    assert "Of 1 wrong backward passes 0 pass" in printed


def test_a_case_that_is_not_there_is_named(capsys):
    with pytest.raises(SystemExit) as stopped:
        main(["softmax_din"])
    assert stopped.value.code == 2
    assert "NAME was softmax_din, but must be one of" in capsys.readouterr().err
