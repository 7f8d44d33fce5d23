"""The package's recurrent ops over two or three steps, with a tree of parameters."""

from collections.abc import Callable

import mpmath
import numpy as np

from attention_from_scratch import ops
from tests.verify.random_functions import exactly
from tests.verify.random_functions.drawing import Drawing
from tests.verify.random_functions.families.reductions import has_axis
from tests.verify.random_functions.families.shapes import reshaped
from tests.verify.random_functions.primitive import Primitive, family, named

PARAMETERS = "{{{0}, {1}, {2}, {3}}}"  # how a formula writes the tree of the four of them


@family()
def rnn(draw: Drawing) -> int:
    return recurrent(draw, "rnn", ops.rnn, exact_rnn, n_gates=1)


@family()
def gru(draw: Drawing) -> int:
    return recurrent(draw, "gru", ops.gru, exact_gru, n_gates=3)


@family()
def lstm(draw: Drawing) -> int:
    return recurrent(draw, "lstm", ops.lstm, exact_lstm, n_gates=4)


def recurrent(draw: Drawing, name: str, layer: Callable, cell: Callable, n_gates: int) -> int:
    """A layer with one number as its state, over an existing value; some steps masked sometimes."""
    x = draw.tame(draw.pick(lambda value: has_axis(value) and np.size(value) <= 6), 2)
    *_, length, width = 1, 1, *np.shape(draw.values[x])
    batch = np.size(draw.values[x]) // (length * width)
    x = reshaped(draw, x, (batch, length, width))
    slots = draw.leaves((width, n_gates), (n_gates,), (1, n_gates), (n_gates,))
    draw.tree(
        {
            "input": {"weight": slots[0], "bias": slots[1]},
            "hidden": {"weight": slots[2], "bias": slots[3]},
        }
    )
    settings = {"last": bool(draw.rng.random() < 0.5)}
    if draw.rng.random() < 0.4:
        settings["mask"] = draw.rng.random((batch, length)) < 0.6

    def op(w_input, b_input, w_hidden, b_hidden, x, **settings):
        params = {
            "input": {"weight": w_input, "bias": b_input},
            "hidden": {"weight": w_hidden, "bias": b_hidden},
        }
        output, back = layer(params, x, **settings)

        def backward(d_output):
            grads, d_x, _ = back(d_output)
            parts = ("input", "hidden")
            return *(grads[p][kind] for p in parts for kind in ("weight", "bias")), d_x

        return output, backward

    def exact(w_input, b_input, w_hidden, b_hidden, x, last, mask=None):
        gates = x @ w_input + b_input
        state = exactly.objects([mpmath.mpf(0)] * (2 * batch), (batch, 2))  # h, and c of an LSTM
        outputs = []
        for t in range(length):
            new = cell(gates[:, t], state[:, :1] @ w_hidden + b_hidden, state)
            here = np.ones((batch, 1), bool) if mask is None else mask[:, [t]]
            state = np.where(here, new, state)
            outputs.append(np.where(here, state[:, :1], mpmath.mpf(0)))
        return state[:, :1] if last else np.stack(outputs, axis=1)

    formula = f"ops.{name}({PARAMETERS}, {{4}}, {named(settings)})"
    return draw.add(Primitive(formula, op, exact), *slots, x, **settings)


def exact_rnn(given: np.ndarray, recalled: np.ndarray, state: np.ndarray) -> np.ndarray:
    return np.concatenate([exactly.tanh(given + recalled), state[:, 1:]], axis=1)


def exact_gru(given: np.ndarray, recalled: np.ndarray, state: np.ndarray) -> np.ndarray:
    r = exactly.sigmoid(given[:, :1] + recalled[:, :1])
    z = exactly.sigmoid(given[:, 1:2] + recalled[:, 1:2])
    n = exactly.tanh(given[:, 2:] + r * recalled[:, 2:])
    return np.concatenate([(1 - z) * n + z * state[:, :1], state[:, 1:]], axis=1)


def exact_lstm(given: np.ndarray, recalled: np.ndarray, state: np.ndarray) -> np.ndarray:
    i, f, g, o = np.split(given + recalled, 4, axis=1)
    write, keep, read = exactly.sigmoid(i), exactly.sigmoid(f), exactly.sigmoid(o)
    cell = keep * state[:, 1:] + write * exactly.tanh(g)
    return np.concatenate([read * exactly.tanh(cell), cell], axis=1)
