"""Other forms of recurrent layers: other gates, other paths of the state, other use of a mask."""

from collections.abc import Iterator
from functools import partial
from itertools import permutations

import numpy as np

from attention_from_scratch.verify.doctor.forms.form import Form


def sigmoid(a):
    """The logistic function."""
    return 1 / (1 + np.exp(-a))


def clipped(a):
    """What is between -1 and 1."""
    return np.clip(a, -1, 1)


def rnn_step(a_x, a_h, h, *, activation=np.tanh, **_):
    """One step of an Elman network."""
    return activation(a_x + a_h)


def gru_step(
    a_x,
    a_h,
    h,
    *,
    order=(0, 1, 2),
    w=None,
    b=0.0,
    before=False,
    other_z=False,
    apart=False,
    no_reset=False,
    candidate=np.tanh,
):
    """One step of a GRU; `before` resets the state before the product with w."""
    x, r_h = np.split(a_x, 3, axis=-1), np.split(a_h, 3, axis=-1)
    (x_r, x_z, x_n), (h_r, h_z, h_n) = ([a[i] for i in order] for a in (x, r_h))
    r, z = sigmoid(x_r + h_r), sigmoid(x_z + h_z)
    inner = h_n if no_reset else r * h_n
    if apart:  # the bias of the candidate is added beside r
        b_n = np.split(b * np.ones(a_h.shape[-1]), 3)[order[2]]
        inner = r * (h_n - b_n) + b_n
    if before:
        w_n = np.split(w, 3, axis=-1)[order[2]]
        b_n = np.split(b * np.ones(w.shape[-1]), 3)[order[2]]
        inner = (r * h) @ w_n + b_n
    n = candidate(x_n + inner)
    return z * n + (1 - z) * h if other_z else (1 - z) * n + z * h


def lstm_step(
    a_x,
    a_h,
    state,
    *,
    order=(0, 1, 2, 3),
    read=np.tanh,
    coupled=False,
    more=0.0,
    candidate=np.tanh,
    forgets=True,
    **_,
):
    """One step of an LSTM."""
    _, cell = np.split(state, 2, axis=-1)
    gates = np.split(a_x + a_h, 4, axis=-1)
    i, f, g, o = (gates[k] for k in order)
    i, f, o, g = sigmoid(i), sigmoid(f + more) if forgets else 1.0, sigmoid(o), candidate(g)
    new = ((1 - i) if coupled else f) * cell + i * g
    return np.concatenate([o * read(new), new], axis=-1)


def run(
    probe, *, step, masked="all", bias=True, backwards=False, late=False, from_zero=False, **changes
):
    """A recurrent layer with one thing done in another way.

    `masked` is what the mask does: "all", "state" (the output at padding is the state), "output"
    (the state is updated at padding as well), "reset" (the state is 0 after it) or "" (nothing).
    `late` gives the state before a step.
    """
    params, x, initial = (*probe.inputs, None)[:3]
    (w_x, b_x), (w_h, b_h) = ((params[n]["weight"], params[n]["bias"]) for n in ("input", "hidden"))
    batch, length, _ = x.shape
    size = len(w_h)
    n_states = 2 if step is lstm_step else 1
    state = np.zeros((batch, n_states * size)) if initial is None or from_zero else initial
    mask = probe.keywords.get("mask")
    real = np.broadcast_to(True if mask is None else mask, (batch, length))[..., None]
    outputs = np.zeros((batch, length, size))
    b_x, b_h = (0 if b is None else b for b in (b_x, b_h))
    for t in reversed(range(length)) if backwards else range(length):
        a_h = state[:, :size] @ w_h + (b_h if bias else 0)
        new = step(x[:, t] @ w_x + b_x, a_h, state, w=w_h, b=b_h, **changes)
        kept = 0 * state if masked == "reset" else state
        before, state = state, np.where(real[:, t] | (masked in ("output", "")), new, kept)
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
    "the state is set to 0 at padded steps, not kept": {"masked": "reset"},
    "the initial state is not used": {"from_zero": True},
}
OF_RNN = {
    "the activation is sigmoid, not tanh": {"activation": sigmoid},
    "the activation is relu, not tanh": {"activation": lambda a: np.maximum(a, 0)},
    "there is no activation": {"activation": lambda a: a},
    "the activation is sin, not tanh": {"activation": np.sin},
    "the activation is a softsign, a / (1 + |a|)": {"activation": lambda a: a / (1 + np.abs(a))},
    "the activation is a hard tanh, cut off at -1 and 1": {"activation": clipped},
    "the activation is a softplus, log(1 + exp(a))": {"activation": lambda a: np.log1p(np.exp(a))},
}
OF_GRU = {
    "the reset gate acts on the state before the product, tanh(x W + (r h) W_hn + b), not after": {
        "before": True
    },
    "the recurrent bias of the candidate is not multiplied by r: r (h W_hn) + b": {"apart": True},
    "z and 1 - z are exchanged: h' = z n + (1 - z) h": {"other_z": True},
    "the reset gate is not used: n = tanh(x W + h W_hn + b)": {"no_reset": True},
    "the candidate is a sigmoid, not a tanh": {"candidate": sigmoid},
    "the candidate is a relu, not a tanh": {"candidate": lambda a: np.maximum(a, 0)},
}
OF_LSTM = {
    "the cell is read without its tanh, h' = o c'": {"read": lambda c: c},
    "the cell is read by a sigmoid, not a tanh": {"read": sigmoid},
    "input and forget gate are coupled, f = 1 - i": {"coupled": True},
    "1 is added to the forget gate before its sigmoid": {"more": 1.0},
    "there is no forget gate: c' = c + i g": {"forgets": False},
    "the candidate is a sigmoid, not a tanh": {"candidate": sigmoid},
}


def recurrent_forms(step, of_cell, n_gates, probes) -> Iterator[Form]:
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
