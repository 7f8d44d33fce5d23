"""Attention that is right in unfamiliar ways: in another order, or with its scale elsewhere."""

import math

import numpy as np

from attention_from_scratch import ops
from attention_from_scratch.ops.attention import transpose
from attention_from_scratch.ops.contract import unbroadcast
from attention_from_scratch.ops.linear import project
from benchmarks.mutants.cases import DROPPED, SQUARE, normal
from benchmarks.mutants.parts import back_scores, scale_of
from benchmarks.mutants.shelves import correct


@correct(ops.attention_weights, normal((2, 4, 4), (2, 4, 4), mask=ops.causal_mask(4)))
def weights_of_scaled_query(query, key, *, mask=None, scale=None):
    """Q is scaled before the product: d_key takes the scaled Q, d_query the scale at the end."""
    scale = scale_of(query, scale)
    scaled = scale * query
    p, back = ops.softmax(scaled @ transpose(key), where=mask)

    def backward(d_p):
        d_scaled, d_key = back_scores(back(d_p), scaled, key)
        return scale * d_scaled, d_key

    return p, backward


@correct(ops.attention_weights, normal((2, 3, 4), (5, 4)))
def weights_by_split_scale(query, key, *, mask=None, scale=None):
    """The square root of the scale stands on each side."""
    root = math.sqrt(scale_of(query, scale))
    left, right = root * query, root * key
    p, back = ops.softmax(np.einsum("...id,...jd->...ij", left, right), where=mask)

    def backward(d_p):
        d_left, d_right = back_scores(back(d_p), left, right)
        return root * d_left, root * d_right

    return p, backward


@correct(ops.scaled_dot_product_attention, SQUARE)
def attention_by_output(
    query, key, value, *, mask=None, scale=None, dropout_p=0.0, rng=None, keep=None
):
    """Goes back as FlashAttention does: the mean under the weights is d_output . output."""
    weights, _ = ops.attention_weights(query, key, mask=mask, scale=scale)
    factor, _ = ops.dropout(np.ones_like(weights), p=dropout_p, rng=rng, keep=keep)
    kept = weights * factor
    output = kept @ value

    def backward(d_output):
        d_weights = (d_output @ transpose(value)) * factor
        mean = np.einsum("...iv,...iv->...i", d_output, output)[..., None]
        d_scores = scale_of(query, scale) * weights * (d_weights - mean)
        d_query, d_key = back_scores(d_scores, query, key)
        return d_query, d_key, unbroadcast(transpose(kept) @ d_output, value.shape)

    return output, backward


@correct(ops.scaled_dot_product_attention, DROPPED)
def attention_query_by_query(
    query, key, value, *, mask=None, scale=None, dropout_p=0.0, rng=None, keep=None
):
    """Goes one query at a time, adding up what it sends back to keys and values."""
    weights, _ = ops.attention_weights(query, key, mask=mask, scale=scale)
    factor, _ = ops.dropout(np.ones_like(weights), p=dropout_p, rng=rng, keep=keep)
    scale = scale_of(query, scale)
    output = (weights * factor) @ value

    def backward(d_output):
        d_query, d_key, d_value = 0 * output[..., :1] * query[..., :1, :], 0, 0
        for i in range(query.shape[-2]):
            p, f, d_y = weights[..., i, :], factor[..., i, :], d_output[..., i, :]
            d_p = np.einsum("...v,...jv->...j", d_y, value) * f
            d_s = scale * p * (d_p - (p * d_p).sum(-1, keepdims=True))
            d_query[..., i, :] = np.einsum("...j,...jd->...d", d_s, key)
            d_key = d_key + np.einsum("...j,...d->...jd", d_s, query[..., i, :])
            d_value = d_value + (p * f)[..., None] * d_y[..., None, :]
        grads = zip((d_query, d_key, d_value), (query, key, value), strict=True)
        return tuple(unbroadcast(d_x, x.shape) for d_x, x in grads)

    return output, backward


@correct(ops.multi_head_attention)
def heads_by_columns(params, query, key, value, *, n_heads, mask=None, keep=None, **options):
    """Takes one head after the other, each in its columns."""
    (q, back_q), (k, back_k), (v, back_v) = (
        project(params[part], x) for part, x in (("query", query), ("key", key), ("value", value))
    )
    each = [
        ops.scaled_dot_product_attention(
            *(np.split(x, n_heads, axis=-1)[h] for x in (q, k, v)),
            mask=mask,
            keep=keep if keep is None or keep.ndim < 3 else keep[..., h % keep.shape[-3], :, :],
            **options,
        )
        for h in range(n_heads)
    ]
    output, back_output = project(params["output"], np.concatenate([y for y, _ in each], axis=-1))

    def backward(d_output):
        d_output_params, d_merged = back_output(d_output)
        parts = zip(each, np.split(d_merged, n_heads, axis=-1), strict=True)
        d_heads = zip(*(back(d_head) for (_, back), d_head in parts), strict=True)
        d_q, d_k, d_v = (np.concatenate(d, axis=-1) for d in d_heads)
        (g_q, d_query), (g_k, d_key), (g_v, d_value) = back_q(d_q), back_k(d_k), back_v(d_v)
        grads = {"query": g_q, "key": g_k, "value": g_v, "output": d_output_params}
        return grads, d_query, d_key, d_value

    return output, backward
