"""The checkers of frameworks, around an op in NumPy: what they see is what the op says."""

import autograd
import jax
import numpy as np
import pytest
import torch

from attention_from_scratch import ops
from attention_from_scratch.tree import leaves
from benchmarks.verdicts.contenders import everybody
from benchmarks.verdicts.flat import Flat
from benchmarks.verdicts.with_autograd import as_autograd
from benchmarks.verdicts.with_jax import as_jax
from benchmarks.verdicts.with_torch import as_torch
from tests.verify.random_functions import plant, random_function

FOUND, MISSING = everybody()
THEIRS = FOUND[1:]


def by_torch(flat, d_output):
    tensors = [torch.tensor(array, requires_grad=True) for array in flat.arrays]
    output = as_torch(flat)(*tensors)
    return output.detach(), torch.autograd.grad(output, tensors, torch.tensor(d_output))


def by_jax(flat, d_output):
    output, backward = jax.vjp(as_jax(flat), *flat.arrays)
    return output, backward(jax.numpy.asarray(d_output))


def by_autograd(flat, d_output):
    positions = tuple(range(len(flat.arrays)))
    backward, output = autograd.make_vjp(as_autograd(flat), positions)(*flat.arrays)
    return output, backward(d_output)


@pytest.mark.parametrize("wrapped", [by_torch, by_jax, by_autograd])
def test_output_and_gradients_arrive_to_the_last_bit(wrapped):
    for number in range(10):
        rng = np.random.default_rng([4, number])
        function = random_function(rng, "float64")
        for op in (function.op, plant(function, rng).op):
            flat = Flat(op, function.inputs, function.keywords)
            output, gradients = wrapped(flat, function.d_output)
            wanted, backward = op(*function.inputs, **function.keywords)
            np.testing.assert_array_equal(output, wanted)
            expected = leaves(backward(function.d_output))
            for a, b in zip(gradients, expected, strict=True):
                np.testing.assert_array_equal(a, b)


def test_nobody_is_missing():
    assert not MISSING
    assert len(THEIRS) == 4


def mixed(params, ids, scale):
    """A tree, an integer array and a keyword."""
    rows, back = ops.embedding(ids, params["weight"])
    output = scale * rows + params["bias"]

    def backward(d_output):
        d_bias = d_output.sum(axis=0)
        return {"weight": back(scale * d_output), "bias": d_bias}

    return output, backward


def forgetful(params, ids, scale):
    output, back = mixed(params, ids, scale)
    return output, lambda d: back(d) | {"bias": d[0]}


@pytest.mark.parametrize("contender", THEIRS, ids=lambda contender: contender.name)
def test_a_right_op_passes_and_a_wrong_one_does_not(contender):
    rng = np.random.default_rng(0)
    params = {"weight": rng.standard_normal((5, 3)), "bias": rng.standard_normal(3)}
    inputs, keywords = (params, np.array([1, 4, 1])), {"scale": 2.0}
    op = lambda params, ids, *, scale: mixed(params, ids, scale)
    assert contender.check(op, inputs, keywords) == "right"
    wrong = lambda params, ids, *, scale: forgetful(params, ids, scale)
    assert contender.check(wrong, inputs, keywords) == "wrong"


@pytest.mark.parametrize("contender", THEIRS, ids=lambda contender: contender.name)
def test_an_op_that_fails_is_no_objection(contender):
    with pytest.raises(Exception, match="no such op"):
        contender.check(failing, (np.ones(2),), {})


def failing(x):
    raise RuntimeError("no such op")
