"""Wrong ways back through time: cells whose backward pass leaves something out.

A wrong cell is run by the right `through_time`, which gives what the whole mistake would compute.
"""

from collections.abc import Callable, Iterator
from itertools import permutations
from typing import NamedTuple

import numpy as np

from attention_from_scratch.ops.linear import project
from attention_from_scratch.ops.recurrent import through_time
from attention_from_scratch.tree import tree_leaves, tree_map


def recurrent_mistakes(layer_of, n_states: int):
    """The mistakes of one layer, as a function of a probe; `layer_of` its params is its `Layer`."""

    def mistakes(probe) -> Iterator:
        params, x, initial = (*probe.inputs, None)[:3]
        mask, last = probe.keywords.get("mask"), probe.keywords.get("last", False)
        layer = layer_of(params)

        def gradients_of(cell):
            sizes = {"n_gates": layer.n_gates, "n_states": n_states}
            _, backward = through_time(cell, params, x, initial, mask, last, **sizes)
            grads, d_x, d_initial = backward(probe.d_output)
            named = {f"d_params.{path}": leaf for path, leaf in tree_leaves(grads)}
            named["d_x"] = d_x
            return named if initial is None else named | {"d_initial": d_initial}

        for mistake, switches in layer.switches:
            yield mistake, gradients_of(layer.make_cell(**switches))
        total = sum(layer.n_gates.values())
        for order in permutations(range(total)):
            if order != tuple(range(total)):
                yield "gates_wrong_order", gradients_of(layer.make_cell(order=order))
                yield "gates_wrong_order", reordered(probe.right, order, layer.n_gates)
        yield from steps_of_bias(probe, gradients_of, layer.make_cell)

    return mistakes


def reordered(right: dict, order, n_gates: dict) -> dict:
    """The right gradients of the parameters with their gates exchanged."""
    counts = {"input": len(order), **n_gates}
    exchanged = {}
    for name, g in right.items():
        if name.startswith("d_params"):
            gates = np.split(g, counts[name.split(".")[1]], axis=-1)
            exchanged[name] = np.concatenate(in_order(gates, order), axis=-1)
    return exchanged


def in_order(gates: list, order) -> list:
    """Gates in another order; where there are but the first of them, the order of these."""
    return [gates[i] for i in order if i < len(gates)]


def steps_of_bias(probe, gradients_of, make_cell) -> Iterator:
    """The gradient of the recurrent weights of one step alone, not summed over time."""
    length = probe.inputs[1].shape[1]
    for kept in (0, length - 1):
        found = gradients_of(make_cell(counted=countdown(length, kept)))
        recurrent = {
            name: g
            for name, g in found.items()
            if name.startswith("d_params") and not name.startswith("d_params.input")
        }
        yield "bias_not_summed", recurrent
        yield "bias_not_summed", {n: g for n, g in recurrent.items() if n.endswith("bias")}


def countdown(length: int, kept: int):
    """A function to call at every step, from the last on, that says whether it is the one kept."""
    steps = iter(reversed(range(length)))
    return lambda: next(steps) == kept


def wrong_cell(derivatives):
    """A maker of wrong cells, from `derivatives(params, gates, recurrent, state, switches)`.

    It gives the new state and a function from d_new to (d_gates, d_recurrent, d_state, grads): the
    gradients of the two halves of the gates, of the state beside the gates, and of what else there
    is to learn than "hidden".
    """

    def make(order=None, cut_gates=False, counted=lambda: True, **switches):
        def cell(params, gates, state):
            size = len(params["hidden"]["weight"])
            recurrent, back_hidden = project(params["hidden"], state[:, :size])
            new, back = derivatives(params, gates, recurrent, state, switches)

            def backward(d_new):
                d_gates, d_recurrent, d_state, grads = back(d_new)
                if order is not None:
                    d_gates, d_recurrent = (in_order(d, order) for d in (d_gates, d_recurrent))
                d_gates = np.concatenate(d_gates, axis=-1)
                d_hidden, d_before = back_hidden(np.concatenate(d_recurrent, axis=-1))
                if switches.get("untransposed"):
                    d_before = d_recurrent[0] @ params["hidden"]["weight"]
                if not cut_gates:
                    d_state = d_state.copy()
                    d_state[:, :size] += d_before
                grads = {"hidden": d_hidden, **grads}
                return grads if counted() else tree_map(np.zeros_like, grads), d_gates, d_state

            return new, backward

        return cell

    return make


def rnn_derivatives(params, gates, recurrent, state, switches):
    """An Elman network, with a switch for the slope of its tanh."""
    h = np.tanh(gates + recurrent)

    def back(d_new):
        d_a = d_new if switches.get("no_slope") else d_new * (1 - h * h)
        return [d_a], [d_a], np.zeros_like(state), {}

    return h, back


def gru_derivatives(params, gates, recurrent, state, switches):
    """A GRU, with switches for the path of the state and for the reset gate."""
    (x_r, x_z, x_n), (h_r, h_z, h_n) = (np.split(a, 3, axis=-1) for a in (gates, recurrent))
    r, z = 1 / (1 + np.exp(-x_r - h_r)), 1 / (1 + np.exp(-x_z - h_z))
    n = np.tanh(x_n + r * h_n)

    def back(d_new):
        d_n = d_new * (1 - z) * (1 - n * n)
        d_r, d_z = d_n * h_n * r * (1 - r), d_new * (state - n) * z * (1 - z)
        through = np.zeros_like(state) if switches.get("cut_state") else d_new * z
        reset = 1 if switches.get("no_reset") else r
        return [d_r, d_z, d_n], [d_r, d_z, d_n * reset], through, {}

    return (1 - z) * n + z * state, back


def reset_before_derivatives(params, gates, recurrent, state, switches):
    """A GRU that resets before its product, with the same switches."""
    (x_r, x_z, x_n), (h_r, h_z) = np.split(gates, 3, axis=-1), np.split(recurrent, 2, axis=-1)
    r, z = 1 / (1 + np.exp(-x_r - h_r)), 1 / (1 + np.exp(-x_z - h_z))
    h_n, back_candidate = project(params["candidate"], r * state)
    n = np.tanh(x_n + h_n)

    def back(d_new):
        d_n = d_new * (1 - z) * (1 - n * n)
        d_candidate, d_reset = back_candidate(d_n)
        d_r, d_z = d_reset * state * r * (1 - r), d_new * (state - n) * z * (1 - z)
        through = np.zeros_like(state) if switches.get("cut_state") else d_new * z
        if not switches.get("cut_reset"):
            through = through + d_reset * (1 if switches.get("no_reset") else r)
        return [d_r, d_z, d_n], [d_r, d_z], through, {"candidate": d_candidate}

    return (1 - z) * n + z * state, back


def lstm_derivatives(params, gates, recurrent, state, switches):
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
        through = np.concatenate([np.zeros_like(hidden), d_cell * forget], axis=-1)
        return halves, halves, through, {}

    return np.concatenate([o * read, new_cell], axis=-1), back


class Layer(NamedTuple):
    """A maker of wrong cells, their (mistake, switches), and the `n_gates` of `through_time`."""

    make_cell: Callable
    switches: list
    n_gates: dict[str, int]


TIME_CUT = ("time_cut", {"cut_gates": True, "cut_state": True})
RNN = Layer(
    wrong_cell(rnn_derivatives),
    [
        TIME_CUT,
        ("slope_wrong", {"no_slope": True}),
        ("transpose_missing", {"untransposed": True}),
    ],
    {"hidden": 1},
)
GRU = Layer(
    wrong_cell(gru_derivatives),
    [
        TIME_CUT,
        ("forget_path_cut", {"cut_state": True}),
        ("gate_path_cut", {"cut_gates": True}),
        ("reset_gate_forgotten", {"no_reset": True}),
    ],
    {"hidden": 3},
)
RESET_BEFORE = Layer(
    wrong_cell(reset_before_derivatives),
    [
        ("time_cut", {"cut_gates": True, "cut_state": True, "cut_reset": True}),
        ("forget_path_cut", {"cut_state": True}),
        ("gate_path_cut", {"cut_gates": True, "cut_reset": True}),
        ("gate_path_cut", {"cut_gates": True}),
        ("gate_path_cut", {"cut_reset": True}),
        ("reset_gate_forgotten", {"no_reset": True}),
    ],
    {"hidden": 2, "candidate": 1},
)
LSTM = Layer(
    wrong_cell(lstm_derivatives),
    [
        TIME_CUT,
        ("forget_path_cut", {"cut_state": True}),
        ("forget_path_cut", {"no_forget": True}),
        ("gate_path_cut", {"cut_gates": True}),
        ("slope_wrong", {"no_slope": True}),
    ],
    {"hidden": 4},
)

RECURRENT = {
    "rnn": recurrent_mistakes(lambda params: RNN, 1),
    "gru": recurrent_mistakes(lambda params: RESET_BEFORE if "candidate" in params else GRU, 1),
    "lstm": recurrent_mistakes(lambda params: LSTM, 2),
}
