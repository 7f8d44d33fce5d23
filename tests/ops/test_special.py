"""exp, erfc and the bump of gelu: against the standard library and mpmath; the complex step.

How many digits of erfc and gelu are right: test_digits.py.
"""

import math

import mpmath
import numpy as np
import pytest
from mpmath import mp

from attention_from_scratch.ops import erfc, special

X = np.linspace(-6, 26, 3201)


def test_erfc_is_that_of_the_standard_library():
    reference = np.array([math.erfc(x) for x in X])
    np.testing.assert_allclose(erfc(X), reference, rtol=5e-16, atol=0)


def test_erfc_far_out():
    assert erfc(np.array([-1e4, -40.0, 0.0, 40.0, 1e4])).tolist() == [2, 2, 1, 0, 0]
    for dtype in (np.float32, np.float64):
        x = np.linspace(28, 1e6, 10_001, dtype=dtype)
        assert np.all(erfc(x) == 0)
        assert np.all(erfc(-x) == 2)


def test_derivative_by_the_complex_step():
    step = 1e-12  # its square is below eps, and its product with 1e-293 is still a normal number
    derivative = erfc(X + 1j * step).imag / step
    # exp(-x^2) as a product over x^2 = n^2 + (x - n)(x + n) keeps the digits of a large x^2.
    n = np.round(X)
    reference = -2 / math.sqrt(math.pi) * np.exp(-n * n) * np.exp(-(X - n) * (X + n))
    np.testing.assert_allclose(derivative, reference, rtol=1e-12, atol=0)


def test_float32_in_float32_out():
    x = np.linspace(-6, 9, 1501, dtype=np.float32)
    assert erfc(x).dtype == np.float32
    np.testing.assert_allclose(erfc(x), [math.erfc(t) for t in x.tolist()], rtol=2e-7, atol=0)


def test_any_shape():
    for shape in [(), (0,), (2, 0, 3), (2, 1, 3)]:
        assert erfc(np.zeros(shape)).shape == shape


# -- exp -------------------------------------------------------------------------------------------


def test_exp_of_float32_is_right_to_the_last_digit():
    x = np.linspace(-104, 1, 100_001, dtype=np.float32)
    np.testing.assert_array_equal(special.exp(x), np.exp(x.astype(float)).astype(np.float32))


def test_exp_keeps_dtype_and_shape_and_goes_along_with_the_complex_step():
    for dtype in (np.float32, np.float64, np.complex128):
        for shape in [(), (0,), (2, 3)]:
            found = special.exp(np.zeros(shape, dtype))
            assert (found.dtype, found.shape) == (dtype, shape)
    assert special.exp(np.array(-1 + 1e-20j)).imag == pytest.approx(1e-20 / math.e, rel=1e-15)


# -- the bump --------------------------------------------------------------------------------------


def normal(a):
    return mpmath.erfc(-a / mp.sqrt(2)) / 2


def density(a):
    return mp.exp(-a * a / 2) / mp.sqrt(2 * mp.pi)


def through_chebyshev_points(function, n):
    """The polynomial of r = (5 - a) / (5 + a) that has the values of a function of a there."""
    points = [mp.cos(mp.pi * (k + mp.mpf("0.5")) / n) for k in range(n)]
    powers = mp.matrix([[r**power for power in reversed(range(n))] for r in points])
    return mp.lu_solve(powers, mp.matrix([function(5 * (1 - r) / (1 + r)) for r in points]))


def test_the_coefficients_of_the_bump_are_what_they_are_said_to_be():
    with mp.workdps(60):
        top = mp.findroot(lambda a: normal(-a) - a * density(a), 0.75)
        assert special.TOP[0] * 512 == 385  # few bits, so exact in float32 too
        assert abs(special.TOP[0] + mp.mpf(special.TOP[1]) - top) < 1e-20

        def p(a):
            return normal(-a) * mp.exp(a * a / 2) * (1 + a) - mp.mpf("0.5")

        def q(a):
            slope = normal(-a) - a * density(a)
            return slope * mp.exp(a * a / 2) / (top - a) - mp.mpf("0.5")

        for function, found in ((p, special.P), (q, special.Q)):
            assert tuple(map(float, through_chebyshev_points(function, len(found)))) == found


def test_a_square_in_two_parts_is_the_square():
    for dtype in (np.float32, np.float64):
        a = np.random.default_rng(0).uniform(0, 14, 1000).astype(dtype)
        square, rest = special.square_in_two(a)
        with mp.workprec(200):
            for x, high, low in zip(a.tolist(), square.tolist(), rest.tolist(), strict=True):
                exact = mp.mpf(x) ** 2
                assert abs(exact - high - mp.mpf(low)) <= np.finfo(dtype).eps * x / 256


def test_the_slope_of_the_bump_is_its_derivative_by_the_complex_step():
    a, step = np.array([0.0, 0.3, 0.75, 2.0, 9.0, 36.0]), 1e-12
    bump, _ = special.normal_bump(a + 1j * step)
    _, slope = special.normal_bump(a)
    np.testing.assert_allclose(slope(), bump.imag / step, rtol=1e-12, atol=0)
    _, slope = special.normal_bump(np.array([sum(special.TOP)]))
    assert abs(slope()) < 1e-16
