"""Functions that NumPy does not have: erfc, the bump of gelu, and exp to the last digit."""

import math
from collections.abc import Callable

import numpy as np


def exp(x: np.ndarray) -> np.ndarray:
    """exp(x) of numbers that are not large, computed in float64 and rounded to the dtype of x.

    In float32, NumPy's own may be 2.5 units of the last digit off.
    """
    wide = np.result_type(x, np.float64)
    return np.exp(x, out=np.empty_like(x), dtype=wide, casting="same_kind")


# erfc at the points of a grid from -6, where it is 2 to the last digit, to 28, where it is 0.
FIRST, LAST, PER_UNIT = -6, 28, 256
ON_GRID = np.array([math.erfc(i / PER_UNIT) for i in range(FIRST * PER_UNIT, LAST * PER_UNIT + 1)])


def erfc(x: np.ndarray) -> np.ndarray:
    """erfc(x) = 2 / sqrt(pi) * integral from x to infinity of exp(-t^2) dt.

    The standard library has it for one number at a time, to two units of the last place. We take it
    at the points n of a grid, from the nearest of which it is not far to x = n + d:

        erfc(n + d) = erfc(n) - 2 / sqrt(pi) * exp(-n^2) * integral from 0 to d of exp(-2 n t - t^2)

    What is integrated is a power series that is known, the generating function of the Hermite
    polynomials: the sum of H_k(n) (-t)^k / k!, where H_{k+1} = 2 n H_k - 2 k H_{k-1}. As |d| is at
    most 1/512, nine terms are enough. Each is analytic in d, so the complex step goes through.

    Parameters
    ----------
    x : (...)

    Returns
    -------
    (...)
        The values alone, as this is no op.

    Source: Abramowitz & Stegun, Handbook of Mathematical Functions (1964), 22.9.17 and 22.7.13.
    """
    x = np.clip(x, FIRST, LAST)
    place = np.rint(PER_UNIT * np.fmax(x.real, FIRST))  # fmax: of not-a-number too
    n = place / PER_UNIT
    d = x - n
    before, term, integral = 0, d, d  # the term is H_k(n) (-d)^k d / k!, from k = 0 on
    for k in range(1, 9):
        before, term = term, (n * term + d * before) * d * (-2 / k)
        integral = integral + term / (k + 1)
    known = ON_GRID[place.astype(int) - FIRST * PER_UNIT].astype(x.real.dtype)
    return known - 2 / math.sqrt(math.pi) * exp(-n * n) * integral


# Of `normal_bump`: its top, in two parts, as the first alone is exact in float32; and p and q, from
# the highest power on. They take the values that they should have at the 24 points of Chebyshev;
# tests/ops/test_special.py makes them anew, with mpmath.
TOP = 385 / 512, -0.00016160030643554254
# fmt: off
P = (
    3.9886338590692045e-10, -2.8233272215141205e-10, -4.500725392479864e-09, 3.6280682399194867e-09,
    3.120147211147667e-08, -2.6287875968778985e-08, -1.9663442631364518e-07, 1.278804945396261e-07,
    1.3077682743993349e-06, -7.034836922558877e-08, -9.060011716331426e-06, -9.896096712884405e-06,
    5.3607652870422455e-05, 0.00018233414474988366, -7.79161509574746e-06, -0.0016760723444742157,
    -0.006522000665119207, -0.015170415402525146, -0.02453696324390185, -0.02640104296630763,
    -0.010002352385220747, 0.03103036842596369, 0.09155228183400893, -0.03848417014996223,
)
Q = (
    -1.81484744928169e-12, -3.432541318016022e-11, 3.4869633474676424e-11, 4.0907893984992026e-10,
    -3.543325519279738e-10, -3.0976555817947313e-09, 2.5652303092702586e-09, 2.2038666339183305e-08,
    -1.256565345807443e-08, -1.6890831095201895e-07, -2.1353182998544488e-08, 1.360212880706538e-06,
    1.992719302192916e-06, -9.20117971443766e-06, -4.064696918524085e-05, -1.5195771645944903e-05,
    0.00044053062153797247, 0.0023021837232848875, 0.00733431092928064, 0.017807831556898884,
    0.0355351214691453, 0.06048781355387063, 0.08979658026980383, -0.04856450473659459,
)
# fmt: on


def normal_bump(a: np.ndarray) -> tuple[np.ndarray, Callable[[], np.ndarray]]:
    """b(a) = a Phi(-a) of `gelu`, 0 <= a <= 40, and what gives its slope Phi(-a) - a phi(a).

    At the top of the bump, a = 0.752, the slope is the difference of two equal numbers, which keeps
    no digits. So both are written as products, the last factor of which is a half and a small
    correction to it, polynomials p and q in r = (5 - a) / (5 + a):

        b(a) = exp(-a^2 / 2) a / (1 + a) (1/2 + p(r))

        b'(a) = exp(-a^2 / 2) (top - a) (1/2 + q(r))

    Source of r: Shepherd & Laframboise, Chebyshev approximation of (1 + 2x) exp(x^2) erfc(x),
    Math. Comp. 36 (1981), 249-253.
    """
    r = (5 - a) / (5 + a)
    square, lost = square_in_two(a)

    def times_half_and(coefficients, factor):
        p = polynomial(coefficients, r)
        return factor / 2 + factor * (p - lost / 2 * (0.5 + p))  # exp(-lost / 2) is 1 - lost / 2

    def slope():
        # Far out, exp(-a^2 / 2) alone would be too small a number, so it comes times exp(64).
        far = a.real > 37
        gaussian = exp(np.where(far, 64 - square / 2, -square / 2))
        slope = times_half_and(Q, (TOP[0] - a + TOP[1]) * gaussian)
        return np.where(far, slope * math.exp(-64), slope)

    return times_half_and(P, a / (1 + a) * exp(-square / 2)), slope


def square_in_two(a: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """a^2 as a real number that is near it, and the small rest: what rounding a^2 would lose.

    Of exp(-a^2 / 2), that is up to a^2 / 4 units of the last digit. With n the nearest to a on a
    grid of 1/256, a^2 is n^2, which is exact, and (a - n)(a + n), which is small.
    """
    n = np.rint(256 * a.real) / 256
    square = (a * a).real
    return square, (n * n - square) + (a - n) * (a + n)


def polynomial(coefficients: tuple[float, ...], r: np.ndarray) -> np.ndarray:
    """Horner's rule, from the coefficient of the highest power on."""
    value = np.full_like(r, coefficients[0])
    for coefficient in coefficients[1:]:
        value *= r
        value += coefficient
    return value
