"""Recurrent layers: one product a step, and what need not wait for a step done for all at once.

All that is learned stands in one matrix M, with the arguments of four gates side by side; what a
step sees stands in one row:

    [a_1 | a_2 | a_3 | a_4] = [x_t | h_{t-1} | 1] M

Backwards through time, a step's gradient is multiplied by the slopes of its gates, which are known
from the forward pass, and by M. So the slopes are made first, for all steps, and the gradients of M
and of x last, each as one product:

    d_a_t = slope_t * d_state_t        d_M = sum_t [x_t | h_{t-1} | 1]^T d_a_t

What is left to be done step by step is little. Gates that go through the same function lie side by
side, and all go through one tanh: sigmoid(a) = 1/2 + 1/2 tanh(a / 2), where it is M that is halved.

Arrays begin with the axis of time. `moments` cuts them into what each step works on, before the
first step: to cut, a thread needs the interpreter's lock, and the fewer the moments at which it
asks for it, the less the threads wait for one another.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from attention_from_scratch import ops as plain
from attention_from_scratch.ops.contract import check_d_output
from attention_from_scratch.ops.recurrent import check_sequence


def lstm(params, x, initial=None, *, mask=None, last=False):
    """As `ops.lstm`."""
    return through_time(LSTM, params, x, initial, mask, last)


def gru(params, x, initial=None, *, mask=None, last=False):
    """As `ops.gru`."""
    return through_time(GRU, params, x, initial, mask, last)


class Cell(NamedTuple):
    """What tells a recurrent layer from another."""

    op: Callable  # the plain one
    steps: Callable  # gives the moments of a cell, its step, and the same for the way back
    n_states: int  # h, or h and c
    n_sigmoids: int  # so many of the four arguments, the first, go through a sigmoid
    places: dict  # which of the four each gate of the parameters is


def through_time(cell, params, x, initial, mask, last):
    """Run a cell along a sequence; backpropagation through time."""
    check_sequence(params, x, initial, mask, len(cell.places["input"]), cell.n_states)
    batch, length, width = x.shape
    size = len(params["hidden"]["weight"])
    parts = {"input": slice(width), "hidden": slice(width, -1)}  # rows of M; the last is the biases
    matrix = stacked(params, parts, cell.places, width + size + 1, size)
    halved = matrix.swapaxes(0, 1).copy()
    halved[: cell.n_sigmoids] *= 0.5

    seen = np.ones((length + 1, batch, width + size + 1), x.dtype)
    gates = np.empty((length + 1, 3 + cell.n_states, batch, size), x.dtype)  # the four, and c_{t-1}
    states = [seen[..., width:-1], *gates[:, 4:].swapaxes(0, 1)]  # before each step: h, or h and c
    seen[:-1, :, :width] = x.swapaxes(0, 1)
    for nth, state in enumerate(states):
        state[0] = 0 if initial is None else initial[:, nth * size : (nth + 1) * size]
    real = None if mask is None or mask.all() else np.ascontiguousarray(mask.T)[..., None]
    cell_moments, step, way_back = cell.steps(gates, *states)
    walk = moments(seen[:-1], gates[:-1, :4], cell_moments)
    for t, (row, arguments, moment) in enumerate(walk):
        np.matmul(row, halved, out=arguments)
        step(*moment)
        if real is not None:
            for state in states:
                np.copyto(state[t + 1], state[t], where=~real[t])
    output = states[0][-1] if last else states[0][1:].swapaxes(0, 1)
    if real is not None and not last:
        output = output * mask[..., None]

    def backward(d_output):
        check_d_output(d_output, output)
        to_x, to_h = (
            np.ascontiguousarray(matrix[rows].reshape(-1, 4 * size).T) for rows in parts.values()
        )
        d_states = np.zeros((cell.n_states, batch, size), x.dtype)
        if last:
            d_states[0] = d_output
        d_rows = np.empty((length, batch, 4 * size), x.dtype)
        d_gates = d_rows.reshape(length, batch, 4, size).swapaxes(1, 2)
        cell_moments, step_back = way_back(d_gates)
        d_outputs = [None] * length if last else d_output.swapaxes(0, 1)
        walk = moments(range(length), d_outputs, d_rows, cell_moments)
        for t, d_h, d_row, moment in reversed(walk):
            if not last:
                d_states[0] += d_h if real is None else d_h * real[t]
            if real is not None:
                passed_on = d_states * ~real[t]
                d_states *= real[t]
            step_back(d_states, to_h, d_row, *moment)
            if real is not None:
                d_states += passed_on
        d_rows = d_rows.reshape(length * batch, 4 * size)
        d_matrix = seen[:-1].reshape(length * batch, len(matrix)).T @ d_rows
        d_x = (d_rows @ to_x).reshape(length, batch, width).swapaxes(0, 1)
        d_initial = None if initial is None else np.concatenate(d_states, axis=-1)
        grads = unstacked(d_matrix.reshape(matrix.shape), params, parts, cell.places)
        return grads, d_x, d_initial

    def steps_of_plain(d_output):
        _, plain_backward = cell.op(params, x, initial, mask=mask, last=last)
        return plain_backward.steps(d_output)

    backward.steps = steps_of_plain
    return output, backward


def moments(*arrays):
    """What each step has of the arrays."""
    return list(zip(*arrays, strict=True))


def stacked(params, parts, places, n_rows, size):
    """M, (D + H + 1, 4, H). What no parameter is for is 0."""
    matrix = np.zeros((n_rows, 4, size), params["hidden"]["weight"].dtype)
    for name, rows in parts.items():
        weight, bias = params[name]["weight"], params[name]["bias"]
        matrix[rows, places[name]] = weight.reshape(-1, len(places[name]), size)
        if bias is not None:
            matrix[-1, places[name]] += bias.reshape(-1, size)
    return matrix


def unstacked(d_matrix, params, parts, places):
    """The gradients of the parameters, from that of M."""
    grads = {}
    for name, rows in parts.items():
        weight, bias = params[name]["weight"], params[name]["bias"]
        grads[name] = {
            "weight": d_matrix[rows, places[name]].reshape(weight.shape),
            "bias": None if bias is None else d_matrix[-1, places[name]].reshape(bias.shape),
        }
    return grads


def lstm_steps(gates, h, c):
    """The moments, a step that makes h and c of the arguments, and the same for the way back.

    gates (L + 1, 5, B, H): the arguments of o, i, f, g, written over by these; and c, so that i g
    and f c are one product, of [i f] and [g c].
    """
    four, (o, i, f, g) = gates[:-1, :4], gates[:-1, :4].swapaxes(0, 1)
    half, tanh_c = np.array(0.5, gates.dtype), np.empty_like(o)
    ig, fc = both = np.empty_like(gates[0, :2])

    def step(four, oif, i_f, g_c, o, new_c, tanh_c, new_h):
        np.tanh(four, out=four)
        oif *= half
        oif += half
        np.multiply(i_f, g_c, out=both)
        np.add(ig, fc, out=new_c)
        np.tanh(new_c, out=tanh_c)
        np.multiply(o, tanh_c, out=new_h)

    def way_back(d_gates):
        """Of d_gates (L, 4, B, H), to be written. d_states becomes what reaches the step before."""
        slope = four * (1 - four)
        slope[:, 3] = 1 - g * g
        slope[:, 0] *= tanh_c
        slope[:, 1:3] *= gates[:-1, 3:]
        slope[:, 3] *= i
        to_c = o * (1 - tanh_c * tanh_c)

        def step_back(d_states, to_h, d_row, f, to_c, o_slope, ifg_slope, d_o, d_ifg):
            d_h, d_c = d_states
            d_c += d_h * to_c
            np.multiply(o_slope, d_h, out=d_o)
            np.multiply(ifg_slope, d_c, out=d_ifg)
            np.matmul(d_row, to_h, out=d_h)
            d_c *= f

        slopes = slope[:, 0], slope[:, 1:], d_gates[:, 0], d_gates[:, 1:]
        return moments(f, to_c, *slopes), step_back

    pairs = gates[:-1, 1:3], gates[:-1, 3:]
    return moments(four, four[:, :3], *pairs, o, c[1:], tanh_c, h[1:]), step, way_back


def gru_steps(gates, h):
    """The same. gates (L + 1, 4, B, H): the arguments, written over by r, z, n; the last stays."""
    four, (r, z, n, of_h) = gates[:-1], gates[:-1].swapaxes(0, 1)
    half = np.array(0.5, gates.dtype)

    def step(rz, r, z, n, of_h, h, new_h):
        np.tanh(rz, out=rz)
        rz *= half
        rz += half
        n += r * of_h
        np.tanh(n, out=n)
        np.add(n, z * (h - n), out=new_h)

    def way_back(d_gates):
        slope = np.empty_like(four)
        slope[:, 2] = (1 - z) * (1 - n * n)
        slope[:, 3] = slope[:, 2] * r
        slope[:, 1] = (h[:-1] - n) * z * (1 - z)
        slope[:, 0] = slope[:, 3] * of_h * (1 - r)

        def step_back(d_states, to_h, d_row, z, slope, d_gates):
            d_h = d_states[0]
            np.multiply(slope, d_h, out=d_gates)
            d_h *= z
            d_h += d_row @ to_h

        return moments(z, slope, d_gates), step_back

    return moments(four[:, :2], r, z, n, of_h, h[:-1], h[1:]), step, way_back


# i, f, g, o of the parameters among o, i, f, g; r, z, n among r, z and what x and what h add to n,
# as r comes between these two.
LSTM = Cell(plain.lstm, lstm_steps, 2, 3, {"input": (1, 2, 3, 0), "hidden": (1, 2, 3, 0)})
GRU = Cell(plain.gru, gru_steps, 1, 2, {"input": (0, 1, 2), "hidden": (0, 1, 3)})
