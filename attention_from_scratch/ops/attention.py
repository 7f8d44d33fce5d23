"""Scaled dot-product attention: the weights, the weighted sum, and many heads of it."""

import math

import numpy as np

from attention_from_scratch.ops.contract import (
    Backward,
    Params,
    check_d_output,
    check_floats,
    check_mask,
    check_matrix,
    check_width,
    unbroadcast,
)
from attention_from_scratch.ops.dropout import dropout
from attention_from_scratch.ops.linear import project
from attention_from_scratch.ops.softmax import softmax


def transpose(matrix: np.ndarray) -> np.ndarray:
    """Swap the last two axes."""
    return matrix.swapaxes(-1, -2)


def attention_weights(
    query: np.ndarray,
    key: np.ndarray,
    *,
    mask: np.ndarray | None = None,
    scale: float | None = None,
) -> tuple[np.ndarray, Backward]:
    """A = softmax(scale * Q K^T): row i says how much position i takes from each position j.

    With scores S = scale * Q K^T, `softmax` turns d_A into d_S, and the product gives

        d_Q = scale * d_S K         d_K = scale * d_S^T Q

    Parameters
    ----------
    query : (..., L_query, D)
    key : (..., L_key, D)
        Leading axes broadcast.
    mask : bool, broadcasts to (..., L_query, L_key)
        True means may attend. Applied after scaling. A query that may attend to nothing gets a row
        of zeros and sends back zero gradient.
    scale : float
        1 / sqrt(D) if None: the dot product of two vectors of D independent entries of variance 1
        has variance D, and scores of that size would saturate the softmax.

    Returns
    -------
    output : (..., L_query, L_key)
        Rows sum to 1, but for those that are masked altogether.
    backward : d_output (..., L_query, L_key) -> d_query, d_key

    Source: Vaswani et al., Attention Is All You Need (2017), eq. (1).
    """
    check_compared(query, key)
    scale = scale_for(query, scale)

    scores = scale * (query @ transpose(key))
    check_mask("mask", mask, scores.shape)
    weights, back_softmax = softmax(scores, where=mask)

    def backward(d_weights):
        check_d_output(d_weights, weights)
        d_scores = scale * back_softmax(d_weights)
        d_query = d_scores @ key
        d_key = transpose(d_scores) @ query
        return unbroadcast(d_query, query.shape), unbroadcast(d_key, key.shape)

    return weights, backward


def scaled_dot_product_attention(
    query: np.ndarray,
    key: np.ndarray,
    value: np.ndarray,
    *,
    mask: np.ndarray | None = None,
    scale: float | None = None,
    dropout_p: float = 0.0,
    rng: np.random.Generator | None = None,
    keep: np.ndarray | None = None,
) -> tuple[np.ndarray, Backward]:
    """softmax(scale * Q K^T) V: every position becomes a weighted mean of the values.

    O = A V is a product of two matrices that both depend on the input, so

        d_A = d_O V^T       d_V = A^T d_O

    and `attention_weights` carries d_A on to query and key.

    Parameters
    ----------
    query : (..., L_query, D)
    key : (..., L_key, D)
    value : (..., L_key, D_value)
        Lengths may differ (cross-attention is the same op), and so may the value's width.
    mask, scale
        As in `attention_weights`.
    dropout_p : float, rng : numpy.random.Generator or None, keep : bool (..., L_query, L_key)
        Dropout on the weights, as in `dropout`.

    Returns
    -------
    output : (..., L_query, D_value)
    backward : d_output (..., L_query, D_value) -> d_query, d_key, d_value

    Source: Vaswani et al. (2017), eq. (1).
    """
    check_attended(query, key, value)

    weights, back_weights = attention_weights(query, key, mask=mask, scale=scale)
    kept, back_dropout = dropout(weights, p=dropout_p, rng=rng, keep=keep)
    output = kept @ value

    def backward(d_output):
        check_d_output(d_output, output)
        d_kept = unbroadcast(d_output @ transpose(value), kept.shape)
        d_value = unbroadcast(transpose(kept) @ d_output, value.shape)
        d_query, d_key = back_weights(back_dropout(d_kept))
        return d_query, d_key, d_value

    return output, backward


def multi_head_attention(
    params: Params,
    query: np.ndarray,
    key: np.ndarray,
    value: np.ndarray,
    *,
    n_heads: int,
    mask: np.ndarray | None = None,
    scale: float | None = None,
    dropout_p: float = 0.0,
    rng: np.random.Generator | None = None,
    keep: np.ndarray | None = None,
) -> tuple[np.ndarray, Backward]:
    """Attend H times in parallel, each head in its own slice of projected queries, keys, values.

        output = merge(attention(split(Q W_q), split(K W_k), split(V W_v))) W_o

    Splitting and merging only rearrange entries, so each is the other's gradient.

    Parameters
    ----------
    params : {"query", "key", "value", "output": {"weight": (D, D), "bias": (D,) or None}}
        "output" may be None: then the heads are only laid side by side. Widths may differ: what
        query and key are mapped to is one, what the value is mapped to is another.
    query : (..., L_query, D)
    key, value : (..., L_key, D)
        Self-attention passes the same array three times and adds up its three gradients.
    n_heads : int
        Divides D. Head h owns columns h * D / H to (h + 1) * D / H.
    mask : bool, broadcasts to (..., L_query, L_key)
        Without a head axis; it is put in here.
    scale : float
        1 / sqrt(D / H) if None.
    dropout_p, rng, keep
        As in `scaled_dot_product_attention`; keep is (..., H, L_query, L_key).

    Returns
    -------
    output : (..., L_query, D)
    backward : d_output (..., L_query, D) -> grads (a tree like params), d_query, d_key, d_value

    Source: Vaswani et al. (2017), section 3.2.2.
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


def multi_head_attention_weights(
    params: Params,
    query: np.ndarray,
    key: np.ndarray,
    *,
    n_heads: int,
    mask: np.ndarray | None = None,
    scale: float | None = None,
) -> tuple[np.ndarray, Backward]:
    """The weights inside `multi_head_attention`, for looking at: (..., H, L_query, L_key).

    An op like the others: backward takes d_weights to grads of {"query", "key"}, d_query, d_key.
    """
    projected_query, back_query = project(params["query"], query)
    projected_key, back_key = project(params["key"], key)
    check_mask_of_heads(mask, query, key)
    weights, back_weights = attention_weights(
        split_heads(projected_query, n_heads),
        split_heads(projected_key, n_heads),
        mask=over_heads(mask),
        scale=scale,
    )

    def backward(d_weights):
        d_projected_query, d_projected_key = map(merge_heads, back_weights(d_weights))
        d_query_params, d_query = back_query(d_projected_query)
        d_key_params, d_key = back_key(d_projected_key)
        return {"query": d_query_params, "key": d_key_params}, d_query, d_key

    return weights, backward


def scale_for(query: np.ndarray, scale: float | None) -> float:
    """What scores are multiplied by: 1 / sqrt(D), unless it is given. Of fast attention as well."""
    return 1 / math.sqrt(query.shape[-1]) if scale is None else float(scale)


def split_heads(x: np.ndarray, n_heads: int) -> np.ndarray:
    """(..., L, D) -> (..., H, L, D / H)."""
    *batch, length, width = x.shape
    if n_heads < 1 or width % n_heads:
        raise ValueError(f"n_heads was {n_heads}, but must divide the width {width}")
    return x.reshape(*batch, length, n_heads, width // n_heads).swapaxes(-2, -3)


def merge_heads(heads: np.ndarray) -> np.ndarray:
    """(..., H, L, D / H) -> (..., L, D): the inverse of `split_heads`."""
    *batch, n_heads, length, width = heads.shape
    return heads.swapaxes(-2, -3).reshape(*batch, length, n_heads * width)


def over_heads(mask: np.ndarray | None) -> np.ndarray | None:
    """Put the head axis into a mask that has batch axes; a (L_query, L_key) mask needs none."""
    if getattr(mask, "ndim", 0) <= 2:
        return mask
    return mask[..., None, :, :]


def check_mask_of_heads(mask: np.ndarray | None, query: np.ndarray, key: np.ndarray) -> None:
    """Raise unless `mask` fits queries and keys as they are given, before `over_heads`."""
    check_matrix(query=query, key=key)
    if mask is not None:
        lead = np.broadcast_shapes(query.shape[:-2], key.shape[:-2])
        shape = (*lead, query.shape[-2], key.shape[-2])
        check_mask("mask", mask, shape, ": (..., L_query, L_key), without the head axis")


def check_compared(query: np.ndarray, key: np.ndarray) -> None:
    """Raise unless queries can be compared with keys."""
    check_floats(query=query, key=key)
    check_matrix(query=query, key=key)
    check_width("key", key, query.shape[-1], f"{query.shape[-1]} long, as query is {query.shape}")


def check_attended(query: np.ndarray, key: np.ndarray, value: np.ndarray) -> None:
    """Raise unless there is a value for each key."""
    check_floats(query=query, key=key, value=value)
    check_matrix(value=value)
    if value.shape[-2] != key.shape[-2]:
        raise ValueError(
            f"value has {value.shape[-2]} positions {value.shape}, "
            f"but key has {key.shape[-2]} {key.shape}"
        )
