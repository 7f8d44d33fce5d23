"""Over the catalogue of mutants: the doctor names mistakes and never accuses what is right."""

import pkgutil
from collections import Counter

import numpy as np
import pytest

from attention_from_scratch.tree import tree_map
from attention_from_scratch.verify import diagnose
from attention_from_scratch.verify.doctor.mistakes import EXPLANATIONS, MISTAKES
from benchmarks import doctor, mutants
from benchmarks.mutants import catalogue, correct_ops, unknown_mutants
from tests.docs.markdown import ROOT, cells
from tests.verify.doctor.unread import unread

MUTANTS = catalogue()


def examined(mutant):
    return diagnose(mutant.op, mutant.reference, *mutant.inputs, **mutant.keywords)


@pytest.fixture(scope="module")
def measured():
    """What the doctor says of the whole catalogue."""
    return doctor.measure()


def test_at_least_95_percent_of_forty_and_more_mutants_are_named_and_none_wrongly(measured):
    verdicts = sum(measured[0].values(), Counter())
    assert verdicts.total() == len(MUTANTS) >= 40
    assert verdicts["wrongly"] == 0
    assert verdicts["alone"] + verdicts["among others"] >= 0.95 * verdicts.total()


def test_the_table_gives_a_rate_for_each_half_and_stands_on_the_page(measured):
    text = doctor.table(*measured)
    assert "| **first half** |" in text
    assert "% of the second half)" in text
    page = (ROOT / "docs" / "doctor.md").read_text(encoding="utf-8").splitlines()
    assert [cells(line) for line in text.splitlines() if cells(line) not in map(cells, page)] == []


def test_every_op_and_every_mistake_is_in_the_catalogue():
    assert {mutant.mistake for mutant in MUTANTS} == set(EXPLANATIONS)
    missing = set(MISTAKES) - {mutant.reference.__name__ for mutant in MUTANTS}
    assert missing <= {"multi_head_attention_weights"}


def test_every_file_of_mutants_has_its_place_in_the_catalogue():
    files = {info.name for info in pkgutil.walk_packages(mutants.__path__, "benchmarks.mutants.")}
    shared = {f"benchmarks.mutants.{name}" for name in ("shelves", "cases", "parts", "correct")}
    assert {family.__name__ for family in mutants.FAMILIES} == files - shared


@pytest.mark.parametrize("right", correct_ops(), ids=lambda mutant: mutant.name)
def test_a_right_op_is_not_accused(right):
    assert not doctor.is_accused(right)


@pytest.mark.parametrize("mutant", unknown_mutants(), ids=lambda mutant: mutant.name)
def test_what_it_does_not_know_it_does_not_name(mutant):
    diagnosis = examined(mutant)
    assert diagnosis.wrong
    assert not diagnosis.findings
    unread_op = unread(mutant.op)
    diagnosis = diagnose(unread_op, mutant.reference, *mutant.inputs, **mutant.keywords)
    assert not diagnosis.findings
    assert "no known mistake matches" in str(diagnosis)


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_in_float32_no_mutant_is_named_wrongly(mutant):
    inputs = [
        tree_map(lambda leaf: leaf.astype(np.float32) if leaf.dtype == np.float64 else leaf, value)
        for value in mutant.inputs
    ]
    found = diagnose(mutant.op, mutant.reference, *inputs, **in_float32(mutant.keywords))
    assert mutant.mistake in found.mistakes


def in_float32(keywords):
    return {
        name: value.astype(np.float32) if getattr(value, "dtype", None) == np.float64 else value
        for name, value in keywords.items()
    }
