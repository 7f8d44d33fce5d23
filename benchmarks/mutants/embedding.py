"""Wrong ways back through a lookup."""

import numpy as np

from attention_from_scratch import ops
from benchmarks.mutants.cases import SENTENCES, lookup
from benchmarks.mutants.parts import rows
from benchmarks.mutants.shelves import wrong


@wrong(ops.embedding, "overwrites_repeats", "first")
def embedding_assigns(ids, weight, *, padding_id=0):
    """d_weight[ids] = d_output assigns where it should add."""

    def backward(d_output):
        d_weight = np.zeros_like(weight)
        d_weight[ids] = d_output
        if padding_id is not None:
            d_weight[padding_id] = 0
        return d_weight

    return ops.embedding(ids, weight, padding_id=padding_id)[0], backward


@wrong(ops.embedding, "overwrites_repeats", "second", lookup([3, 1, 3, 3, 2], (4, 2)))
def embedding_adds_once(ids, weight, *, padding_id=0):
    """+= on a fancy index reads, adds and writes back: of repeated ids the last write stays."""

    def backward(d_output):
        d_weight = np.zeros_like(weight)
        d_weight[ids] += d_output
        if padding_id is not None:
            d_weight[padding_id] = 0
        return d_weight

    return ops.embedding(ids, weight, padding_id=padding_id)[0], backward


@wrong(ops.embedding, "overwrites_repeats", "first")
def embedding_first_seen(ids, weight, *, padding_id=0):
    """np.unique gives one index for every id: that of its first position."""

    def backward(d_output):
        seen, index = np.unique(ids, return_index=True)
        d_weight = np.zeros_like(weight)
        d_weight[seen] = rows(d_output)[index]
        if padding_id is not None:
            d_weight[padding_id] = 0
        return d_weight

    return ops.embedding(ids, weight, padding_id=padding_id)[0], backward


@wrong(ops.embedding, "padding_gets_gradient", "first")
def embedding_padding_learns(ids, weight, *, padding_id=0):
    """The padding is hidden in the forward pass only."""

    def backward(d_output):
        one_hot = np.eye(len(weight), dtype=weight.dtype)[ids]
        return rows(one_hot).T @ rows(d_output)

    return ops.embedding(ids, weight, padding_id=padding_id)[0], backward


@wrong(ops.embedding, "padding_gets_gradient", "second")
def embedding_zero_is_false(ids, weight, *, padding_id=0):
    """`if padding_id:` is false for padding_id 0."""

    def backward(d_output):
        d_weight = np.zeros_like(weight)
        np.add.at(d_weight, ids, d_output)
        if padding_id:
            d_weight[padding_id] = 0
        return d_weight

    return ops.embedding(ids, weight, padding_id=padding_id)[0], backward


@wrong(ops.embedding, "padding_gets_gradient", "first", lookup(SENTENCES, (6, 3), padding_id=4))
def embedding_padding_is_zero(ids, weight, *, padding_id=0):
    """Clears the padding's row where padding is 0, and only there."""
    _, back = ops.embedding(ids, weight, padding_id=0 if padding_id == 0 else None)
    return ops.embedding(ids, weight, padding_id=padding_id)[0], back


@wrong(ops.embedding, "constant_factor", "second")
def embedding_batch_mean(ids, weight, *, padding_id=0):
    """The table's gradient is averaged over the batch."""
    output, back = ops.embedding(ids, weight, padding_id=padding_id)
    return output, lambda d_output: back(d_output) / len(ids)


@wrong(ops.embedding, "zero_gradient", "second")
def embedding_adds_to_a_copy(ids, weight, *, padding_id=0):
    """A fancy index copies, so the sums go to a table that nobody returns."""

    def backward(d_output):
        d_weight = np.zeros_like(weight)
        np.add.at(d_weight[:].copy(), ids, d_output)
        return d_weight

    return ops.embedding(ids, weight, padding_id=padding_id)[0], backward
