"""layer_norm: the formula as a loop, what leaves it unchanged, and its gradient."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from attention_from_scratch.verify import check_gradients

LEAD = st.lists(st.integers(1, 4), max_size=2, unique=True)
SEEDS = st.integers(0, 99)
AFFINE = st.tuples(st.booleans(), st.booleans())


def draw(lead, width, seed, affine=(True, True)):
    rng = np.random.default_rng(seed)
    weight, bias = (rng.standard_normal(width) if present else None for present in affine)
    return rng.normal(1, 2, (*lead, width)), weight, bias


@given(LEAD, st.integers(1, 7), SEEDS, AFFINE, st.sampled_from([1e-8, 1e-5, 0.5]))
def test_every_position_is_the_formula(ops, lead, width, seed, affine, eps):
    x, weight, bias = draw(lead, width, seed, affine)
    output, _ = ops.layer_norm(x, weight, bias, eps=eps)
    for position in np.ndindex(*lead):
        row = x[position].tolist()
        mean = sum(row) / width
        variance = sum((x_j - mean) ** 2 for x_j in row) / width
        for j in range(width):
            y = (row[j] - mean) / math.sqrt(variance + eps)
            y = y * (weight[j] if affine[0] else 1) + (bias[j] if affine[1] else 0)
            assert abs(output[(*position, j)] - y) < 1e-13


@given(LEAD, st.integers(5, 7), SEEDS, AFFINE)
def test_gradients(ops, lead, width, seed, affine):
    check_gradients(ops.layer_norm, *draw(lead, width, seed, affine), raise_on_failure=True)


@pytest.mark.parametrize("width", [1, 2])
def test_gradients_of_one_or_two_entries(ops, width):
    # Two entries normalise to 1 and -1 whatever they are: only a large eps leaves a gradient.
    check_gradients(ops.layer_norm, *draw((3,), width, 0), eps=0.5, raise_on_failure=True)


@given(LEAD, st.integers(3, 7), SEEDS)
def test_mean_zero_and_variance_one(ops, lead, width, seed):
    output, _ = ops.layer_norm(*draw(lead, width, seed, (False, False)), eps=1e-12)
    np.testing.assert_allclose(output.mean(axis=-1), 0, atol=1e-14)
    np.testing.assert_allclose((output**2).mean(axis=-1), 1, atol=1e-9)


@given(LEAD, st.integers(3, 7), SEEDS)
def test_a_shift_and_a_stretch_change_nothing(ops, lead, width, seed):
    x, weight, bias = draw(lead, width, seed)
    output, backward = ops.layer_norm(x, weight, bias, eps=1e-16)
    np.testing.assert_allclose(
        ops.layer_norm(4 * x + 3, weight, bias, eps=1e-16)[0], output, atol=1e-12
    )
    # So the gradient has no part along either.
    d_x, _, _ = backward(np.random.default_rng(seed + 100).standard_normal(x.shape))
    np.testing.assert_allclose(d_x.sum(axis=-1), 0, atol=1e-12)
    np.testing.assert_allclose((d_x * x).sum(axis=-1), 0, atol=1e-11)


def test_a_constant_row_gives_the_bias(ops):
    bias = np.array([1.0, 2.0, 3.0])
    output, backward = ops.layer_norm(np.full((2, 3), 7.0), np.ones(3), bias)
    assert np.all(output == bias)
    assert np.all(np.isfinite(backward(np.eye(3)[:2])[0]))


def test_positions_do_not_see_each_other(ops):
    x, weight, bias = draw((2, 4), 5, 0)
    output, backward = ops.layer_norm(x, weight, bias)
    other = x.copy()
    other[1, 2, 0] += 1
    moved = np.any(ops.layer_norm(other, weight, bias)[0] != output, axis=-1)
    assert np.argwhere(moved).tolist() == [[1, 2]]
    d_output = np.zeros(x.shape)
    d_output[1, 2] = np.arange(5)
    assert np.argwhere(np.any(backward(d_output)[0] != 0, axis=-1)).tolist() == [[1, 2]]


@pytest.mark.parametrize("shapes", [((4,), (3,)), ((1, 3), (3,)), ((3,), (1,))])
def test_a_weight_or_bias_that_does_not_fit_is_named(ops, shapes):
    with pytest.raises(
        ValueError, match=r"(weight|bias) has shape .*, but x \(2, 3\) needs \(3,\)"
    ):
        ops.layer_norm(np.ones((2, 3)), *map(np.ones, shapes))
