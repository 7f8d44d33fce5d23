"""A backward pass that is another at every call is told so, and no other is."""

import numpy as np

from attention_from_scratch import ops
from attention_from_scratch.verify import diagnose


def test_a_gradient_that_is_added_up_over_calls_is_told():
    def op(x, weight, bias=None):
        output, back = ops.linear(x, weight, bias)
        total = np.zeros_like(weight)

        def backward(d):
            nonlocal total
            d_x, d_weight, d_bias = back(d)
            total = total + d_weight
            return d_x, total, d_bias

        return output, backward

    diagnosis = diagnose(op, ops.linear)
    assert diagnosis.wrong == ("d_weight",)
    assert "added up over calls" in str(diagnosis)


def test_a_gradient_that_is_kept_over_runs_is_told():
    kept = {}

    def op(x):
        output, back = ops.tanh(x)
        return output, lambda d: kept.setdefault(x.shape, 0) + keep(x.shape, back(d))

    def keep(shape, gradient):
        kept[shape] = kept[shape] + gradient
        return gradient

    assert "backward" in str(diagnose(op, ops.tanh))


def test_noise_that_is_drawn_anew_is_told():
    rng = np.random.default_rng(0)

    def op(x, *, p, keep):
        output, _ = ops.dropout(x, p=p, keep=keep)
        return output, lambda d: d * (rng.random(d.shape) >= p) / (1 - p)

    text = str(diagnose(op, ops.dropout))
    assert "another answer at every call" in text
    assert "no known mistake" not in text


def test_a_backward_that_can_be_called_only_once_is_not_accused():
    def op(x):
        output, back = ops.tanh(x)
        left = [back]
        return output, lambda d: left.pop()(d)

    assert not diagnose(op, ops.tanh).wrong
