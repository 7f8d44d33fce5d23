"""From what is known of the past to the next item, or to the next items in their order.

The heads `dense` and `dot` turn a vector into a score for every item. The decoders `rnn` and
`transformer` come before the head: they make one vector for each of the next m events, the second
given the first, and so on. What was said so far they are told by `previous`: in training the true
items ("teacher forcing"), afterwards their own.
"""

import numpy as np

from attention_from_scratch.models.transformer import (
    decoder_block,
    init_decoder_block,
    init_linear,
    init_norm,
    normalize,
)
from attention_from_scratch.ops import causal_mask, embedding, linear, rnn
from attention_from_scratch.ops.linear import project
from attention_from_scratch.tree import Tree

EPS = 1e-8  # of the layer norms


def dense_head(params: Tree, states: np.ndarray, table: np.ndarray):
    """One linear layer with a column for each item: (N, D) -> logits (N, V)."""
    logits, back_project = project(params["head"], states)

    def backward(d_logits):
        d_head, d_states = back_project(d_logits)
        return d_head, d_states, np.zeros_like(table)

    return logits, backward


def dot_head(params: Tree, states: np.ndarray, table: np.ndarray):
    """The item table itself as the last layer: logit of item v is state . v, (N, D) -> (N, V).

    Source: Press & Wolf, Using the Output Embedding to Improve Language Models (2017).
    """
    logits, back_linear = linear(states, table[1:].T)

    def backward(d_logits):
        d_states, d_items, _ = back_linear(d_logits)
        d_table = np.zeros_like(table)
        d_table[1:] = d_items.T
        return None, d_states, d_table

    return logits, backward


def rnn_decoder(params: Tree, states, table, previous, *, real, n_heads):
    """A recurrent layer that begins in the last state and reads the item before each.

    Parameters
    ----------
    params : those of `ops.rnn`
    states : (B, L, D)
        Of the events so far; only the last is used.
    table : (V + 1, D)
    previous : (B, m) of integers
        The item before each of the next m: the last event, the first of the next, ...
    real : bool (B, L)
    n_heads : int
        Neither is used here.

    Returns
    -------
    output : (B, m, D)
    backward : d_output -> grads, d_states, d_table

    Source: Sutskever et al., Sequence to Sequence Learning with Neural Networks (2014).
    """
    inputs, back_inputs = embedding(previous, table)
    output, back_rnn = rnn(params, inputs, states[:, -1])

    def backward(d_output):
        grads, d_inputs, d_last = back_rnn(d_output)
        d_states = np.zeros_like(states)
        d_states[:, -1] = d_last
        return grads, d_states, back_inputs(d_inputs)

    return output, backward


def transformer_decoder(params: Tree, states, table, previous, *, real, n_heads):
    """A decoder block over the items so far, which attends to all states of the events.

    Parameters and returns as in `rnn_decoder`, with
    params : {"positions": (m, D), "block", "norm"}

    Source: Vaswani et al., Attention Is All You Need (2017), section 3.1.
    """
    length = previous.shape[1]
    if length > len(params["positions"]):
        raise ValueError(
            f"{length} items ahead were asked for, but the decoder has learnt "
            f"{len(params['positions'])}"
        )
    items, back_items = embedding(previous, table)
    x = items + params["positions"][:length]
    heard, back_block = decoder_block(
        params["block"],
        x,
        states,
        n_heads=n_heads,
        mask=causal_mask(length),
        memory_mask=real[:, None, :],
        eps=EPS,
    )
    output, back_norm = normalize(params["norm"], heard, EPS)

    def backward(d_output):
        d_norm, d_heard = back_norm(d_output)
        d_block, d_x, d_states = back_block(d_heard)
        d_positions = np.zeros_like(params["positions"])
        d_positions[:length] = d_x.sum(axis=0)
        grads = {"positions": d_positions, "block": d_block, "norm": d_norm}
        return grads, d_states, back_items(d_x)

    return output, backward


HEADS = {"dense": dense_head, "dot": dot_head}
STEPS = {"rnn": rnn_decoder, "transformer": transformer_decoder}  # their head is `dot`


def init_decoder(rng, name: str, *, n_items: int, dim: int, n_next: int, dtype) -> Tree:
    """Fresh parameters of a decoder: {"head", "steps"}, None for what it has not."""
    head = init_linear(rng, dim, n_items, dtype) if name == "dense" else None
    steps = None
    if name == "rnn":
        steps = {part: init_linear(rng, dim, dim, dtype) for part in ("input", "hidden")}
    if name == "transformer":
        steps = {
            "positions": rng.normal(0, dim**-0.5, (n_next, dim)).astype(dtype),
            "block": init_decoder_block(rng, dim, dtype=dtype),
            "norm": init_norm(dim, dtype),
        }
    return {"head": head, "steps": steps}
