"""Two ways to differentiate by evaluating, held against derivatives that calculus gives."""

import math

import numpy as np
import pytest

from attention_from_scratch.verify import central_difference, complex_step

FUNCTIONS = {
    "square": (lambda x: x * x, lambda x: 2 * x),
    "power": (lambda x: x**4.5, lambda x: 4.5 * x**3.5),
    "exp": (np.exp, np.exp),
    "sin": (np.sin, np.cos),
    # The example of Squire & Trapp (1998).
    "quotient": (
        lambda x: np.exp(x) / (np.sin(x) ** 3 + np.cos(x) ** 3),
        lambda x: (
            np.exp(x)
            * (np.cos(3 * x) + np.sin(3 * x) / 2 + 3 * np.sin(x) / 2)
            / (np.sin(x) ** 3 + np.cos(x) ** 3) ** 2
        ),
    ),
}
each_function = pytest.mark.parametrize(("f", "slope"), FUNCTIONS.values(), ids=FUNCTIONS)
ONE = np.ones(())


@each_function
def test_the_complex_step_is_exact_to_rounding(f, slope):
    for x in (0.3, 1.5, 2.0):
        found = complex_step(f, np.array(x), ONE)
        assert type(found) is float
        assert math.isclose(found, slope(x), rel_tol=1e-14)


@each_function
def test_the_central_difference_keeps_two_thirds_of_the_digits(f, slope):
    for dtype, tolerance in [(np.float64, 1e-8), (np.float32, 2e-3)]:
        for x in (0.3, 1.5, 2.0):
            found = central_difference(f, np.array(x, dtype), ONE)
            assert type(found) is float
            assert math.isclose(found, slope(x), rel_tol=tolerance)


@pytest.mark.parametrize("method", [complex_step, central_difference])
def test_the_slope_is_the_gradient_times_the_direction(method):
    rng = np.random.default_rng(0)
    a, x, v = rng.standard_normal((3, 4, 5))
    found = method(lambda x: (a * np.sin(x)).sum(), x, v)
    assert math.isclose(found, (a * np.cos(x) * v).sum(), rel_tol=1e-8)


@pytest.mark.parametrize("method", [complex_step, central_difference])
def test_a_tree_moves_as_one(method):
    x = {"blocks": [{"weight": np.array([2.0, 3.0]), "bias": None}], "scale": np.array(5.0)}
    v = {"blocks": [{"weight": np.array([0.0, 7.0]), "bias": None}], "scale": np.array(11.0)}

    def function(params):
        assert params["blocks"][0]["bias"] is None
        return (params["blocks"][0]["weight"] ** 2).sum() * params["scale"]

    assert math.isclose(method(function, x, v), 5 * 2 * 3 * 7 + 13 * 11, rel_tol=1e-8)


@pytest.mark.parametrize("method", [complex_step, central_difference])
def test_where_it_is_evaluated_stays_as_it_was(method):
    x = np.array([1.0, 2.0])
    x.setflags(write=False)
    method(lambda x: (x * x).sum(), x, np.ones(2))
    assert x.tolist() == [1, 2]


def test_the_central_difference_evaluates_in_the_dtype_of_its_input():
    seen = []
    for dtype in (np.float32, np.float64):
        central_difference(lambda x: seen.append(x.dtype) or x.sum(), np.ones(2, dtype), np.ones(2))
    assert seen == [np.float32, np.float32, np.float64, np.float64]


def test_the_complex_step_does_not_see_through_what_is_not_analytic():
    # abs throws the imaginary part away: this is why no op may use it where a derivative flows.
    assert complex_step(lambda x: np.abs(x).sum(), np.array([3.0]), np.ones(1)) == 0
    assert math.isclose(
        central_difference(lambda x: np.abs(x).sum(), np.array([3.0]), np.ones(1)), 1
    )


@pytest.mark.parametrize("method", [complex_step, central_difference])
def test_an_empty_input_has_slope_zero(method):
    assert method(lambda x: (x * x).sum(), np.ones((0, 2)), np.ones((0, 2))) == 0
