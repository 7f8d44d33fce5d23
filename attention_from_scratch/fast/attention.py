"""Attention a block of queries at a time: keys that no query of it may see are never looked at.

The plain op writes down all L x L scores, then their softmax, then what dropout leaves of it, and
keeps them for the backward pass. Here a block of queries meets the keys that it may see, and leaves
behind its output and two numbers a query: what was subtracted from its scores, and the sum of the
exponentials,

    e_ij = exp(s_ij - shift_i)        total_i = sum_j e_ij

from which the backward pass makes the weights again, w_ij = e_ij / total_i. So memory grows with
L, and of global attention's cost, causal attention in n blocks has (n + 1) / 2n, and a window of w
to both sides, with blocks of b, about (b + 2w) / L. (Where there are no more than `WAITING` keys,
their exponentials, and what dropout keeps of them, wait for the backward pass instead: a product,
an exp and a draw less, for a bounded amount of memory a query.)

A pass over the scores costs from a tenth to a half of one of the seven products (two forward, five
backward), so there are few: the division is done on arrays as wide as a query, not as a row of
scores, and where `moderate` says so there is no shift.

Source: Dao et al., FlashAttention (2022), algorithms 1, 2 and 4. They cut the keys into blocks too,
to stay in the fast memory of a GPU; a CPU's is larger, and a whole row of scores is simpler.
"""

import functools
import math

import numpy as np

from attention_from_scratch.fast.dropout import Dropout
from attention_from_scratch.fast.exponential import moderate
from attention_from_scratch.fast.linear import project
from attention_from_scratch.fast.masks import Mask
from attention_from_scratch.ops.attention import check_attended, check_compared, transpose
from attention_from_scratch.ops.attention import multi_head_attention as of_heads
from attention_from_scratch.ops.contract import check_d_output, check_mask

BLOCKS = (64, 128)  # least and most of an eighth of the queries, before blocks are made equal
GROUPS = 8  # of blocks, for the cores to share
WAITING = 256  # keys at most, of which the exponentials wait for the backward pass


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

    With w the weights, k (0 or 1) what dropout keeps of them, c what it multiplies them by then,
    and O = c (w * k) V, the plain op's backward pass needs at every row the mean of the gradient
    under the weights, and that is

        sum_j w_ij d_w_ij = sum_j w_ij c k_ij (d_O_i . V_j) = d_O_i . O_i

    which takes no weights at all. With g_i = c d_O_i / total_i and mean_i = d_O_i . O_i / total_i
    (what the weights are divided by is divided out of these two),

        d_V_j = sum_i e_ij k_ij g_i        d_s_ij = e_ij (k_ij g_i . V_j - mean_i)

    Parameters
    ----------
    query, key, value, scale, dropout_p, rng, keep
        As in the plain op, but that the leading axes must be the same, and that dropout_p is
        rounded to a multiple of 1 / 256: see `Dropout`.
    mask : Mask or None
        Of `fast.masks`; not an array.
    parallel : map of `training.shard_pool`, or None
        Runs groups of blocks side by side; how many of them at once changes nothing in the result.
        (With None there are no groups: sums are rounded otherwise.)
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
    block, n_groups = block_size(n_queries), GROUPS if parallel else 1
    groups = [range(g * block, n_queries, n_groups * block) for g in range(n_groups)]
    over = parallel or map

    def block_scores(start):
        """Scores of a block of queries with the keys that it sees: (..., block, keys)."""
        rows = slice(start, min(start + block, n_queries))
        keys = mask.keys(rows.start, rows.stop, n_keys)
        scores = scaled[..., rows, :] @ key_t[..., keys]
        for which, hidden in mask.hidden(rows.start, rows.stop, keys, scores.dtype):
            scores[..., which] += hidden
        return rows, keys, scores

    def kept_of(start, rows, keys, exponentials):
        """0 or 1 for each; None if nothing is dropped."""
        return dropout.kept((..., rows, keys), exponentials.shape, start) if dropout else None

    output = np.empty((*query.shape[:-1], value.shape[-1]), value.dtype)
    totals = np.empty((*query.shape[:-1], 1), query.dtype)
    shifts = None if moderate(scaled, key) else np.empty_like(totals)
    waiting = {}  # start of a block -> what the backward pass need not make again

    def forward_group(starts):
        for start in starts:
            rows, keys, scores = block_scores(start)
            if shifts is not None:
                largest = scores.real.max(axis=-1, keepdims=True, initial=-np.inf)
                largest[largest == -np.inf] = 0  # a query that sees nothing
                shifts[..., rows, :] = largest
                scores -= largest
            exponentials = np.exp(scores, out=scores)
            total = exponentials @ ones[keys]
            total[total.real == 0] = 1
            kept = kept_of(start, rows, keys, exponentials)
            attending = exponentials * kept if dropout else exponentials
            attended = attending @ value[..., keys, :]
            output[..., rows, :] = attended * (dropout.scale / total)
            totals[..., rows, :] = total
            if n_keys <= WAITING:
                waiting[start] = rows, keys, exponentials, kept

    def again(start):
        """What the forward pass had of a block, but did not keep."""
        rows, keys, scores = block_scores(start)
        if shifts is not None:
            scores -= shifts[..., rows, :]
        exponentials = np.exp(scores, out=scores)
        return rows, keys, exponentials, kept_of(start, rows, keys, exponentials)

    list(over(forward_group, groups))

    def backward(d_output):
        check_d_output(d_output, output)
        means = np.einsum("...i,...i->...", d_output, output)[..., None] / totals
        d_attended = d_output * (dropout.scale / totals)
        d_query = np.empty_like(query)
        left, right = d_attended, np.ascontiguousarray(transpose(value))
        if not dropout:  # a column of -mean, a row of ones: the product subtracts the mean
            left = np.concatenate([left, -means], axis=-1)
            right = np.concatenate([right, np.ones_like(right[..., :1, :])], axis=-2)

        def backward_group(starts):
            d_key, d_value = np.zeros_like(key), np.zeros_like(value)
            for start in starts:
                rows, keys, exponentials, kept = waiting.get(start) or again(start)
                d_weights = left[..., rows, :] @ right[..., keys]
                attending = exponentials
                if dropout:
                    d_weights *= kept
                    d_weights -= means[..., rows, :]
                    attending = exponentials * kept
                d_value[..., keys, :] += transpose(attending) @ d_attended[..., rows, :]
                d_scores = np.multiply(d_weights, exponentials, out=d_weights)
                d_query[..., rows, :] = scale * (d_scores @ key[..., keys, :])
                d_key[..., keys, :] += transpose(d_scores) @ scaled[..., rows, :]
            return d_key, d_value

        d_keys, d_values = zip(*over(backward_group, groups), strict=True)
        return d_query, added(d_keys), added(d_values)

    return output, backward


def block_size(n_queries: int) -> int:
    """How many queries are taken at once, so that all blocks are about as large.

    Small blocks compute less above the diagonal, large ones multiply faster.
    """
    least, most = BLOCKS
    n_blocks = max(1, math.ceil(n_queries / min(max(n_queries // 8, least), most)))
    return max(1, math.ceil(n_queries / n_blocks))


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
