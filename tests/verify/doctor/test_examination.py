"""An op against its reference: ours or a reader's, by name or by difference, in corners."""

import numpy as np
import pytest

from attention_from_scratch import ops
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
