"""How an output differs is told by the line that gives it, or by what was done to it."""

import numpy as np
import pytest

from attention_from_scratch import ops
from attention_from_scratch.verify import diagnose
from tests.verify.doctor.unread import unread


def normal(*shape):
    return np.random.default_rng(0).standard_normal(shape)


def no_backward(output):
    def backward(d):
        raise RuntimeError("there is no backward pass")

    return output, backward


def norm_with_eps_outside(x, weight, bias, *, eps=1e-5):
    deviation = x.std(axis=-1, keepdims=True) + eps
    return no_backward((x - x.mean(axis=-1, keepdims=True)) / deviation * weight + bias)


def norm_unbiased(x, weight, bias, *, eps=1e-5):
    deviation = np.sqrt(x.var(axis=-1, keepdims=True, ddof=1) + eps)
    return no_backward((x - x.mean(axis=-1, keepdims=True)) / deviation * weight + bias)


def mask_the_other_way(query, key, value, *, mask=None, scale=None):
    mask = None if mask is None else ~mask
    return ops.scaled_dot_product_attention(query, key, value, mask=mask, scale=scale)


def unscaled(query, key, *, mask=None, scale=None):
    return ops.attention_weights(query, key, mask=mask, scale=1.0)


def the_other_gelu(x, *, approximate="none"):
    return ops.gelu(x, approximate="tanh")


def softmax_over_all(x, *, axis=-1, where=None):
    if where is not None:
        raise ValueError
    return no_backward(np.exp(x - x.real.max()) / np.exp(x - x.real.max()).sum())


def doubled(x):
    output, back = ops.tanh(x)
    return 2 * output, back


def probabilities(x, *, axis=-1):
    return ops.softmax(x, axis=axis)


@pytest.mark.parametrize(
    ("op", "reference", "words"),
    [
        (norm_with_eps_outside, ops.layer_norm, "eps is added to the deviation, outside"),
        (norm_unbiased, ops.layer_norm, "the variance is the unbiased one, over D - 1"),
        (mask_the_other_way, ops.scaled_dot_product_attention, "inverted"),
        (unscaled, ops.attention_weights, "scale"),
        (the_other_gelu, ops.gelu, "approximate='tanh'"),
        (softmax_over_all, ops.softmax, "it runs over the whole array"),
        (doubled, ops.tanh, "is the right output, times 2"),
        (probabilities, ops.log_softmax, "is `np.exp` of the right output"),
    ],
)
def test_how_an_output_differs_is_told(op, reference, words):
    diagnosis = diagnose(op, reference)
    assert diagnosis.forward_differs
    assert words in str(diagnosis)


def test_it_is_told_whether_the_backward_pass_goes_with_the_forward_pass():
    def backward_of_the_right_one(x, *, approximate="none"):
        return ops.gelu(x, approximate="tanh")[0], ops.gelu(x)[1]

    words = "its backward pass is the derivative of its own forward pass"
    assert words in str(diagnose(the_other_gelu, ops.gelu, normal(3, 4)))
    assert words not in str(diagnose(backward_of_the_right_one, ops.gelu, normal(3, 4)))


def test_where_nothing_gives_the_output_nothing_is_said():
    def noisy(x):
        output, back = ops.tanh(x)
        return output + 0.1 * np.cos(np.arange(x.size)).reshape(x.shape), back

    diagnosis = diagnose(unread(noisy), ops.tanh)
    assert diagnosis.forward_differs
    assert not diagnosis.derived
    assert "would be right with" in str(diagnose(noisy, ops.tanh))


def test_a_number_with_a_wrong_digit_is_solved_for():
    def typed(x, *, approximate="none"):
        if approximate != "tanh":
            raise ValueError
        u = np.sqrt(2 / np.pi) * (x + 0.44715 * x**3)
        return x * (1 + np.tanh(u)) / 2, lambda d: d

    text = str(diagnose(unread(typed), ops.gelu, normal(2, 3), approximate="tanh"))
    assert "0.44715, not 0.044715" in text


def test_a_form_that_is_usual_elsewhere_is_told():
    def reset_before(params, x, initial=None):
        (w_x, b_x), (w_h, b_h) = (params[n].values() for n in ("input", "hidden"))
        n = len(w_h)
        h = np.zeros((len(x), n)) if initial is None else initial
        outputs = []
        for t in range(x.shape[1]):
            a, b = x[:, t] @ w_x + b_x, h @ w_h[:, : 2 * n] + b_h[: 2 * n]
            r, z = np.split(1 / (1 + np.exp(-a[:, : 2 * n] - b)), 2, axis=1)
            new = np.tanh(a[:, 2 * n :] + (r * h) @ w_h[:, 2 * n :] + b_h[2 * n :])
            h = (1 - z) * new + z * h
            outputs.append(h)
        return np.stack(outputs, axis=1), lambda d: d

    assert "the reset gate acts on the state before the product" in str(
        diagnose(reset_before, ops.gru)
    )


def test_a_leaf_that_is_left_out_is_told():
    def without_bias(params, x):
        return ops.relu(x @ params["weight"])[0], lambda d: d

    def reference(params, x):
        hidden, back = ops.project(params, x)
        output, back_relu = ops.relu(hidden)
        return output, lambda d: back(back_relu(d))

    params = {"weight": normal(3, 4), "bias": normal(4)}
    text = str(diagnose(without_bias, reference, params, normal(2, 3)))
    assert "if `params.bias` were 0" in text


def own_norm(x, weight, bias, *, eps=1e-5):
    centred = x - x.mean(axis=-1, keepdims=True)
    deviation = np.sqrt((centred * centred).mean(axis=-1, keepdims=True) + eps)
    return centred / deviation * weight + bias, lambda d: (d, weight, bias)


@pytest.mark.parametrize(
    ("op", "words"),
    [
        (norm_with_eps_outside, "with `eps` outside"),
        (norm_unbiased, "divided by n - 1, not n"),
    ],
)
def test_the_line_of_an_own_reference_that_gives_the_output_is_told(op, words):
    text = str(diagnose(op, own_norm, normal(4, 5), normal(5), normal(5)))
    assert words in text
    assert "`deviation = np.sqrt(" in text
