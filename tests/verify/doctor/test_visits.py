"""At which calls an op is asked, and what is the caller's to see of them."""

import numpy as np
import pytest

from attention_from_scratch import ops
from attention_from_scratch.verify import GradientError, diagnose


def normal(*shape):
    return np.random.default_rng(0).standard_normal(shape)


def test_an_op_that_takes_no_probe_needs_inputs():
    def picky(x):
        raise RuntimeError

    with pytest.raises(ValueError, match="hand in inputs"):
        diagnose(picky, ops.relu)


def test_repeated_inputs_are_asked_for_only_where_the_callers_are():
    def never_repeated(query, key, value):
        key, value = (np.broadcast_to(x, (*query.shape[:-2], *x.shape[-2:])) for x in (key, value))
        return ops.scaled_dot_product_attention(query, key, value)

    reference = ops.scaled_dot_product_attention
    assert not diagnose(never_repeated, reference).wrong
    assert not diagnose(never_repeated, reference, *[normal(2, 3, 4)] * 3).wrong
    repeated = normal(2, 3, 4), normal(5, 4), normal(5, 4)
    assert diagnose(never_repeated, reference, *repeated).mistakes == {"broadcast_not_summed"}


def test_the_callers_own_call_raises_what_it_raises():
    def op(x):
        if x.shape == (3, 4):
            raise KeyError("temperature")
        return ops.relu(x)

    with pytest.raises(KeyError, match="temperature"):
        diagnose(op, ops.relu, normal(3, 4))
    assert not diagnose(op, ops.relu, normal(4, 3)).wrong


def test_lists_of_numbers_are_arrays():
    assert not diagnose(ops.softmax, ops.softmax, [[1.0, 2.0], [3.0, 4.0]]).wrong


def test_d_output_is_read_only():
    def writes(x):
        def backward(d):
            d *= x > 0
            return d

        return ops.relu(x)[0], backward

    with pytest.raises(ValueError, match="read-only"):
        diagnose(writes, ops.relu, normal(3))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda d: (*d, d[0]), "returned 4 gradients, but the op has 3"),
        (lambda d: list(d), "returned a list of 3"),
        (lambda d: None, "but the op has 3"),
    ],
)
@pytest.mark.parametrize("inputs", [(), (normal(2, 3), normal(3, 4), normal(4))])
def test_gradients_of_a_wrong_form_are_an_error_that_says_so(change, message, inputs):
    def op(x, weight, bias):
        output, back = ops.linear(x, weight, bias)
        return output, lambda d: change(back(d))

    with pytest.raises(GradientError, match=message):
        diagnose(op, ops.linear, *inputs)
