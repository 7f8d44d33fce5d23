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

With w the weights, k (0 or 1) what dropout keeps of them, c what it multiplies them by then, and
O = c (w * k) V, the plain op's backward pass needs at every row the mean of the gradient under the
weights, and that is

    sum_j w_ij d_w_ij = sum_j w_ij c k_ij (d_O_i . V_j) = d_O_i . O_i

which takes no weights at all. With g_i = c d_O_i / total_i and mean_i = d_O_i . O_i / total_i (what
the weights are divided by is divided out of these two),

    d_V_j = sum_i e_ij k_ij g_i        d_s_ij = e_ij k_ij (g_i . V_j) - e_ij mean_i

A pass over the scores costs from a tenth to a half of one of the seven products (two forward, five
backward), so there are few: the division is done on arrays as wide as a query, not as a row of
scores; where `moderate` says so there is no shift, and what is hidden is a product with 0.

Source: Dao et al., FlashAttention (2022), algorithms 1, 2 and 4. They cut the keys into blocks too,
to stay in the fast memory of a GPU; a CPU's is larger, and a whole row of scores is simpler.
"""

import functools
import math
from collections.abc import Callable, Iterable
from typing import NamedTuple

import numpy as np

from attention_from_scratch.fast.dropout import Dropout
from attention_from_scratch.fast.exponential import moderate
from attention_from_scratch.fast.masks import Mask
from attention_from_scratch.ops.attention import transpose
from attention_from_scratch.ops.contract import Backward, check_d_output

BLOCKS = (64, 128)  # least and most of an eighth of the queries, before blocks are made equal
WAITING = 256  # keys at most, of which the exponentials wait for the backward pass


class Block(NamedTuple):
    """Some queries, the keys that they see, and how much of each."""

    rows: slice
    keys: slice
    exponentials: np.ndarray  # (..., rows, keys), 0 where hidden
    attending: np.ndarray  # what dropout keeps of them


def attention_in_blocks(
    query: np.ndarray,
    key: np.ndarray,
    value: np.ndarray,
    mask: Mask,
    scale: float,
    dropout: Dropout,
    *,
    over: Callable = map,
    n_groups: int = 1,
) -> tuple[np.ndarray, Backward]:
    """`scaled_dot_product_attention` of arrays that have been looked at, and agree in leading axes.

    The blocks can be dealt out in groups, which `over`, a map, may run side by side: that changes
    nothing in the result. (How many groups there are changes how sums are rounded.)
    """
    n_queries, n_keys = query.shape[-2], key.shape[-2]
    # BLAS is faster with keys as columns; a product with ones is a sum over keys.
    scaled, key_t = scale * query, np.ascontiguousarray(transpose(key))
    # The weight of a key that is seen alone is 1 whatever its score. So that this is exact, and so
    # is the score's gradient of 0, both are multiplied by 0 (what is not a number stays so).
    alone = np.broadcast_to(mask.n_seen(n_queries, n_keys) == 1, query.shape[:-1])
    scaled[alone] *= 0
    ones = np.ones((n_keys, 1), query.dtype)
    size = block_size(n_queries)
    groups = [range(g * size, n_queries, n_groups * size) for g in range(n_groups)]

    output = np.empty((*query.shape[:-1], value.shape[-1]), value.dtype)
    totals = np.empty((*query.shape[:-1], 1), query.dtype)
    shifts = None if moderate(scaled, key) else np.empty_like(totals)
    waiting: dict[int, Block] = {}  # what the backward pass need not make again

    block_from = maker_of_blocks(scaled, key_t, mask, shifts, dropout, size)

    def forward_group(starts):
        for start in starts:
            block = rows, keys, exponentials, attending = block_from(start)
            total = exponentials @ ones[keys]
            total[total.real == 0] = 1
            attended = attending @ value[..., keys, :]
            np.multiply(attended, dropout.scale / total, out=output[..., rows, :])
            totals[..., rows, :] = total
            if n_keys <= WAITING:
                waiting[start] = block

    list(over(forward_group, groups))

    def backward(d_output):
        check_d_output(d_output, output)
        means = np.einsum("...i,...i->...", d_output, output)[..., None] / totals
        d_attended = d_output * (dropout.scale / totals)
        d_query = np.empty(query.shape, query.dtype)
        left, right = d_attended, np.ascontiguousarray(transpose(value))
        if not dropout:  # a column of -mean, a row of ones: the product subtracts the mean
            left = np.concatenate([left, -means], axis=-1)
            right = np.concatenate([right, np.ones_like(right[..., :1, :])], axis=-2)

        def backward_group(starts):
            d_key, d_value = np.zeros(key.shape, key.dtype), np.zeros(value.shape, value.dtype)
            for start in starts:
                block = waiting[start] if start in waiting else block_from(start, again=True)
                rows, keys, exponentials, attending = block
                d_value[..., keys, :] += transpose(attending) @ d_attended[..., rows, :]
                d_scores = left[..., rows, :] @ right[..., keys]
                d_scores *= attending
                if dropout:
                    d_scores -= exponentials * means[..., rows, :]
                d_scores[alone[..., rows]] *= 0
                np.matmul(d_scores, key[..., keys, :], out=d_query[..., rows, :])
                d_key[..., keys, :] += transpose(d_scores) @ scaled[..., rows, :]
            return d_key, d_value

        d_keys, d_values = zip(*over(backward_group, groups), strict=True)
        d_query *= scale
        return d_query, added(d_keys), added(d_values)

    return output, backward


def maker_of_blocks(
    scaled: np.ndarray,
    key_t: np.ndarray,
    mask: Mask,
    shifts: np.ndarray | None,
    dropout: Dropout,
    size: int,
) -> Callable[..., Block]:
    """A function that makes the block of up to `size` queries that begins at one of them.

    It finds the shifts and writes them down; with `again` it takes those that stand there.
    """
    n_queries, n_keys = scaled.shape[-2], key_t.shape[-1]

    def block_from(start: int, *, again: bool = False) -> Block:
        rows = slice(start, min(start + size, n_queries))
        keys = mask.keys(rows.start, rows.stop, n_keys)
        parts = mask.parts(rows.start, rows.stop, keys)
        scores = scaled[..., rows, :] @ key_t[..., keys]
        if shifts is not None:
            for which, seen in parts:
                np.copyto(scores[..., which], -np.inf, where=~seen)
            if not again:
                shifts[..., rows, :] = largest_of(scores)
            scores -= shifts[..., rows, :]
        exponentials = np.exp(scores, out=scores)
        if shifts is None:
            for which, seen in parts:
                exponentials[..., which] *= seen
        attending = exponentials
        if dropout:
            attending = exponentials * dropout.kept((..., rows, keys), scores.shape, start)
        return Block(rows, keys, exponentials, attending)

    return block_from


def block_size(n_queries: int) -> int:
    """How many queries are taken at once, so that all blocks are about as large.

    Small blocks compute less above the diagonal, large ones multiply faster.
    """
    least, most = BLOCKS
    n_blocks = max(1, math.ceil(n_queries / min(max(n_queries // 8, least), most)))
    return max(1, math.ceil(n_queries / n_blocks))


def largest_of(scores: np.ndarray) -> np.ndarray:
    """The largest score of each row, (..., 1); 0 where nothing is seen."""
    largest = scores.real.max(axis=-1, keepdims=True, initial=-np.inf)
    largest[largest == -np.inf] = 0
    return largest


def added(arrays: Iterable[np.ndarray]) -> np.ndarray:
    """The sum of arrays of one shape, added up from the first on."""
    return functools.reduce(np.add, arrays)
