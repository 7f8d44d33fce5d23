"""Wrong ways back through heads: how they are split, scaled, merged and projected."""

import math

import numpy as np

from attention_from_scratch import ops
from attention_from_scratch.ops.attention import merge_heads, over_heads, split_heads
from attention_from_scratch.ops.linear import project
from benchmarks.mutants.attention_weights import weights_unmasked
from benchmarks.mutants.cases import SEEN, heads, pattern
from benchmarks.mutants.parts import attention_over, rows
from benchmarks.mutants.scaled_dot_product_attention import (
    attention_dropout_unscaled,
    attention_key_unscaled,
    attention_row_by_row,
    attention_scaled_again,
    attention_unscaled,
    attention_value_passes,
)
from benchmarks.mutants.shelves import wrong


def heads_over(
    params,
    query,
    key,
    value,
    *,
    n_heads,
    mask=None,
    attention=ops.scaled_dot_product_attention,
    split_back=split_heads,
    merge_back=merge_heads,
    project_output=project,
    **options,
):
    """`multi_head_attention` in which a part can be exchanged, all else right."""
    inputs = {"query": query, "key": key, "value": value}
    projected = {part: project(params[part], x) for part, x in inputs.items()}
    split = [split_heads(y, n_heads) for y, _ in projected.values()]
    attended, back_attention = attention(*split, mask=over_heads(mask), **options)
    output, back_output = project_output(params["output"], merge_heads(attended))

    def backward(d_output):
        d_output_params, d_merged = back_output(d_output)
        d_heads = back_attention(split_back(d_merged, n_heads))
        grads, d_inputs = {}, []
        for (part, (_, back)), d_part in zip(projected.items(), d_heads, strict=True):
            grads[part], d_input = back(merge_back(d_part))
            d_inputs.append(d_input)
        return {**grads, "output": d_output_params}, *d_inputs

    return output, backward


@wrong(ops.multi_head_attention, "key_value_swapped", "second")
def heads_value_first(params, query, key, value, **options):
    """The gradients of the inputs, but not of the projections, come in another order."""
    output, back = ops.multi_head_attention(params, query, key, value, **options)

    def backward(d_output):
        grads, d_query, d_key, d_value = back(d_output)
        return grads, d_query, d_value, d_key

    return output, backward


def attention_of_all_heads(query, key, value, **options):
    """Attention of one head that scales backward by the width of all heads."""
    output, back = ops.scaled_dot_product_attention(query, key, value, **options)
    root = math.sqrt(query.shape[-3])

    def backward(d_output):
        d_query, d_key, d_value = back(d_output)
        return d_query / root, d_key / root, d_value

    return output, backward


@wrong(ops.multi_head_attention, "scale_of_all_heads", "second")
def heads_scaled_by_width(params, query, key, value, **options):
    """The scale is 1/sqrt(D) backward, but 1/sqrt(D / H) forward."""
    return heads_over(params, query, key, value, attention=attention_of_all_heads, **options)


@wrong(ops.multi_head_attention, "scale_missing", "first", heads((2, 3, 6), 2, (2, 5, 6)))
def heads_unscaled(params, query, key, value, **options):
    """Its heads lack the scale backward."""
    return heads_over(params, query, key, value, attention=attention_unscaled, **options)


@wrong(ops.multi_head_attention, "scale_twice", "first")
def heads_scaled_again(params, query, key, value, **options):
    """Its heads scale twice backward."""
    return heads_over(params, query, key, value, attention=attention_scaled_again, **options)


@wrong(ops.multi_head_attention, "scale_on_query_only", "second")
def heads_key_unscaled(params, query, key, value, **options):
    """Its heads scale only the query's gradient."""
    return heads_over(params, query, key, value, attention=attention_key_unscaled, **options)


@wrong(ops.multi_head_attention, "query_key_swapped", "second")
def heads_key_first(params, query, key, value, **options):
    """Both pairs change places: the inputs' gradients and those of the projections."""
    output, back = ops.multi_head_attention(params, query, key, value, **options)

    def backward(d_output):
        grads, d_query, d_key, d_value = back(d_output)
        return {**grads, "query": grads["key"], "key": grads["query"]}, d_key, d_query, d_value

    return output, backward


@wrong(ops.multi_head_attention, "heads_wrong_order", "first")
def heads_split_by_reshape(params, query, key, value, **options):
    """Reshapes (B, L, D) to (B, H, L, D / H) at once: shapes fit, entries do not."""

    def split(d_merged, n_heads):
        *batch, length, width = d_merged.shape
        return d_merged.reshape(*batch, n_heads, length, width // n_heads)

    return heads_over(params, query, key, value, split_back=split, **options)


@wrong(ops.multi_head_attention, "heads_wrong_order", "second")
def heads_merged_by_reshape(params, query, key, value, **options):
    """Reshapes (B, H, L, D / H) to (B, L, D) without moving the head axis back."""

    def merge(d_heads):
        *batch, n_heads, length, width = d_heads.shape
        return d_heads.reshape(*batch, length, n_heads * width)

    return heads_over(params, query, key, value, merge_back=merge, **options)


@wrong(ops.multi_head_attention, "heads_wrong_order", "first", heads((2, 3, 6), 3))
def heads_reversed(params, query, key, value, **options):
    """Merges the last head first, as from a list that was popped."""

    def merge(d_heads):
        return np.concatenate(
            [d_heads[..., h, :, :] for h in reversed(range(d_heads.shape[-3]))], axis=-1
        )

    return heads_over(params, query, key, value, merge_back=merge, **options)


@wrong(ops.multi_head_attention, "heads_wrong_order", "second", heads((3, 8), 2))
def heads_interleaved(params, query, key, value, **options):
    """Every H-th column goes to a head, not D / H columns side by side."""

    def split(d_merged, n_heads):
        return np.stack([d_merged[..., h::n_heads] for h in range(n_heads)], axis=-3)

    return heads_over(params, query, key, value, split_back=split, **options)


@wrong(ops.multi_head_attention, "transpose_missing", "second", heads((2, 5, 4), 2))
def heads_output_untransposed(params, query, key, value, **options):
    """Goes back by d_output @ W_o: nothing complains, as W_o is always square."""

    def project_output(output_params, x):
        if output_params is None:
            return project(None, x)
        output, back = project(output_params, x)
        return output, lambda d_output: (back(d_output)[0], d_output @ output_params["weight"])

    return heads_over(params, query, key, value, project_output=project_output, **options)


@wrong(ops.multi_head_attention, "mask_ignored", "first", heads((2, 4, 6), 2, **SEEN))
def heads_unmasked(params, query, key, value, **options):
    """Its heads go back through the weights without the mask."""

    def attention(*inputs, **options):
        return attention_over(weights_unmasked, *inputs, **options)

    return heads_over(params, query, key, value, attention=attention, **options)


@wrong(ops.multi_head_attention, "softmax_row_sum_missing", "first")
def heads_row_by_row(params, query, key, value, **options):
    """Its heads leave out the softmax's sum."""
    return heads_over(params, query, key, value, attention=attention_row_by_row, **options)


@wrong(ops.multi_head_attention, "bias_not_summed", "second")
def heads_bias_of_last(params, query, key, value, **options):
    """The bias of the output layer learns from the last position alone."""
    output, back = ops.multi_head_attention(params, query, key, value, **options)

    def backward(d_output):
        grads, *d_inputs = back(d_output)
        if grads["output"] is not None and grads["output"]["bias"] is not None:
            grads = {**grads, "output": {**grads["output"], "bias": rows(d_output)[-1]}}
        return grads, *d_inputs

    return output, backward


@wrong(ops.multi_head_attention, "value_not_weighted", "second")
def heads_value_passes(params, query, key, value, **options):
    """Its heads hand d_output to the values as it is."""
    return heads_over(params, query, key, value, attention=attention_value_passes, **options)


@wrong(
    ops.multi_head_attention,
    "dropout_not_rescaled",
    "second",
    heads((3, 4), 2, dropout_p=0.25, keep=pattern(2, 3, 3)),
)
def heads_dropout_unscaled(params, query, key, value, **options):
    """Its heads apply the dropout mask without the factor."""
    return heads_over(params, query, key, value, attention=attention_dropout_unscaled, **options)


@wrong(ops.multi_head_attention, "constant_factor", "second", heads((2, 4, 6), 3))
def heads_averaged(params, query, key, value, *, n_heads, **options):
    """Divides by the number of heads, as if the heads were averaged."""
    output, back = ops.multi_head_attention(params, query, key, value, n_heads=n_heads, **options)
    return output, lambda d_output: back(d_output / n_heads)


@wrong(ops.multi_head_attention, "heads_not_added", "second", heads((2, 3, 6), 3, (2, 5, 6)))
def heads_overwrite_query(params, query, key, value, *, n_heads, mask=None, **options):
    """A loop over heads assigns d_query where it should add: the last head alone is left."""
    inputs = {"query": query, "key": key, "value": value}
    projected = {part: project(params[part], x) for part, x in inputs.items()}
    split = [split_heads(y, n_heads) for y, _ in projected.values()]
    attended, back_attention = ops.scaled_dot_product_attention(
        *split, mask=over_heads(mask), **options
    )
    output, back_output = project(params["output"], merge_heads(attended))

    def backward(d_output):
        d_output_params, d_merged = back_output(d_output)
        d_heads = list(map(merge_heads, back_attention(split_heads(d_merged, n_heads))))
        (d_q, _), (d_k, d_key), (d_v, d_value) = (
            back(d) for (_, back), d in zip(projected.values(), d_heads, strict=True)
        )
        for columns in np.split(np.arange(d_heads[0].shape[-1]), n_heads):
            d_query = d_heads[0][..., columns] @ params["query"]["weight"][:, columns].T
        grads = {"query": d_q, "key": d_k, "value": d_v, "output": d_output_params}
        return grads, d_query, d_key, d_value

    return output, backward
