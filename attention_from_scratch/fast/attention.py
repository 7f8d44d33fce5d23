"""Scaled dot-product attention in blocks of queries, and many heads of it."""

import numpy as np

from attention_from_scratch import ops as plain
from attention_from_scratch.fast.blocks import attention_in_blocks
from attention_from_scratch.fast.dropout import Dropout
from attention_from_scratch.fast.linear import project
from attention_from_scratch.fast.masks import Mask, as_mask, over_heads
from attention_from_scratch.ops.attention import (
    check_attended,
    check_compared,
    check_mask_of_heads,
    merge_heads,
    scale_for,
    split_heads,
)
from attention_from_scratch.ops.contract import Backward, Params, check_mask


def scaled_dot_product_attention(
    query: np.ndarray,
    key: np.ndarray,
    value: np.ndarray,
    *,
    mask: Mask | np.ndarray | None = None,
    scale: float | None = None,
    dropout_p: float = 0.0,
    rng: np.random.Generator | None = None,
    keep: np.ndarray | None = None,
) -> tuple[np.ndarray, Backward]:
    """softmax(scale * Q K^T) V, a block of queries at a time: see `fast.blocks`.

    Parameters and returns are those of `ops.scaled_dot_product_attention`, but that dropout_p is
    rounded to a multiple of 1 / 256 (see `Dropout`). Of a `Mask` and of an array of booleans alike,
    keys that no query of a block may see are never looked at; a `Mask` with a band knows them
    without looking. Where the leading axes of query, key and value have to be broadcast, it is the
    plain op.
    """
    check_compared(query, key)
    lead = np.broadcast_shapes(query.shape[:-2], key.shape[:-2])
    shape = (*lead, query.shape[-2], key.shape[-2])
    check_attended(query, key, value)
    check_mask("mask", mask, shape)
    check_mask("keep", keep, shape)
    if not query.shape[:-2] == key.shape[:-2] == value.shape[:-2]:
        settings = {"scale": scale, "dropout_p": dropout_p, "rng": rng, "keep": keep}
        return plain.scaled_dot_product_attention(query, key, value, mask=mask, **settings)
    keep = None if keep is None else np.broadcast_to(keep, shape)
    scale = scale_for(query, scale)
    dropout = Dropout(dropout_p, rng, keep, query.dtype)
    told = as_mask(mask).over_keys(key.shape[-2])
    return attention_in_blocks(query, key, value, told, scale, dropout)


def multi_head_attention(
    params: Params,
    query: np.ndarray,
    key: np.ndarray,
    value: np.ndarray,
    *,
    n_heads: int,
    mask: Mask | np.ndarray | None = None,
    scale: float | None = None,
    dropout_p: float = 0.0,
    rng: np.random.Generator | None = None,
    keep: np.ndarray | None = None,
) -> tuple[np.ndarray, Backward]:
    """Attend H times in parallel, in blocks, with projections that are one product each.

    Parameters and returns are those of `ops.multi_head_attention`. A band stays a band in every
    head.
    """
    projected_query, back_query = project(params["query"], query)
    projected_key, back_key = project(params["key"], key)
    projected_value, back_value = project(params["value"], value)
    check_mask_of_heads(mask, query, key)

    heads, back_attention = scaled_dot_product_attention(
        split_heads(projected_query, n_heads),
        split_heads(projected_key, n_heads),
        split_heads(projected_value, n_heads),
        mask=over_heads(mask),
        scale=scale,
        dropout_p=dropout_p,
        rng=rng,
        keep=keep,
    )
    output, back_output = project(params["output"], merge_heads(heads))

    def backward(d_output):
        d_output_params, d_merged = back_output(d_output)
        d_heads = back_attention(split_heads(d_merged, n_heads))
        d_projected_query, d_projected_key, d_projected_value = map(merge_heads, d_heads)
        d_query_params, d_query = back_query(d_projected_query)
        d_key_params, d_key = back_key(d_projected_key)
        d_value_params, d_value = back_value(d_projected_value)
        grads = {
            "query": d_query_params,
            "key": d_key_params,
            "value": d_value_params,
            "output": d_output_params,
        }
        return grads, d_query, d_key, d_value

    return output, backward
