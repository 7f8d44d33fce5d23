"""Wrong ways back through time: layers whose cells send back less than they should."""

import numpy as np

from attention_from_scratch import ops
from attention_from_scratch.ops import recurrent
from benchmarks.mutants.shelves import wrong


def altered(cell, change, params, x, initial, options, n_gates, n_states):
    """A layer of a cell whose (grads, d_gates, d_state) go through `change`."""

    def wrong_cell(params, gates, state):
        output, back = cell(params, gates, state)
        return output, lambda d_output: change(*back(d_output))

    settings = {"mask": None, "last": False} | options
    sizes = {"n_gates": {"hidden": n_gates}, "n_states": n_states}
    return recurrent.through_time(wrong_cell, params, x, initial, **settings, **sizes)


def exchanged(array, order):
    """Put the gates along the last axis in another order."""
    parts = np.split(array, len(order), axis=-1)
    return np.concatenate([parts[i] for i in order], axis=-1)


@wrong(ops.rnn, "time_cut", "second")
def rnn_of_single_steps(params, x, initial=None, **options):
    """Every step learns for itself: nothing goes back to the step before."""

    def change(grads, d_gates, d_state):
        return grads, d_gates, np.zeros_like(d_state)

    return altered(recurrent.rnn_cell, change, params, x, initial, options, 1, 1)


@wrong(ops.lstm, "time_cut", "second")
def lstm_of_single_steps(params, x, initial=None, **options):
    """Every step learns for itself: neither hidden state nor cell sends anything back."""

    def change(grads, d_gates, d_state):
        return grads, d_gates, 0 * d_state

    return altered(recurrent.lstm_cell, change, params, x, initial, options, 4, 2)


@wrong(ops.lstm, "forget_path_cut", "second")
def lstm_without_cell_path(params, x, initial=None, **options):
    """The cell's gradient stops at its step."""

    def change(grads, d_gates, d_state):
        d_hidden, d_cell = np.split(d_state, 2, axis=-1)
        return grads, d_gates, np.concatenate([d_hidden, 0 * d_cell], axis=-1)

    return altered(recurrent.lstm_cell, change, params, x, initial, options, 4, 2)


@wrong(ops.lstm, "gate_path_cut", "second")
def lstm_without_gate_path(params, x, initial=None, **options):
    """What the gates send to the hidden state before is lost."""

    def change(grads, d_gates, d_state):
        d_hidden, d_cell = np.split(d_state, 2, axis=-1)
        return grads, d_gates, np.concatenate([0 * d_hidden, d_cell], axis=-1)

    return altered(recurrent.lstm_cell, change, params, x, initial, options, 4, 2)


@wrong(ops.lstm, "gates_wrong_order", "second")
def lstm_of_other_gates(params, x, initial=None, **options):
    """The gradients of the parameters are in the order i, f, o, g."""
    output, back = ops.lstm(params, x, initial, **options)

    def backward(d_output):
        grads, *others = back(d_output)
        grads = {
            name: {part: exchanged(d, (0, 1, 3, 2)) for part, d in linear.items()}
            for name, linear in grads.items()
        }
        return grads, *others

    return output, backward


@wrong(ops.gru, "gates_wrong_order", "second")
def gru_of_keras_gates(params, x, initial=None, **options):
    """The gradients of the parameters are in the order z, r, n, as in Keras."""
    output, back = ops.gru(params, x, initial, **options)

    def backward(d_output):
        grads, *others = back(d_output)
        for linear in grads.values():
            for part, d in linear.items():
                linear[part] = exchanged(d, (1, 0, 2))
        return grads, *others

    return output, backward


def gru_by_hand(params, x, initial, options, keep=True, reset=True):
    """A GRU written out by hand, which can leave out z on the way back, or r."""

    def cell(params, gates, state):
        products, back_hidden = ops.project(params["hidden"], state)
        (x_r, x_z, x_n), (h_r, h_z, h_n) = (np.split(a, 3, axis=-1) for a in (gates, products))
        r, back_r = ops.sigmoid(x_r + h_r)
        z, back_z = ops.sigmoid(x_z + h_z)
        n, back_n = ops.tanh(x_n + r * h_n)

        def backward(d_new):
            d_n = back_n(d_new * (1 - z))
            d_r, d_z = back_r(d_n * h_n), back_z(d_new * (state - n))
            d_products = np.concatenate([d_r, d_z, d_n * r if reset else d_n], axis=-1)
            d_hidden, d_state = back_hidden(d_products)
            d_state = d_state + d_new * z if keep else d_state
            return {"hidden": d_hidden}, np.concatenate([d_r, d_z, d_n], axis=-1), d_state

        return n + z * (state - n), backward

    settings = {"mask": None, "last": False} | options
    sizes = {"n_gates": {"hidden": 3}, "n_states": 1}
    return recurrent.through_time(cell, params, x, initial, **settings, **sizes)


@wrong(ops.gru, "forget_path_cut", "second")
def gru_without_state_path(params, x, initial=None, **options):
    """d_h lacks its part z d_h', which comes past the gates."""
    return gru_by_hand(params, x, initial, options, keep=False)


@wrong(ops.gru, "reset_gate_forgotten", "second")
def gru_without_reset(params, x, initial=None, **options):
    """d_n goes back to h W_hn whole, without the factor r."""
    return gru_by_hand(params, x, initial, options, reset=False)


@wrong(ops.rnn, "slope_wrong", "second")
def rnn_without_slope(params, x, initial=None, **options):
    """The tanh is taken for the identity."""

    def cell(params, gates, state):
        product, back_hidden = ops.project(params["hidden"], state)

        def backward(d_new):
            d_hidden, d_state = back_hidden(d_new)
            return {"hidden": d_hidden}, d_new, d_state

        return np.tanh(gates + product), backward

    settings = {"mask": None, "last": False} | options
    sizes = {"n_gates": {"hidden": 1}, "n_states": 1}
    return recurrent.through_time(cell, params, x, initial, **settings, **sizes)


@wrong(ops.rnn, "bias_not_summed", "second")
def rnn_of_last_bias(params, x, initial=None, **options):
    """The recurrent bias gets the gradient of the last step alone."""
    output, back = ops.rnn(params, x, initial, **options)
    mask = options.get("mask")
    last = ops.rnn(params, x, initial, mask=mask)[0][:, -1]
    here = np.ones((len(x), 1)) if mask is None else mask[:, -1:]

    def backward(d_output):
        grads, *others = back(d_output)
        d_last = back.steps(d_output)[:, -1] * here
        grads["hidden"]["bias"] = (d_last * (1 - last * last)).sum(axis=0)
        return grads, *others

    return output, backward
