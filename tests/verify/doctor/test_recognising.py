"""An op that computes what one of ours does is known by that, and told of in its own names."""

import numpy as np

from attention_from_scratch import ops
from attention_from_scratch.verify import diagnose
from attention_from_scratch.verify.doctor.recognising import recognised


def normal(*shape):
    return np.random.default_rng(0).standard_normal(shape)


def last_position_alone(a, table):
    def backward(d):
        return d @ table.T, np.outer(a.reshape(-1, 4)[-1], d.reshape(-1, 5)[-1])

    return a @ table, backward


def test_without_a_reference_it_is_compared_with_the_op_that_gives_the_same_output():
    diagnosis = diagnose(last_position_alone, normal(2, 3, 4), normal(4, 5))
    assert diagnosis.wrong == ("d_table",)
    assert "d_table: only the last position enters the sum" in str(diagnosis)
    assert "its output is that of ops.linear (x: a, weight: table)" in str(diagnosis)


def test_of_a_right_one_nothing_is_said():
    def op(v):
        y = np.tanh(v)
        return y, lambda d: d * (1 - y * y)

    assert recognised(op, (normal(3, 4),), {}) == "tanh"
    assert str(diagnose(op, normal(3, 4))).count("\n") == 0


def test_an_op_that_computes_something_else_is_not_recognised():
    assert recognised(lambda x: (np.tanh(x) + 1, None), (normal(3, 4),), {}) is None
    assert recognised(lambda x: (x, None), (np.abs(normal(3, 4)),), {}) is None  # relu, up to here
    assert recognised(ops.softmax, (normal(3, 4),), {"axis": 0}) == "softmax"
