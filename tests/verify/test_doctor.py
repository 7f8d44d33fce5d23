"""The doctor names mistakes, says both where two fit, and never accuses what is right."""

import re
from pathlib import Path

import numpy as np
import pytest

from attention_from_scratch import ops
from attention_from_scratch.tree import tree_map
from attention_from_scratch.verify import GradientError, as_op, diagnose
from attention_from_scratch.verify.doctor import words_about, words_of_the_doctor
from attention_from_scratch.verify.doctor.mistakes import EXPLANATIONS, MISTAKES, OF_A_LOSS
from benchmarks import doctor
from benchmarks.mutants import catalogue, correct_ops, unknown_mutants

MUTANTS = catalogue()
PACKAGE = Path(ops.__file__).parent.parent


def examined(mutant):
    return diagnose(mutant.op, mutant.reference, *mutant.inputs, **mutant.keywords)


def test_at_least_95_percent_of_forty_and_more_mutants_are_named_and_none_wrongly():
    verdicts = [doctor.verdict(mutant) for mutant in MUTANTS]
    assert len(verdicts) >= 40
    assert verdicts.count("wrongly") == 0
    assert sum(v in ("alone", "among others") for v in verdicts) >= 0.95 * len(verdicts)


def test_every_op_and_every_mistake_is_in_the_catalogue():
    assert {mutant.mistake for mutant in MUTANTS} == set(EXPLANATIONS)
    missing = set(MISTAKES) - {mutant.reference.__name__ for mutant in MUTANTS}
    assert missing <= {"multi_head_attention_weights"}


@pytest.mark.parametrize("right", correct_ops(), ids=lambda mutant: mutant.name)
def test_a_right_op_is_not_accused(right):
    assert not doctor.is_accused(right)


@pytest.mark.parametrize("op", MISTAKES)
def test_our_own_ops_are_not_accused(op):
    assert not diagnose(getattr(ops, op), getattr(ops, op)).wrong


@pytest.mark.parametrize("mutant", unknown_mutants(), ids=lambda mutant: mutant.name)
def test_what_it_does_not_know_it_does_not_name(mutant):
    diagnosis = examined(mutant)
    assert diagnosis.wrong
    assert not diagnosis.findings
    assert "no known mistake matches" in str(diagnosis)


def test_a_factor_is_told_with_its_size():
    def op(x, weight, bias=None):
        output, back = ops.linear(x, weight, bias)
        return output, lambda d: (3 * back(d)[0], *back(d)[1:])

    (finding,) = diagnose(op, ops.linear).findings
    assert (finding.mistake, finding.factor, finding.arguments) == (
        "constant_factor",
        "3",
        ("d_x",),
    )


def test_a_factor_that_follows_a_size_is_told_with_its_name():
    def op(x, weight, bias=None):
        output, back = ops.linear(x, weight, bias)
        return output, lambda d: tuple(g / len(x) for g in back(d))

    assert "divided by the batch size" in str(diagnose(op, ops.linear))


def test_root_d_and_2_are_told_apart_though_d_is_4_where_it_is_called():
    def halved(query, key, value, *, mask=None, scale=None):
        output, back = ops.scaled_dot_product_attention(query, key, value, mask=mask)
        return output, lambda d: (back(d)[0] / 2, back(d)[1] / 2, back(d)[2])

    x = np.random.default_rng(0).standard_normal((2, 3, 4))
    assert diagnose(halved, ops.scaled_dot_product_attention, x, x, x).mistakes == {
        "constant_factor"
    }


def test_where_two_explanations_fit_both_are_told():
    x = np.random.default_rng(0).standard_normal((3, 4))

    def only_here(query, key):  # takes nothing but this shape, so no probe can tell them apart
        if query.shape != (3, 4) or key.shape != (3, 4):
            raise ValueError
        output, back = ops.attention_weights(query, key)
        return output, lambda d: tuple(2 * g for g in back(d))

    found = diagnose(only_here, ops.attention_weights, x, x).mistakes
    assert found == {"constant_factor", "scale_missing"}


def test_two_mistakes_in_two_gradients_are_both_told():
    def op(x, weight, bias=None):
        output, back = ops.linear(x, weight, bias)

        def backward(d):
            d_x, d_weight, _ = back(d)
            return -d_x, d_weight, d

        return output, backward

    found = {f.mistake: f.arguments for f in diagnose(op, ops.linear).findings}
    assert found == {"wrong_sign": ("d_x",), "bias_not_summed": ("d_bias",)}


def test_a_forward_pass_that_differs_is_told_first():
    def shifted(x):
        output, back = ops.relu(x)
        return output + 1, back

    assert "forward pass differs" in str(diagnose(shifted, ops.relu))


def test_by_the_name_of_an_op_the_right_gradient_is_measured():
    def op(x):
        p, _ = ops.softmax(x)
        return p, lambda d: d * p * (1 - p)

    assert diagnose(op, "softmax").mistakes == {"softmax_elementwise"}
    assert not diagnose(ops.layer_norm, "layer_norm").wrong


def test_an_op_that_takes_no_probe_needs_inputs():
    def picky(x):
        raise RuntimeError

    with pytest.raises(ValueError, match="hand in inputs"):
        diagnose(picky, ops.relu)


def normal(*shape, dtype=np.float64):
    return np.random.default_rng(0).standard_normal(shape).astype(dtype)


def softmax_without_its_sum(x):
    p, _ = ops.softmax(x)
    return p, lambda d: p * d


def test_the_table_gives_a_rate_for_each_half():
    text = doctor.table(*doctor.measure())
    assert "| **first half** |" in text
    assert "% of the second half)" in text


@pytest.mark.parametrize("words", [*EXPLANATIONS.values(), *OF_A_LOSS.values()])
def test_every_explanation_says_where_to_read_more(words):
    files = re.findall(r"ops/\w+\.py", words)
    assert files or re.search(r"notebook 2, section [1-9]", words)
    assert all((PACKAGE / file).exists() for file in files)


def test_what_a_wrong_sign_is_depends_on_the_op():
    def reversed_tanh(x):
        output, back = ops.tanh(x)
        return output, lambda d: -back(d)

    def reversed_entropy(logits, targets):
        output, back = ops.cross_entropy(logits, targets)
        return output, lambda d=1.0: -back(d)

    assert "onehot" not in str(diagnose(reversed_tanh, ops.tanh))
    assert "onehot" in str(diagnose(reversed_entropy, ops.cross_entropy))


def test_a_single_number_has_no_constant_factor():
    def only_here(x):
        if x.shape != (1,):
            raise ValueError
        output, back = ops.tanh(x)
        return output, lambda d: back(d) * 1.2345

    diagnosis = diagnose(only_here, ops.tanh, normal(1))
    assert diagnosis.wrong
    assert not diagnosis.findings


def test_a_zero_gradient_is_no_constant_factor():
    def cut(x):
        return ops.softmax(x)[0], np.zeros_like

    assert diagnose(cut, ops.softmax).mistakes == {"zero_gradient"}


def test_a_wrong_sign_and_another_mistake_in_one_gradient_are_both_told():
    def op(query, key, value):
        output, back = ops.scaled_dot_product_attention(query, key, value)

        def backward(d):
            root = np.sqrt(query.shape[-1])
            d_query, d_key, d_value = back(d)
            return -root * d_query, -root * d_key, d_value

        return output, backward

    found = diagnose(op, ops.scaled_dot_product_attention)
    assert found.mistakes == {"wrong_sign", "scale_missing"}
    assert {finding.arguments for finding in found.findings} == {("d_query", "d_key")}


@pytest.mark.parametrize("op", ["layer_norm", "softmax", "gelu"])
def test_in_float32_by_name_a_right_op_is_not_accused(op):
    inputs = [normal(3, 4, dtype=np.float32)]
    inputs += [normal(4, dtype=np.float32)] * 2 if op == "layer_norm" else []
    assert not diagnose(getattr(ops, op), op, *inputs).wrong


def test_in_float32_a_factor_is_told():
    def doubled(x):
        output, back = ops.softmax(x)
        return output, lambda d: 2 * back(d)

    (finding,) = diagnose(doubled, ops.softmax, normal(3, 4, dtype=np.float32)).findings
    assert finding.factor == "2"


def test_an_op_of_a_framework_is_measured_by_differences():
    right, wrong = (lambda x: ops.softmax(x)), (lambda x: softmax_without_its_sum(x))
    right.complex_step = wrong.complex_step = False
    for dtype in (np.float32, np.float64):
        assert not diagnose(right, "softmax", normal(3, 4, dtype=dtype)).wrong
        found = diagnose(wrong, "softmax", normal(3, 4, dtype=dtype)).mistakes
        assert found == {"softmax_row_sum_missing"}


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


def test_of_two_ops_the_one_that_is_not_ours_is_diagnosed():
    for pair in ((ops.softmax, softmax_without_its_sum), (softmax_without_its_sum, ops.softmax)):
        assert "softmax_row_sum_missing" in words_about(*pair, [normal(3, 4)], {})
    assert words_about(np.cos, np.sin, [normal(3, 4)], {}) == ""


def test_of_two_ops_ours_is_diagnosed_where_it_is_ours_that_is_wrong(monkeypatch):
    right = ops.tanh

    def tanh(x):
        output, back = right(x)
        return output, lambda d: -back(d)

    monkeypatch.setattr(ops, "tanh", tanh)
    for text in (
        words_of_the_doctor(tanh, [normal(3, 4)], {}),
        words_about(tanh, lambda x: right(x), [normal(3, 4)], {}),
    ):
        assert text.startswith("tanh: wrong gradient of d_x")
        assert "wrong_sign" in text


def test_another_op_of_the_same_name_is_not_diagnosed():
    def linear(x, weight, bias):  # (out, in), with a wrong bias
        output, back = ops.linear(x, weight.T, bias)

        def backward(d):
            d_x, d_weight, d_bias = back(d)
            return d_x, d_weight.T, 2 * d_bias

        return output, backward

    for n_out in (3, 4):
        assert (
            words_of_the_doctor(linear, [normal(2, 3), normal(n_out, 3), normal(n_out)], {}) == ""
        )


def test_a_pair_of_functions_is_diagnosed_under_its_own_name():
    pair = as_op((lambda x: np.tanh(x), lambda d, x: d * (1 - np.tanh(x))))
    assert diagnose(pair, ops.tanh).mistakes == {"slope_wrong"}


KEEP = np.array([[True, False], [True, True]])
CORNERS = {
    "gelu at 0": (ops.gelu, [np.array([0.0, 1.0])], {}),
    "no rows": (ops.linear, [normal(0, 3), normal(3, 2), normal(2)], {}),
    "nothing dropped": (ops.dropout, [normal(2, 2)], {"p": 0.0, "keep": np.ones((2, 2), bool)}),
    "a negative scale": (ops.attention_weights, [normal(3, 4), normal(3, 4)], {"scale": -2.0}),
    "dropout": (
        ops.scaled_dot_product_attention,
        [normal(2, 4)] * 3,
        {"dropout_p": 0.5, "keep": KEEP},
    ),
    "no weight": (ops.layer_norm, [normal(2, 3), None, None], {}),
    "one position": (ops.cross_entropy, [normal(4), np.array(2)], {}),
}


def with_a_ripple(gradient):
    ripple = 0.1 * np.cos(np.arange(gradient.size)).reshape(gradient.shape)
    return gradient + ripple.astype(gradient.dtype)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("corner", CORNERS.values(), ids=CORNERS)
def test_in_corners_the_doctor_keeps_its_head(corner, dtype):
    op, inputs, keywords = corner
    inputs = [x.astype(dtype) if x is not None and x.dtype == np.float64 else x for x in inputs]

    def unknown(*inputs, **keywords):
        output, back = op(*inputs, **keywords)

        def backward(d=1.0):
            return tree_map(with_a_ripple, back(d))

        return output, backward

    for reference in (op, op.__name__):
        assert not diagnose(op, reference, *inputs, **keywords).wrong
        diagnosis = diagnose(unknown, reference, *inputs, **keywords)
        assert diagnosis.wrong
        assert not diagnosis.findings


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_in_float32_no_mutant_is_named_wrongly(mutant):
    inputs = [
        tree_map(lambda leaf: leaf.astype(np.float32) if leaf.dtype == np.float64 else leaf, value)
        for value in mutant.inputs
    ]
    found = diagnose(mutant.op, mutant.reference, *inputs, **in_float32(mutant.keywords))
    assert mutant.mistake in found.mistakes


def in_float32(keywords):
    return {
        name: value.astype(np.float32) if getattr(value, "dtype", None) == np.float64 else value
        for name, value in keywords.items()
    }
