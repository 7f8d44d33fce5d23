"""The gradient that is derived from a forward pass step by step is that of the op."""

import numpy as np
import pytest

from attention_from_scratch import ops
from attention_from_scratch.verify import diagnose
from attention_from_scratch.verify.cases import op_cases
from attention_from_scratch.verify.doctor.mutation.edges import Derivation, wrong_paths
from attention_from_scratch.verify.doctor.mutation.twin import Twin
from attention_from_scratch.verify.doctor.visits import examine
from tests.verify.doctor import readers


def visit_of(op, inputs, keywords):
    return examine(op, op, inputs, keywords, seed=1)


@pytest.mark.parametrize("case", op_cases(), ids=lambda case: f"{case.title} {case.note}")
def test_of_every_op_the_derivative_is_right(case):
    visit = visit_of(case.op, case.inputs, case.keywords)
    assert Derivation(Twin(case.op)).is_right_at(visit)


def test_of_what_readers_write_the_derivative_is_right():
    normal = np.random.default_rng(0).standard_normal
    for op, inputs in (
        (readers.rms_norm, (normal((2, 3, 4)), normal(4))),
        (readers.self_attention, (normal((2, 3, 4)),)),
        (readers.rotary, (normal((2, 3, 4)),)),
    ):
        assert Derivation(Twin(op)).is_right_at(visit_of(op, inputs, {}))


def test_every_path_can_be_said():
    visit = visit_of(ops.layer_norm, (np.eye(3), np.ones(3), np.ones(3)), {})
    words = [path.words for path in wrong_paths(Twin(ops.layer_norm), visit)]
    assert any("nothing goes back through `x.mean(axis=-1, keepdims=True)`" in w for w in words)
    assert all("ops/layer_norm.py, line" in w for w in words)


def test_a_path_that_is_missing_is_told_where_there_is_no_reference():
    def detached(x):
        centred = x - x.mean(axis=-1, keepdims=True)
        return centred * centred, lambda d: 2 * centred * d

    x = np.random.default_rng(0).standard_normal((3, 4))
    text = str(diagnose(detached, x))
    assert "nothing goes back through `x.mean(axis=-1, keepdims=True)`" in text
    assert "test_tape.py" in text
