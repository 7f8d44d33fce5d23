"""Recurrent layers, with all that need not wait for the step before done for all steps at once.

Backwards through time, a step's gradient is multiplied by the slopes of its gates, which are known
from the forward pass, and by the weights. So the slopes are made first, as arrays over all steps,
and the weights' own gradient last, as one product:

    d_a_t = slope_t * d_state_t        d_W_h = sum_t h_{t-1}^T d_a_t = [h_0 ...]^T [d_a_1 ...]

What is left to be done step by step is little. All gates go through one tanh, as
sigmoid(x) = 1/2 + 1/2 tanh(x / 2); it is the weights that are halved for it. Arrays begin with the
axis of time.
"""

import numpy as np

from attention_from_scratch import ops as plain
from attention_from_scratch.fast.linear import by_row, sum_of_rows
from attention_from_scratch.ops.contract import check_d_output
from attention_from_scratch.ops.recurrent import check_sequence

SHARES = {4: (0.5, 0.5, 1, 0.5), 3: (0.5, 0.5, 1)}
"""Number of gates -> what each one's argument is multiplied by: i, f, g, o, and r, z, n."""


def lstm(params, x, initial=None, *, mask=None, last=False):
    """As `ops.lstm`."""
    return through_time(lstm_steps, plain.lstm, params, x, initial, mask, last, 4, 2)


def gru(params, x, initial=None, *, mask=None, last=False):
    """As `ops.gru`."""
    return through_time(gru_steps, plain.gru, params, x, initial, mask, last, 3, 1)


def through_time(steps, op, params, x, initial, mask, last, n_gates, n_states):
    """Run a cell along a sequence; backpropagation through time."""
    check_sequence(params, x, initial, mask, n_gates, n_states)
    hidden, (batch, length, width) = params["hidden"], x.shape
    size = len(hidden["weight"])
    rows = x.swapaxes(0, 1).reshape(-1, width)
    shares = np.repeat(np.array(SHARES[n_gates], x.dtype), size)
    gates = rows @ (params["input"]["weight"] * shares)
    if params["input"]["bias"] is not None:
        by_row(np.add, gates, params["input"]["bias"] * shares, out=gates)
    gates = gates.reshape(length, batch, n_gates, size)
    real = None if mask is None or mask.all() else np.ascontiguousarray(mask.T)[..., None]

    states = np.zeros((length + 1, n_states, batch, size), x.dtype)  # h, or h and c
    if initial is not None:
        states[0] = initial.reshape(batch, n_states, size).swapaxes(0, 1)
    step, slopes = steps(gates, states, hidden["weight"], hidden["bias"], shares)
    for t in range(length):
        step(t)
        if real is not None:
            np.copyto(states[t + 1], states[t], where=~real[t])
    output = states[-1, 0] if last else states[1:, 0].swapaxes(0, 1)
    if real is not None and not last:
        output = output * mask[..., None]

    def backward(d_output):
        check_d_output(d_output, output)
        d_gates, d_recurrent, step_back = slopes()
        d_state = np.zeros_like(states[0])
        if last:
            d_state[0] = d_output
        for t in reversed(range(length)):
            if not last:
                d_state[0] += d_output[:, t] if real is None else d_output[:, t] * real[t]
            if real is None:
                d_state = step_back(t, d_state)
            else:
                d_state = step_back(t, d_state * real[t]) + d_state * ~real[t]
        d_rows, d_recurrent_rows = (
            d.reshape(length * batch, n_gates * size) for d in (d_gates, d_recurrent)
        )
        grads = {
            "input": map_gradient(params["input"], rows, d_rows),
            "hidden": map_gradient(hidden, states[:-1, 0].reshape(-1, size), d_recurrent_rows),
        }
        d_x = (d_rows @ params["input"]["weight"].T).reshape(length, batch, width).swapaxes(0, 1)
        d_initial = None
        if initial is not None:
            d_initial = d_state.swapaxes(0, 1).reshape(initial.shape)
        return grads, d_x, d_initial

    backward.steps = lambda d_output: op(params, x, initial, mask=mask, last=last)[1].steps(
        d_output
    )
    return output, backward


def map_gradient(params, x_rows, d_rows):
    """Of a linear map that served all steps."""
    bias = None if params["bias"] is None else sum_of_rows(d_rows)
    return {"weight": x_rows.T @ d_rows, "bias": bias}


def lstm_steps(gates, states, weight, bias, shares):
    """Two functions: one that makes states[t + 1] of states[t], and one for the way back.

    gates (L, B, 4, H) hold what the input adds, times `shares`, and are written over by i, f, g, o.
    """
    length, batch, _, size = gates.shape
    if bias is not None:
        rows = gates.reshape(length * batch, 4 * size)
        by_row(np.add, rows, bias * shares, out=rows)
    halved = weight * shares
    scale, shift = shares.reshape(4, size), (1 - shares).reshape(4, size)
    tanh_c = np.empty((length, batch, size), gates.dtype)
    added = np.empty((batch, 4 * size), gates.dtype)

    def step(t):
        a, (h, c), (new_h, new_c) = gates[t], states[t], states[t + 1]
        a += np.matmul(h, halved, out=added).reshape(a.shape)
        np.tanh(a, out=a)
        a *= scale
        a += shift
        i, f, g, o = (a[:, k] for k in range(4))
        np.multiply(f, c, out=new_c)
        new_c += i * g
        np.multiply(o, np.tanh(new_c, out=tanh_c[t]), out=new_h)

    def slopes():
        """d_gates, to be filled by the steps; the same for the recurrent part; a step back."""
        i, f, g, o = (gates[:, :, k] for k in range(4))
        slope = gates * gates
        np.subtract(gates, slope, out=slope)  # s (1 - s)
        slope[:, :, 2] = 1 - g * g
        for k, factor in enumerate((g, states[:-1, 1], i, tanh_c)):
            slope[:, :, k] *= factor
        to_c = o * (1 - tanh_c * tanh_c)
        back = np.ascontiguousarray(weight.T)

        def step_back(t, d_state):
            (d_h, d_c), d_before = d_state, np.empty_like(d_state)
            d_c += d_h * to_c[t]
            d = slope[t]  # becomes the gradient
            d[:, :3] *= d_c[:, None]
            d[:, 3] *= d_h
            np.matmul(d.reshape(batch, 4 * size), back, out=d_before[0])
            np.multiply(d_c, f[t], out=d_before[1])
            return d_before

        return slope, slope, step_back

    return step, slopes


def gru_steps(gates, states, weight, bias, shares):
    """The same; gates (L, B, 3, H) are written over by r, z, n."""
    _, batch, _, size = gates.shape
    halved, bias = weight * shares, 0 if bias is None else (bias * shares).reshape(3, size)
    recurrent = np.empty_like(gates)

    def step(t):
        a, h, added = gates[t], states[t, 0], recurrent[t]
        np.matmul(h, halved, out=added.reshape(batch, 3 * size))
        added += bias
        mix, new = a[:, :2], a[:, 2]  # r and z; n
        mix += added[:, :2]
        np.tanh(mix, out=mix)
        mix *= 0.5
        mix += 0.5
        new += mix[:, 0] * added[:, 2]
        np.tanh(new, out=new)
        states[t + 1, 0] = new + mix[:, 1] * (h - new)

    def slopes():
        r, z, n = (gates[:, :, k] for k in range(3))
        slope = gates - gates * gates
        slope[:, :, 2] = (1 - z) * (1 - n * n)
        slope[:, :, 1] *= states[:-1, 0] - n
        slope[:, :, 0] *= slope[:, :, 2] * recurrent[:, :, 2]
        recurrent_slope = slope.copy()
        recurrent_slope[:, :, 2] *= r
        back = np.ascontiguousarray(weight.T)

        def step_back(t, d_state):
            d = recurrent_slope[t]
            d *= d_state[0][:, None]
            slope[t] *= d_state[0][:, None]
            return d.reshape(batch, 3 * size) @ back + d_state * z[t]

        return slope, recurrent_slope, step_back

    return step, slopes
