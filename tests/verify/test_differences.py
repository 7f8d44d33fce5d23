"""Slopes by differences: right within the error that they state, and kinks where they are."""

import numpy as np
import pytest

from attention_from_scratch.verify.differences import Differences
from attention_from_scratch.verify.outputs import Evaluation


def slope(function, x, entry=0, **settings):
    """The slope of the sum of a function of an array, along one entry."""
    x = np.asarray(x, float)
    of = Evaluation(lambda x: (function(x), None), [x], {}, np.float64)
    direction = np.zeros(x.shape)
    direction.flat[entry] = 1
    return Differences(of, [np.ones(np.shape(function(x)))]).slope(0, "", direction, **settings)


SMOOTH = {
    "a line": (lambda x: 3 * x, [2.0], 3.0),
    "a parabola": (lambda x: x * x, [1e6], 2e6),
    "a fast sine": (lambda x: np.sin(1000 * x), [0.7], 1000 * np.cos(700)),
    "a root near 0": (np.sqrt, [1e-10], 0.5e5),
    "a steep sigmoid": (lambda x: 1 / (1 + np.exp(-1e4 * x)), [1e-5], 1e4 * 0.24937604),
    "a small number beside a large one": (lambda x: x * [1, 1e-6], [1e-6, 1e6], 1.0),
    "0": (lambda x: x * x + x, [0.0, 0.0], 1.0),
    "what does not depend on it": (lambda x: x[1:] * 2, [1.0, 2.0], 0.0),
}


@pytest.mark.parametrize(("function", "x", "expected"), SMOOTH.values(), ids=SMOOTH)
def test_a_slope_is_right_within_its_error(function, x, expected):
    found = slope(function, x)
    assert not found.is_kink
    assert abs(found.middle - expected) <= max(4 * found.error, 1e-6 * abs(expected))
    assert found.error <= 1e-6 * max(1, abs(expected))


def test_in_doubt_a_large_step_is_contradicted_by_a_small_one():
    def steep(x):
        u = x - 11028.25
        return u * (1 + 5 * np.exp(-((100 * u) ** 2)))

    assert slope(steep, [11028.25]).middle == pytest.approx(1)  # what lies to both sides
    found = slope(steep, [11028.25], in_doubt=True)
    assert abs(found.middle - 6) <= 4 * found.error
    assert found.error < 1e-4


KINKS = {
    "abs": (np.abs, [0.0], (-1, 1)),
    "a tie beside a larger number": (
        lambda x: np.sort(x) * [-0.9805271625518799, -0.8174782991409302, 0.1029676795005798],
        [803.60302734375, 803.60302734375, 825.9444580078125],
        (-0.9805271625518799, -0.8174782991409302),
    ),
    "relu": (lambda x: np.maximum(x, 0), [0.0, 1.0], (0, 1)),
    "a tie": (lambda x: x.max(keepdims=True), [2.0, 2.0], (0, 1)),
    "a kink on a slope": (lambda x: x * x + np.abs(x - 3), [3.0], (5, 7)),
}


@pytest.mark.parametrize(("function", "x", "slopes"), KINKS.values(), ids=KINKS)
def test_a_kink_has_the_slopes_to_both_sides(function, x, slopes):
    found = slope(function, x)
    assert found.is_kink
    np.testing.assert_allclose((found.low, found.high), slopes, atol=1e-6)
    assert found.nearest(np.mean(slopes)) == np.mean(slopes)
    assert found.nearest(slopes[1] + 5) == found.high


@pytest.mark.parametrize("distance", [1e-9, 1e-5, 1e-2])
def test_a_kink_near_by_is_none(distance):
    found = slope(lambda x: np.abs(x - 1), [1 + distance])
    assert not found.is_kink
    assert abs(found.middle - 1) < 1e-3


def test_of_two_kinks_near_by_the_farther_one_does_not_hide_the_nearer_one():
    def flat_on_both_sides(x):
        return 0.01 * np.maximum(np.minimum(x, 1) - 0.9999, 0)

    found = slope(flat_on_both_sides, [1 - 2.3e-8])
    assert found.low - 16 * found.error <= 0.01 <= found.high + 16 * found.error


def test_a_slope_that_small_steps_find_is_right_though_large_ones_meet_a_kink_far_off():
    def kinked(x):
        return x[:1] + 2e-6 * np.maximum(x[:1] + 2, 0) - 2e-6 * np.maximum(x[:1] - 3, 0) + x[1:]

    found = slope(kinked, [0.0, 6e4])
    assert found.low - 16 * found.error <= 1 + 2e-6 <= found.high + 16 * found.error


def test_where_a_function_is_not_finite_nothing_is_said():
    with np.errstate(all="ignore"):
        assert np.isnan(slope(np.log, [0.0]).middle)
