"""Recurrent layers: one step after the other, and backwards through time.

Each layer is a cell, which makes the next state of the last one, and `through_time`, which runs any
cell along a sequence and its backward pass against it. Gates stand in PyTorch's order.
"""

import numpy as np

from attention_from_scratch.ops.activations import sigmoid, tanh
from attention_from_scratch.ops.contract import (
    check_d_output,
    check_floats,
    check_mask,
    check_same_shape,
)
from attention_from_scratch.ops.linear import linear


def rnn(params, x, initial=None, *, mask=None, last=False):
    """h_t = tanh(x_t W_x + b_x + h_{t-1} W_h + b_h): one state, rewritten at every step.

    The cell is a sum inside a tanh, so with a_t the argument of the tanh

        d_a_t = d_h_t (1 - h_t^2)        d_h_{t-1} = d_a_t W_h^T

    and `through_time` does the rest.

    Parameters
    ----------
    params : {"input": {"weight": (D, H), "bias"}, "hidden": {"weight": (H, H), "bias"}}
        A bias is (H,) or None.
    x : (B, L, D)
    initial : (B, H) or None
        h_0; zeros if None.
    mask : bool (B, L) or None
        True where there is an event. Elsewhere the state is passed on as it is, and the output is
        0.
    last : bool
        Give the state after the last step only.

    Returns
    -------
    output : (B, L, H), or (B, H) if last
    backward : d_output -> grads (a tree like params), d_x, d_initial
        `backward.steps(d_output)` is the gradient of the loss with respect to the state after
        every step, (B, L, H): how far back it reaches is what one wants to see of it.

    Source: Elman, Finding Structure in Time (1990); `torch.nn.RNN`.
    """
    return through_time(rnn_cell, params, x, initial, mask, last, n_gates=1, n_states=1)


def gru(params, x, initial=None, *, mask=None, last=False):
    """A state that is mixed with a new one in the proportion of a gate.

        r = sigmoid(x W_xr + h W_hr)      how much of the state enters the new one
        z = sigmoid(x W_xz + h W_hz)      how much of the state stays
        n = tanh(x W_xn + r (h W_hn))     the new one
        h' = (1 - z) n + z h

    (each product with its bias). Where z is near 1 the state is handed on, and so is its gradient:
    d_h = z d_h' + what comes through the gates.

    Parameters, returns
    -------------------
    As in `rnn`, with weights (D, 3H) and (H, 3H), gates in the order r, z, n.

    Source: Cho et al. (2014), in the form of `torch.nn.GRU`, where r acts on h W_hn + b_hn.
    """
    return through_time(gru_cell, params, x, initial, mask, last, n_gates=3, n_states=1)


def lstm(params, x, initial=None, *, mask=None, last=False):
    """A cell c that gates write and forget, and a state h that reads it.

        i, f, o = sigmoid(x W_x + h W_h)      write, keep, read
        g = tanh(x W_xg + h W_hg)             what is written
        c' = f c + i g        h' = o tanh(c')

    (each product with its bias). From step to step the gradient of the cell is only multiplied:
    d_c = f d_c'. With f near 1 it reaches far back, which is what the LSTM was made for.

    Parameters, returns
    -------------------
    As in `rnn`, with weights (D, 4H) and (H, 4H), gates in the order i, f, g, o. `initial` is
    (B, 2H): h_0 and c_0 side by side; and so are the rows of `backward.steps`.

    Source: Hochreiter & Schmidhuber (1997) with the forget gate of Gers et al. (2000), in the form
    of `torch.nn.LSTM`.
    """
    return through_time(lstm_cell, params, x, initial, mask, last, n_gates=4, n_states=2)


def through_time(cell, params, x, initial, mask, last, *, n_gates, n_states):
    """Run a cell along a sequence; backpropagation through time.

    What the input adds to the gates is one product for all steps. The states have to wait for one
    another. Backwards, the loss sees the state after step t twice, as output and through step
    t + 1,

        d_state_t = d_output_t + (what step t + 1 sends back)

    so the steps are walked from the last to the first, and each adds its part to the gradient of
    the weights, which all steps share.
    """
    weight, bias = params["hidden"]["weight"], params["hidden"]["bias"]
    check_sequence(params, x, initial, mask, n_gates, n_states)
    batch, length, _ = x.shape
    size = len(weight)
    gates, back_gates = linear(x, **params["input"])  # (B, L, G H)
    real = np.ones((batch, length), bool) if mask is None else mask
    state = np.zeros((batch, n_states * size), x.dtype) if initial is None else initial

    steps, outputs = [], np.zeros((batch, length, size), x.dtype)
    for t in range(length):
        here = real[:, t, None]
        new, back_cell = cell(weight, bias, gates[:, t], state)
        state = np.where(here, new, state)
        outputs[:, t] = np.where(here, state[:, :size], 0)
        steps.append((here, back_cell))
    output = state[:, :size] if last else outputs

    def walk_back(d_output):
        """Yield, from the last step to the first, d_state after it and what its cell sends back."""
        check_d_output(d_output, output)
        d_state = np.zeros((batch, n_states * size), d_output.dtype)
        if last:
            d_state[:, :size] = d_output
        for t in reversed(range(length)):
            here, back_cell = steps[t]
            if not last:
                d_state = d_state.copy()
                d_state[:, :size] += np.where(here, d_output[:, t], 0)
            d_weight, d_bias, d_gates, d_before = back_cell(np.where(here, d_state, 0))
            yield t, d_state, d_weight, d_bias, d_gates
            d_state = d_before + np.where(here, 0, d_state)
        yield -1, d_state, None, None, None

    def backward(d_output):
        d_gates = np.zeros_like(gates)
        d_weight, d_bias = np.zeros_like(weight), None if bias is None else np.zeros_like(bias)
        for t, d_state, d_step_weight, d_step_bias, d_step_gates in walk_back(d_output):
            if t < 0:
                d_initial = None if initial is None else d_state
                continue
            d_gates[:, t] = d_step_gates
            d_weight += d_step_weight
            d_bias = d_bias if bias is None else d_bias + d_step_bias
        d_x, d_input_weight, d_input_bias = back_gates(d_gates)
        grads = {
            "input": {"weight": d_input_weight, "bias": d_input_bias},
            "hidden": {"weight": d_weight, "bias": d_bias},
        }
        return grads, d_x, d_initial

    def gradient_at_steps(d_output):
        found = [d_state for t, d_state, *_ in walk_back(d_output) if t >= 0]
        return np.stack(found[::-1], axis=1) if found else np.zeros((batch, 0, n_states * size))

    backward.steps = gradient_at_steps
    return output, backward


def rnn_cell(weight, bias, gates, state):
    """tanh(gates + state W + b).  gates, state: (B, H) -> (B, H)."""
    recurrent, back_linear = linear(state, weight, bias)
    output, back_tanh = tanh(gates + recurrent)

    def backward(d_output):
        d_gates = back_tanh(d_output)
        d_state, d_weight, d_bias = back_linear(d_gates)
        return d_weight, d_bias, d_gates, d_state

    return output, backward


def gru_cell(weight, bias, gates, state):
    """(1 - z) n + z h.  gates: (B, 3H), state: (B, H) -> (B, H)."""
    recurrent, back_linear = linear(state, weight, bias)
    x_r, x_z, x_n = np.split(gates, 3, axis=-1)
    h_r, h_z, h_n = np.split(recurrent, 3, axis=-1)
    r, back_r = sigmoid(x_r + h_r)
    z, back_z = sigmoid(x_z + h_z)
    n, back_n = tanh(x_n + r * h_n)

    def backward(d_output):
        d_n = back_n(d_output * (1 - z))
        d_r, d_z = back_r(d_n * h_n), back_z(d_output * (state - n))
        d_gates = np.concatenate([d_r, d_z, d_n], axis=-1)
        d_recurrent = np.concatenate([d_r, d_z, d_n * r], axis=-1)
        d_state, d_weight, d_bias = back_linear(d_recurrent)
        return d_weight, d_bias, d_gates, d_state + d_output * z

    return (1 - z) * n + z * state, backward


def lstm_cell(weight, bias, gates, state):
    """h' and c' side by side.  gates: (B, 4H), state: (B, 2H) -> (B, 2H)."""
    hidden, cell = np.split(state, 2, axis=-1)
    recurrent, back_linear = linear(hidden, weight, bias)
    a_i, a_f, a_g, a_o = np.split(gates + recurrent, 4, axis=-1)
    i, back_i = sigmoid(a_i)
    f, back_f = sigmoid(a_f)
    g, back_g = tanh(a_g)
    o, back_o = sigmoid(a_o)
    new_cell = f * cell + i * g
    read, back_read = tanh(new_cell)

    def backward(d_output):
        d_hidden, d_cell = np.split(d_output, 2, axis=-1)
        d_cell = d_cell + back_read(d_hidden * o)
        d_gates = np.concatenate(
            [
                back_i(d_cell * g),
                back_f(d_cell * cell),
                back_g(d_cell * i),
                back_o(d_hidden * read),
            ],
            axis=-1,
        )
        d_before, d_weight, d_bias = back_linear(d_gates)
        return d_weight, d_bias, d_gates, np.concatenate([d_before, d_cell * f], axis=-1)

    return np.concatenate([o * read, new_cell], axis=-1), backward


def check_sequence(params, x, initial, mask, n_gates, n_states):
    """Raise for arrays that do not fit together."""
    weights = {
        f"params {name} {part}": params[name][part]
        for name in ("input", "hidden")
        for part in ("weight", "bias")
    }
    check_floats(x=x, initial=initial, **weights)
    if x.ndim != 3:
        raise ValueError(f"x has shape {x.shape}, but must be (batch, length, width)")
    size = len(params["hidden"]["weight"])
    check_same_shape("params hidden weight", params["hidden"]["weight"], (size, n_gates * size))
    check_same_shape(
        "params input weight", params["input"]["weight"], (x.shape[-1], n_gates * size)
    )
    for name in ("input", "hidden"):
        if params[name]["bias"] is not None:
            check_same_shape(f"params {name} bias", params[name]["bias"], (n_gates * size,))
    if initial is not None:
        check_same_shape("initial", initial, (x.shape[0], n_states * size))
    check_mask("mask", mask, x.shape[:2])
