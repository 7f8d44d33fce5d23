"""Wrong ways back through time: cells whose backward pass leaves something out.

A wrong cell is run by the right `through_time`, which gives what the whole mistake would compute.
"""

from collections.abc import Iterator
from itertools import permutations

import numpy as np

from attention_from_scratch.ops.linear import linear
from attention_from_scratch.ops.recurrent import through_time
from attention_from_scratch.tree import tree_leaves


def recurrent_mistakes(make_cell, n_gates: int, n_states: int):
    """The mistakes of one layer, as a function of a probe; `make_cell` makes its wrong cells."""

    def mistakes(probe) -> Iterator:
        params, x, initial = (*probe.inputs, None)[:3]
        mask, last = probe.keywords.get("mask"), probe.keywords.get("last", False)

        def gradients_of(cell):
            sizes = {"n_gates": n_gates, "n_states": n_states}
            _, backward = through_time(cell, params, x, initial, mask, last, **sizes)
            grads, d_x, d_initial = backward(probe.d_output)
            named = {f"d_params.{path}": leaf for path, leaf in tree_leaves(grads)}
            named["d_x"] = d_x
            return named if initial is None else named | {"d_initial": d_initial}

        for mistake, switches in make_cell.switches:
            yield mistake, gradients_of(make_cell(**switches))
        for order in permutations(range(n_gates)):
            if order != tuple(range(n_gates)):
                yield "gates_wrong_order", gradients_of(make_cell(order=order))
                yield "gates_wrong_order", reordered(probe.right, order)
        yield from steps_of_bias(probe, gradients_of, make_cell)

    return mistakes


def reordered(right: dict, order) -> dict:
    """The right gradients of the parameters with their gates exchanged."""
    parameters = {name: g for name, g in right.items() if name.startswith("d_params")}
    return {
        name: np.concatenate([np.split(g, len(order), axis=-1)[i] for i in order], axis=-1)
        for name, g in parameters.items()
    }


def steps_of_bias(probe, gradients_of, make_cell) -> Iterator:
    """The gradient of the recurrent weights of one step alone, not summed over time."""
    length = probe.inputs[1].shape[1]
    for kept in (0, length - 1):
        found = gradients_of(make_cell(counted=countdown(length, kept)))
        hidden = {n: g for n, g in found.items() if n.startswith("d_params.hidden")}
        yield "bias_not_summed", hidden
        yield "bias_not_summed", {n: g for n, g in hidden.items() if n.endswith("bias")}


def countdown(length: int, kept: int):
    """A function to call at every step, from the last on, that says whether it is the one kept."""
    steps = iter(reversed(range(length)))
    return lambda: next(steps) == kept


def wrong_cell(derivatives):
    """A maker of wrong cells, from `derivatives(gates, recurrent, state, switches)`.

    It gives the new state and a function from d_new to (d_gates, d_recurrent, d_state): the
    gradients of the two halves of the gates, and of the state beside the gates.
    """

    def make(order=None, cut_gates=False, counted=lambda: True, **switches):
        def cell(weight, bias, gates, state):
            size = len(weight)
            recurrent, back_linear = linear(state[:, :size], weight, bias)
            new, back = derivatives(gates, recurrent, state, switches)

            def backward(d_new):
                d_gates, d_recurrent, d_state = back(d_new)
                if order is not None:
                    d_gates, d_recurrent = (
                        [halves[i] for i in order] for halves in (d_gates, d_recurrent)
                    )
                d_gates = np.concatenate(d_gates, axis=-1)
                d_hidden, d_weight, d_bias = back_linear(np.concatenate(d_recurrent, axis=-1))
                if not cut_gates:
                    d_state = d_state.copy()
                    d_state[:, :size] += d_hidden
                if not counted():
                    d_weight, d_bias = 0 * d_weight, None if bias is None else 0 * d_bias
                return d_weight, d_bias, d_gates, d_state

            return new, backward

        return cell

    return make


def rnn_derivatives(gates, recurrent, state, switches):
    """An Elman network, with a switch for the slope of its tanh."""
    h = np.tanh(gates + recurrent)

    def back(d_new):
        d_a = d_new if switches.get("no_slope") else d_new * (1 - h * h)
        return [d_a], [d_a], np.zeros_like(state)

    return h, back


def gru_derivatives(gates, recurrent, state, switches):
    """A GRU, with switches for the path of the state and for the reset gate."""
    (x_r, x_z, x_n), (h_r, h_z, h_n) = (np.split(a, 3, axis=-1) for a in (gates, recurrent))
    r, z = 1 / (1 + np.exp(-x_r - h_r)), 1 / (1 + np.exp(-x_z - h_z))
    n = np.tanh(x_n + r * h_n)

    def back(d_new):
        d_n = d_new * (1 - z) * (1 - n * n)
        d_r, d_z = d_n * h_n * r * (1 - r), d_new * (state - n) * z * (1 - z)
        through = np.zeros_like(state) if switches.get("cut_state") else d_new * z
        reset = 1 if switches.get("no_reset") else r
        return [d_r, d_z, d_n], [d_r, d_z, d_n * reset], through

    return (1 - z) * n + z * state, back


def lstm_derivatives(gates, recurrent, state, switches):
    """An LSTM, with switches for the path of the cell and for the slope of its reading."""
    hidden, cell = np.split(state, 2, axis=-1)
    a_i, a_f, a_g, a_o = np.split(gates + recurrent, 4, axis=-1)
    i, f, o = (1 / (1 + np.exp(-a)) for a in (a_i, a_f, a_o))
    g = np.tanh(a_g)
    new_cell = f * cell + i * g
    read = np.tanh(new_cell)

    def back(d_new):
        d_hidden, d_cell = np.split(d_new, 2, axis=-1)
        slope = 1 if switches.get("no_slope") else 1 - read * read
        d_cell = d_cell + d_hidden * o * slope
        halves = [
            d_cell * g * i * (1 - i),
            d_cell * cell * f * (1 - f),
            d_cell * i * (1 - g * g),
            d_hidden * read * o * (1 - o),
        ]
        forget = np.zeros_like(f) if switches.get("cut_state") else f
        forget = np.ones_like(f) if switches.get("no_forget") else forget
        return halves, halves, np.concatenate([np.zeros_like(hidden), d_cell * forget], axis=-1)

    return np.concatenate([o * read, new_cell], axis=-1), back


def layer(derivatives, switches):
    """A maker of cells with the list of its (mistake, switches)."""
    make = wrong_cell(derivatives)
    make.switches = [("time_cut", {"cut_gates": True, "cut_state": True}), *switches]
    return make


RNN = layer(rnn_derivatives, [("slope_wrong", {"no_slope": True})])
GRU = layer(
    gru_derivatives,
    [
        ("forget_path_cut", {"cut_state": True}),
        ("gate_path_cut", {"cut_gates": True}),
        ("reset_gate_forgotten", {"no_reset": True}),
    ],
)
LSTM = layer(
    lstm_derivatives,
    [
        ("forget_path_cut", {"cut_state": True}),
        ("forget_path_cut", {"no_forget": True}),
        ("gate_path_cut", {"cut_gates": True}),
        ("slope_wrong", {"no_slope": True}),
    ],
)

RECURRENT = {
    "rnn": recurrent_mistakes(RNN, 1, 1),
    "gru": recurrent_mistakes(GRU, 3, 1),
    "lstm": recurrent_mistakes(LSTM, 4, 2),
}
