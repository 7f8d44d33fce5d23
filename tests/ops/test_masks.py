"""Masks: each says, pair by pair, whether position i may attend to position j."""

import numpy as np
import pytest

LENGTHS = [0, 1, 2, 5]


@pytest.mark.parametrize("length", LENGTHS)
def test_causal_sees_itself_and_the_past(ops, length):
    mask = ops.causal_mask(length)
    assert mask.shape == (length, length)
    assert mask.dtype == bool
    assert np.asarray(mask).tolist() == [[j <= i for j in range(length)] for i in range(length)]


@pytest.mark.parametrize("length", LENGTHS)
@pytest.mark.parametrize("window", [1, 2, 3, 9])
def test_local_sees_what_is_less_than_a_window_away(ops, length, window):
    mask = ops.local_mask(length, window)
    assert mask.shape == (length, length)
    assert mask.dtype == bool
    assert np.asarray(mask).tolist() == [
        [abs(i - j) < window for j in range(length)] for i in range(length)
    ]


def test_causal_and_local_is_the_last_window_of_events(ops):
    mask = ops.causal_mask(5) & ops.local_mask(5, 2)
    assert np.asarray(mask).astype(int).tolist() == [
        [1, 0, 0, 0, 0],
        [1, 1, 0, 0, 0],
        [0, 1, 1, 0, 0],
        [0, 0, 1, 1, 0],
        [0, 0, 0, 1, 1],
    ]


def test_padding_is_hidden_from_every_query(ops):
    mask = ops.padding_mask(np.array([[0, 0, 3], [4, 5, 6]]))
    assert mask.dtype == bool
    assert np.asarray(mask).tolist() == [[[False, False, True]], [[True, True, True]]]
    assert np.asarray(ops.padding_mask(np.array([0, 7]), padding_id=7)).tolist() == [[True, False]]
    assert ops.padding_mask(np.zeros((0, 3), int)).shape == (0, 1, 3)


def test_padding_and_causal_combine_for_every_sequence(ops):
    ids = np.array([[0, 8, 0, 9], [7, 7, 0, 0], [0, 0, 0, 0]])
    mask = ops.padding_mask(ids) & ops.causal_mask(4)
    assert mask.shape == (3, 4, 4)
    for b, i, j in np.ndindex(mask.shape):
        assert mask[b, i, j] == (j <= i and ids[b, j] != 0)


@pytest.mark.parametrize("window", [0, -1, 1.5, 2.0, None, True])
def test_a_window_without_the_position_itself_is_named(ops, window):
    with pytest.raises(ValueError, match=f"window was {window}, but must be an integer from 1 on"):
        ops.local_mask(3, window)


@pytest.mark.parametrize("length", [-1, 1.5, 2.0, None, True])
def test_a_length_that_is_none_is_named(ops, length):
    for make in (ops.causal_mask, lambda length: ops.local_mask(length, 1)):
        with pytest.raises(ValueError, match=f"length was {length}, but must be an integer from 0"):
            make(length)


def test_lengths_and_windows_of_numpy_will_do(ops):
    mask = ops.causal_mask(np.int64(3)) & ops.local_mask(np.int32(3), np.int64(2))
    assert np.asarray(mask).astype(int).tolist() == [[1, 0, 0], [1, 1, 0], [0, 1, 1]]
