"""Whether the complex step can go through an op, and what it meets on the way."""

import math

import numpy as np
import pytest

from attention_from_scratch import ops
from attention_from_scratch.verify.analytic import goes_through, what_is_met
from attention_from_scratch.verify.outputs import Evaluation

X = np.array([[0.3, -1.2], [0.7, 2.0]])


def met(function):
    return what_is_met(Evaluation(lambda x: (function(x), None), [X], {}, np.complex128))


@pytest.mark.parametrize(
    ("function", "name"),
    [
        (np.abs, "absolute"),
        (lambda x: x.var(axis=0), "var"),
        (lambda x: np.std(x), "std"),
        (lambda x: np.linalg.norm(x), "norm"),
        (lambda x: np.where(x > 0, x, 0).conj() + x, "conj"),
        (lambda x: x * x.real, "real"),
        (lambda x: x.astype(float) + x, "a cast"),
        (lambda x: np.split(x, 2)[0] * abs(x[1:]), "absolute"),
    ],
)
def test_what_is_not_analytic_is_met(function, name):
    assert name in met(function)


@pytest.mark.parametrize(
    "function",
    [
        np.exp,
        lambda x: x @ x.T,
        lambda x: ops.softmax(x)[0],
        lambda x: ops.relu(x)[0],
        lambda x: ops.gelu(x)[0],
        lambda x: x * (x.real > 0),
    ],
)
def test_real_parts_that_do_not_matter_are_not(function):
    assert met(function) == set()


def filled(x):
    out = np.zeros(x.shape)
    out[:] = x
    return out


@pytest.mark.parametrize(
    ("function", "reason"),
    [
        (np.exp, ""),
        (np.abs, "loses the imaginary part"),
        (filled, "casts complex numbers to real ones"),
        (np.vectorize(math.sin), "casts complex numbers to real ones"),
        (np.cbrt, "complex numbers end in TypeError"),
        (lambda x: np.sqrt(np.maximum(x, 0) - 1) if x.dtype.kind == "c" else x, "another output"),
    ],
)
def test_the_reason_why_it_cannot_go_through_is_said(function, reason):
    def op(x):
        return function(x), None

    real = Evaluation(op, [X], {}, np.float64)()
    found = goes_through(op, Evaluation(op, [X], {}, np.complex128), real)
    assert (reason in found) if reason else (found == "")
