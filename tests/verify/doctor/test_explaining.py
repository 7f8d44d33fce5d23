"""Where several explanations fit, or several mistakes come together, all are told."""

import inspect
import itertools

import numpy as np
import pytest

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


CHANGES = {
    "zero_gradient": lambda g, n: 0 * g,
    "wrong_sign": lambda g, n: -g,
    "constant_factor": lambda g, n: g / n,
    None: lambda g, n: g + np.roll(g, 1, axis=0) ** 2,  # no known mistake
}
PAIRS = [(a, b) for a in CHANGES for b in CHANGES if a != b]


@pytest.mark.parametrize("op", [ops.linear, ops.layer_norm, ops.scaled_dot_product_attention])
@pytest.mark.parametrize(("first", "second"), PAIRS)
def test_of_two_mistakes_in_two_gradients_each_is_told_of_its_own_alone(op, first, second):
    for places in itertools.combinations(range(3), 2):

        def wrong(*inputs, places=places, **keywords):
            output, back = op(*inputs, **keywords)

            def backward(d):
                gradients = list(back(d))
                for place, change in zip(places, (first, second), strict=True):
                    if place < len(gradients) and gradients[place] is not None:
                        n = d.size // d.shape[-1]
                        gradients[place] = CHANGES[change](gradients[place], n)
                return tuple(gradients)

            return output, backward

        told = [(f.mistake, a) for f in diagnose(wrong, op).findings for a in f.arguments]
        arguments = [list(inspect.signature(op).parameters)[place] for place in places]
        made = {m: f"d_{a}" for m, a in zip((first, second), arguments, strict=True) if m}
        assert sorted(told) == sorted(made.items())


def test_of_a_gradient_that_is_0_no_cause_is_told_that_shows_nowhere_else():
    def op(params, x, initial=None):
        output, back = ops.rnn(params, x, initial)

        def backward(d):
            d_params, d_x, d_initial = back(d)
            return d_params, -d_x, None if initial is None else 0 * d_initial

        return output, backward

    found = {f.mistake: f.arguments for f in diagnose(op, ops.rnn).findings}
    assert found == {"wrong_sign": ("d_x",), "zero_gradient": ("d_initial",)}


def test_that_a_scale_divides_is_told_beside_another_mistake():
    def op(query, key, value, *, mask=None, scale=None):
        output, back = ops.scaled_dot_product_attention(query, key, value, mask=mask, scale=scale)
        weights, _ = ops.attention_weights(query, key, mask=mask, scale=scale)
        factor = query.shape[-1] ** -0.5 if scale is None else scale

        def backward(d):
            d_scores = weights * (1 - weights) * (d @ value.swapaxes(-1, -2))
            d_key = factor * d_scores.swapaxes(-1, -2) @ query
            return d_scores @ key / factor, d_key, back(d)[2]

        return output, backward

    text = str(diagnose(op, ops.scaled_dot_product_attention))
    assert "softmax_elementwise (d_query, d_key)" in text
    assert "(d_query): the gradient is off by a factor: divided by the square of the scale" in text


def test_a_wrong_sign_is_told_beside_a_mistake_that_only_some_calls_show():
    def op(query, key, value, *, mask=None, scale=None, dropout_p=0.0, keep=None):
        keywords = {"mask": mask, "scale": scale, "dropout_p": dropout_p, "keep": keep}
        output, back = ops.scaled_dot_product_attention(query, key, value, **keywords)

        def backward(d):
            d_query, d_key, d_value = back(d)
            kept = 1 if keep is None else 1 - dropout_p
            return d_query * kept, -d_key * kept, d_value

        return output, backward

    found = {
        f.mistake: f.arguments for f in diagnose(op, ops.scaled_dot_product_attention).findings
    }
    assert found == {"dropout_not_rescaled": ("d_query", "d_key"), "wrong_sign": ("d_key",)}


def test_a_mistake_that_explains_more_gradients_is_told_alone():
    def op(params, query, key, value, *, n_heads, mask=None, scale=None, dropout_p=0.0, keep=None):
        keywords = {"mask": mask, "scale": scale, "dropout_p": dropout_p, "keep": keep}
        output, back = ops.multi_head_attention(
            params, query, key, value, n_heads=n_heads, **keywords
        )
        undropped = keywords | {"dropout_p": 0.0, "keep": None}
        plain = ops.multi_head_attention(params, query, key, value, n_heads=n_heads, **undropped)[1]

        def backward(d):
            d_params, d_query, d_key, _ = back(d)
            without = plain(d)
            d_params = d_params | {"value": without[0]["value"]}
            return d_params, -d_query, d_key, without[3]

        return output, backward

    found = {f.mistake: f.arguments for f in diagnose(op, ops.multi_head_attention).findings}
    names = ("d_params.value.weight", "d_params.value.bias", "d_value")
    assert found == {"dropout_not_applied": names, "wrong_sign": ("d_query",)}
