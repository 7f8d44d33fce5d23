"""SASRec: self-attentive sequential recommendation (Kang & McAuley, ICDM 2018).

From the bottom of the paper's figure 1 to its top: embed the events, add their positions, let every
event attend to those before it, block by block, and score every item as the next one.
"""

import math

import numpy as np

from attention_from_scratch import ops as plain
from attention_from_scratch.networks.events import embed
from attention_from_scratch.networks.initial import init_block, init_norm
from attention_from_scratch.networks.targets import at_targets, catalogue_cross_entropy
from attention_from_scratch.networks.transformer import (
    attention_maps_of,
    causal_settings,
    last_state,
    transformer_encoder,
)
from attention_from_scratch.tree import Tree


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

    The two tables are normal with standard deviation 0.02, whatever the norm. (The authors' code
    leaves them to TensorFlow's default, which for L=200, D=50 makes positions four times larger.)
    Attention has an output projection by `has_output_projection`. The linear maps are those of
    `init_linear`, or, with init="small", of a `small` block.
    """
    output_projection = has_output_projection(norm, output_projection)
    small = init == "small"

    def table(rows):
        return rng.normal(0, 0.02, (rows, dim)).astype(dtype)

    return {
        "items": table(n_items + 1),
        "positions": table(max_len),
        "blocks": [
            init_block(rng, dim, output_projection=output_projection, dtype=dtype, small=small)
            for _ in range(n_blocks)
        ],
        "norm": init_norm(dim, dtype),
    }


def has_output_projection(norm: str, said: bool | None = None) -> bool:
    """Whether attention has an output projection: as it is said; None: unless norm is "paper"."""
    return norm != "paper" if said is None else said


def embedded(
    params: Tree,
    ids: np.ndarray,
    noise: dict,
    *,
    n_heads: int,
    norm: str = "pre",
    mask_padding: bool = True,
    count_from: str = "end",
    ops=plain,
):
    """The events as vectors with their positions, (B, L, D), and how the blocks attend to them.

    Parameters
    ----------
    params : tree of `init_params`
    ids : (B, L) of integers in 0..V, L at most the number of positions
    noise : dict
        What `dropout` on the vectors is told: "dropout_p" and "rng"; {} for none.
    n_heads : int
    norm : "pre", "post" or "paper"
        Which block of `transformer`.
    mask_padding : bool
        Hide padding from attention and keep its rows at 0. False only for weights from code that
        lets events attend to padding, such as pmixer/SASRec.pytorch.
    count_from : "end" or "start"
        As in `embed`.
    ops : module
        `attention_from_scratch.ops`, or `fast`, whose ops have the same names.

    Returns
    -------
    output : (B, L, D)
    backward : d_output (B, L, D) -> grads of the two tables
    causal : dict
        What `transformer_encoder` is told, by `causal_settings`.
    """
    check_length(params, ids)
    causal = causal_settings(ids, n_heads=n_heads, norm=norm, mask_padding=mask_padding, ops=ops)
    scale = math.sqrt(params["items"].shape[-1])  # of an item's vector, beside its position's
    x, back_embed = embed(params, ids, scale=scale, count_from=count_from, **noise, ops=ops)
    return x, back_embed, causal


def encode(
    params: Tree,
    ids: np.ndarray,
    *,
    dropout_p: float = 0.0,
    attention_dropout_p: float | None = None,
    rng=None,
    ops=plain,
    **settings,
):
    """What the model knows after each event: (B, L) ids -> (B, L, D).

    Parameters
    ----------
    params, ids, ops
        As in `embedded`.
    dropout_p, attention_dropout_p, rng
        As in `dropout`: on the embeddings and the feed-forward layers, and on the attention
        weights, where None means dropout_p too.
    **settings
        n_heads, and norm, mask_padding and count_from, as in `embedded`.

    Returns
    -------
    output : (B, L, D)
    backward : d_output (B, L, D) -> grads
    """
    noise = {"dropout_p": dropout_p, "rng": rng}
    x, back_embed, causal = embedded(params, ids, noise, ops=ops, **settings)
    output, back_encoder = transformer_encoder(
        stack_of(params), x, **causal, **noise, attention_dropout_p=attention_dropout_p, ops=ops
    )

    def backward(d_output):
        grads, d_x = back_encoder(d_output)
        return back_embed(d_x) | grads

    return output, backward


def check_length(params: Tree, ids: np.ndarray) -> None:
    """Raise for ids that are longer than the table of positions."""
    n_positions = len(params["positions"])
    if ids.ndim != 2 or not 1 <= ids.shape[1] <= n_positions:
        raise ValueError(f"ids has shape {ids.shape}, but must be (B, 1..{n_positions})")


def stack_of(params: Tree) -> Tree:
    """The blocks and the last norm: what `transformer_encoder` takes."""
    return {"blocks": params["blocks"], "norm": params["norm"]}


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
        n_heads, norm and what else `encode` takes.

    Returns
    -------
    output : ()
    backward : d_output () -> grads
    """
    hidden, back_encode = encode(params, ids, ops=ops, **settings)
    loss, back_loss = catalogue_cross_entropy(
        hidden, params["items"], targets, total=total, ops=ops
    )

    def backward(d_output=1.0):
        d_hidden, d_items = back_loss(d_output)
        grads = back_encode(d_hidden)
        grads["items"][1:] += d_items  # an item is met twice, as event and as answer
        return grads

    return loss, backward


def sampled_loss(params: Tree, ids, targets, negatives, *, total=None, ops=plain, **settings):
    """Binary cross-entropy: the next event should score high, sampled items low.

    Parameters
    ----------
    negatives : (B, L, K) of integers in 1..V
        K items for every position.
    params, ids, targets, total, **settings
        As in `catalogue_loss`. The sum over a position's 1 + K terms counts as one target, as in
        the paper, section III-E.

    Returns
    -------
    output : ()
    backward : d_output () -> grads
    """
    hidden, back_encode = encode(params, ids, ops=ops, **settings)
    states, wanted, divisor, back_states = at_targets(hidden, targets, total)  # (N, D), (N,)
    candidates = np.concatenate([wanted[:, None], negatives[targets != 0]], axis=1)  # (N, 1 + K)
    vectors, back_vectors = ops.embedding(candidates, params["items"])  # (N, 1 + K, D)
    query = states[:, None]  # (N, 1, D)
    logits = (vectors * query).sum(axis=-1)  # (N, 1 + K)
    labels = np.zeros_like(logits)
    labels[:, 0] = 1
    loss, back_loss = ops.binary_cross_entropy_with_logits(logits, labels, reduction="sum")

    def backward(d_output=1.0):
        d_logits, _ = back_loss(d_output / divisor)
        d_states = np.einsum("nk,nkd->nd", d_logits, vectors)
        grads = back_encode(back_states(d_states))
        grads["items"] += back_vectors(d_logits[..., None] * query)  # as event and as answer
        return grads

    return loss / divisor, backward


def next_item_scores(params: Tree, ids: np.ndarray, *, ops=plain, **settings) -> np.ndarray:
    """Score of every item as the event after the last: (B, V + 1), -inf for padding.

    Nobody asks what is known after the other events, so the last block answers for the last alone.
    Parameters are those of `embedded`, but for the noise.
    """
    x, _, causal = embedded(params, ids, {}, ops=ops, **settings)
    seen = None if causal["real"].all() else ops.padding_mask(ids)
    scores = last_state(stack_of(params), x, last_mask=seen, ops=ops, **causal) @ params["items"].T
    scores[:, 0] = -np.inf
    return scores


def attention_maps(params: Tree, ids: np.ndarray, *, ops=plain, **settings) -> np.ndarray:
    """Who attends to whom, in every block and head: (n_blocks, B, H, L, L).

    Parameters are those of `embedded`, but for the noise.
    """
    x, _, causal = embedded(params, ids, {}, ops=ops, **settings)
    return np.array(attention_maps_of(params["blocks"], x, ops=ops, **causal))
