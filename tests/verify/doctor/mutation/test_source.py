"""A function is read and made again; where there is nothing to read that is known."""

import itertools
import math

import numpy as np
import pytest
from numpy import r_

from attention_from_scratch import ops
from attention_from_scratch.verify.doctor.mutation.source import is_to_be_read, read


def test_what_is_compiled_again_is_what_was_read():
    piece = read(ops.sigmoid)
    names = {n for c in piece.compiled().co_consts if hasattr(c, "co_names") for n in c.co_names}
    assert {"check_d_output"} <= names
    assert piece.makes_backward
    assert piece.file == "ops/activations.py"


def test_a_check_gives_nothing_back():
    assert not read(ops.contract.check_floats).returns
    assert read(ops.contract.unbroadcast).returns


def test_a_closure_keeps_its_free_names():
    factor = 3.0

    def tripled(x):
        return factor * x, lambda d: factor * d

    assert read(tripled).compiled().co_freevars == ("factor",)


def test_a_lambda_is_read_where_it_stands_alone_in_its_statement():
    square = lambda x: (x * x, lambda d: 2 * x * d)
    assert read(square) is not None
    made = eval("lambda x: (x * x, lambda d: 2 * x * d)")
    assert read(made) is None


def test_numpy_and_python_are_not_read():
    assert is_to_be_read(ops.linear)
    assert is_to_be_read(lambda x: x)
    assert not any(map(is_to_be_read, (np.mean, np.exp, math.sqrt, 3)))


def test_what_might_run_for_ever_is_not_changed():
    def halved(x):
        while x > 1:
            x = x / 2
        return x

    assert not read(halved).may_be_changed
    assert read(ops.tanh).may_be_changed


def with_object(x):
    return np.flatnonzero(np.r_[True, x[1:] != x[:-1]])


def with_name(x):
    return np.sum(r_[x, x])


def with_iterator(x):
    return [a * i for a, i in zip(x, itertools.count(), strict=False)]


def with_end(x):
    return np.concatenate([x, x])


@pytest.mark.parametrize(
    ("function", "may_be"),
    [(with_object, False), (with_name, False), (with_iterator, False), (with_end, True)],
)
def test_no_line_is_changed_of_what_might_then_have_no_end(function, may_be):
    """Without its index, `np.r_` has an entry at every one; without `zip`, `count` goes on."""
    assert read(function).may_be_changed == may_be
