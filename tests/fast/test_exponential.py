"""Exponentials without a shift: where they are taken, and that nothing is lost there."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from attention_from_scratch import fast, ops
from attention_from_scratch.fast import exponential
from tests.fast.comparing import EPSILONS, drawn, each_dtype


@each_dtype
def test_scores_that_exp_cannot_take_are_shifted(dtype):
    x, weight, *inputs = drawn((6, 4), (4, 5), *[(2, 9, 4)] * 3, dtype=dtype)
    big = [np.array(30 * array) for array in inputs[:2]]
    assert not exponential.moderate(*big)
    with np.errstate(over="raise", invalid="raise", divide="raise"):
        found, backward = fast.scaled_dot_product_attention(*big, inputs[2])
        gradients = backward(inputs[2])
        loss, _ = fast.linear_cross_entropy(100 * x, weight, np.zeros(6, int))
    expected, _ = ops.scaled_dot_product_attention(*big, inputs[2])
    np.testing.assert_allclose(found, expected, rtol=0, atol=EPSILONS * np.finfo(dtype).eps)
    assert all(np.isfinite(gradient).all() for gradient in gradients)
    assert loss == pytest.approx(ops.linear_cross_entropy(100 * x, weight, np.zeros(6, int))[0])


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("size", [1e-8, 1, 1e8])
def test_scores_at_the_border_leave_room_for_sums_and_gradients(sign, size):
    """In float32 against float64, whatever the size of values and gradients."""
    root = np.sqrt(0.999 * exponential.LARGEST)
    query, key = np.full((4, 1), sign * root), root * np.array([[1], [0.9], [1], [0.8]])
    value, d_output, weight = drawn((4, 3), (4, 3), (1, 4))
    weight = np.where(weight > 0, root, 0.9 * root)
    value, d_output = size * value, d_output / size**2
    assert exponential.moderate(query, key)
    assert exponential.moderate(query, weight.T)
    results = []
    for dtype in (np.float32, np.float64):
        arrays = [array.astype(dtype) for array in (query, key, value, d_output, weight)]
        with np.errstate(over="raise", invalid="raise", divide="raise"):
            output, backward = fast.scaled_dot_product_attention(*arrays[:3], scale=1)
            loss, loss_backward = fast.linear_cross_entropy(arrays[0], arrays[4], np.arange(4))
            results.append([output, *backward(arrays[3]), loss, *loss_backward(dtype(size))])
    for place, (found, expected) in enumerate(zip(*results, strict=True)):
        assert found.dtype == np.float32
        epsilons = 3000 if place == 1 else 200  # of d_query most is cancelled
        bound = epsilons * np.finfo(np.float32).eps * np.abs(expected).max()
        assert np.all(np.abs(found - expected) <= bound)


def test_dropout_of_complex_attention_goes_backwards_too():
    inputs = [array + 1e-20j for array in drawn(*[(5, 3)] * 3)]
    keep = np.random.default_rng(0).random((5, 5)) > 0.3
    gradients = []
    for op in (ops.scaled_dot_product_attention, fast.scaled_dot_product_attention):
        output, backward = op(*inputs, dropout_p=0.3, keep=keep)
        gradients.append(backward(output))
    for expected, found in zip(*gradients, strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-12)


@given(st.integers(0, 2**32 - 1), st.floats(-2, 4))
def test_moderate_scores_are_at_most_the_largest(seed, size):
    queries, keys = drawn((3, 5), (4, 5), seed=seed)
    queries = 10**size * queries
    if exponential.moderate(queries, keys):
        assert np.abs(queries @ keys.T).max() <= exponential.LARGEST * (1 + 1e-12)
    else:
        assert size > 0


@pytest.mark.parametrize("entry", [np.inf, -np.inf, np.nan, 1e30])
def test_what_is_no_number_is_not_moderate(entry):
    queries, keys = np.ones((2, 3), np.float32), np.ones((2, 3), np.float32)
    queries[1, 1] = entry
    assert not exponential.moderate(queries, keys)
    assert exponential.moderate(queries[:0], keys)
