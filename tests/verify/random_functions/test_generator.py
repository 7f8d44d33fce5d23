import numpy as np
import pytest

from attention_from_scratch.tree import leaves
from tests.verify.random_functions import exactly, generator, judge, random_function
from tests.verify.random_functions.checks import failures
from tests.verify.random_functions.drawing import Drawing
from tests.verify.random_functions.families import FAMILIES
from tests.verify.random_functions.made_by_hand import one_step
from tests.verify.random_functions.primitive import plain

DTYPES = ["float64", "float32"]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("number", range(8))
def test_a_random_function_holds_what_it_promises(dtype, number):
    function = random_function(np.random.default_rng([20, number]), dtype)
    assert not list(failures(function)), function.describe()
    for leaf in leaves(judge(function).gradient):
        assert leaf.dtype == dtype


def test_the_same_seed_draws_the_same_function():
    first, second = (random_function(np.random.default_rng(3), "float64") for _ in range(2))
    assert first.describe() == second.describe()
    for a, b in zip(leaves(first.inputs), leaves(second.inputs), strict=True):
        np.testing.assert_array_equal(a, b)


def test_every_family_is_drawn_and_a_third_is_not_analytic():
    rng = np.random.default_rng(1)
    functions = [generator.draw_function(rng, DTYPES[i % 2]) for i in range(800)]
    drawn = {step.family for function in functions for step in function.steps}
    assert set(FAMILIES) <= drawn
    assert 0.25 < np.mean([not function.analytic for function in functions]) < 0.42


def test_a_wrong_formula_is_not_called_right():
    x = np.array([0.5, 2.0])
    right = plain("x ** 3", lambda x: x * x * x, lambda d, y, x: d * 3 * x * x)
    wrong = plain("x ** 3", lambda x: x * x * x, lambda d, y, x: d * (3 + 1e-12) * x * x)
    assert generator.is_right(one_step(right, x, d_output=[1.0, 1.0]))
    assert not generator.is_right(one_step(wrong, x, d_output=[1.0, 1.0]))


def test_a_right_formula_that_loses_digits_is_not_called_right():
    tanh = plain("tanh", np.tanh, lambda d, y, x: d * (1 - y * y), exactly.tanh)
    assert generator.is_right(one_step(tanh, np.array([0.5]), d_output=[1.0]))
    assert not generator.is_right(one_step(tanh, np.array([15.0]), d_output=[1.0]))


def test_what_does_not_fit_leaves_no_trace():
    drawing = Drawing(np.random.default_rng(0), "float64", analytic=True)
    drawing.given(np.full(3, 1e6))
    assert not drawing.attempt(FAMILIES["transpose"])
    assert not drawing.attempt(FAMILIES["error_function"])  # scales its input, and is not analytic
    assert len(drawing.values) == 1
    assert not drawing.steps
    assert drawing.attempt(FAMILIES["cumulative_sum"])
    assert [step.family for step in drawing.steps] == ["cumulative_sum"]
