"""Sums of terms are found by their coefficients, and told by what differs from the right sum."""

import numpy as np
import pytest

from attention_from_scratch.verify.doctor.formulas.numbers import Law
from attention_from_scratch.verify.doctor.formulas.sums import (
    Sum,
    as_text,
    differences,
    independent,
    last_of,
    occurs,
    subsets,
)
from attention_from_scratch.verify.doctor.mutation.matching import Clock


def columns(n, entries=12):
    drawn = np.random.default_rng(0).standard_normal((entries, n))
    return drawn / np.linalg.norm(drawn, axis=0)


@pytest.mark.parametrize("chosen", [(2,), (1, 4), (0, 3, 5)])
def test_the_columns_of_which_something_is_made_are_found(chosen):
    made = columns(6)[:, chosen] @ np.arange(1.0, len(chosen) + 1)
    found = list(subsets(columns(6), made, len(chosen), 1e-7, Clock(5)))
    assert found == [chosen]


def test_what_is_made_of_none_is_not_found():
    other = np.cos(np.arange(12.0))
    assert not list(subsets(columns(6), other, 3, 1e-7, Clock(5)))
    assert not len(last_of(columns(6), other, 1e-7))


def test_multiples_of_one_another_are_one_column_with_all_its_names():
    x = np.arange(1.0, 6)
    names, made = independent(
        {"x": x, "-2 x": -2 * x, "0": 0 * x, "1": np.ones(5), "inf": np.inf * x}
    )
    assert names == [["x", "-2 x"], ["1"]]
    assert made.shape == (5, 2)


RIGHT = {"p d": Law(1.0), "p sum(p d)": Law(-1.0)}


@pytest.mark.parametrize(
    ("found", "words"),
    [
        ({"p d": 1, "p sum(p d)": 1}, "`p sum(p d)` has the other sign"),
        ({"p d": 1, "p sum(p d)": -2}, "`p sum(p d)` has the factor 2"),
        ({"p d": 1}, "the term `p sum(p d)` is missing"),
        ({"p d": 1, "sum(p d)": -1}, "`sum(p d)` stands in the place of `p sum(p d)`"),
        ({"p d": 1, "p sum(p d)": -1, "d": 3}, "the term `d` (times 3) is too much"),
        (
            {"p d": 1, "p sum(p d) over axis 0": 1},
            "the sum of `p sum(p d)` runs over axis 0, not along the axis, and has the other sign",
        ),
    ],
)
def test_differences_are_told_term_by_term(found, words):
    assert differences({n: Law(float(c)) for n, c in found.items()}, RIGHT) == [words]


def test_a_sum_is_written_with_its_coefficients():
    laws = {"1": Law(2.0), "y": Law(-1.0), "x": Law(1.0, "", "n")}
    assert as_text(laws) == "2 - y + (1 / n) x"


def test_letters_are_told_where_they_stand_by_themselves():
    assert occurs("P", "P + x P'")
    assert not occurs("P", "x P'")
    assert occurs("P'", "x P'")
    letters = {"y": "the output", "t": "tanh(u)", "u": "x / 2", "q": "no"}
    assert Sum({}, {}, letters).letters_in("1 - t") == "t: tanh(u), u: x / 2"
