"""Arrays that round at random: what is exact stays, and what is equal stays equal."""

import numpy as np
import pytest

from attention_from_scratch import ops
from attention_from_scratch.verify.rounding import RandomlyRounded, randomly_rounded, signs

EPS = 1e-8


def rounding(array, run=1):
    return randomly_rounded(np.asarray(array, float), EPS, run)


def moved(result, exact):
    """How far a result is off, in eps of its size."""
    return np.abs(np.asarray(result) / exact - 1) / EPS


@pytest.mark.parametrize(
    "function",
    [np.exp, np.sqrt, lambda x: x @ x.T, lambda x: x.sum(axis=0), lambda x: np.einsum("ij->i", x)],
)
def test_what_is_computed_is_off_by_eps(function):
    x = 1 + np.random.default_rng(0).random((4, 3))
    result = function(rounding(x))
    assert isinstance(result, RandomlyRounded)
    assert 0.1 < moved(result, function(x)).max() < 10


@pytest.mark.parametrize(
    "function", [np.abs, np.negative, np.sign, lambda x: np.maximum(x, 0), lambda x: x.T.copy()]
)
def test_what_is_exact_stays_exact(function):
    x = rounding(np.random.default_rng(0).standard_normal((4, 3)))
    assert np.array_equal(function(x), function(np.asarray(x)))
    assert isinstance(function(x), RandomlyRounded)


@pytest.mark.parametrize(
    "function",
    [
        lambda x: np.where(x > 0, x, 0.0),
        lambda x: np.concatenate([x, x]),
        lambda x: np.split(x, 2)[1],
        lambda x: x[..., None].reshape(-1),
    ],
)
def test_it_goes_through_what_moves_numbers(function):
    assert isinstance(function(rounding([1.0, -2.0])), RandomlyRounded)


def test_zeros_stay_zeros_and_equals_stay_equal():
    x = rounding([0.0, 3.0, 3.0, -1.0])
    assert x[0] == 0
    assert x[1] == x[2] == rounding(3.0)
    assert np.array_equal(np.exp(x), np.exp(x))
    assert not (x - rounding([0.0, 3.0, 3.0, -1.0])).any()


def test_another_run_goes_another_way():
    x = np.random.default_rng(0).standard_normal(1000)
    assert 0.4 < np.mean(signs(x, 1) == signs(x, 2)) < 0.6
    assert 0.4 < np.mean(signs(x, 1) > 0) < 0.6


def test_it_is_written_into_in_place():
    x = rounding([1.0, 2.0])
    y = x * 2
    y += x
    np.multiply(x, y, out=y)
    np.testing.assert_allclose(np.asarray(y), [3, 12], rtol=1e-6)
    table = np.zeros(3)
    np.add.at(table, [0, 0], y)
    np.testing.assert_allclose(table, [15, 0, 0], rtol=1e-6)


def test_that_a_weight_of_one_is_a_rounded_number_shows():
    changes = []
    for run in range(1, 9):
        _, backward = ops.softmax(rounding([[0.0, -100.0]], run))
        changes.append(float(np.abs(backward(np.array([[0.3, 0.4]]))).max()))
    assert max(changes) > 0.1 * EPS


@pytest.mark.skipif(np.finfo(np.longdouble).eps == np.finfo(float).eps, reason="no longer floats")
def test_longer_floats_are_off_by_their_own_eps():
    eps = float(np.finfo(np.longdouble).eps)
    x = randomly_rounded(np.array([1.5, 3.0], np.longdouble), eps, run=1)
    off = np.abs(np.asarray(x) - [1.5, 3.0]) / (eps * np.array([1.5, 3.0], np.longdouble))
    assert ((off > 0.3) & (off < 3)).all()


def test_what_is_exact_stays_as_it_is():
    x = rounding([0.1, 0.7])
    np.testing.assert_array_equal(x / x, [1, 1])
    np.testing.assert_array_equal(x - x.mean(axis=-1, keepdims=True) * 0 - x, [0, 0])
    y = x * 1
    y /= x
    np.testing.assert_array_equal(y, [1, 1])


def test_it_is_written_into_where_it_is_asked_for():
    x, kept = rounding([2.0, 3.0]), np.array([7.0, 7.0])
    np.divide(x, 2.0, out=kept, where=np.array([True, False]))
    np.testing.assert_allclose(kept, [1, 7], rtol=1e-6)
    assert kept[1] == 7
