"""What each step adds to the gradients of a recurrent layer, and what may be wrong with it."""

import numpy as np
import pytest

from attention_from_scratch import ops
from attention_from_scratch.verify import diagnose


def unrolled(params, x, *, weight_of_step, state_after=False):
    """An Elman network whose gradients are made step by step."""
    (w_x, b_x), (w_h, b_h) = ((params[n]["weight"], params[n]["bias"]) for n in ("input", "hidden"))
    if b_x is None or b_h is None:
        raise ValueError
    states = [np.zeros((len(x), len(w_h)))]
    for t in range(x.shape[1]):
        states.append(np.tanh(x[:, t] @ w_x + b_x + states[-1] @ w_h + b_h))

    def backward(d):
        d_state, d_x, d_w_x = 0 * states[0], np.zeros_like(x), 0 * w_x
        d_w_h, d_b = 0 * w_h, 0 * b_h
        for t in reversed(range(x.shape[1])):
            d_gates = (d[:, t] + d_state) * (1 - states[t + 1] ** 2)
            d_w_x = d_w_x + x[:, t].T @ d_gates
            d_w_h = d_w_h + states[t + 1 if state_after else t].T @ d_gates
            d_b = weight_of_step(t, x.shape[1]) * d_gates.sum(axis=0) + d_b
            d_x[:, t], d_state = d_gates @ w_x.T, d_gates @ w_h.T
        grads = {"input": {"weight": d_w_x, "bias": d_b}, "hidden": {"weight": d_w_h, "bias": d_b}}
        return grads, d_x

    return np.stack(states[1:], axis=1), backward


STEPS = {
    "that of the first step alone": lambda t, n: t == 0,
    "that of the last step alone": lambda t, n: t == n - 1,
    "the first step is missing": lambda t, n: t > 0,
    "is a mean over steps": lambda t, n: 1 / n,
}


@pytest.mark.parametrize("words", STEPS)
def test_which_steps_are_in_the_gradient_of_a_bias_is_told(words):
    def op(params, x):
        return unrolled(params, x, weight_of_step=STEPS[words])

    diagnosis = diagnose(op, ops.rnn)
    told = [arg for d in diagnosis.derived if words in d.words for arg in d.arguments]
    assert set(told) == {"d_params.input.bias", "d_params.hidden.bias"}
    assert not diagnosis.unexplained


def test_the_state_after_the_step_is_told_beside_another_mistake():
    def op(params, x):
        return unrolled(params, x, weight_of_step=STEPS["the first step is missing"], state_after=1)

    text = str(diagnose(op, ops.rnn))
    assert "d_params.hidden.weight: the state after the step stands in the place of the" in text
    assert "the first step is missing" in text


def test_a_recurrent_weight_that_is_not_transposed_is_told():
    weight = np.random.default_rng(0).standard_normal((3, 3))
    params = {n: {"weight": weight * (1 + i), "bias": weight[i]} for i, n in enumerate("ab")}
    params = {"input": params["a"], "hidden": params["b"]}

    def untransposed(params, x):
        w_x, w_h = params["input"]["weight"], params["hidden"]["weight"]
        states, b = [np.zeros((len(x), 3))], params["input"]["bias"] + params["hidden"]["bias"]
        for t in range(x.shape[1]):
            states.append(np.tanh(x[:, t] @ w_x + states[-1] @ w_h + b))

        def backward(d):
            d_state, d_x, grads = 0 * states[0], 0 * x, [0 * w_x, 0 * w_h, 0 * b]
            for t in reversed(range(x.shape[1])):
                d_gates = (d[:, t] + d_state) * (1 - states[t + 1] ** 2)
                grads[0] = grads[0] + x[:, t].T @ d_gates
                grads[1] = grads[1] + states[t].T @ d_gates
                grads[2] = grads[2] + d_gates.sum(axis=0)
                d_x[:, t], d_state = d_gates @ w_x.T, d_gates @ w_h
            names = ("input", "hidden")
            return {n: {"weight": grads[i], "bias": grads[2]} for i, n in enumerate(names)}, d_x

        return np.stack(states[1:], axis=1), backward

    x = np.random.default_rng(1).standard_normal((2, 4, 3))
    assert diagnose(untransposed, ops.rnn, params, x).mistakes == {"transpose_missing"}
