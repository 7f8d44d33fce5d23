"""The changes of a line: those that people make are among them, with words and lines for each."""

import numpy as np
import pytest

from attention_from_scratch import ops
from attention_from_scratch.verify.doctor.mutation.mutants import edits_in, mutants_of
from attention_from_scratch.verify.doctor.mutation.names import watched
from attention_from_scratch.verify.doctor.mutation.twin import Twin
from attention_from_scratch.verify.doctor.visits import examine


def op(x, weight, *, scale=0.5):
    """Something of everything."""
    hidden = np.tanh(x @ weight)
    total = hidden.sum(axis=-1, keepdims=True)
    output = scale * hidden - total

    def backward(d_output):
        d_weight = np.zeros_like(weight)
        d_hidden = scale * d_output - d_output.sum(axis=-1, keepdims=True)
        d_sum = d_hidden * (1 - hidden * hidden)
        for i in range(len(x)):
            d_weight += np.outer(x[i], d_sum[i])
        return d_sum @ weight.T, d_weight

    return output, backward


@pytest.fixture(scope="module")
def changed():
    rng = np.random.default_rng(0)
    inputs = rng.standard_normal((3, 4)), rng.standard_normal((4, 4))
    twin = Twin(op)
    run = watched(twin, examine(op, op, inputs, {}, seed=1).probe)
    return {edit.lines()[1]: edit.words for edit in edits_in(twin.pieces[op], run)}


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("return (d_sum @ weight, d_weight)", "not transposed"),
        ("d_hidden = d_output - d_output.sum(axis=-1, keepdims=True)", "without the factor"),
        ("d_hidden = scale * d_output", "without the term"),
        ("d_hidden = scale * d_output + d_output.sum(axis=-1, keepdims=True)", "other sign"),
        ("d_hidden = scale * d_output - d_output.sum(axis=0, keepdims=True)", "over the axis 0"),
        ("d_hidden = scale * d_output - d_output.sum(axis=-1)", "without `keepdims=True`"),
        ("d_hidden = scale * d_output - d_output.mean(axis=-1, keepdims=True)", "`mean`"),
        ("d_sum = d_hidden", "without the factor"),
        ("d_sum = d_hidden / (1 - hidden * hidden)", "divided"),
        ("d_sum = d_hidden * (hidden * hidden)", "not `1 - hidden * hidden`"),
        ("d_sum = d_hidden * (1 - hidden * output)", "`output`, not `hidden`"),
        ("d_sum = d_output * (1 - hidden * hidden)", "`d_output`, not `d_hidden`"),
        ("d_weight = np.outer(x[i], d_sum[i])", "assigned, not added"),
        ("d_weight += np.outer(x[i - 1], d_sum[i])", "the one before"),
        ("d_weight += np.outer(d_sum[i], x[i])", "exchanged"),
        ("for i in list(range(len(x)))[-1:]:", "the last step alone"),
        ("return (d_weight, d_sum @ weight.T)", "exchanged"),
        ("hidden = np.tanh(x @ weight.mT)", "transposed"),
        ("output = hidden - total", "without the factor"),
    ],
)
def test_the_usual_mistakes_are_among_them(changed, line, words):
    assert line in changed
    assert words in changed[line]


def test_after_all_changes_the_tree_is_as_it_was():
    rng = np.random.default_rng(0)
    inputs = rng.standard_normal((3, 4)), rng.standard_normal((4, 4))
    twin = Twin(op)
    probe = examine(op, op, inputs, {}, seed=1).probe
    before = twin.pieces[op].compiled().co_code
    for mutant in mutants_of(twin, watched(twin, probe)):
        assert mutant.words
    assert twin.pieces[op].compiled().co_code == before


def test_in_the_backward_pass_a_change_leaves_the_output_as_it_is_to_the_last_bit():
    rng = np.random.default_rng(0)
    x = rng.standard_normal((3, 4))
    probe = examine(ops.softmax, ops.softmax, (x,), {}, seed=1).probe
    twin = Twin(ops.softmax)
    tried = 0
    for mutant in mutants_of(twin, watched(twin, probe)):
        if mutant.felt == "backward":
            try:
                with np.errstate(all="ignore"):
                    output = mutant.output(probe)
            except Exception:
                continue
            tried += 1
            assert np.array_equal(output, probe.output)
    assert tried > 100
