"""SASRec: self-attentive sequential recommendation (Kang & McAuley, ICDM 2018).

From the bottom of the paper's figure 1 to its top: embed the events, add their positions, let every
event attend to those before it, block by block, and score every item as the next one.
"""

import math

import numpy as np

from attention_from_scratch import fast
from attention_from_scratch import ops as plain
from attention_from_scratch.models.transformer import (
    attention_maps_of,
    init_block,
    init_norm,
    last_state,
    only_real,
    transformer_encoder,
)
from attention_from_scratch.tree import Rows, Tree

EPS = 1e-8  # of the layer norms, as in the authors' code


def init_params(
    rng,
    *,
    n_items,
    max_len,
    dim,
    n_blocks,
    norm="pre",
    output_projection=None,
    init="glorot",
    dtype="float32",
) -> Tree:
    """Draw the parameters: {"items" (V + 1, D), "positions" (L, D), "blocks": [...], "norm"}.

    The two tables are normal with standard deviation 0.02, for either norm. (The authors' code
    leaves them to TensorFlow's default, which for L=200, D=50 makes positions four times larger.)
    Attention has an output projection, or not; None: unless norm is "paper". The linear maps are
    those of `init_linear`, or, with init="small", of a `small` block.
    """
    if output_projection is None:
        output_projection = norm != "paper"

    def table(rows):
        return rng.normal(0, 0.02, (rows, dim)).astype(dtype)

    return {
        "items": table(n_items + 1),
        "positions": table(max_len),
        "blocks": [
            init_block(
                *(rng, dim),
                output_projection=output_projection,
                dtype=dtype,
                small=init == "small",
            )
            for _ in range(n_blocks)
        ],
        "norm": init_norm(dim, dtype),
    }


def embed(params: Tree, ids: np.ndarray, *, count_from="end", dropout_p=0.0, rng=None, ops=plain):
    """sqrt(D) * item + position; exactly 0 where there is no event.

    Positions are counted from the end, so that the last event always has the last position; or from
    the start, so that the first event that is looked at has the first, and an event's position says
    how many there were before it.

    Returns
    -------
    output : (B, L, D)
    backward : d_output (B, L, D) -> {"items", "positions"}
    """
    dim = params["items"].shape[-1]
    real = (ids != 0)[..., None]
    items, back_items = ops.embedding(ids, params["items"])
    positions, back_positions = positions_of(ids, params["positions"], count_from, ops)
    noisy, back_dropout = ops.dropout(math.sqrt(dim) * items + positions, p=dropout_p, rng=rng)
    output = only_real(noisy, real)

    def backward(d_output):
        d_sum = back_dropout(only_real(d_output, real))
        return {
            "items": back_items(math.sqrt(dim) * d_sum),
            "positions": back_positions(d_sum),
        }

    return output, backward


def positions_of(ids, table, count_from, ops):
    """Rows of the table of positions: (L, D), counted from the end, or (B, L, D), from the start.

    `backward` takes a gradient of (B, L, D).
    """
    if count_from == "start":
        before = np.cumsum(ids != 0, axis=-1) - 1
        return ops.embedding(np.maximum(before, 0), table, padding_id=None)
    length = ids.shape[-1]

    def backward(d_output):
        d_table = np.zeros_like(table)
        d_table[-length:] = d_output.sum(axis=0)
        return d_table

    return table[-length:], backward


def encode(
    params: Tree,
    ids: np.ndarray,
    *,
    n_heads,
    norm="pre",
    mask_padding=True,
    count_from="end",
    dropout_p=0.0,
    attention_dropout_p=None,
    rng=None,
    ops=plain,
):
    """What the model knows after each event: (B, L) ids -> (B, L, D).

    Parameters
    ----------
    params : tree of `init_params`
    ids : (B, L) of integers in 0..V, L at most the number of positions
    n_heads : int
    norm : "pre", "post" or "paper"
        Which block of `transformer`.
    mask_padding : bool
        Hide padding from attention and keep its rows at 0. False only for weights from code that
        lets events attend to padding, such as pmixer/SASRec.pytorch.
    count_from : "end" or "start"
        Of `embed`.
    dropout_p, attention_dropout_p, rng
        As in `dropout`: on the embeddings and the feed-forward layers, and on the attention
        weights, where None means dropout_p too.
    ops : module
        `attention_from_scratch.ops`, or `fast`, whose ops have the same names.

    Returns
    -------
    output : (B, L, D)
    backward : d_output (B, L, D) -> grads
    """
    n_positions = len(params["positions"])
    if ids.ndim != 2 or not 1 <= ids.shape[1] <= n_positions:
        raise ValueError(f"ids has shape {ids.shape}, but must be (B, 1..{n_positions})")
    noise = {"dropout_p": dropout_p, "rng": rng, "ops": ops}
    settings = block_settings(ids, n_heads, mask_padding, ops) | noise
    settings["attention_dropout_p"] = attention_dropout_p
    real = (ids != 0)[..., None] | (not mask_padding)
    stack = {"blocks": params["blocks"], "norm": params["norm"]}

    x, back_embed = embed(params, ids, count_from=count_from, **noise)
    output, back_encoder = transformer_encoder(stack, x, real=real, norm=norm, **settings)

    def backward(d_output):
        grads, d_x = back_encoder(d_output)
        return back_embed(d_x) | grads

    return output, backward


def block_settings(ids, n_heads, mask_padding=True, ops=plain) -> dict:
    """Heads, mask (an event sees itself and those before it, never padding) and eps."""
    mask = ops.causal_mask(ids.shape[-1])
    if mask_padding:
        mask = mask & ops.padding_mask(ids)
    return {"n_heads": n_heads, "mask": mask, "eps": EPS}


def catalogue_loss(params: Tree, ids, targets, *, total=None, ops=plain, **settings):
    """Softmax cross-entropy of each next event over the whole catalogue.

    The decoder is the item table itself: the logit of item v is hidden . items[v].

    Parameters
    ----------
    params : tree of `init_params`
    ids, targets : (B, L) of integers
        Where a target is 0 there is nothing to predict.
    total : int or None
        What the sum of the losses is divided by; None: the number of targets.
    **settings
        n_heads, norm, ops and what else `encode` takes.

    Returns
    -------
    output : ()
    backward : d_output () -> grads
    """
    hidden, back_encode = encode(params, ids, ops=ops, **settings)
    wanted = np.nonzero(targets)  # N places in (B, L)
    loss, back_loss = ops.linear_cross_entropy(
        hidden[wanted], params["items"][1:].T, targets[wanted] - 1, reduction="sum"
    )
    total = max(len(wanted[0]) if total is None else int(total), 1)

    def backward(d_output=1.0):
        d_wanted, d_table = back_loss(d_output / total)
        grads = back_encode(scatter(d_wanted, wanted, hidden))
        grads["items"][1:] += d_table.T
        return grads

    return loss / total, backward


def sampled_loss(params: Tree, ids, targets, negatives, *, total=None, ops=plain, **settings):
    """Binary cross-entropy: the next event should score high, sampled items low.

    Parameters
    ----------
    negatives : (B, L, K) of integers in 1..V
        K items for every position.

    Other parameters and returns as in `catalogue_loss`. The sum over a position's 1 + K terms
    counts as one target, as in the paper, section III-E.
    """
    hidden, back_encode = encode(params, ids, ops=ops, **settings)
    wanted = np.nonzero(targets)  # N places in (B, L)
    candidates = np.concatenate([targets[wanted][:, None], negatives[wanted]], axis=1)  # (N, 1+K)
    vectors, back_vectors = ops.embedding(candidates, params["items"])  # (N, 1 + K, D)
    query = hidden[wanted][:, None]  # (N, 1, D)
    logits = (vectors * query).sum(axis=-1)  # (N, 1 + K)
    labels = np.zeros_like(logits)
    labels[:, 0] = 1
    loss, back_loss = ops.binary_cross_entropy_with_logits(logits, labels, reduction="sum")
    total = max(len(wanted[0]) if total is None else int(total), 1)

    def backward(d_output=1.0):
        d_logits, _ = back_loss(d_output / total)
        d_query = np.einsum("nk,nkd->nd", d_logits, vectors)
        grads = back_encode(scatter(d_query, wanted, hidden))
        grads["items"] += back_vectors(d_logits[..., None] * query)
        return grads

    return loss / total, backward


def sampled_loss_of_few(params: Tree, ids, targets, negatives, **settings):
    """`sampled_loss`, with a table of only the items that occur; their gradient comes as `Rows`.

    They are numbered anew, in their order. Where a batch meets few of a large catalogue, an array
    as large as the catalogue is what would take the time.
    """
    items = params["items"]
    occurs = np.zeros(len(items), bool)
    occurs[0] = True
    for some in (ids, targets, negatives):
        occurs[some] = True
    few, number = np.flatnonzero(occurs), np.cumsum(occurs) - 1
    loss, back_loss = sampled_loss(
        params | {"items": items[few]}, number[ids], number[targets], number[negatives], **settings
    )

    def backward(d_output=1.0):
        grads = back_loss(d_output)
        return grads | {"items": Rows(few, grads["items"], len(items))}

    return loss, backward


def scatter(rows, where, like):
    """An array of zeros like `like`, with `rows` at the places `where` they were taken from."""
    full = np.zeros_like(like)
    full[where] = rows
    return full


def next_item_scores(params: Tree, ids: np.ndarray, **settings) -> np.ndarray:
    """Score of every item as the event after the last: (B, V + 1), -inf for padding."""
    hidden, _ = encode(params, ids, **settings)
    return scores_of(hidden[:, -1], params)


def scores_of(state: np.ndarray, params: Tree) -> np.ndarray:
    """A state against every item: (B, D) -> (B, V + 1)."""
    scores = state @ params["items"].T
    scores[:, 0] = -np.inf
    return scores


def fast_scores(
    params: Tree, ids, *, n_heads, norm="pre", mask_padding=True, count_from="end"
) -> np.ndarray:
    """`next_item_scores` of the fast ops, the last block at the last position only."""
    real = (ids != 0)[..., None] | (not mask_padding)
    settings = block_settings(ids, n_heads, mask_padding, fast) | {"real": real, "norm": norm}
    seen = fast.padding_mask(ids) if mask_padding else fast.Mask()
    stack = {"blocks": params["blocks"], "norm": params["norm"]}
    x, _ = embed(params, ids, count_from=count_from, ops=fast)
    return scores_of(last_state(stack, x, last_mask=seen, ops=fast, **settings), params)


def attention_maps(
    params: Tree, ids: np.ndarray, *, n_heads, norm="pre", mask_padding=True, count_from="end"
) -> np.ndarray:
    """Who attends to whom, in every block and head: (n_blocks, B, H, L, L)."""
    real = (ids != 0)[..., None] | (not mask_padding)
    settings = block_settings(ids, n_heads, mask_padding) | {"real": real, "norm": norm}
    x, _ = embed(params, ids, count_from=count_from)
    return np.array(attention_maps_of(params["blocks"], x, **settings))
