"""Complex numbers by the rules of real ones have the slope of the real function; or they refuse."""

import numpy as np
import pytest

from attention_from_scratch import ops
from attention_from_scratch.verify.analytic import goes_through
from attention_from_scratch.verify.following import Followed, following
from attention_from_scratch.verify.outputs import Evaluation

X = np.array([[0.3, -1.2, 0.9], [0.7, 2.2, -0.4]])
STEP = 1e-100

FUNCTIONS = {
    "abs": np.abs,
    "fabs": np.fabs,
    "conj": lambda x: np.exp(x.conj()) * np.conjugate(x),
    "real": lambda x: x.real * np.real(x),
    "var": lambda x: x.var(axis=-1, ddof=1, keepdims=True) + np.var(x),
    "std": lambda x: x.std(axis=(0, 1)) + np.std(x, axis=0),
    "norm": lambda x: np.linalg.norm(x) + np.linalg.norm(x, axis=-1, keepdims=True),
    "hypot": lambda x: np.hypot(1e200 * x, 1e200) / 1e200 + np.hypot(x, x * 3),
    "maximum": lambda x: np.maximum(x, 0.1) * np.fmin(x, x[::-1]),
    "max": lambda x: x.max(axis=-1) + x.min(),
    "clip": lambda x: np.clip(x, -0.5, 0.8) ** 2,
    "sort": lambda x: np.sort(x, axis=-1) * [1, 2, 3],
    "where": lambda x: np.where(x > 0, x * x, -3 * x),
    "sign": lambda x: np.sign(x) * x**2 + np.floor(x) * x,
    "logaddexp": lambda x: np.logaddexp(x, 2 * x[::-1]) + np.logaddexp(1000 * x, 0),
    "log1p": lambda x: np.log1p(x * 1e-9) * 1e9,
    "cbrt": np.cbrt,
    "arctan2": lambda x: np.arctan2(x, x[::-1]),
    "vdot": lambda x: np.vdot(x, x * 2),
    "a cast": lambda x: x.astype(float) ** 2,
    "in place": lambda x: square_in_place(np.abs(x)),
    "mean": lambda x: x.mean(axis=0, keepdims=True) * x,
    "split": lambda x: np.split(x, 2)[0] * np.concatenate([x, x])[1:2],
    "an op of ours": lambda x: ops.softmax(np.abs(x))[0] + ops.layer_norm(x, None, None)[0],
}


def square_in_place(x):
    x *= x
    return x


@pytest.mark.parametrize("function", FUNCTIONS.values(), ids=FUNCTIONS)
def test_the_imaginary_part_is_the_slope(function):
    direction = np.random.default_rng(0).standard_normal(X.shape)
    found = np.asarray(function(following(X + 1j * STEP * direction)))
    h = 1e-5
    steps = [(8, h), (-8, -h), (-1, 2 * h), (1, -2 * h)]  # of the fourth order
    slope = sum(by * function(X + step * direction) for by, step in steps) / (12 * h)
    np.testing.assert_allclose(found.real, function(X), rtol=1e-14)
    np.testing.assert_allclose(found.imag / STEP, slope, rtol=1e-7, atol=1e-7)


@pytest.mark.parametrize(
    "function",
    [
        lambda x: np.linalg.norm(x, ord=1, axis=-1),
        lambda x: np.imag(x) + x,
        lambda x: np.nextafter(x, 0),
        lambda x: np.add(x, 1, out=np.zeros(x.shape)),
        lambda x: np.vectorize(float)(x),
    ],
    ids=["norm of order 1", "imag", "nextafter", "into a real array", "float"],
)
def test_what_it_has_no_rule_for_does_not_go_through(function):
    def op(x):
        return function(x), None

    real = Evaluation(op, [X], {}, np.float64)()
    assert goes_through(op, Followed(Evaluation(op, [X], {}, np.complex128)), real)


@pytest.mark.parametrize(
    ("function", "at_kink"),
    [
        (np.abs, True),
        (lambda x: np.maximum(x, 0), True),
        (lambda x: np.where(x > 0, x, 0), True),
        (lambda x: np.abs(x + 1), False),
        (lambda x: np.maximum(x, 0.5) * x, False),
    ],
)
def test_it_writes_down_where_it_had_to_choose(function, at_kink):
    met = set()
    x = np.array([0.0, 2.0])
    Followed(Evaluation(lambda x: (function(x), None), [x], {}, np.complex128), met)()
    assert met == ({"a kink"} if at_kink else set())
