"""Wrong ways back through attention: its weights, its dropout and its weighted sum."""

import numpy as np

from attention_from_scratch import ops
from attention_from_scratch.ops.attention import transpose
from attention_from_scratch.ops.contract import unbroadcast
from benchmarks.mutants.attention_weights import (
    first_slice,
    weights_divided_by_width,
    weights_elementwise,
    weights_scaled_query_lost,
)
from benchmarks.mutants.cases import DROPPED, SQUARE, normal, pattern
from benchmarks.mutants.parts import attention_over, back_scores, back_softmax, scale_of
from benchmarks.mutants.shelves import wrong


@wrong(ops.scaled_dot_product_attention, "scale_missing", "second")
def attention_unscaled(query, key, value, **options):
    """The scale is divided out again, by an author who derived the gradient of softmax(Q K^T) V."""
    output, back = ops.scaled_dot_product_attention(query, key, value, **options)

    def backward(d_output):
        d_query, d_key, d_value = back(d_output)
        scale = scale_of(query, options.get("scale"))
        return d_query / scale, d_key / scale, d_value

    return output, backward


@wrong(ops.scaled_dot_product_attention, "scale_twice", "second")
def attention_scaled_again(query, key, value, **options):
    """Its weights carry the scale back twice."""
    return attention_over(weights_divided_by_width, query, key, value, **options)


@wrong(ops.scaled_dot_product_attention, "scale_on_query_only", "second")
def attention_key_unscaled(
    query, key, value, *, mask=None, scale=None, dropout_p=0.0, rng=None, keep=None
):
    """The einsum of d_query has the scale, that of d_key lacks it."""
    weights, back_weights = ops.softmax(
        scale_of(query, scale) * np.einsum("...id,...jd->...ij", query, key), where=mask
    )
    kept, back_dropout = ops.dropout(weights, p=dropout_p, rng=rng, keep=keep)

    def backward(d_output):
        d_kept = unbroadcast(np.einsum("...iv,...jv->...ij", d_output, value), kept.shape)
        d_scores = back_weights(back_dropout(d_kept))
        d_query = np.einsum("...ij,...jd->...id", d_scores, key) * scale_of(query, scale)
        d_key = np.einsum("...ij,...id->...jd", d_scores, query)
        d_value = np.einsum("...ij,...iv->...jv", kept, d_output)
        grads = zip((d_query, d_key, d_value), (query, key, value), strict=True)
        return tuple(unbroadcast(d_x, x.shape) for d_x, x in grads)

    return kept @ value, backward


@wrong(ops.scaled_dot_product_attention, "scale_on_key_only", "first")
def attention_query_unscaled(query, key, value, **options):
    """d_query is made from scores before the scale."""
    return attention_over(weights_scaled_query_lost, query, key, value, **options)


@wrong(
    ops.scaled_dot_product_attention,
    "query_key_swapped",
    "second",
    normal((5, 3), (5, 3), (5, 3), mask=ops.causal_mask(5)),
)
def attention_key_first(query, key, value, **options):
    """Returns the gradients alphabetically: of key, query, value."""
    output, back = ops.scaled_dot_product_attention(query, key, value, **options)

    def backward(d_output):
        d_query, d_key, d_value = back(d_output)
        return d_key, d_query, d_value

    return output, backward


@wrong(ops.scaled_dot_product_attention, "transpose_missing", "second", SQUARE)
def attention_value_untransposed(
    query, key, value, *, mask=None, scale=None, dropout_p=0.0, rng=None, keep=None
):
    """d_value is A d_output, where A should be transposed."""
    weights, back_weights = ops.attention_weights(query, key, mask=mask, scale=scale)
    kept, back_dropout = ops.dropout(weights, p=dropout_p, rng=rng, keep=keep)

    def backward(d_output):
        d_value = np.einsum("...ji,...iv->...jv", kept, d_output)
        d_kept = unbroadcast(d_output @ transpose(value), kept.shape)
        return *back_weights(back_dropout(d_kept)), unbroadcast(d_value, value.shape)

    return kept @ value, backward


@wrong(
    ops.scaled_dot_product_attention,
    "transpose_missing",
    "first",
    normal((2, 3, 4), (2, 5, 4), (2, 5, 5)),
)
def attention_values_as_they_are(
    query, key, value, *, mask=None, scale=None, dropout_p=0.0, rng=None, keep=None
):
    """d_A is d_output V, where there are as many values as they are wide."""
    weights, back_weights = ops.attention_weights(query, key, mask=mask, scale=scale)
    kept, back_dropout = ops.dropout(weights, p=dropout_p, rng=rng, keep=keep)

    def backward(d_output):
        d_kept = unbroadcast(d_output @ value, kept.shape)
        d_value = unbroadcast(transpose(kept) @ d_output, value.shape)
        return *back_weights(back_dropout(d_kept)), d_value

    return kept @ value, backward


@wrong(ops.scaled_dot_product_attention, "value_not_weighted", "first", SQUARE)
def attention_value_passes(query, key, value, **options):
    """d_value is d_output, without the weights."""
    output, back = ops.scaled_dot_product_attention(query, key, value, **options)
    return output, lambda d_output: (*back(d_output)[:2], unbroadcast(d_output, value.shape))


@wrong(ops.scaled_dot_product_attention, "value_not_weighted", "second")
def attention_value_sums(query, key, value, **options):
    """Every value gets the sum of d_output over all queries."""
    output, back = ops.scaled_dot_product_attention(query, key, value, **options)

    def backward(d_output):
        d_query, d_key, d_value = back(d_output)
        total = d_output.sum(axis=-2, keepdims=True).repeat(value.shape[-2], axis=-2)
        return d_query, d_key, unbroadcast(total, d_value.shape)

    return output, backward


@wrong(ops.scaled_dot_product_attention, "softmax_elementwise", "second", SQUARE)
def attention_elementwise(query, key, value, **options):
    """Its weights go back through p (1 - p)."""
    return attention_over(weights_elementwise, query, key, value, **options)


@wrong(ops.scaled_dot_product_attention, "softmax_row_sum_missing", "second")
def attention_row_by_row(
    query, key, value, *, mask=None, scale=None, dropout_p=0.0, rng=None, keep=None
):
    """Loops over the queries, and leaves out the mean under the weights."""
    weights, _ = ops.attention_weights(query, key, mask=mask, scale=scale)
    kept, back_dropout = ops.dropout(weights, p=dropout_p, rng=rng, keep=keep)

    def backward(d_output):
        d_weights = back_dropout(unbroadcast(d_output @ transpose(value), kept.shape))
        d_scores = np.empty_like(weights)
        for i in range(weights.shape[-2]):
            d_scores[..., i, :] = weights[..., i, :] * d_weights[..., i, :]
        d_query, d_key = back_scores(scale_of(query, scale) * d_scores, query, key)
        return d_query, d_key, unbroadcast(transpose(kept) @ d_output, value.shape)

    return kept @ value, backward


def weights_half_masked(query, key, *, mask=None, scale=None):
    """Takes the mean under the masked weights, times the weights without the mask."""
    p, _ = ops.attention_weights(query, key, mask=mask, scale=scale)
    everywhere, _ = ops.attention_weights(query, key, scale=scale)

    def backward(d_p):
        d_scores = everywhere * (d_p - (d_p * p).sum(axis=-1, keepdims=True))
        return back_scores(scale_of(query, scale) * d_scores, query, key)

    return p, backward


@wrong(
    ops.scaled_dot_product_attention,
    "mask_ignored",
    "second",
    normal((2, 4, 3), (2, 5, 3), (2, 5, 2), mask=pattern(2, 4, 5)),
)
def attention_half_masked(query, key, value, **options):
    """Only the mean of its softmax has seen the mask."""
    return attention_over(weights_half_masked, query, key, value, **options)


def attention_dropped(query, key, value, back_dropout, kept_for_value, options):
    """Make an attention whose dropout goes back by `back_dropout(d_kept, factor)`."""
    noise = {name: options.get(name) for name in ("rng", "keep")}
    rest = {name: options.get(name) for name in ("mask", "scale")}
    weights, back_weights = ops.attention_weights(query, key, **rest)
    factor, _ = ops.dropout(np.ones_like(weights), p=options.get("dropout_p", 0.0), **noise)
    kept = weights * factor

    def backward(d_output):
        d_kept = unbroadcast(d_output @ transpose(value), kept.shape)
        d_value = transpose(kept if kept_for_value else weights) @ d_output
        return *back_weights(back_dropout(d_kept, factor)), unbroadcast(d_value, value.shape)

    return kept @ value, backward


@wrong(ops.scaled_dot_product_attention, "dropout_not_applied", "first", DROPPED)
def attention_dropout_skipped(query, key, value, **options):
    """Goes from d_kept to the softmax, past the dropout."""
    return attention_dropped(query, key, value, lambda d, _: d, True, options)


@wrong(ops.scaled_dot_product_attention, "dropout_not_applied", "second", DROPPED)
def attention_value_undropped(query, key, value, **options):
    """d_value takes the weights from before the dropout."""
    return attention_dropped(query, key, value, lambda d, factor: d * factor, False, options)


@wrong(ops.scaled_dot_product_attention, "dropout_not_rescaled", "first", DROPPED)
def attention_dropout_unscaled(query, key, value, **options):
    """The gradient of the weights gets the mask of the dropout without its factor."""
    return attention_dropped(query, key, value, lambda d, factor: d * (factor > 0), True, options)


@wrong(
    ops.scaled_dot_product_attention,
    "broadcast_not_summed",
    "first",
    normal((3, 2, 4), (3, 5, 4), (5, 4)),
)
def attention_shared_values(query, key, value, **options):
    """Values that the batch shares get the gradient of the first of the batch."""
    output, back = ops.scaled_dot_product_attention(query, key, value, **options)
    weights, _ = ops.scaled_dot_product_attention(  # attending to one-hot values shows the weights
        query, key, np.eye(key.shape[-2], dtype=key.dtype), **options
    )

    def backward(d_output):
        d_value = first_slice(transpose(weights) @ d_output, value.shape)
        return *back(d_output)[:2], d_value

    return output, backward


@wrong(
    ops.scaled_dot_product_attention,
    "broadcast_not_summed",
    "second",
    normal((3, 4), (2, 5, 4), (2, 5, 3)),
)
def attention_shared_query(
    query, key, value, *, mask=None, scale=None, dropout_p=0.0, rng=None, keep=None
):
    """A learned query that the whole batch asks gets a gradient for each of the batch."""
    scaled = scale_of(query, scale) * query
    weights, back_weights = ops.softmax(scaled @ transpose(key), where=mask)
    kept, back_dropout = ops.dropout(weights, p=dropout_p, rng=rng, keep=keep)

    def backward(d_output):
        d_scores = back_weights(back_dropout(d_output @ transpose(value)))
        d_query = scale_of(query, scale) * (d_scores @ key)
        return d_query, transpose(d_scores) @ scaled, transpose(kept) @ d_output

    return kept @ value, backward


@wrong(ops.scaled_dot_product_attention, "key_value_swapped", "second", SQUARE)
def attention_value_first(query, key, value, **options):
    """Returns the gradients as (d_query, d_value, d_key)."""
    output, back = ops.scaled_dot_product_attention(query, key, value, **options)

    def backward(d_output):
        d_query, d_key, d_value = back(d_output)
        return d_query, d_value, d_key

    return output, backward


@wrong(ops.scaled_dot_product_attention, "zero_gradient", "second")
def attention_of_constant_weights(query, key, value, **options):
    """The weights are detached: query and key learn nothing."""
    output, back = ops.scaled_dot_product_attention(query, key, value, **options)
    return output, lambda d: (np.zeros_like(query), np.zeros_like(key), back(d)[2])


@wrong(
    ops.scaled_dot_product_attention,
    "scale_ignored",
    "second",
    normal((2, 3, 5), (2, 6, 5), (2, 6, 4), scale=0.2),
)
def attention_scale_forgotten(query, key, value, *, scale=None, **options):
    """Forward takes the scale that is given, backward divides by sqrt(d) whatever was given."""
    output, back = ops.scaled_dot_product_attention(query, key, value, scale=scale, **options)

    def backward(d_output):
        d_query, d_key, d_value = back(d_output)
        share = 1 if scale is None else scale_of(query, None) / scale
        return d_query * share, d_key * share, d_value

    return output, backward


@wrong(
    ops.scaled_dot_product_attention,
    "mask_ignored",
    "second",
    normal((2, 4, 5), (2, 4, 5), (2, 4, 3), mask=np.tri(4, dtype=bool)),
)
def attention_recomputed_unmasked(
    query, key, value, *, mask=None, scale=None, dropout_p=0.0, rng=None, keep=None
):
    """Weights are made anew from saved sums, as in tiled attention, but without the mask."""
    scores = scale_of(query, scale) * query @ transpose(key)
    weights, _ = ops.softmax(scores, where=mask)
    kept, back_dropout = ops.dropout(weights, p=dropout_p, rng=rng, keep=keep)
    output = kept @ value
    total = np.exp(scores).sum(axis=-1, keepdims=True, where=True if mask is None else mask)

    def backward(d_output):
        anew = np.exp(scores) / total
        d_weights = back_dropout(unbroadcast(d_output @ transpose(value), kept.shape))
        mean = unbroadcast((d_output * output).sum(axis=-1, keepdims=True), (*kept.shape[:-1], 1))
        d_scores = scale_of(query, scale) * anew * (d_weights - mean)
        d_value = unbroadcast(transpose(back_dropout(anew)) @ d_output, value.shape)
        return *back_scores(d_scores, query, key), d_value

    return output, backward


@wrong(ops.scaled_dot_product_attention, "dropout_weights_confused", "second", DROPPED)
def attention_of_dropped_weights(
    query, key, value, *, mask=None, scale=None, dropout_p=0.0, rng=None, keep=None
):
    """The softmax is led back with the weights that dropout left, not with its own."""
    weights, _ = ops.softmax(scale_of(query, scale) * query @ transpose(key), where=mask)
    kept, back_dropout = ops.dropout(weights, p=dropout_p, rng=rng, keep=keep)

    def backward(d_output):
        d_weights = back_dropout(unbroadcast(d_output @ transpose(value), kept.shape))
        d_value = unbroadcast(transpose(kept) @ d_output, value.shape)
        d_scores = scale_of(query, scale) * back_softmax(kept, d_weights)
        return *back_scores(d_scores, query, key), d_value

    return kept @ value, backward
