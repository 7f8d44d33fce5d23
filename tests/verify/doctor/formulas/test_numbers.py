"""Coefficients follow sizes, and are written as one would write them."""

import math

import pytest

from attention_from_scratch.verify.doctor.formulas.numbers import Law, law_of, written


@pytest.mark.parametrize(
    ("number", "words"),
    [(1.0, "1"), (-0.5, "-1/2"), (2 / 3, "2/3"), (math.sqrt(2), "sqrt(2)"), (0.1234, "0.1234")],
)
def test_a_number_is_written_as_a_fraction_or_root_where_it_is_one(number, words):
    assert written(number) == words


SIZES = [{"n": 5.0, "batch": 2.0}, {"n": 4.0, "batch": 7.0}]


@pytest.mark.parametrize(
    ("found", "words"),
    [
        ([3.0, 3.0], "3"),
        ([5.0, 4.0], "n"),
        ([1 / 5, 1 / 4], "1 / n"),
        ([-1 / 5, -1 / 4], "-1 / n"),
        ([5 / 2, 4 / 7], "n / batch"),
        ([2 / 5, 2 / 4], "2 / n"),
    ],
)
def test_numbers_that_follow_a_size_are_told_by_its_name(found, words):
    law = law_of(found, SIZES)
    assert str(law) == words
    assert [law.at(sizes) for sizes in SIZES] == pytest.approx(found)


def test_numbers_that_follow_nothing_have_no_law():
    assert law_of([0.3, 0.7123], SIZES) is None


def test_of_a_single_number_a_size_is_told_only_where_it_is_just_that():
    assert str(law_of([1 / 7.25], [{"the total weight": 7.25}])) == "1 / the total weight"
    assert str(law_of([0.1234], [{"the total weight": 7.25}])) == "0.1234"
    assert Law(1.0).is_one
