"""From what is known at each place to one loss over the places that have a target."""

import numpy as np

from attention_from_scratch import ops as plain


def at_targets(hidden: np.ndarray, targets: np.ndarray, total: int | None):
    """The places at which there is something to predict: those whose target is not 0.

    Parameters
    ----------
    hidden : (B, L, D)
    targets : (B, L) of integers
    total : int or None
        What the sum of the losses is divided by: the number of targets of the whole batch of which
        this is a shard; None: the number of targets here.

    Returns
    -------
    states : (N, D)
    wanted : (N,) of integers from 1 on
    divisor : int, at least 1
    backward : d_states (N, D) -> d_hidden (B, L, D), 0 where there is no target
    """
    places = np.nonzero(targets)
    n_targets = len(places[0])

    def backward(d_states):
        d_hidden = np.zeros_like(hidden)
        d_hidden[places] = d_states
        return d_hidden

    divisor = max(n_targets if total is None else int(total), 1)
    return hidden[places], targets[places], divisor, backward


def catalogue_cross_entropy(hidden, table, targets, *, total=None, ops=plain):
    """Softmax cross-entropy of each target over the whole catalogue.

    The decoder is the item table itself: the logit of item v is hidden . table[v].

    Parameters
    ----------
    hidden : (B, L, D)
    table : (V + 1, D)
        Row 0 is padding, and no answer.
    targets, total
        As in `at_targets`.
    ops : module
        `attention_from_scratch.ops`, or `fast`.

    Returns
    -------
    output : ()
        In nats.
    backward : d_output () -> d_hidden (B, L, D), d_items (V, D), of rows 1..V of the table

    Source: Press & Wolf, Using the Output Embedding to Improve Language Models (2017).
    """
    states, wanted, divisor, back_states = at_targets(hidden, targets, total)
    loss, back_loss = ops.linear_cross_entropy(states, table[1:].T, wanted - 1, reduction="sum")

    def backward(d_output=1.0):
        d_states, d_weight = back_loss(d_output / divisor)
        return back_states(d_states), d_weight.T

    return loss / divisor, backward
