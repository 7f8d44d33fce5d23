"""What the doctor adds to the reports of other checks, and about which op."""

import numpy as np

from attention_from_scratch import ops
from attention_from_scratch.verify.doctor import words_about, words_of_the_doctor


def normal(*shape):
    return np.random.default_rng(0).standard_normal(shape)


def softmax_without_its_sum(x):
    p, _ = ops.softmax(x)
    return p, lambda d: p * d


def test_of_two_ops_the_one_that_is_not_ours_is_diagnosed():
    for pair in ((ops.softmax, softmax_without_its_sum), (softmax_without_its_sum, ops.softmax)):
        assert "softmax_row_sum_missing" in words_about(*pair, [normal(3, 4)], {})
    assert words_about(np.cos, np.sin, [normal(3, 4)], {}) == ""


def test_of_two_ops_ours_is_diagnosed_where_it_is_ours_that_is_wrong(monkeypatch):
    right = ops.tanh

    def tanh(x):
        output, back = right(x)
        return output, lambda d: -back(d)

    monkeypatch.setattr(ops, "tanh", tanh)
    for text in (
        words_of_the_doctor(tanh, [normal(3, 4)], {}),
        words_about(tanh, lambda x: right(x), [normal(3, 4)], {}),
    ):
        assert text.startswith("tanh: wrong gradient of d_x")
        assert "wrong_sign" in text


def test_another_op_of_the_same_name_is_not_diagnosed():
    def linear(x, weight, bias):  # (out, in), with a wrong bias
        output, back = ops.linear(x, weight.T, bias)

        def backward(d):
            d_x, d_weight, d_bias = back(d)
            return d_x, d_weight.T, 2 * d_bias

        return output, backward

    for n_out in (3, 4):
        assert (
            words_of_the_doctor(linear, [normal(2, 3), normal(n_out, 3), normal(n_out)], {}) == ""
        )
