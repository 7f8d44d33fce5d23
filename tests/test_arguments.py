"""Checks of arguments: each error names the argument, what it was and what it may be."""

import numpy as np
import pytest

from attention_from_scratch.arguments import (
    check_choice,
    check_context,
    check_dtype,
    check_histories,
    check_ids,
    check_integer,
    check_names,
    check_per_event,
    check_positive,
    check_share,
    quote,
    row_of,
)

HISTORIES = [np.array([1, 2, 3]), np.array([], np.int64), np.array([4])]
LABELS = ["ann", "bob", "eve"]


def says(message, check, *given, error=ValueError, **settings):
    """The check raises exactly this."""
    with pytest.raises(error) as raised:
        check(*given, **settings)
    assert str(raised.value) == message


# --- one value


@pytest.mark.parametrize("value", [3, np.int32(3), np.uint8(3)])
def test_an_integer_comes_back_as_pythons_own(value):
    assert type(check_integer("n", value, 3)) is int
    assert check_integer("n", value, 3) == 3


@pytest.mark.parametrize("value", [2, -1, 3.0, True, "3", None, np.nan])
def test_what_is_no_integer_from_the_least_on_is_an_error(value):
    says(f"n was {value!r}, but must be an integer from 3 on", check_integer, "n", value, 3)


@pytest.mark.parametrize("value", [1, 0.5, np.float32(2), 1e-300])
def test_a_finite_number_above_0_is_positive(value):
    assert check_positive("lr", value) is None


@pytest.mark.parametrize("value", [0, -1, np.inf, float("nan"), "1", None, 1j])
def test_what_is_not_positive_is_an_error(value):
    says(f"lr was {value!r}, but must be finite and above 0", check_positive, "lr", value)


@pytest.mark.parametrize(
    ("bounds", "inside", "message"),
    [
        ({}, [0, 0.5], "at least 0 and below 1"),
        ({"with_1": True}, [0, 0.5, 1], "at least 0 and at most 1"),
        ({"with_0": False}, [0.5], "above 0 and below 1"),
        ({"with_0": False, "with_1": True}, [0.5, 1], "above 0 and at most 1"),
    ],
)
def test_a_share_is_between_0_and_1_and_may_be_one_of_them(bounds, inside, message):
    for value in (0, 0.5, 1, -0.1, 1.1, np.nan, "0.5", None):
        if value in inside:
            share = check_share("p", value, **bounds)
            assert type(share) is float
            assert share == value
        else:
            says(f"p was {value!r}, but must be {message}", check_share, "p", value, **bounds)


def test_a_choice_is_one_of_the_words():
    assert check_choice("norm", "pre", ("pre", "post")) == "pre"
    for value in ("Pre", None, ["pre"], 0):
        message = f"norm was {value!r}, but must be one of pre, post"
        says(message, check_choice, "norm", value, ("pre", "post"))


@pytest.mark.parametrize("dtype", ["float32", np.float32, np.dtype("float32"), "f4"])
def test_a_dtype_is_known_by_its_name(dtype):
    assert check_dtype(dtype) == "float32"


@pytest.mark.parametrize("dtype", [None, "float16", int, "no dtype", 3])
def test_another_dtype_is_an_error(dtype):
    says(f"dtype was {dtype!r}, but must be one of float32, float64", check_dtype, dtype)


def test_names_are_words_and_nothing_is_an_empty_mapping():
    assert check_names("features", None, "matrices") == {}
    given = {"genre": 1, "année": 2}
    checked = check_names("features", given, "matrices")
    assert checked == given
    assert checked is not given


@pytest.mark.parametrize(
    ("mapping", "message"),
    [
        ({"a b": 1}, "features has the name 'a b', but a name must be a word"),
        ({"": 1}, "features has the name '', but a name must be a word"),
        ({3: 1}, "features has the name 3, but a name must be a word"),
        ([1], "features was a list, but must be a mapping from names to matrices"),
        ("genre", "features was a str, but must be a mapping from names to matrices"),
    ],
)
def test_what_maps_no_words_is_an_error(mapping, message):
    says(message, check_names, "features", mapping, "matrices")


# --- one row for each user


def test_rows_with_an_entry_for_each_event_come_back_as_arrays():
    rows = check_per_event("times", [[0.5, 1, 2], [], np.array([7])], HISTORIES)
    assert all(isinstance(row, np.ndarray) for row in rows)
    assert [row.tolist() for row in rows] == [[0.5, 1, 2], [], [7]]
    given = [np.arange(3), np.arange(0), np.arange(1)]
    taken = check_per_event("times", given, [range(3), [], (1,)])
    assert all(row is one for row, one in zip(taken, given, strict=True))
    assert check_per_event("times", [], []) == []


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (3, "times was 3, but must be one sequence per user"),
        (None, "times was None, but must be one sequence per user"),
        ([[1, 2, 3], []], "times was of 2 users, but must be of 3"),
        ([[1, 2, 3], [], [4], []], "times was of 4 users, but must be of 3"),
        ([[1, 2, 3], [1], [4]], "times of user 1 was of shape (1,), but must be of (0,)"),
        ([[1, 2], [], [4]], "times of user 0 was of shape (2,), but must be of (3,)"),
        ([[1, 2, 3], [], [[4]]], "times of user 2 was of shape (1, 1), but must be of (1,)"),
        ([[1, 2, 3], [], 4], "times of user 2 was of shape (), but must be of (1,)"),
    ],
)
def test_rows_without_an_entry_for_each_event_are_an_error(rows, message):
    end = ", one entry for each event" if "shape" in message else ""
    says(message + end, check_per_event, "times", rows, HISTORIES)


def test_an_error_calls_a_user_by_their_label_where_there_is_one():
    message = "times of user 'eve' was of shape (2,), but must be of (1,), one entry for each event"
    says(message, check_per_event, "times", [[1, 2, 3], [], [4, 5]], HISTORIES, LABELS)
    message = "items of user 'bob' holds 9, but may hold 1..4"
    says(message, check_ids, "items", [[1], [9], [0]], 1, 4, LABELS)


def test_ids_within_their_range_come_back_as_int64():
    given = [np.array([1, 4], np.uint8), [], np.array([2])]
    rows = check_ids("items", given, 1, 4)
    assert [row.tolist() for row in rows] == [[1, 4], [], [2]]
    assert {row.dtype for row in rows} == {np.dtype(np.int64)}
    assert rows[2] is given[2]


@pytest.mark.parametrize(
    ("rows", "error", "message"),
    [
        ([[1], [0]], ValueError, "items of user 1 holds 0, but may hold 1..4"),
        ([[1, 5, -1]], ValueError, "items of user 0 holds 5, but may hold 1..4"),
        ([[[1, 2]]], ValueError, "items of user 0 was of shape (1, 2), but must have one axis"),
        ([3], ValueError, "items of user 0 was of shape (), but must have one axis"),
        ([[1], [2.0]], TypeError, "items of user 1 was of float64, but must be of integers"),
        ([[True]], TypeError, "items of user 0 was of bool, but must be of integers"),
        ([["1"]], TypeError, "items of user 0 was of <U1, but must be of integers"),
    ],
)
def test_ids_outside_their_range_or_of_another_kind_are_an_error(rows, error, message):
    says(message, check_ids, "items", rows, 1, 4, error=error)


def test_histories_come_back_as_copies():
    (history, _, _) = checked = check_histories(HISTORIES, 4)
    assert [row.tolist() for row in checked] == [[1, 2, 3], [], [4]]
    assert not np.shares_memory(history, HISTORIES[0])


def test_a_history_with_an_item_that_is_not_in_the_catalogue_is_an_error():
    says("histories of user 2 holds 4, but may hold 1..3", check_histories, HISTORIES, 3)
    says("histories of user 0 holds 0, but may hold 1..3", check_histories, [[0]], 3)


def test_what_is_known_of_the_events_comes_back_as_integers():
    context = {"place": [[0, 2, 1], [], [2]], "device": [[1, 1, 1], [], [0]]}
    checked = check_context(context, {"device": 1, "place": 2}, HISTORIES)
    assert list(checked) == ["device", "place"]
    assert [row.tolist() for row in checked["place"]] == [[0, 2, 1], [], [2]]
    assert {row.dtype for rows in checked.values() for row in rows} == {np.dtype(np.int64)}
    assert check_context(None, {}, HISTORIES) == {}


@pytest.mark.parametrize(
    ("rows", "error", "message"),
    [
        ([[1, 2, 1], []], ValueError, " was of 2 users, but must be of 3"),
        (7, ValueError, " was 7, but must be one sequence per user"),
        (
            [[1, 2], [], [2]],
            ValueError,
            " of user 0 was of shape (2,), but must be of (3,), one entry for each event",
        ),
        ([[1, 3, 1], [], [2]], ValueError, " of user 0 holds 3, but may hold 0..2"),
        ([[1, 2, 1], [], [-1]], ValueError, " of user 2 holds -1, but may hold 0..2"),
        ([[1, 2, 1], [], [0.5]], TypeError, " of user 2 was of float64, but must be of integers"),
    ],
)
def test_what_cannot_be_known_of_the_events_is_an_error(rows, error, message):
    given = {"place": rows}, {"place": 2}, HISTORIES
    says(f"context['place']{message}", check_context, *given, error=error)


@pytest.mark.parametrize(
    ("context", "kinds", "message"),
    [
        (None, {"place": 2}, "context has nothing, but the model was made for ['place']"),
        ({"time": []}, {"place": 2}, "context has ['time'], but the model was made for ['place']"),
        ({"time": []}, {}, "context has ['time'], but the model was made for none"),
        (
            [[1]],
            {},
            "context was a list, but must be a mapping from names to one sequence per user",
        ),
    ],
)
def test_a_context_of_other_names_than_the_models_is_an_error(context, kinds, message):
    says(message, check_context, context, kinds, HISTORIES)


# --- how errors call things


def test_a_row_is_called_by_the_users_number_or_label():
    assert row_of("times", 1) == "times of user 1"
    assert row_of("times", 1, LABELS) == "times of user 'bob'"


def test_a_quote_is_short_and_on_one_line():
    assert quote("a\tb") == "'a\\tb'"
    assert quote("x" * 80) == repr("x" * 80)
    assert quote("x" * 81) == repr("x" * 79 + "…")
