"""A softmax backwards, a product backwards, an attention: right parts that mutants are made of."""

import math

from attention_from_scratch import ops
from attention_from_scratch.ops.attention import transpose
from attention_from_scratch.ops.contract import unbroadcast


def rows(x):
    """Take (..., D) to (N, D), a row a position."""
    return x.reshape(-1, x.shape[-1])


def back_softmax(p, d_p):
    """The right way back through a softmax: p * (d_p - sum(d_p * p))."""
    return p * (d_p - (d_p * p).sum(axis=-1, keepdims=True))


def back_scores(d_scores, query, key):
    """The right way back from scores Q K^T to d_query and d_key."""
    d_query, d_key = d_scores @ key, transpose(d_scores) @ query
    return unbroadcast(d_query, query.shape), unbroadcast(d_key, key.shape)


def scale_of(query, scale):
    """The scale of the forward pass: 1/sqrt(d), if none was given."""
    return 1 / math.sqrt(query.shape[-1]) if scale is None else scale


def attention_over(
    weights_op, query, key, value, *, mask=None, scale=None, dropout_p=0.0, rng=None, keep=None
):
    """`scaled_dot_product_attention` with another op for its weights, all else right."""
    weights, back_weights = weights_op(query, key, mask=mask, scale=scale)
    kept, back_dropout = ops.dropout(weights, p=dropout_p, rng=rng, keep=keep)

    def backward(d_output):
        d_kept = unbroadcast(d_output @ transpose(value), kept.shape)
        d_value = unbroadcast(transpose(kept) @ d_output, value.shape)
        return *back_weights(back_dropout(d_kept)), d_value

    return kept @ value, backward
