"""The article's family of models: encoder -> self-attention -> weighted aggregation -> decoder.

Four stages, as in section 2.2 of the article, each a choice of its own:

    encoder       what each event says, given those before it
    attention     which events each one looks at: the weight matrix
    aggregation   the weight matrix times what the encoder says; or that, averaged over time
    decoder       the next item, or the next items in their order

SASRec is one of the family (a Transformer encoder, no attention after it, the dot product), and so
is GRU4Rec (a GRU encoder, no attention, the dot product).
"""

import numpy as np

from attention_from_scratch import ops as plain
from attention_from_scratch.networks.decoders import (
    HEADS,
    LOSSES,
    STEPS,
    dot_head,
    dot_loss,
    init_decoder,
)
from attention_from_scratch.networks.events import embed
from attention_from_scratch.networks.initial import init_linear
from attention_from_scratch.networks.item_table import item_table
from attention_from_scratch.networks.stages import (
    NO_PROJECTIONS,
    Stages,
    aggregate,
    attention_settings,
    encode,
    init_attention,
    init_encoder,
)
from attention_from_scratch.networks.transformer import attention_maps_of, causal_settings
from attention_from_scratch.ops.contract import check_same_shape
from attention_from_scratch.tree import Tree


def init_params(
    rng,
    stages: Stages,
    *,
    n_items: int,
    max_len: int,
    dim: int,
    n_blocks: int = 2,
    n_next: int = 1,
    positions: bool = True,
    context: dict[str, int] | None = None,
    widths: dict[str, int] | None = None,
    dtype="float32",
) -> Tree:
    """Draw the parameters.

    Parameters
    ----------
    n_blocks : int
        Of a Transformer encoder.
    n_next : int
        How many events ahead a Transformer decoder learns.
    positions : bool
        Whether events are told where in the sequence they stand.
    context : name -> number of kinds
        What else is known of an event: a table each.
    widths : name -> number of features
        What else is known of an item: a projection each.

    Returns
    -------
    {"items": {"ids", "projections"}, "context": {name: table}, "positions", "encoder",
    "attention", "decoder"}, None for what there is not
    """

    def table(rows):  # its rows are vectors of length about 1
        return rng.normal(0, dim**-0.5, (rows, dim)).astype(dtype)

    def square():
        return init_linear(rng, dim, dim, dtype)

    projections = {name: init_linear(rng, n, dim, dtype) for name, n in (widths or {}).items()}
    return {
        "items": {
            "ids": table(n_items + 1),
            "projections": {name: linear["weight"] for name, linear in projections.items()},
        },
        "context": {name: table(kinds + 1) for name, kinds in (context or {}).items()},
        "positions": table(max_len) if positions else None,
        "encoder": init_encoder(rng, stages.encoder, dim, n_blocks, dtype),
        "attention": init_attention(stages, square),
        "decoder": init_decoder(
            rng, stages.decoder, n_items=n_items, dim=dim, n_next=n_next, dtype=dtype
        ),
    }


def states(params: Tree, table, ids, context, stages: Stages, *, ops=plain, **noise):
    """From the ids to what is known after each event: embed, encode, attend, aggregate.

    Parameters
    ----------
    table : (V + 1, D)
        Of `item_table`.
    context : name -> (B, L) of integers
    **noise
        dropout_p and rng, of the embedded events, inside a Transformer encoder, and at the end.

    Returns
    -------
    output : (B, L, D), or (B, 1, D) as in `aggregate`
    backward : d_output -> grads of these stages, d_table
    """
    tables = {"items": table, "positions": params["positions"], "context": params["context"]}
    x, back_embed = embed(tables, ids, context=context, ops=ops, **noise)
    encoded, back_encode = encode(params["encoder"], x, ids, stages, ops=ops, **noise)
    known, back_aggregate = aggregate(params["attention"], encoded, ids, stages, ops)
    output, back_dropout = ops.dropout(known, p=noise.get("dropout_p", 0.0), rng=noise.get("rng"))

    def backward(d_output):
        d_attention, d_encoded = back_aggregate(back_dropout(d_output))
        d_encoder, d_x = back_encode(d_encoded)
        grads = back_embed(d_x)
        d_table = grads.pop("items")
        return grads | {"encoder": d_encoder, "attention": d_attention}, d_table

    return output, backward


def next_states(params: Tree, table, ids, previous, context, stages: Stages, *, ops=plain, **noise):
    """What is known before each of the next items, given those before it.

    Parameters
    ----------
    previous : (B, m) of integers
        The item before each of the next m, for a decoder that goes on from item to item.
    table, context, **noise
        As in `states`.

    Returns
    -------
    output : (B, L, D) where every event predicts the next; else (B, m, D)
    backward : d_output -> grads of all but items and head, d_table
    """
    known, back_states = states(params, table, ids, context, stages, ops=ops, **noise)
    if stages.predicts_everywhere:
        return known, back_states

    if stages.decoder in HEADS:

        def backward(d_last):
            return back_states(at_last(d_last, known))

        return known[:, -1:], backward

    pooled = stages.aggregation == "pooled"  # then one vector is all that goes on
    memory, real = (known[:, -1:], (ids != 0)[:, -1:]) if pooled else (known, ids != 0)
    settings = {"real": real, "n_heads": stages.n_heads, "ops": ops}
    output, back_steps = STEPS[stages.decoder](
        params["decoder"]["steps"], memory, table, previous, **settings
    )

    def backward(d_output):
        d_steps, d_memory, d_table_steps = back_steps(d_output)
        grads, d_table = back_states(at_last(d_memory, known) if pooled else d_memory)
        return grads | {"steps": d_steps}, d_table + d_table_steps

    return output, backward


def at_last(d_last: np.ndarray, like: np.ndarray) -> np.ndarray:
    """Zeros like `like` (B, L, D), with d_last (B, 1, D) in the last row."""
    full = np.zeros_like(like)
    full[:, -1:] = d_last
    return full


def next_item_loss(
    params: Tree,
    ids: np.ndarray,
    targets: np.ndarray,
    *,
    stages: Stages,
    context=None,
    features=None,
    keep=None,
    total: int | None = None,
    ops=plain,
    **noise,
):
    """Softmax cross-entropy of what comes next over the whole catalogue.

    Parameters
    ----------
    params : tree of `init_params`
    ids : (B, L) of integers in 0..V
    targets : (B, L) of integers if `stages.predicts_everywhere`: the item after each; else (B, m):
        the m items after the last (m is 1 unless the decoder is autoregressive). 0: none.
    context : name -> (B, L) of integers
    features, keep
        Of `item_table`.
    total : int or None
        What the sum of the losses is divided by; None: the number of targets.
    ops : module
        `attention_from_scratch.ops`, or `fast`, whose ops have the same names.
    **noise
        dropout_p and rng: as in `states`.

    Returns
    -------
    output : ()
        In nats.
    backward : d_output () -> grads
    """
    if stages.predicts_everywhere:
        check_same_shape("targets", targets, ids.shape)
    table, back_table = item_table(params["items"], features or {}, keep=keep)
    previous = following(ids, targets[:, :-1])  # the true items, whatever the model says
    hidden, back_states = next_states(
        params, table, ids, previous, context, stages, ops=ops, **noise
    )
    loss, back_loss = LOSSES.get(stages.decoder, dot_loss)(
        params["decoder"], hidden, table, targets, total=total, ops=ops
    )

    def backward(d_output=1.0):
        d_hidden, d_head, d_items = back_loss(d_output)
        grads, d_table = back_states(d_hidden)
        if d_items is not None:
            d_table[1:] += d_items
        grads["decoder"] = {"head": d_head, "steps": grads.pop("steps", None)}
        return grads | {"items": back_table(d_table)}

    return loss, backward


def next_item_scores(
    params: Tree,
    ids: np.ndarray,
    *,
    stages: Stages,
    context=None,
    features=None,
    keep=None,
    said: np.ndarray | None = None,
    ops=plain,
) -> np.ndarray:
    """Score of every item as the event after the last: (B, V + 1), -inf for padding.

    Parameters
    ----------
    said : (B, j) of integers, or None
        Items that an autoregressive decoder has already given: the scores are those of the next.
    """
    table, _ = item_table(params["items"], features or {}, keep=keep)
    previous = following(ids, ids[:, :0] if said is None else said)
    hidden, _ = next_states(params, table, ids, previous, context, stages, ops=ops)
    head = HEADS.get(stages.decoder, dot_head)
    logits = head(params["decoder"], hidden[:, -1], table, ops)
    scores = np.full((len(ids), len(table)), -np.inf, logits.dtype)
    scores[:, 1:] = logits
    return scores


def following(ids: np.ndarray, said: np.ndarray) -> np.ndarray:
    """The item before each of the next ones: the last event, and what has been said since."""
    return np.concatenate([ids[:, -1:], said], axis=1)


def attention_maps(
    params: Tree,
    ids: np.ndarray,
    *,
    stages: Stages,
    context=None,
    features=None,
    keep=None,
    ops=plain,
) -> np.ndarray:
    """Who looks at whom: (n_maps, B, H, L, L), those of the encoder's blocks first.

    `featurewise` attention has no such matrix: it compares nothing.
    """
    table, _ = item_table(params["items"], features or {}, keep=keep)
    tables = {"items": table, "positions": params["positions"], "context": params["context"]}
    x, _ = embed(tables, ids, context=context, ops=ops)
    maps = []
    if stages.encoder == "transformer":
        causal = causal_settings(ids, n_heads=stages.n_heads, ops=ops)
        maps += attention_maps_of(params["encoder"]["blocks"], x, ops=ops, **causal)
    if stages.attention not in ("none", "featurewise"):
        encoded, _ = encode(params["encoder"], x, ids, stages, ops=ops)
        weights, _ = ops.multi_head_attention_weights(
            {**NO_PROJECTIONS, **(params["attention"] or {})},
            encoded,
            encoded,
            **attention_settings(ids, stages, ops),
        )
        maps.append(weights)
    return np.array(maps).reshape(len(maps), len(ids), stages.n_heads, *ids.shape[1:] * 2)
