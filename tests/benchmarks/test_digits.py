"""The page of digits: its rows, and that it measures what it says."""

import mpmath
import numpy as np
import pytest

from benchmarks.common.writing import read_json
from benchmarks.digits.__main__ import main
from benchmarks.digits.contenders import ours
from benchmarks.digits.exact import (
    EXACT,
    exact_values,
    gelu,
    share_of_allowed,
    sigmoid,
    slope_in_logits,
    unit,
    units_off,
)
from benchmarks.digits.inputs import logits, targets


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """Ours, beside half of it, and nothing but infinity."""

    def halved(name, inputs):
        return [result / 2 for result in ours(name, inputs)]

    def lost(name, inputs):
        return [np.full_like(result, np.inf) for result in ours(name, inputs)]

    out = tmp_path_factory.mktemp("digits")
    main(["--quick", "--out", str(out)], {"ours": ours, "halved": halved, "lost": lost})
    return out


def test_the_page_has_a_line_for_each_value_and_slope_and_a_column_for_each_contender(results):
    rows = [row for row in (results / "digits.md").read_text("utf-8").splitlines() if "|" in row]
    assert len(rows) == 2 * (2 + sum(map(len, EXACT.values())))
    columns = [f"{d}, {who}" for d in ("float64", "float32") for who in ("ours", "halved", "lost")]
    assert [cell.strip() for cell in rows[0].split("|")[1:-1]] == ["", *columns]
    assert (results / "digits.png").stat().st_size > 0


def test_what_is_wrong_stands_out(results):
    for row in read_json(results / "digits.json")["rows"]:
        if row["who"] == "ours":
            assert row["share"] <= 1
        elif row["who"] == "lost":
            assert row["units"] is row["share"] is None
        else:
            assert row["share"] > 1e5


def test_a_unit_is_what_separates_neighbours():
    for dtype in (np.float32, np.float64):
        info = np.finfo(dtype)
        for x in (1.0, 1.5, 0.1, -3.0, 1e-30, float(info.tiny), float(info.tiny) / 8, 0.0):
            expected = abs(float(np.spacing(dtype(x))))
            assert float(unit(mpmath.mpf(float(dtype(x))), dtype)) == expected


def test_an_error_is_counted_in_units_and_shares_in_what_the_input_changes():
    x = np.array([-30.0, -1.0])
    exact = exact_values(gelu, (x,))
    found = np.array([float(value) for value in exact])
    one = np.abs(np.spacing(found))
    off = units_off(found + 100 * one, exact)
    np.testing.assert_allclose(off, 100, atol=0.5)
    share = share_of_allowed(gelu, (x,), off)
    changed = 30 * np.spacing(30.0) / 2 * abs(found[0])  # far out, d log |gelu| / dx is -x
    np.testing.assert_allclose(share[0], off[0] / (changed / one[0]), rtol=0.01)
    assert share[1] == off[1] / 4


def test_the_numbers_are_of_every_size_and_the_targets_hit():
    for dtype in ("float64", "float32"):
        x, info = logits(dtype, 0, 20), np.finfo(dtype)
        assert x.dtype == dtype
        assert {0.0, float(info.max), -float(info.smallest_subnormal)} <= set(x.astype(float))
        t = targets(x, 0)
        assert t.min() == 0
        assert t.max() == 1
        gaps = [abs(float(gap)) for gap in exact_values(slope_in_logits, (x, t))]
        near = [0 < gap < 1e-6 < s for gap, s in zip(gaps, sigmoids(x), strict=True)]
        assert sum(near) > 10


def sigmoids(x):
    return map(float, exact_values(sigmoid, (x,)))
