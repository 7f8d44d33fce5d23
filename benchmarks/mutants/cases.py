"""Inputs, as a person has them at hand: a case takes a generator to (inputs, keywords)."""

import math

import numpy as np

from attention_from_scratch import ops


def normal(*shapes, **keywords):
    """Make a case of arrays of these shapes, of standard normal numbers."""
    return lambda rng: (tuple(rng.standard_normal(shape) for shape in shapes), keywords)


def lookup(ids, shape, **keywords):
    """Make a case of these ids and a table of this shape."""
    return lambda rng: ((np.array(ids), rng.standard_normal(shape)), keywords)


def classes(targets, n_classes, **keywords):
    """Make a case of logits over so many classes for these targets."""
    targets = np.array(targets)
    return lambda rng: ((rng.standard_normal((*targets.shape, n_classes)), targets), keywords)


def table_of(targets, width, n_classes, **keywords):
    """Make a case of vectors of this width, a table of so many classes, and these targets."""
    targets = np.array(targets)

    def case(rng):
        x, weight = (
            rng.standard_normal((*targets.shape, width)),
            rng.standard_normal((width, n_classes)),
        )
        return (x, weight, targets), keywords

    return case


def clicks(*shape, **keywords):
    """Make a case of logits of this shape and targets of 0 or 1, at least one of each."""

    def case(rng):
        targets = rng.random(shape).round()
        targets.flat[:2] = 0, 1
        return (rng.standard_normal(shape), targets), keywords

    return case


def heads(shape, n_heads, others=None, **keywords):
    """Make a case of four projections, a query, and keys and values of the shape of others."""

    def case(rng):
        width = shape[-1]
        params = {
            part: {
                "weight": rng.standard_normal((width, width)) / math.sqrt(width),
                "bias": rng.standard_normal(width),
            }
            for part in ("query", "key", "value", "output")
        }
        query = rng.standard_normal(shape)
        key, value = (rng.standard_normal(others or shape) for _ in "kv")
        return (params, query, key, value), {"n_heads": n_heads, **keywords}

    return case


def sequence(n_gates, n_states, batch=2, length=4, width=3, size=2):
    """Make a case of a recurrent layer's parameters, a sequence and an initial state."""

    def case(rng):
        params = {
            name: {
                "weight": rng.standard_normal((n, n_gates * size)),
                "bias": rng.standard_normal(n_gates * size),
            }
            for name, n in (("input", width), ("hidden", size))
        }
        x = rng.standard_normal((batch, length, width))
        return (params, x, rng.standard_normal((batch, n_states * size))), {}

    return case


def with_corners(rng):
    """A case of whole numbers, many of them 0, where relu has its corner."""
    return (rng.standard_normal((4, 6)).round(),), {}


def pattern(*shape):
    """A mask without a pattern that anything shares, most of it True."""
    return (np.arange(math.prod(shape)) * 7 % 10 > 2).reshape(shape)


SENTENCES = [[1, 2, 2, 4, 0], [3, 1, 2, 0, 0]]
NEXT_ITEMS = [[1, 5, 2, 0], [3, 0, 0, 0], [4, 4, 1, 2]]

SEEN = {"mask": ops.causal_mask(4)}
SQUARE = normal((2, 4, 3), (2, 4, 3), (2, 4, 5))
DROPPED = normal((2, 3, 4), (2, 5, 4), (2, 5, 6), dropout_p=0.3, keep=pattern(2, 3, 5))

CASES = {
    ops.linear: normal((2, 5, 3), (3, 4), (4,)),
    ops.embedding: lookup(SENTENCES, (6, 3)),
    ops.relu: normal((3, 4)),
    ops.gelu: normal((3, 4)),
    ops.sigmoid: normal((3, 4)),
    ops.tanh: normal((3, 4)),
    ops.softmax: normal((3, 5)),
    ops.log_softmax: normal((3, 5)),
    ops.layer_norm: normal((2, 3, 6), (6,), (6,)),
    ops.dropout: normal((4, 5), p=0.2, keep=pattern(4, 5)),
    ops.attention_weights: normal((2, 3, 4), (2, 5, 4)),
    ops.scaled_dot_product_attention: normal((2, 3, 4), (2, 5, 4), (2, 5, 6)),
    ops.multi_head_attention: heads((2, 4, 6), 2),
    ops.cross_entropy: classes(NEXT_ITEMS, 6),
    ops.linear_cross_entropy: table_of(NEXT_ITEMS, 5, 6),
    ops.binary_cross_entropy_with_logits: clicks(3, 4),
    ops.rnn: sequence(1, 1),
    ops.gru: sequence(3, 1),
    ops.lstm: sequence(4, 2),
}
