"""Two mistakes in one gradient of an attention are told in the names of its parts."""

import pytest

from attention_from_scratch import ops
from attention_from_scratch.verify import diagnose


def attention(softmax, *, dropped=True, query_scale=True, of_value=lambda p, scores: p):
    """An attention whose way back has these parts."""

    def op(query, key, value, *, mask=None, scale=None, dropout_p=0.0, keep=None):
        keywords = {"mask": mask, "scale": scale}
        p, _ = ops.attention_weights(query, key, **keywords)
        scale = query.shape[-1] ** -0.5 if scale is None else scale
        factor = 1.0 if keep is None else keep / (1 - dropout_p)

        def backward(d):
            d_p = d @ value.swapaxes(-1, -2) * (factor if dropped else 1.0)
            d_scores = softmax(p, d_p)
            d_query = d_scores @ key * (scale if query_scale else 1.0)
            scores = scale * query @ key.swapaxes(-1, -2)
            d_value = (of_value(p, scores) * factor).swapaxes(-1, -2) @ d
            return d_query, scale * d_scores.swapaxes(-1, -2) @ query, d_value

        return (p * factor) @ value, backward

    return op


def right(p, d):
    return p * (d - (p * d).sum(axis=-1, keepdims=True))


CASES = [
    (
        attention(lambda p, d: p * d, dropped=False),
        ("the row sum of the softmax is missing", "dropout is not applied"),
    ),
    (
        attention(lambda p, d: right(p, d) + 2 * p * (p * d).sum(-1, keepdims=True), dropped=False),
        ("the row sum of the softmax has the other sign", "dropout is not applied"),
    ),
    (
        attention(lambda p, d: p * (d - (p * d).mean(-1, keepdims=True)), query_scale=False),
        ("the row sum of the softmax is a mean", "the scale is missing"),
    ),
    (
        attention(right, of_value=lambda p, scores: scores),
        ("the scores stand in the place of p",),
    ),
]


@pytest.mark.parametrize(("op", "words"), CASES)
def test_parts_that_are_wrong_are_told(op, words):
    diagnosis = diagnose(op, ops.scaled_dot_product_attention)
    assert not diagnosis.unexplained
    for said in words:
        assert said in str(diagnosis)


def test_a_right_attention_is_not_accused():
    assert not diagnose(attention(right), ops.scaled_dot_product_attention).wrong
