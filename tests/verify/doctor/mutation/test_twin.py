"""A twin does what the reference does, and what is exchanged in it is exchanged nowhere else."""

import numpy as np
import pytest

from attention_from_scratch import ops
from attention_from_scratch.networks import transformer
from attention_from_scratch.tree import tree_leaves
from attention_from_scratch.verify.cases import op_cases
from attention_from_scratch.verify.doctor.mutation.twin import Twin, twin_of
from attention_from_scratch.verify.doctor.visits import examine


def visit_of(op, *inputs, **keywords):
    return examine(op, op, inputs, keywords, seed=1)


@pytest.mark.parametrize("case", op_cases(), ids=lambda case: f"{case.title} {case.note}")
def test_a_twin_is_bit_equal(case):
    probe = visit_of(case.op, *case.inputs, **case.keywords).probe
    output, gradients = Twin(case.op).run(probe)
    assert np.array_equal(output, probe.output)
    _, backward = case.op(*case.inputs, **case.keywords)
    found, right = (list(tree_leaves(g)) for g in (gradients, backward(probe.d_output)))
    assert [path for path, _ in found] == [path for path, _ in right]
    assert all(np.array_equal(a, b) for (_, a), (_, b) in zip(found, right, strict=True))


def test_what_is_exchanged_is_exchanged_in_all_places_of_the_copy_and_in_no_other():
    x = np.random.default_rng(0).standard_normal((3, 4))
    probe = visit_of(ops.attention_weights, x, x).probe
    twin, right = Twin(ops.attention_weights), ops.softmax
    piece = twin.pieces[ops.softmax]
    with twin.exchanged(piece, lambda x, **_: (0 * x, lambda d: 0 * d)):
        assert not np.any(twin.run(probe)[0])
        assert ops.softmax is right
        assert np.any(ops.attention_weights(x, x)[0])
    assert np.array_equal(twin.run(probe)[0], probe.output)


def test_it_goes_through_modules_that_are_handed_in():
    twin = Twin(transformer.feed_forward)
    assert {ops.project, ops.relu, ops.linear} <= set(twin.pieces)
    assert vars(twin.modules[ops])["relu"] is twin.copies[ops.relu]


def test_there_is_no_twin_of_what_cannot_be_read():
    x = np.ones((2, 2))
    made = eval("lambda x: (x * x, lambda d: 2 * x * d)")
    assert twin_of(made, visit_of(made, x)) is None
    assert twin_of(ops.tanh, visit_of(ops.tanh, x)) is not None
