"""Calls at which mistakes show: for every op, inputs that make its features count.

Most have dimensions that all differ, so that a swapped axis or a 2 in place of sqrt(4) shows. Some
are square, as a missing transpose can only hide there.
"""

from collections.abc import Callable

import numpy as np

from attention_from_scratch import ops

# Ops of a reader's own, by name (see `registering`).
REGISTERED: dict[str, Callable] = {}


def op_named(name: str) -> Callable | None:
    """The op of `ops`, or the registered one, of this name; None if there is neither."""
    return REGISTERED.get(name) or getattr(ops, name, None)


def probes_of(op: str) -> list[tuple[tuple, dict]]:
    """The (inputs, keywords) of every call to make of an op of `ops`, by its name."""
    if op not in PROBES:
        raise ValueError(f"reference was {op}, but must be one of {', '.join(PROBES)}")
    return PROBES[op](np.random.default_rng(23))


def rows(rng):
    """Arrays for an op of one array that acts on the last axis, or on every entry."""
    return [((1.5 * rng.standard_normal(shape),), {}) for shape in ((2, 3, 5), (7, 4), (3, 3))]


def softmax(rng):
    """Rows, a softmax along another axis, and one with some entries left out."""
    where = rng.random((4, 6)) < 0.7
    where[:, 0] = True
    x = rng.standard_normal((4, 6))
    return [*rows(rng), ((x,), {"where": where}), ((rng.standard_normal((3, 5, 4)),), {"axis": 1})]


def linear(rng):
    """Affine maps with and without batch axes, some of them square."""
    shapes = (((2, 3, 5), (5, 4)), ((7, 5), (5, 3)), ((2, 3, 4), (4, 4)), ((4, 4), (4, 4)))
    normal = rng.standard_normal
    return [((normal(x), normal(w), normal(w[1])), {}) for x, w in shapes]


def embedding(rng):
    """Lookups of ids that repeat in a row and across rows, of padding, and of neither."""
    tables = [rng.standard_normal((rows, 3)) for rows in (6, 7, 9)]
    return [
        ((np.array([[1, 4, 0, 1], [2, 2, 4, 0]]), tables[0]), {}),
        ((np.array([5, 3, 5, 5, 1]), tables[1]), {}),
        ((np.array([[8, 1, 2]]), tables[2]), {}),
        ((np.array([[0, 1, 0], [3, 1, 2]]), tables[0]), {"padding_id": None}),
        ((np.array([[0, 2, 3], [2, 3, 0]]), tables[1]), {"padding_id": 2}),
    ]


def layer_norm(rng):
    """Normalisations of several shapes, all with weight and bias."""
    return [
        ((rng.standard_normal(x), rng.standard_normal(x[-1]), rng.standard_normal(x[-1])), {})
        for x in ((2, 3, 5), (7, 4), (4, 2, 7))
    ]


def dropout(rng):
    """Dropout whose mask is given, so that it can be repeated."""
    return [
        ((rng.standard_normal(shape),), {"p": p, "keep": rng.random(shape) >= p})
        for shape, p in (((2, 3, 5), 0.3), ((4, 6), 0.6))
    ]


def attention_inputs(rng, with_value, batch=(2,), queries=3, keys=6, width=5, value_width=4):
    """Random query, key and, if asked for, value of these sizes."""
    shapes = [(*batch, queries, width), (*batch, keys, width), (*batch, keys, value_width)]
    return tuple(rng.standard_normal(shape) for shape in shapes[: 3 if with_value else 2])


def attention(rng, with_value=True):
    """Cross-attention and self-attention, with masks, broadcasting and dropout."""

    def inputs(**sizes):
        return attention_inputs(rng, with_value, **sizes)

    calls = [
        (inputs(), {}),
        (inputs(batch=(), queries=4, keys=7, width=3), {}),
        (inputs(), {"scale": 0.3}),
        (inputs(queries=5, keys=5, width=7, value_width=7), {"mask": ops.causal_mask(5)}),
        (inputs(batch=(2, 3), queries=4, keys=4, width=6, value_width=6), {}),
        (inputs(queries=5, keys=5, width=5, value_width=5), {"mask": ops.local_mask(5, 2)}),
    ]
    query, *rest = inputs(batch=(3, 2), queries=4, keys=5, width=7)
    calls.append(((query, *(x[0] for x in rest)), {}))
    if with_value:
        for p in (0.3, 0.6):
            calls.append((inputs(), {"dropout_p": p, "keep": rng.random((2, 3, 6)) >= p}))
    return calls


def multi_head_attention(rng, weights_only=False):
    """Attention with two and three heads, with and without masks and dropout."""

    def affine(width):
        return {"weight": rng.standard_normal((width, width)), "bias": rng.standard_normal(width)}

    calls = []
    for width, n_heads, queries, keys, mask in (
        (6, 3, 4, 5, None),
        (6, 2, 5, 5, ops.causal_mask(5)),
        (10, 2, 3, 4, ops.padding_mask(np.array([[0, 1, 1, 1], [0, 0, 1, 1]]))),
    ):
        names = ("query", "key") if weights_only else ("query", "key", "value", "output")
        params = {name: affine(width) for name in names}
        query, key, value = (rng.standard_normal((2, n, width)) for n in (queries, keys, keys))
        inputs = (params, query, key) if weights_only else (params, query, key, value)
        keywords = {"n_heads": n_heads} | ({} if mask is None else {"mask": mask})
        calls.append((inputs, keywords))
        if not weights_only:
            calls.append((inputs, keywords | {"scale": 0.3}))
            keep = rng.random((2, n_heads, queries, keys)) >= 1 / n_heads
            calls.append((inputs, keywords | {"dropout_p": 1 / n_heads, "keep": keep}))
    return calls


def cross_entropy(rng):
    """Losses over classes: mean and sum, ignored positions, weights, smoothing."""
    logits, targets = rng.standard_normal((2, 3, 7)), np.array([[1, 4, 6], [0, 4, 2]])
    flat = rng.standard_normal((5, 4)), np.array([3, 1, 1, 2, 3])
    ignored = np.array([[1, -1, 6], [0, 4, -1]])
    return [
        ((logits, targets), {}),
        (flat, {}),
        ((logits, ignored), {"ignore_index": -1}),
        ((flat[0], np.array([3, -1, -1, 2, -1])), {"ignore_index": -1}),
        ((logits, targets), {"ignore_index": 4}),
        ((logits, targets), {"label_smoothing": 0.2}),
        ((logits, targets), {"reduction": "sum"}),
        ((logits, targets), {"position_weights": rng.random((2, 3))}),
        (flat, {"reduction": "sum"}),
        (flat, {"position_weights": rng.random(5)}),
        (flat, {"label_smoothing": 0.1, "position_weights": rng.random(5)}),
    ]


def linear_cross_entropy(rng):
    """Losses over a catalogue: mean, sum and weights of positions."""
    x, weight = rng.standard_normal((2, 3, 4)), rng.standard_normal((4, 7))
    targets = np.array([[1, 4, 6], [0, 4, 2]])
    flat = rng.standard_normal((5, 4)), weight, np.array([3, 1, 1, 2, 3])
    return [
        ((x, weight, targets), {}),
        (flat, {}),
        ((x, weight, targets), {"reduction": "sum"}),
        ((x, weight, targets), {"position_weights": rng.random((2, 3))}),
        (flat, {"reduction": "sum"}),
        (flat, {"position_weights": rng.random(5)}),
    ]


def binary_cross_entropy(rng):
    """Losses over yes and no: mean, sum and weights of entries."""
    logits, targets = rng.standard_normal((2, 3, 5)), rng.random((2, 3, 5))
    return [
        ((logits, targets), {}),
        ((logits[0], targets[0]), {}),
        ((logits, targets), {"position_weights": rng.random((2, 3, 5))}),
        ((logits, targets), {"reduction": "sum"}),
        ((logits[0], targets[0]), {"reduction": "sum"}),
        ((logits[1], targets[1]), {"position_weights": rng.random((3, 5))}),
    ]


def gelu(rng):
    """The gelu in both its forms, and in the one it has by default."""
    x = 1.5 * rng.standard_normal((2, 3, 5))
    return [((x,), {}), ((x,), {"approximate": "tanh"}), ((x,), {"approximate": "none"})]


def recurrent(rng, n_gates, n_states):
    """Recurrent layers that return sequences or last states, with an initial state and padding.

    The first calls are of one step and of two: what is tried very often is tried there, and one
    step shows which part of a cell is wrong.
    """
    calls = []
    for batch, length, width, size in ((2, 1, 3, 2), (2, 2, 3, 2), (2, 5, 3, 4), (3, 4, 5, 2)):
        params = {
            name: {
                "weight": rng.standard_normal((n, n_gates * size)),
                "bias": rng.standard_normal(n_gates * size),
            }
            for name, n in (("input", width), ("hidden", size))
        }
        x = rng.standard_normal((batch, length, width))
        initial = rng.standard_normal((batch, n_states * size))
        mask = rng.random((batch, length)) < 0.7
        calls += [
            ((params, x, initial), {}),
            ((params, x), {}),
            ((params, x, initial), {"last": True}),
            ((params, x, initial), {"mask": mask}),
        ][: 1 if length < 3 else None]
    return calls


PROBES = {
    "linear": linear,
    "embedding": embedding,
    "relu": rows,
    "sigmoid": rows,
    "tanh": rows,
    "gelu": gelu,
    "softmax": softmax,
    "log_softmax": rows,
    "layer_norm": layer_norm,
    "dropout": dropout,
    "attention_weights": lambda rng: attention(rng, with_value=False),
    "scaled_dot_product_attention": attention,
    "multi_head_attention": multi_head_attention,
    "multi_head_attention_weights": lambda rng: multi_head_attention(rng, weights_only=True),
    "cross_entropy": cross_entropy,
    "linear_cross_entropy": linear_cross_entropy,
    "binary_cross_entropy_with_logits": binary_cross_entropy,
    "rnn": lambda rng: recurrent(rng, 1, 1),
    "gru": lambda rng: recurrent(rng, 3, 1),
    "lstm": lambda rng: recurrent(rng, 4, 2),
}
