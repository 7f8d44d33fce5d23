"""A sum of which a part never arrives: a loop that assigns what it should add."""

import numpy as np

from attention_from_scratch import ops
from attention_from_scratch.verify import diagnose
from attention_from_scratch.verify.doctor.mutation.parts_of_sums import counts_of
from tests.verify.doctor.unread import unread


def normal(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape)


def test_the_last_tile_of_keys_alone_is_told():
    def op(query, key, value):
        output, back = ops.scaled_dot_product_attention(query, key, value)
        weights, _ = ops.attention_weights(query, key)

        def backward(d):
            d_weights = d @ value.swapaxes(-1, -2)
            d_scores = weights * (d_weights - (d_weights * weights).sum(axis=-1, keepdims=True))
            for tile in (slice(0, 2), slice(2, None)):
                d_query = d_scores[..., tile] @ key[..., tile, :] / np.sqrt(query.shape[-1])
            return d_query, *back(d)[1:]

        return output, backward

    inputs = normal(2, 3, 4), normal(2, 5, 4, seed=1), normal(2, 5, 6, seed=2)
    text = str(diagnose(unread(op), ops.scaled_dot_product_attention, *inputs))
    assert "not all that goes back through `query`" in text
    assert "index 0, 1 left out" in text


def test_how_often_each_summand_is_counted_is_fitted():
    summands = normal(4, 3, 5)
    total = summands[0] + 2 * summands[3]
    assert counts_of(summands, total).tolist() == [1, 0, 0, 2]
