"""From what is known of the past to the next item, or to the next items in their order.

The heads `dense` and `dot` turn a vector into a score for every item, and in training into the loss
of the true one. The decoders `rnn` and `transformer` come before the head: they make one vector for
each of the next m events, the second given the first, and so on. They read what has been said so
far from `previous`: in training the true items ("teacher forcing"), afterwards their own.
"""

import numpy as np

from attention_from_scratch import ops as plain
from attention_from_scratch.networks.initial import init_decoder_block, init_linear, init_norm
from attention_from_scratch.networks.targets import at_targets, catalogue_cross_entropy
from attention_from_scratch.networks.transformer import EPS, decoder_block, normalize
from attention_from_scratch.tree import Tree


def dense_head(params: Tree, states: np.ndarray, table: np.ndarray, ops=plain) -> np.ndarray:
    """One linear layer with a column for each item: (N, D) -> scores (N, V)."""
    return ops.project(params["head"], states)[0]


def dense_loss(params: Tree, hidden, table, targets, *, total=None, ops=plain):
    """Softmax cross-entropy of each target by `dense_head`.

    Parameters
    ----------
    params : {"head": {"weight": (D, V), "bias"}}
    hidden : (B, L, D)
    table : (V + 1, D)
        The item table, which is not used here.
    targets, total
        As in `at_targets`.

    Returns
    -------
    output : ()
        In nats.
    backward : d_output () -> d_hidden, d_head, d_items (V, D) or None: of rows 1..V of the table
    """
    states, wanted, divisor, back_states = at_targets(hidden, targets, total)
    logits, back_project = ops.project(params["head"], states)
    loss, back_loss = ops.cross_entropy(logits, wanted - 1, reduction="sum")

    def backward(d_output=1.0):
        d_head, d_states = back_project(back_loss(d_output / divisor))
        return back_states(d_states), d_head, None

    return loss / divisor, backward


def dot_head(params: Tree, states: np.ndarray, table: np.ndarray, ops=plain) -> np.ndarray:
    """The item table itself as the last layer: score of item v is state . v, (N, D) -> (N, V)."""
    return states @ table[1:].T


def dot_loss(params: Tree, hidden, table, targets, *, total=None, ops=plain):
    """Softmax cross-entropy of each target by `dot_head`: the logits are hidden . table[1:].

    Parameters and returns are those of `dense_loss`, but params is not used and d_head is None.
    """
    loss, back_loss = catalogue_cross_entropy(hidden, table, targets, total=total, ops=ops)

    def backward(d_output=1.0):
        d_hidden, d_items = back_loss(d_output)
        return d_hidden, None, d_items

    return loss, backward


def rnn_decoder(params: Tree, states, table, previous, *, real, n_heads, ops=plain):
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
        Where there is an event; not used here.
    n_heads : int
        Not used here.

    Returns
    -------
    output : (B, m, D)
    backward : d_output -> grads, d_states, d_table

    Source: Sutskever et al., Sequence to Sequence Learning with Neural Networks (2014).
    """
    inputs, back_inputs = ops.embedding(previous, table)
    output, back_rnn = ops.rnn(params, inputs, states[:, -1])

    def backward(d_output):
        grads, d_inputs, d_last = back_rnn(d_output)
        d_states = np.zeros_like(states)
        d_states[:, -1] = d_last
        return grads, d_states, back_inputs(d_inputs)

    return output, backward


def transformer_decoder(params: Tree, states, table, previous, *, real, n_heads, ops=plain):
    """A decoder block over the items so far, which attends to all states of the events.

    Parameters and returns are those of `rnn_decoder`, but that real and n_heads are used, and that
    params is {"positions": (m, D), "block", "norm"}.

    Source: Vaswani et al., Attention Is All You Need (2017), section 3.1.
    """
    length = previous.shape[1]
    if length > len(params["positions"]):
        raise ValueError(
            f"{length} items ahead were asked for, but the decoder has learnt "
            f"{len(params['positions'])}"
        )
    items, back_items = ops.embedding(previous, table)
    x = items + params["positions"][:length]
    heard, back_block = decoder_block(
        params["block"],
        x,
        states,
        n_heads=n_heads,
        mask=ops.causal_mask(length),
        memory_mask=real[:, None, :],
        eps=EPS,
        ops=ops,
    )
    output, back_norm = normalize(params["norm"], heard, EPS, ops)

    def backward(d_output):
        d_norm, d_heard = back_norm(d_output)
        d_block, d_x, d_states = back_block(d_heard)
        d_positions = np.zeros_like(params["positions"])
        d_positions[:length] = d_x.sum(axis=0)
        grads = {"positions": d_positions, "block": d_block, "norm": d_norm}
        return grads, d_states, back_items(d_x)

    return output, backward


HEADS = {"dense": dense_head, "dot": dot_head}
LOSSES = {"dense": dense_loss, "dot": dot_loss}
STEPS = {"rnn": rnn_decoder, "transformer": transformer_decoder}  # the head after them is `dot`


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
