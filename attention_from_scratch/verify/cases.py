"""A case for every op: inputs at which its gradients are to be proven."""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from attention_from_scratch import ops
from attention_from_scratch.verify.gradients import GradientReport, check_gradients


@dataclass(frozen=True)
class Case:
    """An op, its positional inputs and its keywords, under a name."""

    op: Callable
    inputs: tuple
    keywords: dict = field(default_factory=dict)
    note: str = ""
    name: str = ""

    @property
    def title(self) -> str:
        """The op's name."""
        return self.name or self.op.__name__

    def check(self, **settings) -> GradientReport:
        """`check_gradients` of this case."""
        return check_gradients(self.op, *self.inputs, **self.keywords, **settings)


def op_cases(seed: int = 0, dtype: str = "float64") -> list[Case]:
    """All ops in the forms that matter.

    Dimensions differ wherever the op lets them, so that a swapped axis shows.
    """
    rng = np.random.default_rng(seed)

    def normal(*shape):
        return rng.standard_normal(shape).astype(dtype)

    def affine(n_in, n_out, bias=True):
        return {"weight": normal(n_in, n_out), "bias": normal(n_out) if bias else None}

    def flags(*shape):
        return rng.random(shape) < 0.6

    def off_zero(*shape):  # relu has no derivative at 0
        x = normal(*shape)
        return x + np.sign(x).astype(dtype) / 10

    x = normal(2, 3, 5)
    ids = np.array([[1, 4, 0, 1], [2, 2, 2, 0]])
    query, key, value = normal(2, 3, 4), normal(2, 6, 4), normal(2, 6, 5)
    causal = ops.causal_mask(6)
    hidden_row = flags(3, 6)
    hidden_row[1] = False
    heads = {name: affine(6, 6) for name in ("query", "key", "value", "output")}
    plain_heads = heads | {"output": None}
    query_and_key = {name: heads[name] for name in ("query", "key")}
    wide, memory = normal(2, 4, 6), normal(2, 5, 6)
    blind = flags(2, 4, 5)
    blind[1, 2] = False
    padding = ops.padding_mask(np.array([[0, 0, 1, 2, 3], [0, 1, 1, 1, 1]]))
    logits, targets = normal(2, 3, 7), np.array([[3, 0, 5], [3, 6, 2]])
    probabilities = rng.random((2, 3, 7)).astype(dtype)
    weights = rng.random((2, 3)).astype(dtype)
    entry_weights = rng.random((2, 3, 7)).astype(dtype)
    attention = ops.scaled_dot_product_attention
    cross_entropy, binary = ops.cross_entropy, ops.binary_cross_entropy_with_logits

    return [
        Case(ops.linear, (x, *affine(5, 4).values()), note="bias"),
        Case(ops.linear, (x, normal(5, 4)), note="no bias"),
        Case(ops.embedding, (ids, normal(6, 3)), note="repeated ids, padding"),
        Case(ops.embedding, (ids, normal(6, 3)), {"padding_id": None}, "no padding"),
        Case(ops.embedding, (ids[0], normal(6, 3)), note="no batch"),
        Case(ops.relu, (off_zero(3, 4),)),
        Case(ops.relu, (off_zero(2, 1, 5),), note="length 1"),
        Case(ops.sigmoid, (3 * x,)),
        Case(ops.sigmoid, (3 * x[0],), note="no batch"),
        Case(ops.tanh, (x,)),
        Case(ops.tanh, (x[0],), note="no batch"),
        Case(ops.gelu, (2 * x,), {"approximate": "none"}, "exact"),
        Case(ops.gelu, (2 * x,), {"approximate": "tanh"}, "tanh"),
        Case(ops.gelu, (2 * x[:, :1],), {"approximate": "none"}, "exact, length 1"),
        Case(ops.softmax, (x,), note="last axis"),
        Case(ops.softmax, (x[0, 0],), note="one row"),
        Case(ops.softmax, (x,), {"axis": 1}, "middle axis"),
        Case(ops.softmax, (x,), {"where": flags(3, 5)}, "where"),
        Case(ops.log_softmax, (x,)),
        Case(ops.log_softmax, (x[0, 0],), note="one row"),
        Case(ops.layer_norm, (x, normal(5), normal(5)), note="eps 1e-5"),
        Case(ops.layer_norm, (x, None, None), {"eps": 1e-8}, "no weight, eps 1e-8"),
        Case(ops.layer_norm, (x, normal(5), None), note="no bias"),
        Case(ops.layer_norm, (x, None, normal(5)), note="bias alone"),
        Case(ops.dropout, (x,), {"p": 0.4, "keep": flags(2, 3, 5)}),
        Case(ops.dropout, (x[0],), {"p": 0.4, "keep": flags(3, 5)}, "no batch"),
        Case(cross_entropy, (logits, targets), note="mean"),
        Case(cross_entropy, (logits[0], targets[0]), note="no batch"),
        Case(cross_entropy, (logits, targets), {"reduction": "sum"}, "sum"),
        Case(cross_entropy, (logits, targets), {"ignore_index": 3}, "ignore"),
        Case(cross_entropy, (logits, targets), {"label_smoothing": 0.1}, "label smoothing"),
        Case(cross_entropy, (logits, targets), {"position_weights": weights}, "weighted"),
        Case(
            cross_entropy,
            (logits, targets),
            {"label_smoothing": 0.1, "ignore_index": 2},
            "label smoothing, ignore",
        ),
        Case(cross_entropy, (logits, np.full((2, 3), -1)), {"ignore_index": -1}, "all ignored"),
        Case(binary, (logits, probabilities), note="mean"),
        Case(binary, (logits[:, :1], probabilities[:, :1]), note="length 1"),
        Case(binary, (logits, probabilities), {"position_weights": entry_weights}, "weighted"),
        Case(binary, (logits, probabilities), {"reduction": "sum"}, "sum"),
        Case(ops.attention_weights, (query, key), note="cross"),
        Case(
            ops.attention_weights,
            (query[0], key[0]),
            {"mask": hidden_row},
            "no batch, a blind query",
        ),
        Case(attention, (query, key, value), note="cross"),
        Case(attention, (memory, memory, memory), {"mask": causal[:5, :5]}, "causal"),
        Case(attention, (memory, memory, memory), {"mask": ops.local_mask(5, 2)}, "local"),
        Case(attention, (memory, memory, memory), {"mask": padding}, "padding"),
        Case(attention, (query, key, value), {"mask": hidden_row}, "a query that sees nothing"),
        Case(attention, (query, key[:1], value[0]), {"scale": 1.0}, "broadcast, no scale"),
        Case(
            attention,
            (query, key, value),
            {"dropout_p": 0.3, "keep": flags(2, 3, 6)},
            "dropout",
        ),
        Case(attention, (query[0], key[0], value), note="more values than weights"),
        Case(attention, (normal(5, 3),) * 3, {"mask": ops.causal_mask(5)}, "no batch"),
        Case(
            attention,
            (normal(2, 3, 1, 4), normal(2, 3, 5, 4), normal(2, 3, 5, 6)),
            note="one query",
        ),
        Case(attention, (normal(2, 1, 7), normal(2, 1, 7), normal(2, 1, 3)), note="length 1"),
        Case(ops.multi_head_attention, (heads, wide, wide, wide), {"n_heads": 1}, "1 head"),
        Case(ops.multi_head_attention, (heads, wide, memory, memory), {"n_heads": 3}, "3 heads"),
        Case(
            ops.multi_head_attention,
            (heads, memory, memory, memory),
            {"n_heads": 2, "mask": causal[:5, :5] & padding},
            "2 heads, causal, padding",
        ),
        Case(
            ops.multi_head_attention,
            (heads, memory, memory, memory),
            {"n_heads": 2, "mask": ops.local_mask(5, 2)},
            "2 heads, local",
        ),
        Case(
            ops.multi_head_attention,
            (heads, wide, memory, memory),
            {"n_heads": 2, "dropout_p": 0.3, "keep": flags(2, 2, 4, 5)},
            "dropout",
        ),
        Case(
            ops.multi_head_attention,
            (heads, wide, memory, memory),
            {"n_heads": 3, "mask": blind},
            "3 heads, a query sees nothing",
        ),
        Case(
            ops.multi_head_attention,
            (plain_heads, wide, memory, memory),
            {"n_heads": 2},
            "no output projection",
        ),
        Case(
            ops.multi_head_attention_weights,
            (query_and_key, wide, memory),
            {"n_heads": 3, "mask": padding},
            "padding",
        ),
        Case(
            ops.multi_head_attention_weights,
            (query_and_key, wide[:, :1], memory),
            {"n_heads": 2},
            "length 1",
        ),
        Case(
            ops.multi_head_attention_weights,
            (query_and_key, wide, memory),
            {"n_heads": 3, "mask": blind},
            "a query that sees nothing",
        ),
        *recurrent_cases(rng, dtype),
    ]


def recurrent_cases(rng, dtype: str) -> list[Case]:
    """rnn, gru and lstm: sequences and last states, with and without initial state and padding."""
    mask = np.array([[False, True, True, False, True], [True] * 5])
    cases = []
    for op, n_gates, n_states in ((ops.rnn, 1, 1), (ops.gru, 3, 1), (ops.lstm, 4, 2)):

        def normal(*shape):
            return (0.7 * rng.standard_normal(shape)).astype(dtype)

        params = {
            name: {"weight": normal(width, 4 * n_gates), "bias": normal(4 * n_gates)}
            for name, width in (("input", 3), ("hidden", 4))
        }
        bare = {name: {"weight": linear["weight"], "bias": None} for name, linear in params.items()}
        x, initial = normal(2, 5, 3), normal(2, 4 * n_states)
        cases += [
            Case(op, (params, x, initial), note="sequence"),
            Case(op, (params, x, initial), {"last": True}, "last state"),
            Case(op, (params, x), {"mask": mask}, "padding"),
            Case(op, (params, x, initial), {"mask": mask, "last": True}, "padding, last state"),
            Case(op, (bare, x[:, :1]), note="no bias, one step"),
        ]
    return cases
