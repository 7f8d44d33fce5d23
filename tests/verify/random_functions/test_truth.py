import math

import mpmath
import numpy as np
import pytest

from attention_from_scratch import ops
from tests.verify.random_functions import exactly, truth
from tests.verify.random_functions.made_by_hand import one_step
from tests.verify.random_functions.primitive import Primitive, plain


def no_vjp(d, y, *arrays):
    raise AssertionError("the truth asked a backward pass")


def truth_of(forward, *inputs, d_output=1.0):
    inputs = tuple(np.asarray(x, float) for x in inputs)
    function = one_step(plain("", forward, no_vjp), *inputs, d_output=d_output)
    return truth(function, function.inputs, function.d_output)


def test_a_smooth_slope_is_right_to_the_last_digit():
    exact = truth_of(exactly.exp, [-1.5, 0.0, 2.0], d_output=[1.0, 2.0, -3.0])
    expected = [math.exp(-1.5), 2.0, -3 * math.exp(2.0)]
    np.testing.assert_allclose(exact.gradient[0], expected, rtol=3e-16)
    assert not exact.kinks[0].any()


def test_a_slope_in_the_tail_keeps_its_digits():
    """1 - s of a sigmoid at 40 is 4e-18; the slope is known to all digits, and not called zero."""
    exact = truth_of(exactly.sigmoid, [40.0, -300.0], d_output=[1.0, 1.0])
    np.testing.assert_allclose(exact.gradient[0], np.exp([-40.0, -300.0]), rtol=1e-14)


@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e6])
def test_a_flat_point_of_a_power_is_exactly_zero(scale):
    exact = truth_of(lambda x: x * x * x, [0.0, scale], d_output=[1.0, 1.0])
    np.testing.assert_allclose(exact.gradient[0], [0.0, 3 * scale**2], rtol=3e-16)
    square = truth_of(lambda x: x * x, [0.0, 0.0], d_output=[1.0, 1.0])
    assert (square.gradient[0] == 0).all()
    assert not square.kinks[0].any()


def test_what_a_softmax_takes_no_notice_of_is_exactly_zero():
    forward = lambda x, shift: exactly.softmax(x + shift)
    exact = truth_of(forward, [[0.3, -2.0, 1.1]], [[7.7]], d_output=[[0.5, -1.5, 2.5]])
    assert exact.gradient[1] == 0
    all_ones = truth_of(exactly.softmax, [0.3, -2.0, 1.1], d_output=[1.0, 1.0, 1.0])
    assert (all_ones.gradient[0] == 0).all()


def test_a_small_term_beside_a_large_one_keeps_its_digits():
    exact = truth_of(lambda a, b: a * 1e12 + exactly.exp(b) * 1e-12, 1e6, 1e-6)
    np.testing.assert_allclose(exact.gradient[1], 1e-12 * math.exp(1e-6), rtol=3e-16)


def test_a_corner_has_two_slopes():
    exact = truth_of(abs, [0.0, 1e-9, -2.0], d_output=[2.0, 2.0, 2.0])
    assert exact.kinks[0].tolist() == [True, False, False]
    assert exact.left[0].tolist() == [-2.0, 2.0, -2.0]
    assert exact.right[0].tolist() == [2.0, 2.0, -2.0]
    assert exact.gradient[0].tolist() == [0.0, 2.0, -2.0]


def test_a_tie_is_a_corner_of_both():
    exact = truth_of(lambda x: x.max(), [1.5, 1.5, 1.0])
    assert exact.kinks[0].tolist() == [True, True, False]
    assert (exact.left[0].tolist(), exact.right[0].tolist()) == ([0, 0, 0], [1, 1, 0])


def test_a_corner_as_close_as_floats_can_be_is_none():
    above = np.nextafter(1.5, 2)
    exact = truth_of(lambda x: x.max(), [1.5, above])
    assert exact.gradient[0].tolist() == [0.0, 1.0]
    assert not exact.kinks[0].any()


def test_an_input_that_nothing_looks_at_has_no_slope():
    exact = truth_of(lambda x, unused: x + 1, 2.0, [1.0, 2.0])
    assert exact.gradient[1].tolist() == [0.0, 0.0]


def test_it_takes_the_floats_as_they_are():
    """0.1 in float32 is not 0.1."""
    x = np.float32([0.1])
    square = plain("", lambda x: x * x, no_vjp)
    function = one_step(square, x, d_output=[1.0])
    assert truth(function, (x,), function.d_output).gradient[0] == 2 * float(x[0])


def test_more_digits_say_the_same():
    logits, targets = np.array([[0.3, -30.0, 1e-3]]), np.array([1])
    exact = lambda x, t: -np.sum(exactly.log_softmax(x)[np.arange(len(t)), t])
    function = one_step(Primitive("", ops.cross_entropy, exact), logits, targets, d_output=1.0)
    usual = truth(function, function.inputs, function.d_output)
    more = truth(function, function.inputs, function.d_output, dps=200)
    np.testing.assert_array_equal(usual.gradient[0], more.gradient[0])
    assert mpmath.mp.dps == 15  # left as it was
