"""The complementary error function, which NumPy does not have."""

import math

import numpy as np


def _coefficients(n_terms: int) -> tuple[float, list[float]]:
    """Scale c and polynomial p of Weideman's formula in `erfc`, the highest power first.

    He writes exp(-t^2) (c^2 + t^2) as a Fourier series in the angle theta of t = c tan(theta / 2);
    its coefficients fall off geometrically, and an FFT finds them.
    """
    c = math.sqrt(n_terms / math.sqrt(2))
    n_points = 4 * n_terms
    theta = 2 * math.pi * np.arange(-n_points // 2 + 1, n_points // 2) / n_points
    t = c * np.tan(theta / 2)
    samples = np.concatenate([[0.0], np.exp(-(t**2)) * (c**2 + t**2)])
    series = np.fft.fft(np.fft.fftshift(samples)).real / n_points
    return c, series[n_terms:0:-1].tolist()


SCALE, POLYNOMIAL = _coefficients(40)


def erfc(x: np.ndarray) -> np.ndarray:
    """erfc(x) = 2 / sqrt(pi) * integral from x to infinity of exp(-t^2) dt, to 1e-14.

    For x >= 0, with c a fixed scale and r = (c - x) / (c + x) in (-1, 1],

        erfc(x) = exp(-x^2) * (2 p(r) / (c + x)^2 + 1 / (sqrt(pi) (c + x)))

    where p is a polynomial; erfc(-x) = 2 - erfc(x) gives the other half. Every step is analytic
    in x, so the complex step goes through it.

    Parameters
    ----------
    x : (...)

    Returns
    -------
    (...)
        The values alone, as this is no op: `gelu`, which needs it, writes down its slope itself.

    Source: J. A. C. Weideman, Computation of the complex error function, SIAM J. Numer. Anal. 31
    (1994), 1497-1518, eq. (38) at z = ix.
    """
    negative = x.real < 0
    x = np.where(negative, -x, x)
    x = np.where(x.real > 28, 28, x)  # erfc(28) is 0 already; exp would overflow further out
    r = (SCALE - x) / (SCALE + x)
    p = np.zeros_like(x)
    for coefficient in POLYNOMIAL:
        p = p * r + coefficient
    # exp(-x^2) with x^2 = n^2 + (x - n)(x + n): n^2 is exact for n on a grid of 1/16, and the
    # small rest loses nothing, where the rounding of a large x^2 would cost x^2 units of eps.
    n = np.rint(16 * x.real) / 16
    gaussian = np.exp(-n * n) * np.exp(-(x - n) * (x + n))
    tail = gaussian * (2 * p / (SCALE + x) ** 2 + 1 / (math.sqrt(math.pi) * (SCALE + x)))
    return np.where(negative, 2 - tail, tail)
