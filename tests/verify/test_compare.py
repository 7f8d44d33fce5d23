"""Two ops, or other code made into ops, are compared."""

import numpy as np
import pytest

from attention_from_scratch import ops
from attention_from_scratch.verify import GradientError, as_op, assert_gradients, compare
from attention_from_scratch.verify.frameworks import FRAMEWORKS, load


def normal(*shape):
    return np.random.default_rng(0).standard_normal(shape)


def softmax_forward(x):
    return np.exp(x) / np.exp(x).sum(-1, keepdims=True)


def softmax_backward(d_output, x):
    p = softmax_forward(x)
    return p * (d_output - (d_output * p).sum(-1, keepdims=True))


def test_a_pair_of_plain_functions_is_an_op():
    pair = (softmax_forward, softmax_backward)
    assert compare(pair, ops.softmax, normal(3, 4)).passed
    assert as_op(pair).__name__ == "softmax_forward"


def test_rows_are_the_output_and_every_gradient():
    report = compare(ops.linear, ops.linear, normal(2, 3), normal(3, 4), normal(4))
    assert [row.name for row in report.rows] == ["output", "d_x", "d_weight", "d_bias"]
    assert report.passed
    assert "comparison of linear" in str(report)


def test_a_gradient_that_differs_is_found():
    def wrong(x):
        return softmax_forward(x), lambda d: 1.001 * softmax_backward(d, x)

    report = compare(wrong, ops.softmax, normal(3, 4))
    assert [row.passed for row in report.rows] == [True, False]
    assert report.rows[1].errors["against theirs"] == pytest.approx(0.001, rel=0.01)


def test_outputs_of_different_shape_are_an_error():
    with pytest.raises(ValueError, match="shape"):
        compare(lambda x: (x.sum(), lambda d=1.0: d * np.ones_like(x)), ops.relu, normal(3))


@pytest.mark.parametrize("shape", [(1,), (2,), (3, 1)])
@pytest.mark.parametrize("swapped", [False, True])
def test_a_gradient_of_another_shape_is_an_error_whose_ever_it_is(shape, swapped):
    def other(x):
        return np.maximum(x, 0), lambda d: np.zeros(shape)

    pair = (ops.relu, other) if not swapped else (other, ops.relu)
    whose = "ours" if swapped else "theirs"
    with pytest.raises(GradientError, match=rf"gradient of x \({whose}\) has shape"):
        compare(*pair, normal(3))


def test_a_gradient_that_is_another_tree_is_an_error():
    def op(params):
        return params["a"] * 2, lambda d: {"a": d * 2}

    def other(params):
        return params["a"] * 2, lambda d: {"b": d * 2}

    with pytest.raises(GradientError, match="another tree: a, b"):
        compare(op, other, {"a": normal(3)})


def test_their_gradient_may_have_another_dtype():
    def other(x):
        output, backward = ops.relu(x.astype(np.float64))
        return output, backward

    assert compare(ops.relu, other, normal(3).astype(np.float32)).passed


@pytest.mark.parametrize(("leak", "passed"), [(0, True), (1e-15, False), (1e-13, False)])
def test_a_leak_does_not_hide_behind_large_entries(leak, passed):
    def leaky(x):
        output, backward = ops.relu(x)
        return output, lambda d: backward(d) + leak * (x < 0)

    x = np.array([-1.0, 2, 3])
    report = compare(leaky, ops.relu, x)
    assert report.passed == passed
    names = [row.name for row in report.rows if not row.passed]
    assert names == ([] if passed else ["d_x"])


def test_the_table_says_what_each_row_is_held_against():
    report = compare(ops.relu, ops.relu, normal(3), labels=("ours", "torch"))
    assert {row.method for row in report.rows} == {"against torch"}


@pytest.mark.parametrize("code", [3, (), (1, 2), (abs, abs, abs)])
def test_what_is_no_code_is_an_error(code):
    with pytest.raises(TypeError, match=r"code is a (int|tuple of .), but must be an op, a pair"):
        as_op(code)


def test_a_pair_may_give_its_gradients_in_a_list():
    def forward(x, y):
        return x * y

    def backward(d_output, x, y):
        return [d_output * y, d_output * x]

    def op(x, y):
        return x * y, lambda d: (d * y, d * x)

    report = compare((forward, backward), op, normal(3), normal(3) + 1)
    assert report.passed
    assert [row.name for row in report.rows] == ["output", "d_x", "d_y"]


def test_a_function_that_is_no_op_says_how_to_make_it_one():
    with pytest.raises(TypeError, match=r'softmax_forward returned a ndarray.*as_op\(.*"torch"\)'):
        compare(softmax_forward, ops.softmax, normal(3, 4))


def test_an_unknown_framework_is_an_error_that_names_the_known():
    with pytest.raises(ValueError, match="must be one of torch, jax, keras"):
        load("caffe")


@pytest.mark.parametrize("name", FRAMEWORKS)
def test_a_framework_that_is_not_installed_names_the_extra(name, monkeypatch):
    import sys

    for module in ("torch", "jax", "keras", "tensorflow"):
        monkeypatch.setitem(sys.modules, module, None)
    monkeypatch.delitem(sys.modules, f"attention_from_scratch.verify.frameworks.{name}", False)
    with pytest.raises(ValueError, match=r"attention_from_scratch\[frameworks\]"):
        load(name)


def test_the_message_of_an_assertion_can_be_acted_on():
    def softmax(x):
        p = softmax_forward(x)
        return p, lambda d: d * p

    with pytest.raises(GradientError) as failure:
        assert_gradients(softmax, normal(3, 4))
    message = str(failure.value)
    for part in ("the gradient of x is wrong in 100%", "backward says", "ratio", "row-sum term"):
        assert part in message


def test_a_right_op_is_asserted_silently():
    assert assert_gradients(ops.layer_norm, normal(3, 4), normal(4), normal(4)) is None


def test_of_two_the_one_that_is_not_ours_is_diagnosed():
    def wrong(x):
        p = softmax_forward(x)
        return p, lambda d: d * p

    for pair in ((wrong, ops.softmax), (ops.softmax, wrong)):
        assert "softmax_row_sum_missing" in str(compare(*pair, normal(3, 4)))
