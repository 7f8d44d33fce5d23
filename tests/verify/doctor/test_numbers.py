"""What numbers alone can say, where there is no reference."""

import numpy as np

from attention_from_scratch import ops
from attention_from_scratch.verify import diagnose
from tests.verify.doctor.unread import unread


def normal(*shape, dtype=np.float64):
    return np.random.default_rng(0).standard_normal(shape).astype(dtype)


X, W = normal(3, 4), normal(4, 4)


def said(change, *inputs):
    def op(x, w):
        return x @ w + 1, lambda d: change(x, w, d)  # 1: as no op of ours would

    return str(diagnose(op, *(inputs or (X, W))))


def test_a_factor_a_sign_nothing_and_a_size_are_told():
    assert "factor: 3" in said(lambda x, w, d: (3 * d @ w.T, x.T @ d))
    assert "wrong_sign (d_x)" in said(lambda x, w, d: (-d @ w.T, x.T @ d))
    assert "zero_gradient (d_w)" in said(lambda x, w, d: (d @ w.T, 0 * w))
    assert "divided by the batch size" in said(lambda x, w, d: (d @ w.T, x.T @ d / len(x)))


def test_a_transpose_is_told():
    assert "is the right gradient transposed" in said(lambda x, w, d: (d @ w.T, (x.T @ d).T))
    assert "the transpose is left out" in said(lambda x, w, d: (d @ w, x.T @ d))


def test_a_d_output_that_does_not_enter_is_told():
    ones = np.ones((3, 4))
    assert "d_output_ignored" in said(lambda x, w, d: (np.ones_like(d) @ w.T, x.T @ d))
    assert ones.shape == X.shape


def test_the_gradient_of_another_input_is_told():
    def op(a, b):
        return a * b, lambda d: (d * a, d * b)

    text = str(diagnose(op, normal(3, 4), 2 * normal(3, 4) + 1))
    assert "is the gradient that belongs to d_b" in text
    assert "is the gradient that belongs to d_a" in text


def test_a_part_of_d_output_is_told():
    def op(x):
        def backward(d):
            last = np.zeros_like(d)
            last[:, -1] = d[:, -1]
            return 2 * x * last

        return x * x, backward

    assert "0 but at the last index of axis 1" in str(diagnose(op, normal(2, 3, 4)))


def test_rounding_is_no_mistake():
    text = said(lambda x, w, d: ((d @ w.T).astype(np.float32).astype(float), x.T @ d))
    assert "rounding" in text
    assert "no known mistake" not in text
    in_float32 = diagnose(ops.tanh, ops.tanh, normal(3, 4, dtype=np.float32))
    assert not in_float32.wrong


def test_what_is_right_at_one_rank_alone_is_told_and_not_accused():
    def op(x):
        return x * x, lambda d: 2 * x * d + (0.1 * np.sin(x) if x.ndim > 2 else 0)

    diagnosis = diagnose(op, normal(3, 4))
    assert not diagnosis.wrong
    assert "d_x: wrong where the first input has one more axis" in str(diagnosis)


def test_of_an_op_of_ours_it_is_told_at_which_ranks_it_is_right():
    def op(x, weight, bias=None):
        output, back = ops.linear(x, weight, bias)

        def backward(d):
            d_x, *rest = back(d)
            return d_x + (np.sin(d_x) if x.ndim > 2 else 0), *rest

        return output, backward

    text = str(diagnose(unread(op), ops.linear))
    assert "right where the first input has 2 axes, wrong where it has 3" in text


def test_where_and_how_far_a_gradient_is_off_is_told():
    def op(x):
        def backward(d):
            d_x = 2 * x * d
            d_x[:, 1] = np.sin(d_x[:, 1])
            return d_x

        return x * x, backward

    text = str(diagnose(op, normal(5, 4)))
    assert "of its largest entry, at 5 of 20 entries, all at index 1 of axis 1" in text


def test_an_op_that_is_not_analytic_is_measured_by_differences():
    def op(x):
        return np.abs(x) * x, lambda d: np.abs(x) * d

    assert "factor: 0.5" in str(diagnose(op, normal(3, 4)))
    assert not diagnose(lambda x: (np.abs(x) * x, lambda d: 2 * np.abs(x) * d), normal(3, 4)).wrong


def test_a_slope_that_is_taken_at_the_output_is_told():
    def silu(x):
        s = ops.sigmoid(x)[0]
        return x * s, lambda d: d * (s + x * s * (1 - s))

    def op(x):
        y = silu(x)[0]
        return y, silu(y)[1]

    text = str(diagnose(op, silu, normal(3, 4)))
    assert "is the right gradient taken at the output in the place of the input" in text


def test_that_one_position_of_d_output_alone_is_added_up_is_told():
    def op(x, w):
        def backward(d):
            return d @ w.T, np.outer(x[-1, -1], d[-1, -1])

        return x @ w + 1, backward

    assert "only index 5 is" in str(diagnose(op, normal(2, 3, 4), W))
