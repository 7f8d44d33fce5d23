"""softmax and log_softmax: the quotient as a loop, what leaves it unchanged, and its gradient."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from attention_from_scratch.verify import check_gradients

SIZES = st.lists(st.integers(1, 6), min_size=1, max_size=3, unique=True)
SEEDS = st.integers(0, 99)


def softmax_loop(row, taking_part):
    """exp(x_i) / sum_j exp(x_j) over those that take part."""
    exponentials = [math.exp(x) if here else 0.0 for x, here in zip(row, taking_part, strict=True)]
    return [e / (sum(exponentials) or 1.0) for e in exponentials]


def draw(sizes, seed):
    """Scores, a mask, and a gradient; about one row in four takes no part at all."""
    rng = np.random.default_rng(seed)
    where = (rng.random(sizes) < 0.6) & (rng.random((*sizes[:-1], 1)) < 0.75)
    return rng.normal(0, 2, sizes), where, rng.standard_normal(sizes)


@given(SIZES, SEEDS)
def test_every_row_is_the_quotient(ops, sizes, seed):
    x, where, _ = draw(sizes, seed)
    everywhere = np.ones(sizes[-1], bool)
    for row in np.ndindex(*sizes[:-1]):
        expected = softmax_loop(x[row], everywhere)
        np.testing.assert_allclose(ops.softmax(x)[0][row], expected, rtol=1e-13)
        np.testing.assert_allclose(ops.log_softmax(x)[0][row], np.log(expected), atol=1e-13)
        np.testing.assert_allclose(
            ops.softmax(x, where=where)[0][row], softmax_loop(x[row], where[row]), rtol=1e-13
        )


@given(SIZES, SEEDS, st.data())
def test_gradients_along_any_axis(ops, sizes, seed, data):
    x, where, _ = draw(sizes, seed)
    axis = data.draw(st.integers(-len(sizes), len(sizes) - 1))
    check_gradients(ops.softmax, x, axis=axis, raise_on_failure=True)
    check_gradients(ops.softmax, x, axis=axis, where=where, raise_on_failure=True)
    check_gradients(ops.log_softmax, x, axis=axis, raise_on_failure=True)


@pytest.mark.parametrize("name", ["softmax", "log_softmax"])
def test_another_axis_is_the_same_on_the_transpose(ops, name):
    op = getattr(ops, name)
    x, _, d_output = draw((2, 3, 4), 0)
    output, backward = op(x, axis=1)
    turned, back_turned = op(x.swapaxes(1, 2))
    np.testing.assert_allclose(output, turned.swapaxes(1, 2), rtol=1e-14)
    d_turned = back_turned(d_output.swapaxes(1, 2)).swapaxes(1, 2)
    np.testing.assert_allclose(backward(d_output), d_turned, atol=1e-14)


@given(SIZES, SEEDS)
def test_rows_of_weights_sum_to_one(ops, sizes, seed):
    x, where, _ = draw(sizes, seed)
    np.testing.assert_allclose(ops.softmax(x)[0].sum(axis=-1), 1, rtol=1e-14)
    np.testing.assert_allclose(np.exp(ops.log_softmax(x)[0]).sum(axis=-1), 1, rtol=1e-14)
    sums = ops.softmax(x, where=where)[0].sum(axis=-1)
    np.testing.assert_allclose(sums, where.any(axis=-1), rtol=1e-14)


@pytest.mark.parametrize("name", ["softmax", "log_softmax"])
@given(sizes=SIZES, seed=SEEDS)
def test_a_constant_added_to_a_row_changes_nothing(ops, name, sizes, seed):
    op = getattr(ops, name)
    rng = np.random.default_rng(seed)
    x = rng.integers(-40, 40, sizes) / 8  # eighths: adding an integer to them is exact
    constant = rng.integers(-1000, 1000, (*sizes[:-1], 1)).astype(float)
    d_output = rng.standard_normal(sizes)
    (output, backward), (moved, back_moved) = op(x), op(x + constant)
    assert np.all(moved == output)
    assert np.all(back_moved(d_output) == backward(d_output))
    # So the slope along that direction is 0: a row of the gradient sums to 0.
    np.testing.assert_allclose(backward(d_output).sum(axis=-1), 0, atol=1e-14)


@given(SIZES, SEEDS)
def test_what_takes_no_part_has_no_weight_no_gradient_and_no_say(ops, sizes, seed):
    x, where, d_output = draw(sizes, seed)
    weights, backward = ops.softmax(x, where=where)
    assert np.all(weights[~where] == 0)
    assert np.all(backward(d_output)[~where] == 0)
    for anything in (1e300, np.inf, -np.inf, np.nan):
        moved, back_moved = ops.softmax(np.where(where, x, anything), where=where)
        assert np.all(moved == weights)
        assert np.all(back_moved(d_output) == backward(d_output))


def test_a_row_in_which_nothing_takes_part_is_zero(ops):
    weights, backward = ops.softmax(np.ones((2, 3)), where=np.array([[False], [True]]))
    assert np.all(weights[0] == 0)
    assert np.all(backward(np.ones((2, 3)))[0] == 0)
    np.testing.assert_allclose(weights[1], 1 / 3)


def test_a_row_without_entries_is_empty(ops):
    weights, backward = ops.softmax(np.zeros((2, 0)))  # attention to a sequence of length 0
    assert weights.shape == backward(weights).shape == (2, 0)


def test_log_softmax_is_finite_where_softmax_has_underflown(ops):
    x = np.array([0.0, 2000.0])
    assert ops.softmax(x)[0].tolist() == [0, 1]
    assert ops.log_softmax(x)[0].tolist() == [-2000, 0]


def test_a_mask_that_is_not_boolean_or_does_not_fit_is_named(ops):
    with pytest.raises(TypeError, match="where has dtype int64, but must be bool"):
        ops.softmax(np.ones((2, 3)), where=np.ones((2, 3), int))
    with pytest.raises(TypeError, match="where has dtype list"):
        ops.softmax(np.ones(2), where=[True, False])
    for shape in [(2, 2), (5, 2, 3)]:  # the second would make the output larger than x
        with pytest.raises(ValueError, match=r"where has shape .* must broadcast to \(2, 3\)"):
            ops.softmax(np.ones((2, 3)), where=np.ones(shape, bool))
