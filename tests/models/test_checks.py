"""What models check: each error names what was wrong, what it was and what it may be."""

import numpy as np
import pytest

from attention_from_scratch.models.checks import (
    check_features,
    check_heads,
    check_matrix,
    check_validation,
    check_wanted,
)

V = 5
HISTORIES = [np.array([1, 2, 3]), np.array([4, 1])]


def test_heads_that_divide_the_width_pass_and_others_are_an_error():
    assert check_heads(3, 6) is None
    with pytest.raises(ValueError, match=r"^n_heads was 4, but must divide dim, which is 6$"):
        check_heads(4, 6)


# --- of users


def test_a_validation_of_an_item_or_none_for_each_user_passes_as_an_array():
    targets = check_validation([0, 5, 1], 3, V)
    assert isinstance(targets, np.ndarray)
    assert targets.tolist() == [0, 5, 1]


@pytest.mark.parametrize(
    ("validation", "message"),
    [
        ([1, 2], "validation has 2 targets, but there are 3 users"),
        ([0, 0, 0], "validation holds only zeros, but must have a target for some user"),
        ([0, 1, 6], r"validation holds item 6, but the catalogue has items 1..5 \(0: none\)"),
        ([0, 1, -1], "validation holds item -1, but"),
        (
            [1.0, 2.0, 3.0],
            r"validation is float64 of shape \(3,\), but must be \(users,\) integers",
        ),
        (
            [[1], [1], [1]],
            r"validation is int64 of shape \(3, 1\), but must be \(users,\) integers",
        ),
    ],
)
def test_a_validation_that_cannot_be_is_an_error(validation, message):
    with pytest.raises(ValueError, match=f"^{message}"):
        check_validation(validation, 3, V)


def test_wanted_events_are_booleans_one_for_each_event():
    wanted = check_wanted([[False, True, False], np.array([True, False])], HISTORIES)
    assert [row.tolist() for row in wanted] == [[False, True, False], [True, False]]
    (empty, _) = check_wanted([[], [True, True]], [np.array([], int), HISTORIES[1]])
    assert empty.dtype == bool
    assert check_wanted(None, HISTORIES) is None


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        ([[True] * 3], "wanted was of 1 users, but must be of 2"),
        ([[True] * 3, [True]], r"wanted of user 1 was of shape \(1,\), but must be of \(2,\)"),
        ([[True] * 3, [0, 1]], "wanted of user 1 was of int64, but must be of booleans"),
        ([[True, False, False], [True, False]], "wanted holds no event after a first one"),
    ],
)
def test_wanted_events_that_cannot_be_are_an_error(wanted, message):
    with pytest.raises(ValueError, match=f"^{message}"):
        check_wanted(wanted, HISTORIES)


# --- of items


def test_a_matrix_takes_the_dtype_asked_for_and_keeps_what_is_not_known():
    matrix = check_matrix("genre", [[0, 0], [1, np.nan], *[[2, 3]] * 4], V, "float32")
    assert matrix.dtype == np.float32
    assert np.isnan(matrix).tolist() == [[False, False], [False, True], *[[False, False]] * 4]


MATRICES = {
    "a row too few": (np.ones((5, 2)), "has 5 rows, but the catalogue needs 6 (row 0 is padding)"),
    "a row too many": (np.ones((7, 2)), "has 7 rows, but the catalogue needs 6 (row 0 is padding)"),
    "one axis": (np.ones(6), "has shape (6,), but must be (6, width)"),
    "no column": (np.ones((6, 0)), "has shape (6, 0), but must be (6, width)"),
    "infinity": (np.full((6, 2), np.inf), "holds an infinity; what is not known is NaN"),
    "minus infinity": (np.full((6, 2), -np.inf), "holds an infinity; what is not known is NaN"),
    "words": ([["drama"]] * 6, "is no matrix of numbers"),
    "ragged": ([[1], [1, 2]], "is no matrix of numbers"),
}


@pytest.mark.parametrize(("matrix", "message"), MATRICES.values(), ids=MATRICES)
def test_a_matrix_that_cannot_be_is_an_error_that_names_it(matrix, message):
    for check in (
        lambda: check_matrix("genre", matrix, V, "float32"),
        lambda: check_features({"genre": matrix}, V, "float32"),
    ):
        with pytest.raises(ValueError, match=r"^features") as raised:
            check()
        assert str(raised.value) == f"features['genre'] {message}"


def test_what_is_not_known_becomes_a_row_of_zeros():
    words, genre = np.arange(12.0).reshape(6, 2), np.ones((6, 3))
    words[3, 1] = np.nan
    features = check_features({"words": words, "genre": genre}, V, "float64")
    assert features["words"].tolist() == [[0, 0], [2, 3], [4, 5], [0, 0], [8, 9], [10, 11]]
    assert np.array_equal(features["genre"][1:], genre[1:])
    assert np.isnan(words[3, 1])  # the caller's own is left as it was
    assert genre[0].all()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_features_take_the_dtype_of_the_model(dtype):
    given = {"flags": np.ones((6, 2), bool), "counts": [[1, 2]] * 6}
    features = check_features(given, V, dtype)
    assert {matrix.dtype for matrix in features.values()} == {np.dtype(dtype)}
    assert check_features(None, V, dtype) == check_features({}, V, dtype) == {}


@pytest.mark.parametrize(
    ("features", "message"),
    [
        ({"a b": np.ones((6, 2))}, "features has the name 'a b', but a name must be a word"),
        ({3: np.ones((6, 2))}, "features has the name 3, but a name must be a word"),
        (np.ones((6, 2)), "features was a ndarray, but must be a mapping from names to matrices"),
        ([np.ones((6, 2))], "features was a list, but must be a mapping from names to matrices"),
    ],
)
def test_features_that_are_no_named_matrices_are_an_error(features, message):
    with pytest.raises(ValueError, match=f"^{message}"):
        check_features(features, V, "float32")
