"""linear, layer_norm, relu and embedding are the plain ones."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from attention_from_scratch import fast, ops
from attention_from_scratch.fast.embedding import sums_by_id
from attention_from_scratch.fast.linear import by_row
from attention_from_scratch.verify import check_gradients
from tests.fast.comparing import assert_same, drawn, each_dtype

SHAPES = [(5,), (3, 5), (2, 3, 5), (0, 5), (2, 0, 5)]


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@each_dtype
def test_the_small_ops_are_the_plain_ones(shape, dtype):
    x, weight, bias, scale, shift = drawn(shape, (5, 4), (4,), (5,), (5,), dtype=dtype)
    assert_same(ops.linear, fast.linear, (x, weight, bias), dtype)
    assert_same(ops.linear, fast.linear, (x, weight, None), dtype)
    assert_same(ops.layer_norm, fast.layer_norm, (x, scale, shift), dtype)
    assert_same(ops.layer_norm, fast.layer_norm, (x, None, None), dtype)
    assert_same(ops.relu, fast.relu, (x,), dtype)


@pytest.mark.parametrize("n_rows", [0, 1, 3, 8, 20, 48])
def test_rows_that_are_taken_together_are_the_rows(n_rows):
    matrix, row = drawn((n_rows, 3), (3,))
    assert np.array_equal(by_row(np.multiply, matrix, row), matrix * row)
    output = matrix.copy()
    by_row(np.add, output, row, out=output)
    assert np.array_equal(output, matrix + row)


@pytest.mark.parametrize("rounds", [1, 2, 3, 32])
@pytest.mark.parametrize("ids", [[4], [2, 2, 2, 2, 2], [3, 1, 3, 3, 0, 1, 3, 3, 5]], ids=str)
@pytest.mark.parametrize("left_out", [None, 3, 4])
def test_rows_of_an_id_are_summed_however_many_there_are(ids, rounds, left_out):
    (rows,) = drawn((len(ids), 2))
    items, sums = sums_by_id(np.array(ids, np.uint8), rows, left_out=left_out, rounds=rounds)
    assert sorted(items) == sorted(set(ids) - {left_out})
    for item, found in zip(items, sums, strict=True):
        np.testing.assert_allclose(found, rows[np.array(ids) == item].sum(axis=0), rtol=1e-14)


@settings(max_examples=50)
@given(st.lists(st.integers(0, 5), max_size=12), st.sampled_from([0, 3, None]))
def test_a_table_collects_what_belongs_to_each_row(ids, padding_id):
    (weight,) = drawn((6, 3))
    ids = np.array(ids, int).reshape(-1, 1) if len(ids) % 2 else np.array(ids, int)

    def of(op):
        return lambda weight: op(ids, weight, padding_id=padding_id)

    assert_same(of(ops.embedding), of(fast.embedding), (weight,))


@pytest.mark.parametrize(("n_ids", "shape"), [(0, (3, 0)), (2, (3, 0)), (0, (3, 2))])
def test_a_table_without_columns_or_of_nothing_asked_for_has_its_gradient(n_ids, shape):
    output, backward = fast.embedding(np.ones(n_ids, int), np.ones(shape))
    assert backward(output).shape == shape


@pytest.mark.parametrize(
    ("op", "shapes"),
    [
        (fast.linear, [(2, 3, 5), (5, 4), (4,)]),
        (fast.layer_norm, [(2, 3, 5), (5,), (5,)]),
        (fast.relu, [(2, 3)]),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_the_gradients_of_the_small_ops_are_their_derivatives(op, shapes):
    report = check_gradients(op, *drawn(*shapes))
    assert report.passed, report


@pytest.mark.parametrize(("n_in", "n_out"), [(0, 4), (5, 0), (0, 0)])
@pytest.mark.parametrize("lead", [(), (3,), (0,), (2, 3)], ids=str)
def test_a_linear_map_from_or_to_nothing_is_the_plain_one(lead, n_in, n_out):
    x, weight, bias = drawn((*lead, n_in), (n_in, n_out), (n_out,))
    assert_same(ops.linear, fast.linear, (x, weight, bias))


def test_relu_of_infinity_is_infinity_or_nothing():
    x = np.array([-np.inf, -1.0, np.inf])
    for of in (ops, fast):
        with np.errstate(invalid="raise"):
            output, backward = of.relu(x)
        assert output.tolist() == [0, 0, np.inf]
        assert backward(np.ones(3)).tolist() == [0, 0, 1]


def test_relu_is_flat_at_its_corner_for_a_complex_step_too():
    for of in (ops, fast):
        assert of.relu(np.array([1e-20j, 1 + 1e-20j]))[0].tolist() == [0, 1 + 1e-20j]
