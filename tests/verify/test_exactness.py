"""What is exact is found, and nothing that rounding had a part in is taken for it."""

import numpy as np
import pytest

from attention_from_scratch.verify.exactness import exact

pytestmark = pytest.mark.skipif(
    np.finfo(np.longdouble).eps == np.finfo(float).eps, reason="no longer floats"
)


def said(function, *arguments, method="__call__", **keywords):
    call = getattr(function, method) if method else function
    return exact(function, method, list(arguments), keywords, call(*arguments, **keywords))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_number_over_itself_its_difference_and_its_double_are_exact(dtype):
    x = np.random.default_rng(0).standard_normal(20).astype(dtype)
    assert said(np.true_divide, x, x).all()
    assert said(np.subtract, x, x).all()
    assert said(np.multiply, x, 2.0).all()
    assert not said(np.multiply, x, x).any()
    assert not said(np.true_divide, x, 3.0).all()


def test_of_other_functions_only_that_of_zero_is_exact():
    x = np.array([0.0, 1e-30, 1.0])
    np.testing.assert_array_equal(said(np.exp, x), [True, False, False])
    np.testing.assert_array_equal(said(np.tanh, x), [True, False, False])
    assert not said(np.hypot, x, np.zeros(3)).any()


def test_a_sum_that_loses_a_small_number_is_not_exact():
    np.testing.assert_array_equal(
        said(np.add, np.ones(3), np.array([1.0, 1e-17, 1e-40])), [True, False, False]
    )
    assert said(np.add, np.array([1.0, 2.0]), method="reduce", axis=0, where=True)
    assert not said(np.add, np.array([1.0, 1e-40]), method="reduce", axis=0)
    assert not said(np.matmul, np.array([[1.0, 1e-20]]), np.array([[1.0], [1e-20]])).any()
    assert said(np.matmul, np.array([[1.0, 2.0]]), np.array([[3.0], [4.0]])).all()
    assert said(np.einsum, "i,i->", np.ones(3), np.ones(3), method="").all()


def test_it_is_not_said_of_another_dtype_or_of_very_many_numbers():
    x = np.ones(1 << 17)
    assert not said(np.add, x, x).any()
    assert not said(np.add, np.ones(2, np.float32), method="reduce", dtype=np.float64).any()
