"""Every formula gives the right gradient with its right parts, and wrong ones are told in words."""

import re

import numpy as np
import pytest

from attention_from_scratch import ops
from attention_from_scratch.verify import diagnose
from attention_from_scratch.verify.doctor.formulas import FORMULAS
from attention_from_scratch.verify.doctor.formulas.choices import Choices
from attention_from_scratch.verify.doctor.formulas.masks import Mask
from attention_from_scratch.verify.doctor.formulas.numbers import Law
from attention_from_scratch.verify.doctor.probes import probes_of
from attention_from_scratch.verify.doctor.visits import examine


def visits_of(family):
    op = getattr(ops, family)
    return [examine(op, op, *call, seed=i) for i, call in enumerate(probes_of(family))]


@pytest.mark.parametrize("family", FORMULAS)
def test_a_formula_with_its_right_parts_is_the_right_gradient_at_every_probe(family):
    for visit in visits_of(family):
        for name, formulas in FORMULAS[family].items():
            for formula in formulas:
                try:
                    with np.errstate(all="ignore"):  # terms such as 1/y at 0, which are left out
                        at = formula(visit.probe)
                except ValueError:  # a formula of the other form of gelu
                    continue
                if isinstance(at, Mask):  # it has no right parts, as it is fitted to bounds
                    continue
                if isinstance(at, Choices):
                    gradient = at.of({})
                else:
                    gradient = at.gradient({n: Law(c) for n, c in at.right.items()})
                assert visit.same(gradient, visit.probe.right[name], visit.size_of(name))


def of_tanh(slope):
    def op(x):
        y = np.tanh(x)
        return y, lambda d: d * slope(x, y)

    return op


SLOPES = {
    "no square": (lambda x, y: 1 - y, "`d (1 - y)` where `d (1 - y^2)` belongs"),
    "of a sigmoid": (lambda x, y: y * (1 - y), "the slope of a sigmoid, y (1 - y)"),
    "of the input": (lambda x, y: 1 - x * x, "with the input x in the place of the output y"),
    "at the output": (lambda x, y: 1 - np.tanh(y) ** 2, "it is taken at the output"),
    "two of them": (lambda x, y: 2 - 2 * y, "`d (2 - 2 y)` where `d (1 - y^2)` belongs"),
}


@pytest.mark.parametrize("wrong", SLOPES.values(), ids=SLOPES)
def test_a_wrong_slope_is_told_as_a_formula(wrong):
    slope, words = wrong
    assert words in str(diagnose(of_tanh(slope), ops.tanh))
    assert words in str(diagnose(of_tanh(slope), "tanh"))


def test_a_relu_with_another_bound_is_told_between_which_numbers_it_is():
    def op(x):
        return ops.relu(x)[0], lambda d: d * (x > 0.5)

    text = str(diagnose(op, ops.relu))
    low, high = map(float, re.search(r"between (\S+) and (\S+), and 0", text).groups())
    assert low <= 0.5 <= high


def of_log_softmax(back):
    def op(x, *, axis=-1):
        y, _ = ops.log_softmax(x, axis=axis)
        return y, lambda d: back(np.exp(y), d, axis)

    return op


def total(values, axis):
    return values.sum(axis=axis, keepdims=True)


ROWS = {
    "a softmax's": (
        lambda p, d, axis: p * (d - total(p * d, axis)),
        "the backward pass of a softmax",
    ),
    "sign and mean": (
        lambda p, d, axis: d + p * d.mean(axis=axis, keepdims=True),
        "`p sum(d)` has the other sign, and the factor 1 / the length of the axis",
    ),
    "a term too much": (
        lambda p, d, axis: d - p * total(d, axis) - p * p * d,
        "the term `p^2 d` is too much",
    ),
}


@pytest.mark.parametrize("wrong", ROWS.values(), ids=ROWS)
def test_terms_of_a_row_are_told_with_their_coefficients(wrong):
    back, words = wrong
    assert words in str(diagnose(of_log_softmax(back), ops.log_softmax))


def test_the_mean_over_repeats_and_the_row_of_padding_are_told_together():
    def op(ids, weight, *, padding_id=0):
        output, _ = ops.embedding(ids, weight, padding_id=padding_id)

        def backward(d):
            d_weight = np.zeros_like(weight)
            np.add.at(d_weight, ids, d)
            return d_weight / np.bincount(ids.ravel(), minlength=len(weight)).clip(1)[:, None]

        return output, backward

    text = str(diagnose(op, ops.embedding))
    assert "the mean is taken over the positions of a repeated id, not the sum" in text
    assert "the row of the padding id keeps a gradient" in text


def test_a_loop_that_overwrites_is_told():
    def op(x, weight, bias=None):
        output, back = ops.linear(x, weight, bias)

        def backward(d):
            for row, d_row in zip(
                x.reshape(-1, x.shape[-1]), d.reshape(-1, d.shape[-1]), strict=True
            ):
                d_weight = np.outer(row, d_row)
            return back(d)[0], d_weight, back(d)[2]

        return output, backward

    text = str(diagnose(op, ops.linear))
    assert "d_weight: only the last position enters the sum of d_weight" in text


def test_two_mistakes_of_a_loss_are_both_told():
    def op(logits, targets, *, label_smoothing=0.0):
        loss, back = ops.cross_entropy(logits, targets, label_smoothing=label_smoothing)
        even = label_smoothing / logits.shape[-1] / targets.size
        return loss, lambda d=1.0: (back(d) + d * even) / logits.shape[-1]

    text = str(diagnose(op, ops.cross_entropy))
    assert "the uniform part e / V is left out of q" in text
    assert "divided by the size of logits" in text


def test_of_a_linear_cross_entropy_the_missing_p_is_told_and_no_row_sum():
    def op(x, weight, targets, **options):
        loss, back = ops.linear_cross_entropy(x, weight, targets, **options)

        def backward(d=1.0):
            given = options.get("position_weights")
            weights = np.ones(targets.shape) if given is None else given
            mean = options.get("reduction", "mean") == "mean"
            share = weights / (weights.sum() if mean else 1)
            return -d * share[..., None] * weight.T[targets], back(d)[1]

        return loss, backward

    text = str(diagnose(op, ops.linear_cross_entropy))
    assert "p is missing from p - onehot" in text
    assert "row-sum" not in text


def test_a_divisor_is_told_by_its_name():
    def op(logits, targets, *, position_weights=None, reduction="mean"):
        binary = ops.binary_cross_entropy_with_logits
        options = {"position_weights": position_weights}
        loss, _ = binary(logits, targets, reduction=reduction, **options)
        _, back = binary(logits, targets, reduction="sum", **options)
        count = logits.size if reduction == "mean" else 1
        return loss, lambda d=1.0: back(d / count)

    text = str(diagnose(op, ops.binary_cross_entropy_with_logits))
    assert "divided by the number of all entries, whether they count or not" in text


def test_noise_is_no_formula():
    def op(x):
        y, back = ops.sigmoid(x)
        return y, lambda d: back(d) * (1 + 0.1 * np.cos(np.arange(x.size)).reshape(x.shape))

    (derived,) = diagnose(op, ops.sigmoid).derived
    assert derived.words.startswith("would be right with")  # which is read in the op itself


def test_calls_with_other_settings_may_have_other_mistakes():
    def op(x, *, approximate="none"):
        output, _ = ops.gelu(x, approximate=approximate)
        if approximate == "tanh":
            root = np.sqrt(2 / np.pi)
            t = np.tanh(root * (x + 0.044715 * x**3))
            inner = root * (1 + 0.044715 * x * x)
            return output, lambda d: d * ((1 + t) / 2 + x * (1 - t * t) * inner / 2)
        density = np.exp(-x * x / 2) / np.sqrt(2 * np.pi)
        return output, lambda d: d * (ops.gelu(x)[0] / x - x * density)

    text = str(diagnose(op, ops.gelu))
    assert "where `approximate='tanh'`: the 3 of d(x^3) is missing" in text
    assert "where nothing is set: the term x P' has the other sign" in text
