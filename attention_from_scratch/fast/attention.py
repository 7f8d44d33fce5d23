"""Attention a block of queries at a time: what the mask hides is never computed.

The plain op writes down all L x L scores, then their softmax, then what dropout leaves of it, and
keeps them for the backward pass. Here a block of queries meets the keys that it may see, and leaves
behind its output and one number a query: the logarithm of the sum of its exponentials,

    lse_i = log sum_j exp(s_ij)

from which the backward pass makes the weights again, a_ij = exp(s_ij - lse_i). So memory grows with
L, and causal attention costs half of global attention, a window of w about w / L of it.

Source: Dao et al., FlashAttention (2022), algorithms 1, 2 and 4. They cut the keys into blocks too,
to stay in the fast memory of a GPU; a CPU's is larger, and a whole row of scores is simpler.
"""

import functools
import math

import numpy as np

from attention_from_scratch.fast.dropout import Dropout
from attention_from_scratch.fast.linear import project
from attention_from_scratch.fast.masks import Mask
from attention_from_scratch.ops.attention import check_attended, check_compared, transpose
from attention_from_scratch.ops.attention import multi_head_attention as of_heads
from attention_from_scratch.ops.contract import check_d_output, check_mask

BLOCK = 64  # queries
GROUPS = 8  # of blocks, for the cores to share


def scaled_dot_product_attention(
    query,
    key,
    value,
    *,
    mask: Mask | None = None,
    scale=None,
    dropout_p=0.0,
    rng=None,
    keep=None,
    parallel=None,
):
    """softmax(scale * Q K^T) V, as `ops.scaled_dot_product_attention`.

    With w the weights, k what dropout multiplies them by, and O = (w * k) V, the plain op's
    backward pass needs at every row the mean of the gradient under the weights, and that is

        sum_j w_ij d_w_ij = sum_j w_ij k_ij (d_O_i . V_j) = d_O_i . O_i

    which takes no weights at all.

    Parameters
    ----------
    query, key, value, scale, dropout_p, rng, keep
        As in the plain op; the leading axes must be the same.
    mask : Mask or None
    parallel : map of `training.shard_pool`, or None
        Runs groups of blocks side by side; how many of them at once changes nothing in the result.
    """
    mask = Mask() if mask is None else mask
    check_all(query, key, value, mask, keep)
    n_queries, n_keys = query.shape[-2], key.shape[-2]
    keep = None if keep is None else np.broadcast_to(keep, (*query.shape[:-1], n_keys))
    scale = 1 / math.sqrt(query.shape[-1]) if scale is None else float(scale)
    dropout = Dropout(dropout_p, rng, keep, query.dtype)
    # BLAS is faster with keys as columns; a product with ones is a sum over keys.
    scaled, key_t = scale * query, np.ascontiguousarray(transpose(key))
    ones = np.ones((n_keys, 1), query.dtype)
    n_groups = GROUPS if parallel else 1
    groups = [range(g * BLOCK, n_queries, n_groups * BLOCK) for g in range(n_groups)]
    over = parallel or map

    def block_scores(start):
        """Scores of a block of queries with the keys that it sees: (..., block, keys)."""
        rows = slice(start, min(start + BLOCK, n_queries))
        keys = mask.keys(rows.start, rows.stop, n_keys)
        scores = scaled[..., rows, :] @ key_t[..., keys]
        for which, hidden in mask.hidden(rows.start, rows.stop, keys, scores.dtype):
            scores[..., which] += hidden
        return rows, keys, scores

    output = np.empty((*query.shape[:-1], value.shape[-1]), value.dtype)
    lse = np.empty((*query.shape[:-1], 1), query.dtype)

    def forward_group(starts):
        for start in starts:
            rows, keys, scores = block_scores(start)
            largest = scores.real.max(axis=-1, keepdims=True, initial=-np.inf)
            largest[largest == -np.inf] = 0  # a query that sees nothing
            weights = np.exp(np.subtract(scores, largest, out=scores), out=scores)
            total = weights @ ones[keys]
            total[total.real == 0] = 1
            if dropout:
                weights *= dropout.factor((..., rows, keys), weights.shape, start)
            output[..., rows, :] = (weights @ value[..., keys, :]) / total
            lse[..., rows, :] = largest + np.log(total)

    list(over(forward_group, groups))

    def backward(d_output):
        check_d_output(d_output, output)
        means = np.einsum("...i,...i->...", d_output, output)[..., None]
        d_query, value_t = np.empty_like(query), np.ascontiguousarray(transpose(value))

        def backward_group(starts):
            d_key, d_value = np.zeros_like(key), np.zeros_like(value)
            for start in starts:
                rows, keys, weights = block_scores(start)
                np.exp(np.subtract(weights, lse[..., rows, :], out=weights), out=weights)
                d_weights = d_output[..., rows, :] @ value_t[..., keys]
                kept = weights
                if dropout:
                    factor = dropout.factor((..., rows, keys), weights.shape, start)
                    kept, d_weights = weights * factor, np.multiply(d_weights, factor, d_weights)
                d_value[..., keys, :] += transpose(kept) @ d_output[..., rows, :]
                d_scores = np.subtract(d_weights, means[..., rows, :], out=d_weights)
                d_scores *= weights
                d_query[..., rows, :] = scale * (d_scores @ key[..., keys, :])
                d_key[..., keys, :] += transpose(d_scores) @ scaled[..., rows, :]
            return d_key, d_value

        d_keys, d_values = zip(*over(backward_group, groups), strict=True)
        return d_query, added(d_keys), added(d_values)

    return output, backward


def check_all(query, key, value, mask, keep):
    """Raise for arrays and masks that do not fit together."""
    check_compared(query, key)
    check_attended(query, key, value)
    if not query.shape[:-2] == key.shape[:-2] == value.shape[:-2]:
        raise ValueError(
            f"query, key and value have shapes {query.shape}, {key.shape} and {value.shape}, but "
            "must agree in the axes before the last two"
        )
    if not isinstance(mask, Mask):
        raise TypeError(f"mask was a {type(mask).__name__}, but must be a Mask of fast.masks")
    n_queries, n_keys = query.shape[-2], key.shape[-2]
    check_mask("mask.real", mask.real, (*query.shape[:-1], n_keys))
    check_mask("keep", keep, (*query.shape[:-1], n_keys))
    if (mask.before, mask.after) != (None, None) and n_queries != n_keys:
        raise ValueError(f"mask is a band, but there are {n_queries} queries and {n_keys} keys")


def added(arrays):
    """The sum, from the first on."""
    return functools.reduce(np.add, arrays)


def multi_head_attention(params, query, key, value, *, mask: Mask | None = None, **settings):
    """As `ops.multi_head_attention`, of the ops here."""
    mask = None if mask is None else mask.over_heads()
    settings |= {"project": project, "attention": scaled_dot_product_attention}
    return of_heads(params, query, key, value, mask=mask, **settings)
