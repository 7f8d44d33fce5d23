import numpy as np

from tests.verify.random_functions.checks import failures
from tests.verify.random_functions.made_by_hand import one_step
from tests.verify.random_functions.primitive import Primitive, plain

X = np.array([-1.5, 0.5, 2.0])


def found(primitive, x=X):
    function = one_step(primitive, x, d_output=np.ones(3))
    return " ".join(failures(function))


def test_a_right_function_passes():
    assert not found(plain("", lambda x: x * x, lambda d, y, x: 2 * d * x))
    assert not found(plain("", lambda x: x * x, lambda d, y, x: 2 * d * x), X.astype(np.float32))


def test_a_forward_pass_that_is_not_that_in_mpmath_is_found():
    cube = lambda x: x * x * x * (1 + 1e-12)
    wrong = plain("", lambda x: x * x * x, lambda d, y, x: 3 * d * x * x, cube)
    assert "its output is" in found(wrong)


def test_a_function_that_is_not_analytic_and_says_so_is_found():
    absolute = lambda analytic: plain(
        "", np.abs, lambda d, y, x: d * np.sign(x.real), analytic=analytic
    )
    assert "a complex step" in found(absolute(True))
    assert not found(absolute(False))


def test_a_backward_pass_that_changes_is_found():
    def op(x):
        calls = []

        def backward(d_output):
            calls.append(1)
            return d_output * len(calls)

        return x + 0, backward

    assert "the second time" in found(Primitive("", op, lambda x: x))


def test_a_backward_pass_that_stays_in_single_precision_is_found():
    vjp = lambda d, y, x: (2 * d * x).astype(np.float32)
    stuck = plain("", lambda x: x * x, vjp)
    assert "called in float64" in found(stuck, X.astype(np.float32))
