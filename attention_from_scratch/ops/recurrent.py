"""Recurrent layers: one step after the other, and backwards through time.

Each layer is a cell, which makes the next state of the last one, and `through_time`, which runs any
cell along a sequence and its backward pass against it. Gates stand in PyTorch's order.
"""

from collections.abc import Callable

import numpy as np

from attention_from_scratch.ops.activations import sigmoid, tanh
from attention_from_scratch.ops.contract import (
    Backward,
    Params,
    check_d_output,
    check_floats,
    check_mask,
    check_same_shape,
)
from attention_from_scratch.ops.linear import project


def rnn(
    params: Params,
    x: np.ndarray,
    initial: np.ndarray | None = None,
    *,
    mask: np.ndarray | None = None,
    last: bool = False,
) -> tuple[np.ndarray, Backward]:
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
    mask : bool, broadcasts to (B, L), or None
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
    sizes = {"n_gates": {"hidden": 1}, "n_states": 1}
    return through_time(rnn_cell, params, x, initial, mask, last, **sizes)


def gru(
    params: Params,
    x: np.ndarray,
    initial: np.ndarray | None = None,
    *,
    mask: np.ndarray | None = None,
    last: bool = False,
) -> tuple[np.ndarray, Backward]:
    """A state that is mixed with a new one in the proportion of a gate.

        r = sigmoid(x W_xr + h W_hr)      how much of the state enters the new one
        z = sigmoid(x W_xz + h W_hz)      how much of the state stays
        n = tanh(x W_xn + r (h W_hn))     the new one
        h' = (1 - z) n + z h

    (each product with its bias). Where z is near 1 the state is handed on, and so is its gradient:
    d_h = z d_h' + what comes through the gates.

    In the form of the paper r acts before the product (`reset_after=False` in Keras),

        n = tanh(x W_xn + (r h) W_hn)

    so h meets two matrices, one after the other, where above it is one product for all three. The
    parameters say which form it is: here W_hn is a part of its own, the "candidate".

    What it takes and returns is what `rnn` takes and returns, but for the width of the parameters:
    the weights are (D, 3H) and (H, 3H) and a bias is (3H,), with the gates side by side in the
    order r, z, n. With "candidate", (H, H) and (H,), there are but r and z in "hidden", (H, 2H) and
    (2H,).

    Source: Cho et al., Learning Phrase Representations using RNN Encoder-Decoder (2014), eqs. (5)
    to (8), as published: r before the product. `torch.nn.GRU`: r after it, on h W_hn + b_hn.
    """
    cell, n_gates = gru_cell, {"hidden": 3}
    if "candidate" in params:
        cell, n_gates = reset_before_cell, {"hidden": 2, "candidate": 1}
    return through_time(cell, params, x, initial, mask, last, n_gates=n_gates, n_states=1)


def lstm(
    params: Params,
    x: np.ndarray,
    initial: np.ndarray | None = None,
    *,
    mask: np.ndarray | None = None,
    last: bool = False,
) -> tuple[np.ndarray, Backward]:
    """A cell c that gates write and forget, and a state h that reads it.

        i, f, o = sigmoid(x W_x + h W_h)      write, keep, read
        g = tanh(x W_xg + h W_hg)             what is written
        c' = f c + i g        h' = o tanh(c')

    (each product with its bias). From step to step the gradient of the cell is only multiplied:
    d_c = f d_c'. With f near 1 it reaches far back, which is what the LSTM was made for.

    What it takes and returns is what `rnn` takes and returns, but for two widths. The weights are
    (D, 4H) and (H, 4H) and a bias is (4H,), with the gates side by side in the order i, f, g, o.
    `initial`, its gradient and what `backward.steps` gives for a step are 2H wide: h and c side by
    side. The output is h alone.

    Source: Hochreiter & Schmidhuber (1997) with the forget gate of Gers et al. (2000), in the form
    of `torch.nn.LSTM`.
    """
    sizes = {"n_gates": {"hidden": 4}, "n_states": 2}
    return through_time(lstm_cell, params, x, initial, mask, last, **sizes)


def through_time(
    cell: Callable,
    params: Params,
    x: np.ndarray,
    initial: np.ndarray | None,
    mask: np.ndarray | None,
    last: bool,
    *,
    n_gates: dict[str, int],
    n_states: int,
) -> tuple[np.ndarray, Backward]:
    """Run a cell along a sequence; backpropagation through time.

    What the input adds to the gates is one product for all steps; the states have to wait for one
    another. Backwards, the loss sees the state after step t twice, as output and through step
    t + 1,

        d_state_t = d_output_t + (what step t + 1 sends back)

    so the steps are walked from the last to the first, and each adds its part to the gradient of
    the parameters, which all steps share. A step without an event leaves the state as it is, and so
    it leaves the gradient: what it sends back is d_state_t itself.

    Parameters
    ----------
    cell : params, gates (B, G H), state (B, S H) -> new state (B, S H), back_cell
        One step. `back_cell` takes d_state to grads, d_gates and the d_state of the step before.
        The params and grads of a cell are those that the state meets, without "input".
    params, x, initial, mask, last
        Those of `rnn`.
    n_gates : {"hidden": int}
        How many gates each part of a cell's params makes, G together; "input" has a share in all.
    n_states : int, S
        How many vectors of length H the state is. The first of these is h, the output.

    Returns
    -------
    output, backward
        Those of `rnn`; `d_initial` and the gradients of `backward.steps` are S H wide.
    """
    check_sequence(params, x, initial, mask, n_gates, n_states)
    batch, length, _ = x.shape
    size = len(params["hidden"]["weight"])
    cell_params = {name: params[name] for name in n_gates}
    gates, back_gates = project(params["input"], x)  # (B, L, G H)
    real = np.broadcast_to(True if mask is None else mask, (batch, length))[..., None]
    state = np.zeros((batch, n_states * size), x.dtype) if initial is None else initial

    outputs, back_cells = np.zeros((batch, length, size), x.dtype), []
    for t in range(length):
        new, back_cell = cell(cell_params, gates[:, t], state)
        state = np.where(real[:, t], new, state)
        outputs[:, t] = np.where(real[:, t], state[:, :size], 0)
        back_cells.append(back_cell)
    output = state[:, :size] if last else outputs

    def walk_back(d_output):
        """Gradients of the L + 1 states (number 0 is the initial one), gates and cell_params."""
        check_d_output(d_output, output)
        d_states = np.zeros((batch, length + 1, n_states * size), x.dtype)
        d_gates, d_params = np.zeros_like(gates), zeros_like(cell_params)

        # d_output_t, what the loss sees of a state itself; h, the output, stands first in it.
        if last:
            d_states[:, -1, :size] = d_output
        else:
            d_states[:, 1:, :size] = np.where(real, d_output, 0)

        # Step t made state t + 1 out of state t. What it sends back is added to d_output_t.
        for t in reversed(range(length)):
            d_state = d_states[:, t + 1]
            d_new = np.where(real[:, t], d_state, 0)
            d_step, d_gates[:, t], d_before = back_cells[t](d_new)
            sent_back = np.where(real[:, t], d_before, d_state)
            d_states[:, t] += sent_back
            d_params = added(d_params, d_step)
        return d_states, d_gates, d_params

    def backward(d_output):
        d_states, d_gates, d_params = walk_back(d_output)
        d_input, d_x = back_gates(d_gates)
        return {"input": d_input, **d_params}, d_x, None if initial is None else d_states[:, 0]

    def gradient_at_steps(d_output):
        """Gradients of the L states after a step."""
        d_states, *_ = walk_back(d_output)
        return d_states[:, 1:]

    backward.steps = gradient_at_steps
    return output, backward


def rnn_cell(params: Params, gates: np.ndarray, state: np.ndarray) -> tuple[np.ndarray, Backward]:
    """One step of `rnn`: tanh(gates + h W + b).  gates, state: (B, H) -> (B, H)."""
    recurrent, back_hidden = project(params["hidden"], state)
    output, back_tanh = tanh(gates + recurrent)

    def backward(d_output):
        d_gates = back_tanh(d_output)
        d_hidden, d_state = back_hidden(d_gates)
        return {"hidden": d_hidden}, d_gates, d_state

    return output, backward


def gru_cell(params: Params, gates: np.ndarray, state: np.ndarray) -> tuple[np.ndarray, Backward]:
    """One step of `gru`: (1 - z) n + z h.  gates: (B, 3H), state: (B, H) -> (B, H)."""
    recurrent, back_hidden = project(params["hidden"], state)
    x_r, x_z, x_n = np.split(gates, 3, axis=-1)
    h_r, h_z, h_n = np.split(recurrent, 3, axis=-1)
    r, back_r = sigmoid(x_r + h_r)
    z, back_z = sigmoid(x_z + h_z)
    not_z, _ = sigmoid(-x_z - h_z)  # 1 - z, with its digits where z is near 1
    n, back_n = tanh(x_n + r * h_n)

    def backward(d_output):
        d_n = back_n(d_output * not_z)
        d_r, d_z = back_r(d_n * h_n), back_z(d_output * (state - n))
        d_gates = np.concatenate([d_r, d_z, d_n], axis=-1)
        d_recurrent = np.concatenate([d_r, d_z, d_n * r], axis=-1)
        d_hidden, d_state = back_hidden(d_recurrent)
        return {"hidden": d_hidden}, d_gates, d_state + d_output * z

    return not_z * n + z * state, backward


def reset_before_cell(
    params: Params, gates: np.ndarray, state: np.ndarray
) -> tuple[np.ndarray, Backward]:
    """One step of `gru` with "candidate".  gates: (B, 3H), state: (B, H) -> (B, H).

    The state goes three ways, into the gates, through r into the new one, and through z, and what
    comes back is the sum of three:

        d_h = d_gates W_h^T + r (d_n W_hn^T) + z d_h'
    """
    recurrent, back_hidden = project(params["hidden"], state)
    x_r, x_z, x_n = np.split(gates, 3, axis=-1)
    h_r, h_z = np.split(recurrent, 2, axis=-1)
    r, back_r = sigmoid(x_r + h_r)
    z, back_z = sigmoid(x_z + h_z)
    h_n, back_candidate = project(params["candidate"], r * state)
    n, back_n = tanh(x_n + h_n)

    def backward(d_output):
        d_n = back_n(d_output * (1 - z))
        d_candidate, d_reset = back_candidate(d_n)
        d_r, d_z = back_r(d_reset * state), back_z(d_output * (state - n))
        d_hidden, d_state = back_hidden(np.concatenate([d_r, d_z], axis=-1))
        grads = {"hidden": d_hidden, "candidate": d_candidate}
        d_gates = np.concatenate([d_r, d_z, d_n], axis=-1)
        return grads, d_gates, d_state + d_reset * r + d_output * z

    return (1 - z) * n + z * state, backward


def lstm_cell(params: Params, gates: np.ndarray, state: np.ndarray) -> tuple[np.ndarray, Backward]:
    """One step of `lstm`: h' and c' side by side.  gates: (B, 4H), state: (B, 2H) -> (B, 2H)."""
    hidden, cell = np.split(state, 2, axis=-1)
    recurrent, back_hidden = project(params["hidden"], hidden)
    a_i, a_f, a_g, a_o = np.split(gates + recurrent, 4, axis=-1)
    i, back_i = sigmoid(a_i)
    f, back_f = sigmoid(a_f)
    g, back_g = tanh(a_g)
    o, back_o = sigmoid(a_o)
    new_cell = f * cell + i * g
    read, back_read = tanh(new_cell)

    def backward(d_output):
        d_read, d_cell = np.split(d_output, 2, axis=-1)
        d_cell = d_cell + back_read(d_read * o)
        d_gates = np.concatenate(
            [
                back_i(d_cell * g),
                back_f(d_cell * cell),
                back_g(d_cell * i),
                back_o(d_read * read),
            ],
            axis=-1,
        )
        d_hidden, d_before = back_hidden(d_gates)
        d_state = np.concatenate([d_before, d_cell * f], axis=-1)
        return {"hidden": d_hidden}, d_gates, d_state

    return np.concatenate([o * read, new_cell], axis=-1), backward


def zeros_like(params: Params) -> Params:
    """The gradients of {part: {"weight", "bias"}} before the first is added; None stays None."""
    return {
        name: {kind: None if a is None else np.zeros_like(a) for kind, a in part.items()}
        for name, part in params.items()
    }


def added(grads: Params, others: Params) -> Params:
    """The sums of two trees of gradients of {part: {"weight", "bias"}}; None stays None."""
    return {
        name: {kind: None if a is None else a + others[name][kind] for kind, a in part.items()}
        for name, part in grads.items()
    }


def check_sequence(
    params: Params,
    x: np.ndarray,
    initial: np.ndarray | None,
    mask: np.ndarray | None,
    n_gates: dict[str, int],
    n_states: int,
) -> None:
    """Raise unless parameters, input, initial state and mask fit together."""
    n_gates = {"input": sum(n_gates.values()), **n_gates}
    if params.keys() != n_gates.keys():
        raise ValueError(
            f"params has {', '.join(params)}, but must have {', '.join(n_gates)}, each with "
            "weight and bias"
        )
    arrays = {
        f"params {name} {kind}": params[name][kind]
        for name in n_gates
        for kind in ("weight", "bias")
    }
    check_floats(x=x, initial=initial, **arrays)
    if x.ndim != 3:
        raise ValueError(f"x has shape {x.shape}, but must be (batch, length, width)")
    size = len(params["hidden"]["weight"])
    for name, count in n_gates.items():
        rows = x.shape[-1] if name == "input" else size
        check_same_shape(f"params {name} weight", params[name]["weight"], (rows, count * size))
        if params[name]["bias"] is not None:
            check_same_shape(f"params {name} bias", params[name]["bias"], (count * size,))
    if initial is not None:
        check_same_shape("initial", initial, (x.shape[0], n_states * size))
    check_mask("mask", mask, x.shape[:2])
