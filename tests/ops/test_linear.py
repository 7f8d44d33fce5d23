"""linear: the sum over inputs as a loop, and its gradient proven."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from attention_from_scratch.verify import check_gradients

# Pairwise distinct, so that a swapped axis shows.
SIZES = st.lists(st.integers(1, 6), min_size=2, max_size=4, unique=True)


def draw(sizes, seed, has_bias):
    rng = np.random.default_rng(seed)
    *lead, n_in, n_out = sizes
    x, weight = rng.standard_normal((*lead, n_in)), rng.standard_normal((n_in, n_out))
    return x, weight, rng.standard_normal(n_out) if has_bias else None


@given(SIZES, st.integers(0, 99), st.booleans())
def test_output_is_the_sum_over_inputs(ops, sizes, seed, has_bias):
    x, weight, bias = draw(sizes, seed, has_bias)
    output, _ = ops.linear(x, weight, bias)
    assert output.shape == (*x.shape[:-1], len(weight[0]))
    for *position, o in np.ndindex(output.shape):
        x_here = x[tuple(position)]
        y = sum(x_here[i] * weight[i, o] for i in range(len(weight)))
        assert abs(output[(*position, o)] - (y + bias[o] if has_bias else y)) < 1e-13


@given(SIZES, st.integers(0, 99), st.booleans())
def test_weight_collects_the_gradient_of_every_position(ops, sizes, seed, has_bias):
    x, weight, bias = draw(sizes, seed, has_bias)
    output, backward = ops.linear(x, weight, bias)
    d_output = np.random.default_rng(seed + 100).standard_normal(output.shape)
    d_weight, d_bias = np.zeros(weight.shape), np.zeros(weight.shape[1])
    for *position, o in np.ndindex(output.shape):
        d_y = d_output[(*position, o)]
        d_bias[o] += d_y
        for i in range(len(weight)):
            d_weight[i, o] += x[(*position, i)] * d_y
    _, found_weight, found_bias = backward(d_output)
    np.testing.assert_allclose(found_weight, d_weight, atol=1e-13)
    if has_bias:
        np.testing.assert_allclose(found_bias, d_bias, atol=1e-13)
    else:
        assert found_bias is None


@given(SIZES, st.integers(0, 99), st.booleans())
def test_gradients(ops, sizes, seed, has_bias):
    check_gradients(ops.linear, *draw(sizes, seed, has_bias), raise_on_failure=True)


@pytest.mark.parametrize(
    ("x", "weight", "bias", "message"),
    [
        ((2, 3), (4, 5), None, r"x has shape \(2, 3\).*4 long, as weight is \(4, 5\)"),
        ((), (4, 5), None, r"x has shape \(\)"),
        ((2, 4), (4,), None, r"weight has shape \(4,\), but must be \(in, out\)"),
        ((2, 4), (4, 5), (4,), r"bias has shape \(4,\), but weight \(4, 5\) needs \(5,\)"),
        ((2, 4), (4, 5), (1, 5), r"bias has shape \(1, 5\)"),
    ],
)
def test_a_shape_that_does_not_fit_is_named(ops, x, weight, bias, message):
    with pytest.raises(ValueError, match=message):
        ops.linear(np.ones(x), np.ones(weight), None if bias is None else np.ones(bias))
