import numpy as np
import pytest

from attention_from_scratch.data import gap_borders, time_gaps


def test_each_kind_is_twice_as_long_as_the_one_before():
    assert gap_borders(5, 0.5).tolist() == [0.5, 1, 2, 4]
    (kinds,) = time_gaps([np.cumsum([7, 0, 0.25, 0.5, 0.75, 1, 2, 3.75, 4, 1000])], 5, 0.5)
    assert kinds.tolist() == [5, 1, 1, 2, 2, 3, 4, 4, 5, 5]
    assert kinds.dtype == np.int64


def test_every_kind_is_where_its_borders_say():
    times = np.random.default_rng(0).exponential(20, 200).cumsum()
    borders = [0, *gap_borders(6, 3), np.inf]
    (kinds,) = time_gaps([times], 6, 3)
    for gap, kind in zip(np.diff(times), kinds[1:], strict=True):
        assert borders[kind - 1] <= gap < borders[kind]


def test_a_first_event_comes_after_the_longest_gap_and_no_event_has_none():
    kinds = time_gaps([np.array([3.0]), np.array([]), np.array([1.0, 1.0])], 9, 1)
    assert [row.tolist() for row in kinds] == [[9], [], [9, 1]]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([], 1, 1), "n_kinds was 1, but must be an integer from 2 on"),
        (([], 2.0, 1), "n_kinds was 2.0"),
        (([], True, 1), "n_kinds was True"),
        (([], 4, 0), "unit was 0, but must be finite and above 0"),
        (([], 4, float("nan")), "unit was nan"),
        (([[0, 1], [2, 1]], 4, 1), r"times\[1\] does not rise"),
        (([[0, float("nan")]], 4, 1), r"times\[0\] does not rise"),
    ],
)
def test_arguments_that_cannot_be_are_an_error(arguments, message):
    with pytest.raises(ValueError, match=message):
        time_gaps(*arguments)
