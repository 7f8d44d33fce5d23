"""Other forms of an op: forward passes that are usual elsewhere, or that are usual mistakes.

Each is a function of a probe that gives an output, with words for it. One that is not another form
at a probe gives the right output there.
"""

import math
from collections.abc import Callable, Iterator
from functools import partial
from itertools import permutations

import numpy as np

from attention_from_scratch import ops
from attention_from_scratch.ops.attention import merge_heads, split_heads

Form = tuple[str, Callable]


def forms_of(op: str | None) -> Iterator[Form]:
    """The (words, function of a probe) of every other form of an op of `ops`, by its name."""
    return FORMS[op]() if op in FORMS else iter(())


def weights_of(scores, mask, axis=-1):
    """The softmax of scores under a mask."""
    return ops.softmax(scores, axis=axis, where=None if mask is None else mask)[0]


def attention(probe, *, form):
    """Attention with one thing done in another way; the op that stops at the weights as well."""
    query, key, *values = probe.inputs
    keywords = probe.keywords
    mask, scale = keywords.get("mask"), keywords.get("scale")
    scale = 1 / math.sqrt(query.shape[-1]) if scale is None else scale
    scores = scale * (query @ key.swapaxes(-1, -2))
    if mask is not None:
        mask = np.broadcast_to(mask, scores.shape)
    weights = FORMS_OF_WEIGHTS[form](scores, mask)
    return weights * dropout_of(keywords) @ values[0] if values else weights


def dropout_of(keywords):
    """What dropout multiplies the weights by."""
    keep = keywords.get("keep")
    return 1 if keep is None else keep / (1 - keywords["dropout_p"])


def dropped(probe, *, form):
    """Attention whose dropout is done in another way."""
    query, key, value = probe.inputs
    keywords = {name: probe.keywords.get(name) for name in ("mask", "scale")}
    keep, p = probe.keywords.get("keep"), probe.keywords.get("dropout_p", 0.0)
    weights, _ = ops.attention_weights(query, key, **keywords)
    return (weights if keep is None else FORMS_OF_DROPOUT[form](weights, keep, p)) @ value


FORMS_OF_DROPOUT = {
    "what dropout keeps is not divided by 1 - p": lambda w, keep, p: w * keep,
    "the mask of dropout is inverted": lambda w, keep, p: w * ~keep / (1 - p),
    "dropout is not applied": lambda w, keep, p: w,
    "what dropout keeps is divided by p, not by 1 - p": lambda w, keep, p: w * keep / p,
    "dropout hides scores before the softmax, not weights after it": (
        lambda w, keep, p: ops.softmax(np.log(np.where(w == 0, 1, w)), where=(w != 0) & keep)[0]
    ),
    "weights are divided by their sums again after dropout": lambda w, keep, p: np.divide(
        w * keep, np.maximum((w * keep).sum(axis=-1, keepdims=True), 1e-300)
    ),
}


def dropped_scores(probe):
    """Attention whose scores go through dropout, before the softmax."""
    query, key, value = probe.inputs
    scale = probe.keywords.get("scale")
    scale = 1 / math.sqrt(query.shape[-1]) if scale is None else scale
    scores = scale * (query @ key.swapaxes(-1, -2)) * dropout_of(probe.keywords)
    return weights_of(scores, probe.keywords.get("mask")) @ value


def attention_of_values_forms() -> Iterator[Form]:
    """The other forms of attention to values."""
    yield from attention_forms()
    yield "is what comes if dropout acts on the scores, not on the weights", dropped_scores
    for form in FORMS_OF_DROPOUT:
        yield f"is what comes if {form}", partial(dropped, form=form)


def added(scores, mask, hidden):
    """The softmax of scores in which a number is put where the mask hides."""
    return weights_of(scores if mask is None else np.where(mask, scores, hidden), None)


FORMS_OF_WEIGHTS = {
    "the softmax runs over the queries, not over the keys": lambda s, m: weights_of(s, m, -2),
    "the mask is inverted: True hides": lambda s, m: weights_of(s, None if m is None else ~m),
    "the mask is not applied": lambda s, m: weights_of(s, None),
    "weights are masked after the softmax, and rows no longer add up to 1": lambda s, m: (
        weights_of(s, None) * (1 if m is None else m)
    ),
    "masked scores are 0, not -inf": lambda s, m: added(s, m, 0),
    "masked scores are a large negative number, and a row that sees nothing sees all alike": (
        lambda s, m: added(s, m, -1e30)
    ),
}


def attention_forms() -> Iterator[Form]:
    """The other forms of attention."""
    for form in FORMS_OF_WEIGHTS:
        yield f"is what comes if {form}", partial(attention, form=form)


def split_by_reshape(x, n_heads):
    """Heads taken by a reshape alone: positions and heads are mixed up."""
    *batch, length, width = x.shape
    return x.reshape(*batch, n_heads, length, width // n_heads)


def split_interleaved(x, n_heads):
    """Head h has every column h, h + H, ..."""
    *batch, length, width = x.shape
    return np.moveaxis(x.reshape(*batch, length, width // n_heads, n_heads), -1, -3)


def merge_by_reshape(heads):
    """Heads laid side by side by a reshape alone."""
    *batch, n_heads, length, width = heads.shape
    return heads.reshape(*batch, length, n_heads * width)


def merge_interleaved(heads):
    """Columns of all heads in turn."""
    *batch, n_heads, length, width = heads.shape
    return np.moveaxis(heads, -3, -1).reshape(*batch, length, n_heads * width)


def many_heads(probe, *, split=split_heads, merge=merge_heads, order=(0, 1, 2), mask=True):
    """Multi-head attention with one thing done in another way."""
    params, *sources = probe.inputs
    keywords = dict(probe.keywords)
    n_heads, given = keywords.pop("n_heads"), keywords.pop("mask", None)
    if given is not None and mask:
        keywords["mask"] = given[..., None, :, :] if given.ndim > 2 else given
    names = ("query", "key", "value")
    heads = [
        split(ops.project(params[names[i]], x)[0], n_heads)
        for i, x in zip(order, sources, strict=True)
    ]
    merged = merge(ops.scaled_dot_product_attention(*heads, **keywords)[0])
    return ops.project(params["output"], merged)[0]


MANY_HEADS = {
    "heads are split by a reshape alone, with no axes exchanged": {"split": split_by_reshape},
    "heads are merged by a reshape alone, with no axes exchanged": {"merge": merge_by_reshape},
    "heads are split and merged by a reshape alone": {
        "split": split_by_reshape,
        "merge": merge_by_reshape,
    },
    "head h takes the columns h, h + H, ... (interleaved)": {"split": split_interleaved},
    "heads are merged column by column in turn (interleaved)": {"merge": merge_interleaved},
    "heads are interleaved, split and merged": {
        "split": split_interleaved,
        "merge": merge_interleaved,
    },
    "the mask is not applied": {"mask": False},
    "the projections of query and key are exchanged": {"order": (1, 0, 2)},
    "the projections of key and value are exchanged": {"order": (0, 2, 1)},
    "the projections of query and value are exchanged": {"order": (2, 1, 0)},
}


def many_heads_forms() -> Iterator[Form]:
    """The other forms of multi-head attention."""
    for words, changes in MANY_HEADS.items():
        yield f"is what comes if {words}", partial(many_heads, **changes)


def sigmoid(a):
    """The logistic function."""
    return 1 / (1 + np.exp(-a))


def rnn_step(a_x, a_h, h, *, activation=np.tanh, **_):
    """One step of an Elman network."""
    return activation(a_x + a_h)


def gru_step(
    a_x, a_h, h, *, order=(0, 1, 2), w=None, b=0.0, before=False, other_z=False, apart=False
):
    """One step of a GRU; `before` resets the state before the product with w."""
    x, r_h = np.split(a_x, 3, axis=-1), np.split(a_h, 3, axis=-1)
    (x_r, x_z, x_n), (h_r, h_z, h_n) = ([a[i] for i in order] for a in (x, r_h))
    r, z = sigmoid(x_r + h_r), sigmoid(x_z + h_z)
    inner = r * h_n
    if apart:  # the bias of the candidate is added beside r
        b_n = np.split(b * np.ones(a_h.shape[-1]), 3)[order[2]]
        inner = r * (h_n - b_n) + b_n
    if before:
        w_n = np.split(w, 3, axis=-1)[order[2]]
        b_n = np.split(b * np.ones(w.shape[-1]), 3)[order[2]]
        inner = (r * h) @ w_n + b_n
    n = np.tanh(x_n + inner)
    return z * n + (1 - z) * h if other_z else (1 - z) * n + z * h


def lstm_step(a_x, a_h, state, *, order=(0, 1, 2, 3), read=np.tanh, coupled=False, more=0.0, **_):
    """One step of an LSTM."""
    _, cell = np.split(state, 2, axis=-1)
    gates = np.split(a_x + a_h, 4, axis=-1)
    i, f, g, o = (gates[k] for k in order)
    i, f, o, g = sigmoid(i), sigmoid(f + more), sigmoid(o), np.tanh(g)
    new = ((1 - i) if coupled else f) * cell + i * g
    return np.concatenate([o * read(new), new], axis=-1)


def run(probe, *, step, masked="all", bias=True, backwards=False, late=False, **changes):
    """A recurrent layer with one thing done in another way.

    `masked` is what the mask does: "all", "state" (the output at padding is the state), "output"
    (the state is updated at padding as well) or "" (nothing). `late` gives the state before a step.
    """
    params, x, initial = (*probe.inputs, None)[:3]
    (w_x, b_x), (w_h, b_h) = ((params[n]["weight"], params[n]["bias"]) for n in ("input", "hidden"))
    batch, length, _ = x.shape
    size = len(w_h)
    n_states = 2 if step is lstm_step else 1
    state = np.zeros((batch, n_states * size)) if initial is None else initial
    mask = probe.keywords.get("mask")
    real = np.broadcast_to(True if mask is None else mask, (batch, length))[..., None]
    outputs = np.zeros((batch, length, size))
    b_x, b_h = (0 if b is None else b for b in (b_x, b_h))
    for t in reversed(range(length)) if backwards else range(length):
        a_h = state[:, :size] @ w_h + (b_h if bias else 0)
        new = step(x[:, t] @ w_x + b_x, a_h, state, w=w_h, b=b_h, **changes)
        before, state = state, np.where(real[:, t] | (masked in ("output", "")), new, state)
        told = before if late else state
        outputs[:, t] = np.where(real[:, t] | (masked in ("state", "")), told[:, :size], 0)
    return state[:, :size] if probe.keywords.get("last", False) else outputs


OF_ALL_CELLS = {
    "padded steps change the state like real ones": {"masked": "output"},
    "the mask does nothing": {"masked": ""},
    "the output at padded steps is the state, not 0": {"masked": "state"},
    "the recurrent bias is left out": {"bias": False},
    "the sequence is walked from its end": {"backwards": True},
    "the output is the state before a step, not after it": {"late": True},
}
OF_RNN = {
    "the activation is sigmoid, not tanh": {"activation": sigmoid},
    "the activation is relu, not tanh": {"activation": lambda a: np.maximum(a, 0)},
    "there is no activation": {"activation": lambda a: a},
}
OF_GRU = {
    "the reset gate acts on the state before the product, tanh(x W + (r h) W_hn + b), not after": {
        "before": True
    },
    "the recurrent bias of the candidate is not multiplied by r: r (h W_hn) + b": {"apart": True},
    "z and 1 - z are exchanged: h' = z n + (1 - z) h": {"other_z": True},
}
OF_LSTM = {
    "the cell is read without its tanh, h' = o c'": {"read": lambda c: c},
    "the cell is read by a sigmoid, not a tanh": {"read": sigmoid},
    "input and forget gate are coupled, f = 1 - i": {"coupled": True},
    "1 is added to the forget gate before its sigmoid": {"more": 1.0},
}


def recurrent_forms(step, of_cell, n_gates) -> Iterator[Form]:
    """The other forms of a recurrent layer."""
    for words, changes in (of_cell | OF_ALL_CELLS).items():
        yield f"is what comes if {words}", partial(run, step=step, **changes)
    names = {3: "rzn", 4: "ifgo"}.get(n_gates, "")
    for order in permutations(range(len(names))):
        if order != tuple(range(len(names))):
            where = [names[order.index(k)] for k in range(len(names))]
            words = f"is what comes if the gates stand in the order {', '.join(where)}"
            words += f", not {', '.join(names)}"
            yield words, partial(run, step=step, order=order)


def cross_entropy(probe, *, other_classes):
    """Cross-entropy whose smoothing is spread over the other classes alone."""
    logits, targets = probe.inputs
    keywords = dict(probe.keywords)
    smoothing = keywords.pop("label_smoothing", 0.0)
    n_classes = logits.shape[-1]
    share = smoothing * n_classes / (n_classes - 1) if other_classes else 0.0
    return ops.cross_entropy(logits, targets, **keywords, label_smoothing=share)[0]


def losses_forms() -> Iterator[Form]:
    """The other forms of cross-entropy."""
    words = "label smoothing is spread over the V - 1 other classes, e / (V - 1), not over all V"
    yield f"is what comes if {words}", partial(cross_entropy, other_classes=True)
    words = "label smoothing is not applied"
    yield f"is what comes if {words}", partial(cross_entropy, other_classes=False)


FORMS = {
    "attention_weights": attention_forms,
    "scaled_dot_product_attention": attention_of_values_forms,
    "multi_head_attention": many_heads_forms,
    "rnn": partial(recurrent_forms, rnn_step, OF_RNN, 1),
    "gru": partial(recurrent_forms, gru_step, OF_GRU, 3),
    "lstm": partial(recurrent_forms, lstm_step, OF_LSTM, 4),
    "cross_entropy": losses_forms,
}
