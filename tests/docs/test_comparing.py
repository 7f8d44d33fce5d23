"""The rule by which the pages are judged must itself be strict."""

import pytest

from tests.docs.comparing import Tolerance, difference

EXACT = Tolerance()


def test_words_count_and_spaces_do_not():
    assert difference("answer: item 2\n", "answer:   item 2  \n", EXACT) is None
    assert "item 2" in difference("answer: item 2", "answer: thing 2", EXACT)
    assert difference("item a", "", EXACT) == "not printed: 'item a'"
    assert difference("", "more", EXACT) == "not on the page: 'more'"


@pytest.mark.parametrize(
    ("page", "printed", "tolerance", "same"),
    [
        ("0.200", "0.201", EXACT, True),
        ("0.200", "0.202", EXACT, False),
        ("0.8", "0.9", EXACT, False),
        ("0.8", "0.82", Tolerance(within=0.02), True),
        ("12 users", "13 users", EXACT, False),
        ("12 users", "13 users", Tolerance(within=2), False),
        ("0.200", "0.240", Tolerance(within=0.05), True),
        ("-0.1", "0.1", EXACT, False),
        ("1.1e-15", "9.0e-15", EXACT, False),
        ("1.1e-15", "9.0e-15", Tolerance(factor=10), True),
        ("1.1e-15", "0.0e+00", Tolerance(factor=1000), True),
        ("1.1e-15", "2.0e-03", Tolerance(factor=1000), False),
        ("30 epochs in 35 s", "30 epochs in 9.1 s", EXACT, True),
        ("30 epochs in 35 s", "31 epochs in 35 s", EXACT, False),
        ("[0.999 0.    1.  ]", "[0.999 0.    1.  ]", EXACT, True),
        ("[0.999 0.]", "[0.999 1.]", EXACT, False),
        ("HR@10 0.5", "HR@20 0.5", EXACT, False),
    ],
)
def test_numbers_are_compared_as_they_are_written(page, printed, tolerance, same):
    assert (difference(page, printed, tolerance) is None) == same


def test_lines_may_be_broken_elsewhere():
    assert (
        difference("usage: run [-h]\n  [--out OUT]", "usage: run\n  [-h] [--out OUT]", EXACT)
        is None
    )


def test_dots_stand_for_any_number_of_lines():
    assert difference("a\n...\nd\n", "a\nb\nc\nd\n", EXACT) is None
    assert difference("...\nd\n", "d\n", EXACT) is None
    assert difference("a\n...", "a\nb\n", EXACT) is None
    assert "'e'" in difference("a\n...\ne\n", "a\nb\n", EXACT)


def test_the_words_of_a_block_are_its_tolerance():
    assert Tolerance.of(("within=0.05", "factor=30")) == Tolerance(0.05, 30)
    with pytest.raises(TypeError, match="about"):
        Tolerance.of(("about=1",))
