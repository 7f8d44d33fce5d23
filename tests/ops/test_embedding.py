"""embedding: a row for every id, zeros for padding, and gradients that add up."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from attention_from_scratch.verify import check_gradients

SIZES = st.lists(st.integers(1, 6), min_size=2, max_size=4, unique=True)
PADDING = st.sampled_from([0, None, "last"])


def draw(sizes, seed, padding_id):
    """Ids that repeat, a table whose padding row is not zero, and the padding id."""
    rng = np.random.default_rng(seed)
    *lead, n_rows, width = sizes
    weight = rng.standard_normal((n_rows, width))
    return (
        rng.integers(n_rows, size=lead),
        weight,
        n_rows - 1 if padding_id == "last" else padding_id,
    )


@given(SIZES, st.integers(0, 99), PADDING)
def test_every_position_takes_its_row_and_every_row_collects_its_positions(
    ops, sizes, seed, padding
):
    ids, weight, padding_id = draw(sizes, seed, padding)
    output, backward = ops.embedding(ids, weight, padding_id=padding_id)
    assert output.shape == (*ids.shape, weight.shape[1])
    d_output = np.random.default_rng(seed + 100).standard_normal(output.shape)
    d_weight = np.zeros(weight.shape)
    for position in np.ndindex(ids.shape):
        if ids[position] == padding_id:
            assert np.all(output[position] == 0)
        else:
            assert np.all(output[position] == weight[ids[position]])
            d_weight[ids[position]] += d_output[position]
    np.testing.assert_allclose(backward(d_output), d_weight, atol=1e-14)
    if padding_id is not None:
        assert np.all(backward(d_output)[padding_id] == 0)


@given(SIZES, st.integers(0, 99), PADDING)
def test_gradients(ops, sizes, seed, padding):
    ids, weight, padding_id = draw(sizes, seed, padding)
    check_gradients(ops.embedding, ids, weight, padding_id=padding_id, raise_on_failure=True)


def test_an_id_that_occurs_three_times_collects_three_gradients(ops):
    _, backward = ops.embedding(np.array([2, 1, 2, 2]), np.zeros((4, 1)))
    assert backward(np.array([[1.0], [10.0], [100.0], [1000.0]])).tolist() == [
        [0],
        [10],
        [1101],
        [0],
    ]


@pytest.mark.parametrize("held", [7.0, np.nan, np.inf])
def test_padding_is_zero_whatever_its_row_holds(ops, held):
    weight = np.full((3, 2), 5.0)
    weight[0] = held
    output, backward = ops.embedding(np.array([[0, 1], [0, 0]]), weight)
    assert output.tolist() == [[[0, 0], [5, 5]], [[0, 0], [0, 0]]]
    assert backward(np.ones((2, 2, 2))).tolist() == [[0, 0], [1, 1], [0, 0]]


@pytest.mark.parametrize("dtype", [np.int32, np.int64, np.uint16])
def test_any_integer_is_an_id(ops, dtype):
    output, _ = ops.embedding(np.array([1, 2], dtype), np.arange(6.0).reshape(3, 2))
    assert output.tolist() == [[2, 3], [4, 5]]


@pytest.mark.parametrize("wrong", [-1, 6])
def test_an_id_without_a_row_is_named(ops, wrong):
    message = rf"ids holds {wrong}, but weight has 6 rows \(valid ids are 0..5\)"
    with pytest.raises(ValueError, match=message):
        ops.embedding(np.array([[1, wrong]]), np.ones((6, 2)))


def test_what_is_no_id_or_no_table_is_an_error(ops):
    with pytest.raises(TypeError, match="ids has dtype float64, but must be integers"):
        ops.embedding(np.array([1.0]), np.ones((6, 2)))
    with pytest.raises(ValueError, match=r"weight has shape \(6,\)"):
        ops.embedding(np.array([1]), np.ones(6))
