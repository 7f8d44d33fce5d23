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
def test_several_outputs_are_an_error(name):
    with pytest.raises(ValueError, match="the function returned a tuple, but must return one"):
        as_op(lambda x: (x, x), name)(normal(3))


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
