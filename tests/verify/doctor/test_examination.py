"""An op against its reference: ours or a reader's, by name or by difference, in corners."""

import numpy as np
import pytest

from attention_from_scratch import ops
from attention_from_scratch.ops.recurrent import through_time
from attention_from_scratch.tree import tree_map
from attention_from_scratch.verify import as_op, diagnose
from attention_from_scratch.verify.doctor.mistakes import MISTAKES


@pytest.mark.parametrize("op", MISTAKES)
def test_our_own_ops_are_not_accused(op):
    assert not diagnose(getattr(ops, op), getattr(ops, op)).wrong


def test_a_forward_pass_that_differs_is_told_first():
    def shifted(x):
        output, back = ops.relu(x)
        return output + 1, back

    assert "forward pass differs" in str(diagnose(shifted, ops.relu))


def test_by_the_name_of_an_op_the_right_gradient_is_measured():
    def op(x):
        p, _ = ops.softmax(x)
        return p, lambda d: d * p * (1 - p)

    assert diagnose(op, "softmax").mistakes == {"softmax_elementwise"}
    assert not diagnose(ops.layer_norm, "layer_norm").wrong


def normal(*shape, dtype=np.float64):
    return np.random.default_rng(0).standard_normal(shape).astype(dtype)


def softmax_without_its_sum(x):
    p, _ = ops.softmax(x)
    return p, lambda d: p * d


@pytest.mark.parametrize("op", ["layer_norm", "softmax", "gelu"])
def test_in_float32_by_name_a_right_op_is_not_accused(op):
    inputs = [normal(3, 4, dtype=np.float32)]
    inputs += [normal(4, dtype=np.float32)] * 2 if op == "layer_norm" else []
    assert not diagnose(getattr(ops, op), op, *inputs).wrong


def test_an_op_of_a_framework_is_measured_by_differences():
    right, wrong = (lambda x: ops.softmax(x)), (lambda x: softmax_without_its_sum(x))
    right.complex_step = wrong.complex_step = False
    for dtype in (np.float32, np.float64):
        assert not diagnose(right, "softmax", normal(3, 4, dtype=dtype)).wrong
        found = diagnose(wrong, "softmax", normal(3, 4, dtype=dtype)).mistakes
        assert found == {"softmax_row_sum_missing"}


def test_a_pair_of_functions_is_diagnosed_under_its_own_name():
    pair = as_op((lambda x: np.tanh(x), lambda d, x: d * (1 - np.tanh(x))))
    assert diagnose(pair, ops.tanh).mistakes == {"slope_wrong"}


KEEP = np.array([[True, False], [True, True]])


CORNERS = {
    "gelu at 0": (ops.gelu, [np.array([0.0, 1.0])], {}),
    "no rows": (ops.linear, [normal(0, 3), normal(3, 2), normal(2)], {}),
    "nothing dropped": (ops.dropout, [normal(2, 2)], {"p": 0.0, "keep": np.ones((2, 2), bool)}),
    "a negative scale": (ops.attention_weights, [normal(3, 4), normal(3, 4)], {"scale": -2.0}),
    "dropout": (
        ops.scaled_dot_product_attention,
        [normal(2, 4)] * 3,
        {"dropout_p": 0.5, "keep": KEEP},
    ),
    "no weight": (ops.layer_norm, [normal(2, 3), None, None], {}),
    "one position": (ops.cross_entropy, [normal(4), np.array(2)], {}),
}


def with_a_ripple(gradient):
    ripple = 0.1 * np.cos(np.arange(gradient.size)).reshape(gradient.shape)
    return gradient + ripple.astype(gradient.dtype)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("corner", CORNERS.values(), ids=CORNERS)
def test_in_corners_the_doctor_keeps_its_head(corner, dtype):
    op, inputs, keywords = corner
    inputs = [x.astype(dtype) if x is not None and x.dtype == np.float64 else x for x in inputs]

    def unknown(*inputs, **keywords):
        output, back = op(*inputs, **keywords)

        def backward(d=1.0):
            return tree_map(with_a_ripple, back(d))

        return output, backward

    for reference in (op, op.__name__):
        assert not diagnose(op, reference, *inputs, **keywords).wrong
        diagnosis = diagnose(unknown, reference, *inputs, **keywords)
        assert diagnosis.wrong
        assert not diagnosis.findings


def resetting_before(keep=True, reset=True, gates=True, order=(0, 1)):
    """A GRU that resets before its product, which can leave out a path of the state, or r."""

    def cell(params, of_input, state):
        products, back_hidden = ops.project(params["hidden"], state)
        (x_r, x_z, x_n), (h_r, h_z) = np.split(of_input, 3, -1), np.split(products, 2, -1)
        (r, back_r), (z, back_z) = ops.sigmoid(x_r + h_r), ops.sigmoid(x_z + h_z)
        h_n, back_candidate = ops.project(params["candidate"], r * state)
        n, back_n = ops.tanh(x_n + h_n)

        def backward(d_new):
            d_n = back_n(d_new * (1 - z))
            d_candidate, d_reset = back_candidate(d_n)
            d_gates = [back_r(d_reset * state), back_z(d_new * (state - n))]
            d_gates = [d_gates[i] for i in order]
            d_hidden, d_state = back_hidden(np.concatenate(d_gates, axis=-1))
            d_state = d_state * gates + d_new * z * keep + d_reset * (r if reset else 1)
            grads = {"hidden": d_hidden, "candidate": d_candidate}
            return grads, np.concatenate([*d_gates, d_n], axis=-1), d_state

        return (1 - z) * n + z * state, backward

    def op(params, x, initial=None, *, mask=None, last=False):
        sizes = {"n_gates": {"hidden": 2, "candidate": 1}, "n_states": 1}
        return through_time(cell, params, x, initial, mask, last, **sizes)

    return op


RESET_BEFORE = {
    "forget_path_cut": {"keep": False},
    "reset_gate_forgotten": {"reset": False},
    "gate_path_cut": {"gates": False},
    "gates_wrong_order": {"order": (1, 0)},
}


@pytest.mark.parametrize("last", [False, True])
@pytest.mark.parametrize("mistake", [None, *RESET_BEFORE])
def test_of_a_gru_that_resets_before_its_product_the_mistake_is_named(mistake, last):
    rng = np.random.default_rng(0)
    params = {
        name: {"weight": rng.standard_normal(shape), "bias": rng.standard_normal(shape[1])}
        for name, shape in (("input", (3, 12)), ("hidden", (4, 8)), ("candidate", (4, 4)))
    }
    inputs = params, rng.standard_normal((2, 5, 3)), rng.standard_normal((2, 4))
    op = resetting_before(**RESET_BEFORE.get(mistake, {}))
    diagnosis = diagnose(op, ops.gru, *inputs, last=last)
    assert [finding.mistake for finding in diagnosis.findings] == [mistake] * (mistake is not None)
    assert bool(diagnosis.wrong) == (mistake is not None)
