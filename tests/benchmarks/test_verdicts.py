"""How often checkers err: the counts are those of what they said, and everybody has a row."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from attention_from_scratch.tree import leaves
from benchmarks.common.writing import as_read, read_json
from benchmarks.verdicts import __main__ as verdicts
from benchmarks.verdicts import contenders
from benchmarks.verdicts.contenders import OURS, Contender, check_with_ours, everybody
from benchmarks.verdicts.flat import Flat
from benchmarks.verdicts.measuring import (
    ANALYTIC,
    DTYPES,
    NOT_ANALYTIC,
    PLANTED,
    VERDICTS,
    is_moderate,
    measure,
)
from benchmarks.verdicts.page import page
from tests.docs.markdown import tables
from tests.verify.random_functions import plant, random_function


def refuse(op, inputs, keywords):
    raise RuntimeError("no such function")


def fake(name, check):
    return Contender(name, f"{name} 1.0", check, DTYPES)


YES = fake("yes", lambda *_: "right")
NO = fake("no", lambda *_: "wrong")
UNSURE = fake("unsure", lambda *_: "cannot tell")
REFUSES = fake("refuses", refuse)
ONLY_DOUBLE = Contender("only double", "double 1.0", lambda *_: "right")


def ran(*who, n_functions=6, seed=1):
    """A result, as it is read from the file."""
    return as_read(verdicts.run(list(who), ["absent"], n_functions, seed))


@pytest.fixture(scope="module")
def fakes():
    return ran(OURS, YES, NO, UNSURE, REFUSES, ONLY_DOUBLE)


def counts(result, contender, planted):
    """How often which verdict, of planted errors or of right functions."""
    found = Counter()
    for row in result["counts"]:
        if row["contender"] == contender and (row["op"] == PLANTED) == planted:
            found.update({verdict: row[verdict] for verdict in VERDICTS})
    return {verdict: n for verdict, n in found.items() if n}


@pytest.mark.parametrize("planted", [False, True])
@pytest.mark.parametrize(
    ("who", "verdict"),
    [("yes", "right"), ("no", "wrong"), ("unsure", "cannot tell"), ("refuses", "refused")],
)
def test_every_function_and_every_error_is_counted_once_as_what_was_said(
    fakes, who, verdict, planted
):
    assert counts(fakes, who, planted) == {verdict: 6}


def test_ours_tells_right_from_wrong(fakes):
    assert counts(fakes, "ours", planted=False) == {"right": 6}
    assert counts(fakes, "ours", planted=True) == {"wrong": 6}


def test_a_checker_is_asked_only_in_the_dtypes_that_it_is_meant_for(fakes):
    rows = [row for row in fakes["counts"] if row["contender"] == "only double"]
    assert {row["dtype"] for row in rows} == {"float64"}
    assert sum(row["right"] for row in rows) == 6


def test_the_page_has_a_row_for_everybody(fakes):
    all_sizes, moderate = tables(page(fakes))
    names = ["ours", "yes", "no", "unsure", "refuses"]
    labels = [f"{name}, {dtype}" for name in names for dtype in DTYPES] + ["only double, float64"]
    assert [row[0] for row in all_sizes.rows] == labels
    assert [row[0] for row in moderate.rows] == labels


@pytest.mark.parametrize(
    ("who", "accused", "missed", "refused"),
    [
        ("yes", "0 of 3 (0.0%)", "3 of 3 (100.0%)", "0"),
        ("no", "3 of 3 (100.0%)", "0 of 3 (0.0%)", "0"),
        ("unsure", "0 of 3 (0.0%)", "3 of 3 (100.0%)", "0"),
        ("refuses", "0 of 3 (0.0%)", "0 of 3 (0.0%)", "6"),
    ],
)
def test_the_rows_say_what_was_counted(fakes, who, accused, missed, refused):
    table = tables(page(fakes))[0]
    for dtype in DTYPES:
        (row,) = (row for row in table.rows if row[0] == f"{who}, {dtype}")
        found = dict(zip(table.header, row, strict=True))
        assert found["right functions accused"] == accused
        assert found["planted errors missed"] == missed
        assert found["refused"] == refused
        assert float(found["ms a check"]) >= 0


def test_what_ours_cannot_tell_is_told_by_kind_and_counts_as_missed():
    result = ran(fake("ours", lambda *_: "cannot tell"), seed=3)
    analytic = sum(r["cannot tell"] for r in result["counts"] if r["op"] == ANALYTIC)
    others = sum(r["cannot tell"] for r in result["counts"] if r["op"] == NOT_ANALYTIC)
    assert analytic + others == 6
    assert 0 < analytic < 6
    rows = tables(page(result))[0].rows
    assert sum(int(row[2].split()[0]) for row in rows) == analytic
    assert sum(int(row[3].split()[0]) for row in rows) == others
    assert [row[5] for row in rows] == ["3", "3"]
    assert [row[4] for row in rows] == ["3 of 3 (100.0%)"] * 2


def test_refusals_and_what_ours_got_wrong_can_be_drawn_again(fakes):
    assert [row["contender"] for row in fakes["astray"]] == ["refuses"] * 12
    assert fakes["astray"][0]["why"] == "RuntimeError: no such function"
    astray = ran(fake("ours", lambda *_: "right"))["astray"]
    assert [(row["number"], row["op"]) for row in astray] == [(n, PLANTED) for n in range(6)]


def test_a_seed_repeats_a_run_and_another_does_not():
    def seen_with(seed):
        seen = []
        measure([fake("watches", lambda op, inputs, _: seen.append(inputs) or "right")], 2, seed)
        return [leaf.tolist() for leaf in leaves(seen)]

    assert seen_with(1) == seen_with(1)
    assert seen_with(1) != seen_with(2)


def test_a_broken_contract_is_wrong_and_any_other_exception_a_refusal():
    x = np.ones(2)
    short = lambda x: (2 * x, lambda d: 2 * d[:1])
    assert check_with_ours(short, (x,), {}) == "wrong"
    with pytest.raises(ZeroDivisionError):
        check_with_ours(lambda x: 1 / 0, (x,), {})


def test_a_package_that_is_missing_is_left_out_and_the_page_says_so(monkeypatch, fakes):
    monkeypatch.setattr(contenders, "find_spec", lambda package: None)
    found, missing = everybody()
    assert found == [OURS]
    assert missing == ["torch", "jax", "autograd"]
    assert "Left out, as they are not installed: absent." in page(fakes)
    assert "Left out" not in page(fakes | {"missing": []})


@pytest.mark.parametrize(
    ("sizes", "corners", "moderate"),
    [
        ([1.0, -10.0], [], True),
        ([0.1, 1.0], [], True),
        ([1.0, 10.1], [], False),
        ([0.09, 1.0], [], False),
        ([0.0, 1.0], [], False),
        ([1.0, 1.0], ["close"], False),
        ([1.0, 1.0], ["at"], False),
    ],
)
def test_moderate_functions_have_inputs_near_1_and_none_at_a_kink(sizes, corners, moderate):
    function = random_function(np.random.default_rng(2), "float64")
    inputs = (*(np.array([0.0, size]) for size in sizes), np.array([100]))
    changed = replace(function, inputs=inputs, corners=frozenset(corners))
    assert is_moderate(changed) == moderate


def test_a_flat_op_is_the_op():
    n_trees = n_integers = 0
    for number in range(12):
        rng = np.random.default_rng([3, number])
        function = random_function(rng, "float64")
        n_trees += any(isinstance(x, dict) for x in function.inputs)
        n_integers += any(leaf.dtype.kind == "i" for leaf in leaves(function.inputs))
        for op in (function.op, plant(function, rng).op):
            flat = Flat(op, function.inputs, function.keywords)
            output, backward = op(*function.inputs, **function.keywords)
            np.testing.assert_array_equal(flat.output, output)
            found = flat.gradients(flat.arrays, function.d_output)
            wanted = leaves(backward(function.d_output))
            for a, b in zip(found, wanted, strict=True):
                np.testing.assert_array_equal(a, b)
    assert n_trees
    assert n_integers


def test_a_flat_op_keeps_no_hold_of_what_it_is_given():
    x = np.ones(3)
    flat = Flat(lambda x: (x**2, lambda d: 2 * x * d), (x,), {})
    _, backward = flat(x)
    x[:] = 5
    assert backward(np.ones(3))[0].tolist() == [2, 2, 2]
    (array,) = flat.arrays
    assert not np.shares_memory(array, x)


def test_the_command_writes_counts_page_and_picture_and_redraws_them(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(verdicts, "everybody", lambda: ([OURS, YES], ["absent"]))
    verdicts.main(["--functions", "2", "--seed", "7", "--out", str(tmp_path)])
    assert "seed 7" in capsys.readouterr().out
    result = read_json(tmp_path / "verdicts.json")
    assert (result["seed"], result["functions"], result["missing"]) == (7, 2, ["absent"])
    assert [who["version"] for who in result["contenders"]] == [OURS.version, "yes 1.0"]
    text = (tmp_path / "verdicts.md").read_text(encoding="utf-8")
    assert "`python -m benchmarks.verdicts --functions 2 --seed 7`" in text
    assert (tmp_path / "verdicts.png").read_bytes().startswith(b"\x89PNG")
    (tmp_path / "verdicts.md").unlink()
    verdicts.main(["--redraw", "--out", str(tmp_path)])
    assert (tmp_path / "verdicts.md").read_text(encoding="utf-8") == text


def test_each_run_has_a_fresh_seed(tmp_path, monkeypatch):
    monkeypatch.setattr(verdicts, "everybody", lambda: ([OURS, YES], []))
    seeds = set()
    for _ in range(2):
        verdicts.main(["--functions", "1", "--out", str(tmp_path)])
        seeds.add(read_json(tmp_path / "verdicts.json")["seed"])
    assert len(seeds) == 2


def test_there_is_nothing_to_redraw_in_an_empty_folder(tmp_path, capsys):
    with pytest.raises(SystemExit) as left:
        verdicts.main(["--redraw", "--out", str(tmp_path)])
    assert left.value.code == 2
    assert "there is no verdicts.json in it to redraw" in capsys.readouterr().err
