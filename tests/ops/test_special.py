"""erfc: against the standard library, and analytic enough for the complex step."""

import math

import numpy as np

from attention_from_scratch.ops import erfc

X = np.linspace(-6, 26, 3201)


def test_erfc_is_that_of_the_standard_library():
    reference = np.array([math.erfc(x) for x in X])
    np.testing.assert_allclose(erfc(X), reference, rtol=1e-14, atol=0)
    np.testing.assert_allclose(erfc(X), reference, rtol=0, atol=1e-14)


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
    np.testing.assert_allclose(erfc(x), [math.erfc(t) for t in x.tolist()], rtol=2e-6, atol=0)


def test_any_shape():
    for shape in [(), (0,), (2, 0, 3), (2, 1, 3)]:
        assert erfc(np.zeros(shape)).shape == shape
