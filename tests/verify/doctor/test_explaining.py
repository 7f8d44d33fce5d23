"""Where several explanations fit, or several mistakes come together, all are told."""

import numpy as np

from attention_from_scratch import ops
from attention_from_scratch.verify import diagnose


def test_where_two_explanations_fit_both_are_told():
    x = np.random.default_rng(0).standard_normal((3, 4))

    def only_here(query, key):  # takes nothing but this shape, so no probe can tell them apart
        if query.shape != (3, 4) or key.shape != (3, 4):
            raise ValueError
        output, back = ops.attention_weights(query, key)
        return output, lambda d: tuple(2 * g for g in back(d))

    found = diagnose(only_here, ops.attention_weights, x, x).mistakes
    assert found == {"constant_factor", "scale_missing"}


def test_two_mistakes_in_two_gradients_are_both_told():
    def op(x, weight, bias=None):
        output, back = ops.linear(x, weight, bias)

        def backward(d):
            d_x, d_weight, _ = back(d)
            return -d_x, d_weight, d

        return output, backward

    found = {f.mistake: f.arguments for f in diagnose(op, ops.linear).findings}
    assert found == {"wrong_sign": ("d_x",), "bias_not_summed": ("d_bias",)}


def test_a_wrong_sign_and_another_mistake_in_one_gradient_are_both_told():
    def op(query, key, value):
        output, back = ops.scaled_dot_product_attention(query, key, value)

        def backward(d):
            root = np.sqrt(query.shape[-1])
            d_query, d_key, d_value = back(d)
            return -root * d_query, -root * d_key, d_value

        return output, backward

    found = diagnose(op, ops.scaled_dot_product_attention)
    assert found.mistakes == {"wrong_sign", "scale_missing"}
    assert {finding.arguments for finding in found.findings} == {("d_query", "d_key")}


def test_a_mistake_that_comes_with_the_scale_is_told_with_it():
    def op(query, key, value, *, mask=None, scale=None):
        output, back = ops.scaled_dot_product_attention(query, key, value, mask=mask, scale=scale)
        weights, _ = ops.attention_weights(query, key, mask=mask, scale=scale)

        def backward(d):
            d_scores = weights * (1 - weights) * (d @ value.swapaxes(-1, -2))
            return d_scores @ key, d_scores.swapaxes(-1, -2) @ query, back(d)[2]

        return output, backward

    text = str(diagnose(op, ops.scaled_dot_product_attention))
    assert "softmax_elementwise (d_query, d_key)" in text
    assert "divided by the scale of the scores" in text
