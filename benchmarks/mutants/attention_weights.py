"""Wrong ways back from attention weights to query and key."""

import numpy as np

from attention_from_scratch import ops
from attention_from_scratch.ops.attention import transpose
from attention_from_scratch.ops.contract import unbroadcast
from benchmarks.mutants.cases import SEEN, normal
from benchmarks.mutants.parts import back_scores, back_softmax, scale_of
from benchmarks.mutants.shelves import wrong


@wrong(ops.attention_weights, "scale_missing", "first")
def weights_unscaled(query, key, *, mask=None, scale=None):
    """Goes from d_scores straight to query and key, without the scale."""
    p, _ = ops.attention_weights(query, key, mask=mask, scale=scale)
    return p, lambda d_p: back_scores(back_softmax(p, d_p), query, key)


@wrong(ops.attention_weights, "scale_twice", "first")
def weights_scaled_again(query, key, *, mask=None, scale=None):
    """Scales d_scores, and then both gradients."""
    p, _ = ops.attention_weights(query, key, mask=mask, scale=scale)
    scale = scale_of(query, scale)

    def backward(d_p):
        d_query, d_key = back_scores(scale * back_softmax(p, d_p), query, key)
        return scale * d_query, scale * d_key

    return p, backward


@wrong(ops.attention_weights, "scale_twice", "second", normal((3, 5), (4, 5)))
def weights_divided_by_width(query, key, *, mask=None, scale=None):
    """Divides by d where it should be sqrt(d)."""
    p, _ = ops.attention_weights(query, key, mask=mask, scale=scale)
    squared = 1 / query.shape[-1] if scale is None else scale**2

    def backward(d_p):
        d_scores = p * d_p - p * np.einsum("...ij,...ij->...i", p, d_p)[..., None]
        return back_scores(d_scores * squared, query, key)

    return p, backward


@wrong(ops.attention_weights, "scale_on_query_only", "first")
def weights_scaled_query(query, key, *, mask=None, scale=None):
    """Q was scaled before the product; d_key is made with the Q before."""
    scale = scale_of(query, scale)
    p, back = ops.softmax(scale * query @ transpose(key), where=mask)

    def backward(d_p):
        d_query, d_key = back_scores(back(d_p), query, key)
        return scale * d_query, d_key

    return p, backward


@wrong(ops.attention_weights, "scale_on_key_only", "second")
def weights_scaled_query_lost(query, key, *, mask=None, scale=None):
    """Q was scaled before the product; d_key gets the scaled Q, d_query is that of the scaled Q."""
    scaled = query * scale_of(query, scale)
    p, back = ops.softmax(scaled @ transpose(key), where=mask)
    return p, lambda d_p: back_scores(back(d_p), scaled, key)


@wrong(ops.attention_weights, "query_key_swapped", "first", normal((2, 4, 3), (2, 4, 3)))
def weights_key_first(query, key, *, mask=None, scale=None):
    """Returns (d_key, d_query)."""
    p, back = ops.attention_weights(query, key, mask=mask, scale=scale)
    return p, lambda d_p: back(d_p)[::-1]


@wrong(ops.attention_weights, "transpose_missing", "first", normal((2, 4, 3), (2, 4, 3)))
def weights_key_untransposed(query, key, *, mask=None, scale=None):
    """d_key is d_scores @ query, where d_scores should be transposed."""
    p, back = ops.attention_weights(query, key, mask=mask, scale=scale)

    def backward(d_p):
        d_scores = scale_of(query, scale) * back_softmax(p, d_p)
        return back(d_p)[0], unbroadcast(d_scores @ query, key.shape)

    return p, backward


@wrong(ops.attention_weights, "softmax_elementwise", "first")
def weights_elementwise(query, key, *, mask=None, scale=None):
    """Takes the Jacobian of each row, but its diagonal only."""
    p, _ = ops.attention_weights(query, key, mask=mask, scale=scale)

    def backward(d_p):
        jacobian = np.eye(p.shape[-1], dtype=p.dtype) * (p * (1 - p))[..., None, :]
        d_scores = np.einsum("...jk,...k->...j", jacobian, d_p)
        return back_scores(scale_of(query, scale) * d_scores, query, key)

    return p, backward


@wrong(ops.attention_weights, "softmax_row_sum_missing", "first")
def weights_p_times_d(query, key, *, mask=None, scale=None):
    """d_scores is weights times gradient, without the sum over the row."""
    p, _ = ops.attention_weights(query, key, mask=mask, scale=scale)
    return p, lambda d_p: back_scores(scale_of(query, scale) * p * d_p, query, key)


@wrong(ops.attention_weights, "sum_wrong_axis", "second", normal((2, 4, 3), (2, 4, 3)))
def weights_query_sums(query, key, *, mask=None, scale=None):
    """The softmax's sum runs over the queries."""
    p, _ = ops.attention_weights(query, key, mask=mask, scale=scale)

    def backward(d_p):
        d_scores = p * (d_p - (p * d_p).sum(axis=-2, keepdims=True))
        return back_scores(scale_of(query, scale) * d_scores, query, key)

    return p, backward


@wrong(ops.attention_weights, "mask_ignored", "first", normal((2, 4, 3), (2, 4, 3), **SEEN))
def weights_unmasked(query, key, *, mask=None, scale=None):
    """Goes back through the weights without the mask."""
    _, back = ops.attention_weights(query, key, scale=scale)
    return ops.attention_weights(query, key, mask=mask, scale=scale)[0], back


@wrong(ops.attention_weights, "broadcast_not_summed", "first", normal((2, 3, 4), (5, 4)))
def weights_shared_keys(query, key, *, mask=None, scale=None):
    """Keys that the batch shares get a gradient for each of the batch."""
    p, _ = ops.attention_weights(query, key, mask=mask, scale=scale)

    def backward(d_p):
        d_scores = scale_of(query, scale) * back_softmax(p, d_p)
        return d_scores @ key, np.einsum("...ij,...id->...jd", d_scores, query)

    return p, backward


def first_slice(d_x, shape):
    """Make it fit by taking the first of what should be added up."""
    d_x = d_x[(0,) * (d_x.ndim - len(shape))]
    return d_x[tuple(slice(n) for n in shape)]


@wrong(ops.attention_weights, "broadcast_not_summed", "second", normal((3, 2, 4), (1, 5, 4)))
def weights_first_keys(query, key, *, mask=None, scale=None):
    """Of the gradients for shared keys the first is kept."""
    p, _ = ops.attention_weights(query, key, mask=mask, scale=scale)

    def backward(d_p):
        d_scores = scale_of(query, scale) * back_softmax(p, d_p)
        d_query, d_key = d_scores @ key, transpose(d_scores) @ query
        return first_slice(d_query, query.shape), first_slice(d_key, key.shape)

    return p, backward
