"""What a network is told of each event: its item, its place, and what else is known of it."""

import numpy as np

from attention_from_scratch import ops as plain
from attention_from_scratch.networks.transformer import only_real
from attention_from_scratch.tree import Tree


def embed(
    params: Tree,
    ids: np.ndarray,
    *,
    context=None,
    scale: float = 1.0,
    count_from: str = "end",
    dropout_p: float = 0.0,
    rng=None,
    ops=plain,
):
    """scale * item + position + whatever else is known; exactly 0 where there is no event.

    Positions are counted from the end, so that the last event always has the last position; or from
    the start, so that the first event that is looked at has the first, and an event's position says
    how many there were before it.

    Parameters
    ----------
    params : tree
        "items" (V + 1, D), "positions" (max_len, D) or None, and, if anything else is known of
        events, "context": a table (kinds + 1, D) for each name.
    ids : (B, L) of integers in 0..V
    context : name -> (B, L) of integers, 0 for nothing
    scale : float
        Of the item's vector: sqrt(D) in SASRec.
    count_from : "end" or "start"
    dropout_p, rng
        As in `dropout`.
    ops : module
        `attention_from_scratch.ops`, or `fast`, whose ops have the same names.

    Returns
    -------
    output : (B, L, D)
    backward : d_output (B, L, D) -> grads, a tree like params
    """
    real = (ids != 0)[..., None]
    items, back_items = ops.embedding(ids, params["items"])
    x = items if scale == 1 else scale * items
    if params["positions"] is not None:
        positions, back_positions = positions_of(ids, params["positions"], count_from, ops)
        x = x + positions
    back_context = {}
    for name, table in params.get("context", {}).items():
        vectors, back_context[name] = ops.embedding(context[name], table)
        x = x + vectors
    noisy, back_dropout = ops.dropout(x, p=dropout_p, rng=rng)
    output = only_real(noisy, real)

    def backward(d_output):
        d_x = back_dropout(only_real(d_output, real))
        grads = {"items": back_items(d_x if scale == 1 else scale * d_x), "positions": None}
        if params["positions"] is not None:
            grads["positions"] = back_positions(d_x)
        if "context" in params:
            grads["context"] = {name: back(d_x) for name, back in back_context.items()}
        return grads

    return output, backward


def positions_of(ids, table, count_from, ops):
    """Rows of the table of positions: (L, D), counted from the end, or (B, L, D), from the start.

    `backward` takes a gradient of (B, L, D) to that of the table.
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
