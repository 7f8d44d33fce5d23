"""Recurrent layers: one product a step, and what need not wait for a step done for all at once.

All that is learned stands in one matrix M, with the arguments of four gates side by side; what a
step sees stands in one row:

    [a_1 | a_2 | a_3 | a_4] = [x_t | h_{t-1} | 1] M

Backwards through time, a step's gradient is multiplied by the slopes of its gates, which are known
from the forward pass, and by M; what a cell hands on directly, f d_c or z d_h, is added. So the
slopes are made first, for all steps, and the gradients of M and of x last, as products over all
steps, of the gates that x, or h, has a share in (the others' part of M stays 0):

    d_a_t = slope_t * d_state_t        d_M = sum_t [x_t | h_{t-1} | 1]^T d_a_t

What is left to be done step by step is little. The sigmoids lie side by side and go through a tanh,

    sigmoid(a) = 1/2 + 1/2 tanh(a / 2)

where it is their columns of M that are halved. (This rounds to the digits of 1, and so do the
slopes s (1 - s) and 1 - tanh^2. Of what a gate lets through or sends back that is all but shut or
open, fewer digits are right than in the plain op, which takes more exponentials.)

Arrays begin with the axis of time. `by_step` cuts them before the first step, so that little Python
runs between two calls of NumPy: it holds the interpreter's lock, and the other threads wait.
"""

from collections.abc import Callable, Iterable
from typing import NamedTuple

import numpy as np

from attention_from_scratch import ops as plain
from attention_from_scratch.fast.linear import sum_of_rows
from attention_from_scratch.ops.contract import Backward, Params, check_d_output
from attention_from_scratch.ops.recurrent import check_sequence


def lstm(
    params: Params,
    x: np.ndarray,
    initial: np.ndarray | None = None,
    *,
    mask: np.ndarray | None = None,
    last: bool = False,
) -> tuple[np.ndarray, Backward]:
    """Long short-term memory with one product a step, of [x_t | h_{t-1} | 1] and all weights.

    Parameters and returns are those of `ops.lstm`.
    """
    return through_time(LSTM, params, x, initial, mask, last)


def gru(
    params: Params,
    x: np.ndarray,
    initial: np.ndarray | None = None,
    *,
    mask: np.ndarray | None = None,
    last: bool = False,
) -> tuple[np.ndarray, Backward]:
    """A gated recurrent unit with one product a step, of [x_t | h_{t-1} | 1] and all weights.

    Parameters and returns are those of `ops.gru`. With "candidate", where r acts before a product
    of its own, it is the plain op.
    """
    if "candidate" in params:
        return plain.gru(params, x, initial, mask=mask, last=last)
    return through_time(GRU, params, x, initial, mask, last)


Places = dict[str, tuple[int, ...]]  # in which of the four "input" and "hidden" have a share
Steps = tuple[tuple[np.ndarray, ...], Callable, Callable]  # arrays, the step, the way back


class Cell(NamedTuple):
    """What tells a recurrent layer from another."""

    op: Callable  # the plain one
    steps: Callable  # arrays, states -> `Steps`
    n_states: int  # h, or h and c
    sigmoids: slice  # which of the four are sigmoids
    places: Places  # which of the four each gate of the parameters is


def through_time(
    cell: Cell,
    params: Params,
    x: np.ndarray,
    initial: np.ndarray | None,
    mask: np.ndarray | None,
    last: bool,
) -> tuple[np.ndarray, Backward]:
    """Run a cell along a sequence; backpropagation through time."""
    check_sequence(params, x, initial, mask, {"hidden": len(cell.places["hidden"])}, cell.n_states)
    batch, length, width = x.shape
    mask = None if mask is None else np.broadcast_to(mask, (batch, length))
    size = len(params["hidden"]["weight"])
    parts = {"input": slice(width), "hidden": slice(width, -1)}  # rows of M; the last is the biases
    matrix = stacked(params, parts, cell.places, width + size + 1, size)
    halved = matrix.swapaxes(0, 1).copy()
    halved[cell.sigmoids] *= 0.5

    seen = np.ones((length + 1, batch, width + size + 1), x.dtype)
    # Behind the four stands c_{t-1}, if there is a c: see lstm_steps. States: before each step.
    gates = np.empty((length + 1, 4 + cell.n_states - 1, batch, size), x.dtype)
    states = [seen[..., width:-1], *gates[:, 4:].swapaxes(0, 1)]
    seen[:-1, :, :width] = x.swapaxes(0, 1)
    for nth, state in enumerate(states):
        state[0] = 0 if initial is None else initial[:, nth * size : (nth + 1) * size]
    mask = np.broadcast_to(True if mask is None else mask, (batch, length))
    real = None if mask.all() else np.ascontiguousarray(mask.T)[..., None]
    arrays, step, way_back = cell.steps(gates, *states)
    walk = by_step(seen[:-1], gates[:-1, :4], by_step(*arrays))
    for t, (row, arguments, of_step) in enumerate(walk):
        np.matmul(row, halved, out=arguments)
        step(*of_step)
        if real is not None:
            for state in states:
                np.copyto(state[t + 1], state[t], where=~real[t])
    output = states[0][-1] if last else states[0][1:].swapaxes(0, 1)
    if real is not None and not last:
        output = np.where(mask[..., None], output, 0)
    output = output.copy("C")  # the states are needed as they are

    def backward(d_output):
        check_d_output(d_output, output)
        flat = matrix.reshape(len(matrix), 4 * size)
        columns = {name: columns_of(places, size) for name, places in cell.places.items()}
        to_x, to_h = (np.ascontiguousarray(flat[parts[n], columns[n]].T) for n in parts)
        d_states = np.zeros((cell.n_states, batch, size), x.dtype)
        if last:
            d_states[0] = d_output
        d_rows = np.empty((length, batch, 4 * size), x.dtype)
        d_gates = d_rows.reshape(length, batch, 4, size).swapaxes(1, 2)
        arrays, step_back = way_back(d_gates)
        d_outputs = [None] * length if last else d_output.swapaxes(0, 1)
        walk = by_step(range(length), d_outputs, d_rows[..., columns["hidden"]], by_step(*arrays))
        for t, d_h, d_row, of_step in reversed(walk):
            if not last:
                d_states[0] += d_h if real is None else np.where(real[t], d_h, 0)
            if real is not None:
                passed_on = np.where(real[t], 0, d_states)
                d_states[:] = np.where(real[t], d_states, 0)
            step_back(d_states, to_h, d_row, *of_step)
            if real is not None:
                d_states += passed_on
        d_rows = d_rows.reshape(length * batch, 4 * size)
        seen_rows, d_flat = seen[:-1].reshape(length * batch, len(matrix)), np.zeros_like(flat)
        for name, rows in parts.items():
            d_flat[rows, columns[name]] = seen_rows[:, rows].T @ d_rows[:, columns[name]]
        d_flat[-1] = sum_of_rows(d_rows)
        d_x = (d_rows[:, columns["input"]] @ to_x).reshape(length, batch, width).swapaxes(0, 1)
        d_initial = None if initial is None else np.concatenate(d_states, axis=-1)
        grads = unstacked(d_flat.reshape(matrix.shape), params, parts, cell.places)
        return grads, d_x, d_initial

    def steps_of_plain(d_output):
        _, plain_backward = cell.op(params, x, initial, mask=mask, last=last)
        return plain_backward.steps(d_output)

    backward.steps = steps_of_plain
    return output, backward


def by_step(*arrays: Iterable) -> list[tuple]:
    """What each step has of the arrays: a list of tuples."""
    return list(zip(*arrays, strict=True))


def stacked(
    params: Params, parts: dict[str, slice], places: Places, n_rows: int, size: int
) -> np.ndarray:
    """M, (D + H + 1, 4, H). What no parameter is for is 0."""
    matrix = np.zeros((n_rows, 4, size), params["hidden"]["weight"].dtype)
    for name, rows in parts.items():
        weight, bias = params[name]["weight"], params[name]["bias"]
        matrix[rows, places[name]] = weight.reshape(len(weight), len(places[name]), size)
        if bias is not None:
            matrix[-1, places[name]] += bias.reshape(len(places[name]), size)
    return matrix


def columns_of(places: tuple[int, ...], size: int) -> slice:
    """The columns of M, as (D + H + 1, 4 H), of the gates at these places, which are neighbours."""
    return slice(min(places) * size, (max(places) + 1) * size)


def unstacked(
    d_matrix: np.ndarray, params: Params, parts: dict[str, slice], places: Places
) -> Params:
    """The gradients of the parameters, from that of M."""
    grads = {}
    for name, rows in parts.items():
        weight, bias = params[name]["weight"], params[name]["bias"]
        grads[name] = {
            "weight": d_matrix[rows, places[name]].reshape(weight.shape),
            "bias": None if bias is None else d_matrix[-1, places[name]].reshape(bias.shape),
        }
    return grads


def lstm_steps(gates: np.ndarray, h: np.ndarray, c: np.ndarray) -> Steps:
    """The arrays of a step, the step, which makes h and c of them, and what makes the way back.

    gates (L + 1, 5, B, H): the arguments of o, i, f, g, written over by these; and c, so that i g
    and f c are one product, of [i f] and [g c].
    """
    four, (o, i, f, g) = gates[:-1, :4], gates[:-1, :4].swapaxes(0, 1)
    half, tanh_c = np.array(0.5, gates.dtype), np.empty_like(o)  # a bare 0.5 is converted each time
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
        """The arrays of a step back, and the step, which writes d_gates (L, 4, B, H).

        It makes d_states what reaches the step before.
        """
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
        return (f, to_c, *slopes), step_back

    pairs = gates[:-1, 1:3], gates[:-1, 3:]
    return (four, four[:, :3], *pairs, o, c[1:], tanh_c, h[1:]), step, way_back


def gru_steps(gates: np.ndarray, h: np.ndarray) -> Steps:
    """The arrays of a step, the step, which makes h of them, and what makes the way back.

    gates (L + 1, 4, B, H): the arguments, written over by n, r, z; the last stays, which is what h
    adds to n, and r multiplies.
    """
    four, (n, r, z, of_h) = gates[:-1], gates[:-1].swapaxes(0, 1)
    half = np.array(0.5, gates.dtype)

    def step(rz, r, z, n, of_h, h, new_h):
        np.tanh(rz, out=rz)
        rz *= half
        rz += half
        n += r * of_h
        np.tanh(n, out=n)
        np.add(n, z * (h - n), out=new_h)

    def way_back(d_gates):
        """The arrays of a step back, and the step, which writes d_gates (L, 4, B, H).

        It makes d_states what reaches the step before.
        """
        slope, shut = np.empty_like(four), 1 - z
        slope[:, 0] = shut * (1 - n * n)
        slope[:, 2] = (h[:-1] - n) * z * shut
        slope[:, 3] = slope[:, 0] * r
        slope[:, 1] = slope[:, 3] * of_h * (1 - r)

        def step_back(d_states, to_h, d_row, z, slope, d_gates):
            d_h = d_states[0]
            np.multiply(slope, d_h, out=d_gates)
            d_h *= z
            d_h += d_row @ to_h

        return (z, slope, d_gates), step_back

    return (four[:, 1:3], r, z, n, of_h, h[:-1], h[1:]), step, way_back


# The four of the LSTM are o, i, f, g, of each of which x and h both have their share; those of the
# GRU are what x adds to n, r, z, and what h adds to n: x has no share in the last, h in the first.
LSTM = Cell(plain.lstm, lstm_steps, 2, slice(3), {"input": (1, 2, 3, 0), "hidden": (1, 2, 3, 0)})
GRU = Cell(plain.gru, gru_steps, 1, slice(1, 3), {"input": (1, 2, 0), "hidden": (1, 2, 3)})
