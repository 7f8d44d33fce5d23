"""A reader's own code, in whatever form, against ours."""

import os
import subprocess
import sys

import jax
import numpy as np
import pytest
import tensorflow
import torch

from attention_from_scratch import ops
from attention_from_scratch.verify import as_op, check_gradients, compare, diagnose


def normal(*shape):
    return np.random.default_rng(0).standard_normal(shape)


class Swish(torch.autograd.Function):
    """x sigmoid(x), with a backward pass by hand."""

    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x * torch.sigmoid(x)

    @staticmethod
    def backward(ctx, d_output):
        (x,) = ctx.saved_tensors
        s = torch.sigmoid(x)
        return d_output * (s + x * s * (1 - s))


class ForgetfulSwish(Swish):
    @staticmethod
    def backward(ctx, d_output):
        (x,) = ctx.saved_tensors
        return d_output * torch.sigmoid(x)


def test_the_backward_of_an_autograd_function_is_checked():
    assert check_gradients(Swish, normal(3, 4)).passed
    assert not check_gradients(ForgetfulSwish, normal(3, 4)).passed


def test_a_plain_torch_function_is_compared_with_ours():
    theirs = as_op(lambda x: torch.softmax(x, dim=-1), "torch")
    assert compare(ops.softmax, theirs, normal(3, 4)).passed
    assert check_gradients(theirs, normal(3, 4)).passed


def test_a_jax_function_is_compared_with_ours():
    theirs = as_op(lambda x: jax.nn.log_softmax(x), "jax")
    assert compare(ops.log_softmax, theirs, normal(3, 4)).passed


def test_a_function_that_means_something_else_is_found():
    theirs = as_op(lambda x: torch.softmax(x, dim=0), "torch")
    assert not compare(ops.softmax, theirs, normal(3, 4)).passed


@pytest.mark.parametrize("name", ["torch", "jax", "keras"])
def test_gradients_of_trees_come_back_as_trees(name):
    params = {"weight": normal(4, 3), "bias": normal(3)}
    op = as_op(lambda params, x: x @ params["weight"] + params["bias"], name)
    output, backward = op(params, normal(2, 4))
    d_params, d_x = backward(np.ones_like(output))
    assert d_params["weight"].shape == (4, 3)
    assert d_params["bias"].shape == (3,)
    assert d_x.shape == (2, 4)


def test_the_doctor_names_the_mistake_of_an_autograd_function():
    class Softmax(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            p = torch.softmax(x, dim=-1)
            ctx.save_for_backward(p)
            return p

        @staticmethod
        def backward(ctx, d_output):
            return d_output * ctx.saved_tensors[0]

    assert diagnose(Softmax, ops.softmax).mistakes == {"softmax_row_sum_missing"}


DETACH = {
    "torch": lambda x: x.detach(),
    "jax": jax.lax.stop_gradient,
    "keras": tensorflow.stop_gradient,
}


@pytest.mark.parametrize("name", DETACH)
def test_an_output_that_is_no_array_is_an_error(name):
    with pytest.raises((ValueError, TypeError), match="str"):
        as_op(lambda x: (x, "x"), name)(normal(3))


@pytest.mark.parametrize("name", DETACH)
def test_inputs_that_the_output_does_not_depend_on_get_zeros_of_their_dtype(name):
    def first(x, y):
        return 2 * x

    x, y = normal(3).astype(np.float32), normal(4).astype(np.float32)
    d_x, d_y = as_op(first, name)(x, y)[1](np.ones(3, np.float32))
    assert (d_x.dtype, d_y.dtype) == (np.float32, np.float32)
    assert d_y.shape == (4,)
    assert not d_y.any()

    d_x = as_op(DETACH[name], name)(x)[1](np.ones(3, np.float32))
    assert d_x.dtype == np.float32
    assert not d_x.any()


@pytest.mark.parametrize("name", DETACH)
def test_integers_among_floats_in_a_tree_get_zeros(name):
    def function(params):
        return params["x"] * 2.0

    params = {"ids": np.arange(3), "x": normal(2)}
    gradient = as_op(function, name)(params)[1](np.ones(2))
    assert not gradient["ids"].any()
    assert gradient["ids"].shape == (3,)
    assert np.array_equal(gradient["x"], [2, 2])
    assert compare(as_op(function, name), as_op(function, "torch"), params).passed


def test_an_op_has_the_name_of_its_function():
    assert as_op(Swish).__name__ == "Swish"
    assert as_op(torch.tanh, "torch").__name__ == "tanh"


@pytest.mark.parametrize("function", [lambda x: torch.tanh(x), lambda x: jax.numpy.tanh(x)])
def test_a_frameworks_function_given_as_an_op_says_how_to_make_it_one(function):
    for check in (
        lambda: compare(ops.tanh, function, normal(3)),
        lambda: check_gradients(function, normal(3)),
    ):
        with pytest.raises(TypeError, match=r'becomes one by as_op\(<lambda>, "torch"\)'):
            check()


def test_keras_on_another_backend_is_one_clear_error():
    code = (
        "from attention_from_scratch.verify.frameworks import load\n"
        "try:\n    load('keras')\nexcept ValueError as error:\n    print(error)"
    )
    run = subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | {"KERAS_BACKEND": "jax"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert run.stdout.startswith("KERAS_BACKEND was 'jax', but must be 'tensorflow'")


class Cube(torch.autograd.Function):
    """x^3 times a number, which has no gradient."""

    @staticmethod
    def forward(ctx, x, factor):
        ctx.save_for_backward(x)
        ctx.factor = float(factor)
        return x**3 * ctx.factor

    @staticmethod
    def backward(ctx, d_output):
        (x,) = ctx.saved_tensors
        return 3 * x * x * ctx.factor * d_output, None


class DetachedCube(Cube):
    @staticmethod
    def backward(ctx, d_output):
        (x,) = ctx.saved_tensors
        return 3 * (x * x).detach() * ctx.factor * d_output, None


@pytest.mark.parametrize("factor", [2.5, np.array(2.5)], ids=["a number", "an array"])
def test_an_argument_of_which_backward_says_none_is_a_constant(factor):
    report = check_gradients(Cube, normal(3), factor)
    assert report.passed
    assert len(report.rows) == 1


def test_a_second_derivative_that_is_lost_is_found():
    for function, verdict in ((Cube, "right"), (DetachedCube, "wrong")):
        assert check_gradients(function, normal(3), 2.0).passed
        assert check_gradients(function, normal(3), 2.0, order=2).verdict == verdict


@pytest.mark.parametrize("name", ["torch", "jax"])
def test_second_derivatives_of_a_framework_are_checked(name):
    def loss(params, x):
        return (x @ params["weight"]) ** 3

    params = {"weight": normal(4, 3)}
    report = check_gradients(as_op(loss, name), params, normal(2, 4), order=2)
    assert report.passed
    assert [row.name for row in report.rows] == ["input 1.weight", "input 2"]


def test_where_there_is_no_second_derivative_it_is_said():
    with pytest.raises(ValueError, match=r"order was 2, but must be 1 of this op.*as_op\(f"):
        check_gradients(ops.relu, normal(3), order=2)
    with pytest.raises(ValueError, match="order was 3, but must be 1 or 2"):
        check_gradients(ops.relu, normal(3), order=3)


@pytest.mark.parametrize("name", ["torch", "jax", "keras"])
def test_functions_with_several_outputs_are_checked(name):
    report = check_gradients(as_op(lambda x: (x * x, x + 1), name), normal(3))
    assert report.passed
    assert compare(
        lambda x: ((x * x, x + 1), lambda d, e: 2 * x * d + e),
        as_op(lambda x: (x * x, x + 1), name),
        normal(3),
    ).passed


def test_outputs_of_integers_have_no_gradient():
    assert check_gradients(
        as_op(lambda x: tuple(torch.max(x, dim=-1)), "torch"), normal(3, 4)
    ).passed
