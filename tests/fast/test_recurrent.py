"""Recurrent layers in time-major arrays are the layers."""

import numpy as np
import pytest

from attention_from_scratch import fast, ops
from attention_from_scratch.tree import tree_leaves, tree_map
from attention_from_scratch.verify import check_gradients
from tests.fast.comparing import assert_same, drawn, each_dtype

RECURRENT = {"gru": (3, 1), "lstm": (4, 2)}  # gates, states


def recurrent_inputs(op, dtype=np.float64, bias=True, batch=3, length=6):
    """Parameters, events and a first state."""
    n_gates, n_states = RECURRENT[op]
    shapes = (2, n_gates * 4), (n_gates * 4,), (4, n_gates * 4), (n_gates * 4,)
    w_x, b_x, w_h, b_h = drawn(*shapes, dtype=dtype)
    params = {
        "input": {"weight": w_x, "bias": b_x if bias else None},
        "hidden": {"weight": w_h, "bias": b_h if bias else None},
    }
    x, initial = drawn((batch, length, 2), (batch, n_states * 4), dtype=dtype, seed=1)
    return params, x, initial


STEPS = np.array([[0, 0, 1, 1, 0, 1], [1, 1, 1, 1, 1, 1], [0, 0, 0, 0, 0, 0]], bool)


@pytest.mark.parametrize("op", RECURRENT)
@pytest.mark.parametrize("last", [False, True])
@pytest.mark.parametrize("mask", [None, STEPS, STEPS[[1, 1, 1]]], ids=["none", "some", "all"])
@pytest.mark.parametrize("whole", [False, True], ids=["bare", "with bias and initial"])
@each_dtype
def test_a_recurrent_layer_in_time_major_arrays_is_the_layer(op, last, mask, whole, dtype):
    params, x, initial = recurrent_inputs(op, dtype, bias=whole)
    inputs = (params, x, initial) if whole else (params, x)

    def of(which):
        return lambda *inputs: getattr(which, op)(*inputs, mask=mask, last=last)

    assert_same(of(ops), of(fast), inputs, dtype)
    (output, backward), (_, plain) = of(fast)(*inputs), of(ops)(*inputs)
    assert np.array_equal(backward.steps(output), plain.steps(output))


@pytest.mark.parametrize("last", [False, True])
@pytest.mark.parametrize("mask", [None, STEPS], ids=["none", "some"])
@each_dtype
def test_a_gru_that_resets_before_its_product_is_the_plain_one(last, mask, dtype):
    params, *others = recurrent_inputs("gru", dtype)
    parts = {"hidden": slice(8), "candidate": slice(8, None)}
    params = {"input": params["input"]} | {
        name: {kind: a[..., columns] for kind, a in params["hidden"].items()}
        for name, columns in parts.items()
    }
    found, expected = (which.gru(params, *others, mask=mask, last=last) for which in (fast, ops))
    assert np.array_equal(found[0], expected[0])
    tree_map(np.testing.assert_array_equal, found[1](found[0]), expected[1](found[0]))


@pytest.mark.parametrize("op", RECURRENT)
def test_what_is_done_to_the_output_of_a_recurrent_layer_does_not_reach_its_gradients(op):
    inputs = recurrent_inputs(op)
    (output, backward), (_, untouched) = getattr(fast, op)(*inputs), getattr(fast, op)(*inputs)
    d_output = np.ones_like(output)
    output *= 0
    tree_map(np.testing.assert_array_equal, backward(d_output), untouched(d_output))


@pytest.mark.parametrize("op", RECURRENT)
def test_where_there_is_no_event_not_even_nan_comes_back_into_a_recurrent_layer(op):
    inputs = recurrent_inputs(op)
    output, backward = getattr(fast, op)(*inputs, mask=STEPS)
    expected = backward(np.where(STEPS[..., None], 1.0, 0.0) + np.zeros_like(output))
    found = backward(np.where(STEPS[..., None], 1.0, np.nan) + np.zeros_like(output))
    tree_map(np.testing.assert_array_equal, found, expected)


@pytest.mark.parametrize("op", RECURRENT)
@pytest.mark.parametrize("which", [ops, fast], ids=["plain", "fast"])
def test_a_recurrent_bias_of_a_wrong_shape_is_an_error_that_names_it(op, which):
    params, x, _ = recurrent_inputs(op)
    params["hidden"]["bias"] = params["hidden"]["bias"].reshape(-1, 1)
    with pytest.raises(ValueError, match="params hidden bias has shape"):
        getattr(which, op)(params, x)


@pytest.mark.parametrize("op", RECURRENT)
@pytest.mark.parametrize(("batch", "length"), [(0, 3), (3, 0)])
def test_a_recurrent_layer_of_nothing_sends_nothing_back(op, batch, length):
    params, x, initial = recurrent_inputs(op, batch=batch, length=length)
    output, backward = getattr(fast, op)(params, x, initial)
    grads, d_x, d_initial = backward(output)
    assert d_x.shape == x.shape
    assert d_initial.shape == initial.shape
    assert all(np.all(leaf == 0) for _, leaf in tree_leaves(grads))


@pytest.mark.parametrize("op", RECURRENT)
def test_a_recurrent_layer_without_units_has_gradients_without_numbers(op):
    part = {"weight": np.zeros((2, 0)), "bias": np.zeros(0)}
    params = {"input": part, "hidden": part | {"weight": np.zeros((0, 0))}}
    output, backward = getattr(fast, op)(params, np.ones((3, 5, 2)))
    grads, d_x, _ = backward(output)
    tree_map(np.testing.assert_array_equal, grads, params)
    assert np.array_equal(d_x, np.zeros((3, 5, 2)))


@pytest.mark.parametrize("op", RECURRENT)
def test_the_gradients_of_a_recurrent_layer_in_time_major_arrays_are_its_derivatives(op):
    report = check_gradients(getattr(fast, op), *recurrent_inputs(op), mask=STEPS)
    assert report.passed, report


@pytest.mark.parametrize("op", RECURRENT)
@pytest.mark.parametrize("shape", [(), (6,), (1, 6), (3, 1)], ids=str)
def test_a_mask_of_a_recurrent_layer_may_be_one_for_all(op, shape):
    inputs, layer = recurrent_inputs(op), getattr(fast, op)
    mask = np.random.default_rng(0).random(shape) < 0.5
    output, backward = layer(*inputs, mask=np.asarray(mask))
    expected, expected_backward = layer(*inputs, mask=np.broadcast_to(mask, (3, 6)))
    assert np.array_equal(output, expected)
    tree_map(np.testing.assert_array_equal, backward(output), expected_backward(output))
    assert backward.steps(output).shape[:2] == (3, 6)
