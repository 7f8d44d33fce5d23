"""Values and slopes of the functions of one number: right to 4 units of the last place, anywhere.

Against mpmath, at numbers of every size in both dtypes; or to what half a unit of an input changes,
where that is more. What a unit is, and which two results may be off by more, stands in
`benchmarks/digits/exact.py`.
"""

import numpy as np
import pytest

from attention_from_scratch import fast
from attention_from_scratch import ops as plain
from benchmarks.digits.contenders import ours
from benchmarks.digits.exact import (
    EXACT,
    exact_values,
    share_of_allowed,
    slope_in_logits,
    units_off,
)
from benchmarks.digits.inputs import logits, targets

each_dtype = pytest.mark.parametrize("dtype", ["float64", "float32"])


@pytest.mark.parametrize("name", EXACT)
@each_dtype
def test_value_and_slopes_are_right_to_the_last_places(name, dtype):
    x = logits(dtype, seed=2, n=40)
    inputs = (x, targets(x, seed=3)) if name == "binary cross-entropy" else (x,)
    with np.errstate(over="raise", invalid="raise", divide="raise"):
        results = ours(name, inputs)
    for function, found in zip(EXACT[name], results, strict=True):
        assert found.dtype == dtype
        off = units_off(found, exact_values(function, inputs))
        share = share_of_allowed(function, inputs, off)
        worst = share.argmax()
        assert share[worst] <= 1, (function.__name__, [array[worst] for array in inputs])


@each_dtype
def test_a_soft_target_near_one_half_is_taken_from_s_with_all_its_digits(dtype):
    rng = np.random.default_rng(0)
    x = (rng.choice([-1, 1], 2000) * 2.0 ** rng.uniform(-20, -3, 2000)).astype(dtype)
    t = rng.uniform(0.44, 0.5, 2000).astype(dtype)
    _, backward = plain.binary_cross_entropy_with_logits(x, t, reduction="sum")
    off = units_off(backward()[0], exact_values(slope_in_logits, (x, t)))
    assert share_of_allowed(slope_in_logits, (x, t), off).max() <= 1


@each_dtype
def test_relu_of_the_fast_ops_is_exact(dtype):
    x = logits(dtype, seed=2, n=40)
    for found, expected in zip(ours("relu", (x,), fast), ours("relu", (x,)), strict=True):
        np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("name", ["relu", "sigmoid", "tanh", "gelu", "gelu, tanh form", "erfc"])
@each_dtype
def test_not_a_number_stays_so_and_infinity_has_its_limit(name, dtype):
    limits = {"relu": (0, np.inf), "sigmoid": (0, 1), "tanh": (-1, 1), "erfc": (2, 0)}
    value, *slopes = ours(name, (np.array([np.nan, -np.inf, np.inf], dtype),))
    assert np.isnan(value[0])
    assert tuple(value[1:]) == limits.get(name, (0, np.inf))
    for slope in slopes:
        assert tuple(slope[1:]) == ((0, 1) if limits.get(name, (0, np.inf))[1] > 1 else (0, 0))


def test_a_gate_of_the_gru_that_is_all_but_shut_lets_through_what_it_should():
    # z = 1 / (1 + exp(-60)), which is 1 in float64: what is new, tanh(1), comes in times exp(-60).
    bias = np.array([0.0, 60.0, 1.0])
    zeros = {"weight": np.zeros((1, 3)), "bias": np.zeros(3)}
    params = {"input": {"weight": np.zeros((1, 3)), "bias": bias}, "hidden": zeros}
    output, backward = plain.gru(params, np.zeros((1, 1, 1)))
    np.testing.assert_allclose(output, np.tanh(1) * np.exp(-60), rtol=1e-15)
    grads, _, _ = backward(np.ones_like(output))
    slopes = [np.exp(-60) * np.tanh(1), np.exp(-60) / np.cosh(1) ** 2]
    np.testing.assert_allclose(grads["input"]["bias"], [0, -slopes[0], slopes[1]], rtol=1e-15)
