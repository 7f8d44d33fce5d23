"""A case for every op: inputs at which its gradients are checked."""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from attention_from_scratch import ops
from attention_from_scratch.verify.gradients import GradientReport, check_gradients


@dataclass(frozen=True)
class Case:
    """An op, its positional inputs and its keywords, under a name.

    `projections` is that of `check_gradients`: along how many directions each parameter is moved,
    where there are too many entries to move one by one; None: all of them.
    """

    op: Callable
    inputs: tuple
    keywords: dict = field(default_factory=dict)
    note: str = ""
    name: str = ""
    projections: int | None = None

    @property
    def title(self) -> str:
        """The name of the case, which is that of its op unless it has one of its own."""
        return self.name or self.op.__name__

    def check(self, **settings) -> GradientReport:
        """Run `check_gradients` on this case."""
        settings = {"projections": self.projections} | settings
        return check_gradients(self.op, *self.inputs, **self.keywords, **settings)


class Draw:
    """Random inputs of one dtype."""

    def __init__(self, seed: int, dtype: str):
        self.rng, self.dtype = np.random.default_rng(seed), dtype

    def normal(self, *shape):
        """An array of standard normal numbers."""
        return self.rng.standard_normal(shape).astype(self.dtype)

    def uniform(self, *shape):
        """An array of random numbers from 0 to 1."""
        return self.rng.random(shape).astype(self.dtype)

    def flags(self, *shape):
        """An array of booleans, each True with probability 0.6."""
        return self.rng.random(shape) < 0.6

    def off_zero(self, *shape):
        """An array of numbers at least 0.1 away from 0, where relu has no derivative."""
        x = self.normal(*shape)
        return x + np.sign(x).astype(self.dtype) / 10

    def affine(self, n_in, n_out, scale=1.0):
        """Random parameters of a linear map."""
        return {"weight": scale * self.normal(n_in, n_out), "bias": scale * self.normal(n_out)}


def op_cases(seed: int = 0, dtype: str = "float64") -> list[Case]:
    """Cases of all ops, in the forms that matter.

    Dimensions differ wherever the op lets them, so that a swapped axis shows.
    """
    draw = Draw(seed, dtype)
    families = (
        table_cases,
        elementwise_cases,
        row_cases,
        loss_cases,
        attention_cases,
        multi_head_cases,
        recurrent_cases,
        catalogue_cases,
        uneven_head_cases,
        reset_before_cases,
    )
    return [case for family in families for case in family(draw)]


def table_cases(draw: Draw) -> list[Case]:
    """Cases of linear and embedding."""
    x, ids = draw.normal(2, 3, 5), np.array([[1, 4, 0, 1], [2, 2, 2, 0]])
    return [
        Case(ops.linear, (x, *draw.affine(5, 4).values()), note="bias"),
        Case(ops.linear, (x, draw.normal(5, 4)), note="no bias"),
        Case(ops.embedding, (ids, draw.normal(6, 3)), note="repeated ids, padding"),
        Case(ops.embedding, (ids, draw.normal(6, 3)), {"padding_id": None}, "no padding"),
        Case(ops.embedding, (ids[0], draw.normal(6, 3)), note="no batch"),
    ]


def elementwise_cases(draw: Draw) -> list[Case]:
    """Cases of the activations."""
    x = draw.normal(2, 3, 5)
    return [
        Case(ops.relu, (draw.off_zero(3, 4),)),
        Case(ops.relu, (draw.off_zero(2, 1, 5),), note="length 1"),
        Case(ops.sigmoid, (3 * x,)),
        Case(ops.sigmoid, (3 * x[0],), note="no batch"),
        Case(ops.tanh, (x,)),
        Case(ops.tanh, (x[0],), note="no batch"),
        Case(ops.gelu, (2 * x,), {"approximate": "none"}, "exact"),
        Case(ops.gelu, (2 * x,), {"approximate": "tanh"}, "tanh"),
        Case(ops.gelu, (2 * x[:, :1],), {"approximate": "none"}, "exact, length 1"),
    ]


def row_cases(draw: Draw) -> list[Case]:
    """Cases of softmax, log_softmax, layer_norm and dropout."""
    x, weight, bias = draw.normal(2, 3, 5), draw.normal(5), draw.normal(5)
    return [
        Case(ops.softmax, (x,), note="last axis"),
        Case(ops.softmax, (x[0, 0],), note="one row"),
        Case(ops.softmax, (x,), {"axis": 1}, "middle axis"),
        Case(ops.softmax, (x,), {"where": draw.flags(3, 5)}, "where"),
        Case(ops.log_softmax, (x,)),
        Case(ops.log_softmax, (x[0, 0],), note="one row"),
        Case(ops.layer_norm, (x, weight, bias), note="eps 1e-5"),
        Case(ops.layer_norm, (x, None, None), {"eps": 1e-8}, "no weight, eps 1e-8"),
        Case(ops.layer_norm, (x, weight, None), note="no bias"),
        Case(ops.layer_norm, (x, None, bias), note="bias alone"),
        Case(ops.dropout, (x,), {"p": 0.4, "keep": draw.flags(2, 3, 5)}),
        Case(ops.dropout, (x[0],), {"p": 0.4, "keep": draw.flags(3, 5)}, "no batch"),
    ]


def loss_cases(draw: Draw) -> list[Case]:
    """Cases of both cross-entropies."""
    logits, targets = draw.normal(2, 3, 7), np.array([[3, 0, 5], [3, 6, 2]])
    none, both = np.full((2, 3), -1), {"label_smoothing": 0.1, "ignore_index": 2}

    def case(note, targets=targets, **keywords):
        return Case(ops.cross_entropy, (logits, targets), keywords, note)

    answers, weights = draw.uniform(2, 3, 7), draw.uniform(2, 3, 7)
    binary = ops.binary_cross_entropy_with_logits
    return [
        case("mean"),
        Case(ops.cross_entropy, (logits[0], targets[0]), note="no batch"),
        case("sum", reduction="sum"),
        case("ignore", ignore_index=3),
        case("label smoothing", label_smoothing=0.1),
        case("weighted", position_weights=draw.uniform(2, 3)),
        case("label smoothing, ignore", **both),
        case("all ignored", none, ignore_index=-1),
        Case(binary, (logits, answers), note="mean"),
        Case(binary, (logits[:, :1], answers[:, :1]), note="length 1"),
        Case(binary, (logits, answers), {"position_weights": weights}, "weighted"),
        Case(binary, (logits, answers), {"reduction": "sum"}, "sum"),
    ]


PADDING = ops.padding_mask(np.array([[0, 0, 1, 2, 3], [0, 1, 1, 1, 1]]))


def attention_cases(draw: Draw) -> list[Case]:
    """Cases of attention and of its weights alone, with every kind of mask."""
    normal = draw.normal
    query, key, value, memory = normal(2, 3, 4), normal(2, 6, 4), normal(2, 6, 5), normal(2, 5, 6)
    hidden_row = draw.flags(3, 6)
    hidden_row[1] = False
    keep = draw.flags(2, 3, 6)
    apart = normal(2, 3, 1, 4), normal(2, 3, 5, 4), normal(2, 3, 5, 6)
    short = normal(2, 1, 7), normal(2, 1, 7), normal(2, 1, 3)

    def weights(note, *inputs, **keywords):
        return Case(ops.attention_weights, inputs, keywords, note)

    def case(note, *inputs, **keywords):
        return Case(ops.scaled_dot_product_attention, inputs, keywords, note)

    return [
        weights("cross", query, key),
        weights("no batch, a blind query", query[0], key[0], mask=hidden_row),
        case("cross", query, key, value),
        case("causal", memory, memory, memory, mask=ops.causal_mask(5)),
        case("local", memory, memory, memory, mask=ops.local_mask(5, 2)),
        case("padding", memory, memory, memory, mask=PADDING),
        case("a query that sees nothing", query, key, value, mask=hidden_row),
        case("broadcast, no scale", query, key[:1], value[0], scale=1.0),
        case("dropout", query, key, value, dropout_p=0.3, keep=keep),
        case("more values than weights", query[0], key[0], value),
        case("no batch", *[normal(5, 3)] * 3, mask=ops.causal_mask(5)),
        case("one query", *apart),
        case("length 1", *short),
    ]


def multi_head_cases(draw: Draw) -> list[Case]:
    """Cases of attention with one, two and three heads, and of the weights inside."""
    heads = {name: draw.affine(6, 6) for name in ("query", "key", "value", "output")}
    query_and_key = {name: heads[name] for name in ("query", "key")}
    wide, memory = draw.normal(2, 4, 6), draw.normal(2, 5, 6)
    blind = draw.flags(2, 4, 5)
    blind[1, 2] = False
    causal, keep = ops.causal_mask(5) & PADDING, draw.flags(2, 2, 4, 5)

    def case(note, source, target, n_heads, params=heads, **keywords):
        inputs = (params, source, target, target)
        return Case(ops.multi_head_attention, inputs, {"n_heads": n_heads, **keywords}, note)

    def weights(note, source, n_heads, **keywords):
        inputs, keywords = (query_and_key, source, memory), {"n_heads": n_heads, **keywords}
        return Case(ops.multi_head_attention_weights, inputs, keywords, note)

    return [
        case("1 head", wide, wide, 1),
        case("3 heads", wide, memory, 3),
        case("2 heads, causal, padding", memory, memory, 2, mask=causal),
        case("2 heads, local", memory, memory, 2, mask=ops.local_mask(5, 2)),
        case("dropout", wide, memory, 2, dropout_p=0.3, keep=keep),
        case("3 heads, a query sees nothing", wide, memory, 3, mask=blind),
        case("no output projection", wide, memory, 2, heads | {"output": None}),
        weights("padding", wide, 3, mask=PADDING),
        weights("length 1", wide[:, :1], 2),
        weights("a query that sees nothing", wide, 3, mask=blind),
    ]


def recurrent_cases(draw: Draw) -> list[Case]:
    """Cases of rnn, gru and lstm: sequences, last states, an initial state or none, padding."""
    mask = np.array([[False, True, True, False, True], [True] * 5])
    cases = []
    for op, n_gates, n_states in ((ops.rnn, 1, 1), (ops.gru, 3, 1), (ops.lstm, 4, 2)):
        # Not larger: where tanh saturates, 1 - h^2 of the frameworks keeps few digits of float32.
        params = {
            "input": draw.affine(3, 4 * n_gates, scale=0.7),
            "hidden": draw.affine(4, 4 * n_gates, scale=0.7),
        }
        bare = {name: {"weight": linear["weight"], "bias": None} for name, linear in params.items()}
        x, initial = 0.7 * draw.normal(2, 5, 3), 0.7 * draw.normal(2, 4 * n_states)
        cases += [
            Case(op, (params, x, initial), note="sequence"),
            Case(op, (params, x, initial), {"last": True}, "last state"),
            Case(op, (params, x), {"mask": mask}, "padding"),
            Case(op, (params, x, initial), {"mask": mask, "last": True}, "padding, last state"),
            Case(op, (bare, x[:, :1]), note="no bias, one step"),
        ]
    return cases


def catalogue_cases(draw: Draw) -> list[Case]:
    """Cases of the cross-entropy of a linear map."""
    x, weight, targets = draw.normal(2, 3, 4), draw.normal(4, 7), np.array([[3, 0, 5], [3, 6, 2]])

    def case(note, x=x, targets=targets, **keywords):
        return Case(ops.linear_cross_entropy, (x, weight, targets), keywords, note)

    return [
        case("mean"),
        case("no batch", x[0], targets[0]),
        case("sum", reduction="sum"),
        case("weighted", position_weights=draw.uniform(2, 3)),
    ]


def uneven_head_cases(draw: Draw) -> list[Case]:
    """A case of heads whose queries, keys and values differ in width, before and after the maps."""
    shapes = {"query": (6, 9), "key": (5, 9), "value": (7, 12), "output": (12, 8)}
    params = {name: draw.affine(*shape) for name, shape in shapes.items()}
    inputs = params, draw.normal(2, 4, 6), draw.normal(2, 5, 5), draw.normal(2, 5, 7)
    return [Case(ops.multi_head_attention, inputs, {"n_heads": 3}, "widths that differ")]


def reset_before_cases(draw: Draw) -> list[Case]:
    """Cases of a gru whose reset gate acts before the product."""
    mask = np.array([[False, True, True, False, True], [True] * 5])
    params = {
        "input": draw.affine(3, 12, scale=0.7),
        "hidden": draw.affine(4, 8, scale=0.7),
        "candidate": draw.affine(4, 4, scale=0.7),
    }
    bare = {name: {"weight": linear["weight"], "bias": None} for name, linear in params.items()}
    x, initial = 0.7 * draw.normal(2, 5, 3), 0.7 * draw.normal(2, 4)
    return [
        Case(ops.gru, (params, x, initial), note="reset before"),
        Case(ops.gru, (params, x), {"mask": mask}, "reset before, padding"),
        Case(ops.gru, (bare, x), {"last": True}, "reset before, no bias, last state"),
    ]
