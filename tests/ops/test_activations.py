"""relu, sigmoid, tanh, gelu: entry by entry against plain math, and their slopes proven."""

import math
from functools import partial

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from attention_from_scratch.verify import check_gradients

SIZES = st.lists(st.integers(1, 6), min_size=1, max_size=3, unique=True)


def gelu_tanh_formula(x):
    u = math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)
    return x * (1 + math.tanh(u)) / 2


# name: (which of the ops, what it is for one number)
CASES = {
    "relu": (lambda ops: ops.relu, lambda x: max(x, 0.0)),
    "sigmoid": (lambda ops: ops.sigmoid, lambda x: 1 / (1 + math.exp(-x))),
    "tanh": (lambda ops: ops.tanh, math.tanh),
    "gelu": (lambda ops: ops.gelu, lambda x: x * (1 + math.erf(x / math.sqrt(2))) / 2),
    "gelu tanh": (lambda ops: partial(ops.gelu, approximate="tanh"), gelu_tanh_formula),
}
each_activation = pytest.mark.parametrize(("which", "formula"), CASES.values(), ids=CASES)


@each_activation
@given(SIZES, st.integers(0, 99))
def test_every_entry_is_the_formula(ops, which, formula, sizes, seed):
    x = np.random.default_rng(seed).normal(0, 3, sizes)
    output, _ = which(ops)(x)
    assert output.shape == x.shape
    for entry in np.ndindex(x.shape):
        assert abs(output[entry] - formula(float(x[entry]))) < 1e-14


@each_activation
@given(SIZES, st.integers(0, 99))
def test_gradients(ops, which, formula, sizes, seed):
    rng = np.random.default_rng(seed)
    # At 0 relu has a corner and no derivative, and a central difference across it sees half of
    # each side; so all inputs stay further from 0 than its step reaches.
    x = rng.choice([-1, 1], sizes) * rng.uniform(0.01, 4, sizes)
    check_gradients(which(ops), x, raise_on_failure=True)


def test_relu_is_flat_at_its_corner(ops):
    output, backward = ops.relu(np.array([-2.0, -0.0, 0.0, 3.0]))
    assert output.tolist() == [0, 0, 0, 3]
    assert backward(np.array([5.0, 5.0, 5.0, 5.0])).tolist() == [0, 0, 0, 5]


def test_sigmoids_of_x_and_minus_x_sum_to_one(ops):
    x = np.linspace(-800, 800, 1601)
    np.testing.assert_allclose(ops.sigmoid(x)[0] + ops.sigmoid(-x)[0], 1, rtol=1e-15)


def test_sigmoid_keeps_its_digits_where_it_is_small(ops):
    np.testing.assert_allclose(ops.sigmoid(np.array([-700.0]))[0], math.exp(-700), rtol=1e-14)


def test_gelu_keeps_its_digits_where_it_is_small(ops):
    x = np.linspace(-30, 0, 301)  # 1 + erf would have lost them all by x = -9
    formula = [t * math.erfc(-t / math.sqrt(2)) / 2 for t in x]
    np.testing.assert_allclose(ops.gelu(x)[0], formula, rtol=1e-12)


@pytest.mark.parametrize("approximate", ["none", "tanh"])
def test_gelu_of_x_less_gelu_of_minus_x_is_x(ops, approximate):
    x = np.linspace(-5, 5, 101)
    difference = ops.gelu(x, approximate=approximate)[0] - ops.gelu(-x, approximate=approximate)[0]
    np.testing.assert_allclose(difference, x, atol=1e-14)


def test_the_two_forms_of_gelu_are_close_but_not_the_same(ops):
    x = np.linspace(-5, 5, 1001)
    gap = np.abs(ops.gelu(x)[0] - ops.gelu(x, approximate="tanh")[0]).max()
    assert 4e-4 < gap < 5e-4


def test_a_form_of_gelu_that_does_not_exist_is_named(ops):
    with pytest.raises(ValueError, match="approximate was 'erf', but must be 'none' or 'tanh'"):
        ops.gelu(np.ones(1), approximate="erf")
