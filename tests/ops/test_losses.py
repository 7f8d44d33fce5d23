"""Losses: the sum over positions as a loop, who counts and how much, and p - q proven."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from attention_from_scratch.verify import check_gradients

SIZES = st.lists(st.integers(1, 6), min_size=1, max_size=3, unique=True)
SEEDS = st.integers(0, 99)
REDUCTIONS = st.sampled_from(["mean", "sum"])
REDUCE = pytest.mark.parametrize("reduction", ["mean", "sum"])


def cross_entropy_loop(
    logits, targets, ignore_index=None, position_weights=None, label_smoothing=0, reduction="mean"
):
    """sum of w * (-sum_v q_v log p_v) over the positions that count, over the sum of their w."""
    n_classes = logits.shape[-1]
    loss, count = 0.0, 0.0
    for position in np.ndindex(targets.shape):
        if targets[position] == ignore_index:
            continue
        w = 1.0 if position_weights is None else position_weights[position]
        count += w
        total = sum(math.exp(logit) for logit in logits[position])
        for v in range(n_classes):
            q = label_smoothing / n_classes + (1 - label_smoothing) * (v == targets[position])
            loss -= w * q * math.log(math.exp(logits[position][v]) / total)
    return loss / (count or 1) if reduction == "mean" else loss


@st.composite
def cross_entropy_cases(draw):
    """(logits, targets, keywords); some positions are ignored and some weigh nothing."""
    sizes = draw(SIZES)
    rng = np.random.default_rng(draw(SEEDS))
    targets = np.asarray(rng.integers(sizes[-1], size=sizes[:-1]))
    ignore_index = draw(st.sampled_from([None, 0, -100]))
    if ignore_index is not None:
        targets = np.where(rng.random(targets.shape) < 0.4, ignore_index, targets)
    keywords = {
        "ignore_index": ignore_index,
        "label_smoothing": draw(st.sampled_from([0.0, 0.1, 1.0])),
        "reduction": draw(REDUCTIONS),
    }
    if draw(st.booleans()):
        keywords["position_weights"] = rng.choice([0.0, 0.5, 3.0], targets.shape)
    return rng.normal(0, 2, sizes), targets, keywords


@given(cross_entropy_cases())
def test_cross_entropy_is_the_sum_over_positions(ops, case):
    logits, targets, keywords = case
    loss, _ = ops.cross_entropy(logits, targets, **keywords)
    assert loss.shape == ()
    assert abs(loss - cross_entropy_loop(logits, targets, **keywords)) < 1e-12


@given(cross_entropy_cases())
def test_cross_entropy_gradients(ops, case):
    logits, targets, keywords = case
    check_gradients(ops.cross_entropy, logits, targets, **keywords, raise_on_failure=True)


@given(cross_entropy_cases())
def test_what_does_not_count_has_no_say_and_no_gradient(ops, case):
    logits, targets, keywords = case
    weights = keywords.get("position_weights", np.ones(targets.shape))
    uncounted = (targets == keywords["ignore_index"]) | (weights == 0)
    loss, backward = ops.cross_entropy(logits, targets, **keywords)
    moved, _ = ops.cross_entropy(np.where(uncounted[..., None], 55.0, logits), targets, **keywords)
    assert moved == loss
    assert np.all(backward()[uncounted] == 0)


@given(cross_entropy_cases())
def test_the_gradient_is_the_prediction_minus_the_truth(ops, case):
    logits, targets, keywords = case
    _, backward = ops.cross_entropy(logits, targets, **keywords)
    # Both sum to 1, so every row sums to 0: a constant added to a row of logits changes nothing.
    np.testing.assert_allclose(backward().sum(axis=-1), 0, atol=1e-14)
    np.testing.assert_allclose(backward(-3.0), -3 * backward(), rtol=1e-14)


@REDUCE
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("ignored", [0, -100])
def test_nothing_left_to_count_is_loss_zero_and_gradient_zero(ops, ignored, smoothing, reduction):
    logits = np.random.default_rng(0).standard_normal((2, 3, 5))
    keywords = {"label_smoothing": smoothing, "reduction": reduction}
    nothing = [
        ops.cross_entropy(logits, np.full((2, 3), ignored), ignore_index=ignored, **keywords),
        ops.cross_entropy(
            logits, np.ones((2, 3), int), position_weights=np.zeros((2, 3)), **keywords
        ),
        ops.cross_entropy(logits[:0], np.ones((0, 3), int), **keywords),
    ]
    for loss, backward in nothing:
        assert loss == 0
        assert np.all(backward() == 0)


@REDUCE
def test_a_class_that_is_ruled_out_may_be_the_one_that_is_ignored(ops, reduction):
    # A score matrix has -inf in column 0, the padding id, which is also the target to ignore.
    logits, targets = np.random.default_rng(0).standard_normal((4, 5)), np.array([0, 3, 1, 0])
    logits[:, 0] = -np.inf
    loss, backward = ops.cross_entropy(logits, targets, ignore_index=0, reduction=reduction)
    without, back_without = ops.cross_entropy(
        logits[1:3, 1:], targets[1:3] - 1, reduction=reduction
    )
    np.testing.assert_allclose(loss, without, rtol=1e-14)
    np.testing.assert_allclose(backward()[1:3, 1:], back_without(), atol=1e-15)
    assert np.all(backward()[:, 0] == 0)
    assert np.all(backward()[[0, 3]] == 0)


def test_a_mean_over_shards_is_the_sum_of_their_sums_over_the_count_of_all(ops):
    rng = np.random.default_rng(0)
    logits, targets = rng.standard_normal((6, 4, 5)), rng.integers(5, size=(6, 4))
    loss, backward = ops.cross_entropy(logits, targets, ignore_index=0)
    count = (targets != 0).sum()
    shards = [
        ops.cross_entropy(logits[rows], targets[rows], ignore_index=0, reduction="sum")
        for rows in (slice(0, 1), slice(1, 6))
    ]
    np.testing.assert_allclose(sum(s for s, _ in shards) / count, loss, rtol=1e-14)
    d_logits = np.concatenate([back(1 / count) for _, back in shards])
    np.testing.assert_allclose(d_logits, backward(), atol=1e-15)


def test_weights_that_are_all_the_same_are_no_weights(ops):
    rng = np.random.default_rng(0)
    logits, targets = rng.standard_normal((2, 3, 5)), rng.integers(5, size=(2, 3))
    weighted, _ = ops.cross_entropy(logits, targets, position_weights=np.full((2, 3), 7.0))
    np.testing.assert_allclose(weighted, ops.cross_entropy(logits, targets)[0], rtol=1e-14)


@pytest.mark.parametrize("smoothing", [0.0, 0.3, 1.0])
def test_knowing_nothing_costs_log_of_the_number_of_classes(ops, smoothing):
    loss, _ = ops.cross_entropy(np.zeros((2, 5)), np.array([1, 4]), label_smoothing=smoothing)
    np.testing.assert_allclose(loss, math.log(5), rtol=1e-14)


def test_being_sure_costs_nothing_when_right_and_the_gap_when_wrong(ops):
    logits = np.array([1e4, 0.0, -1e4])
    costs = [float(ops.cross_entropy(logits, np.array(target))[0]) for target in range(3)]
    assert costs == [0, 1e4, 2e4]


@pytest.mark.parametrize(
    ("changed", "error", "message"),
    [
        ({"targets": np.array([1, 5])}, ValueError, r"targets holds 5, but logits have 5 classes"),
        ({"targets": np.array([-100, 1])}, ValueError, r"holds -100.*valid targets are 0..4"),
        ({"targets": np.array([1.0, 2.0])}, TypeError, "targets has dtype float64"),
        ({"targets": np.array([[1], [2]])}, ValueError, r"targets has shape \(2, 1\).*\(2,\)"),
        ({"position_weights": np.ones(1)}, ValueError, r"position_weights has shape \(1,\)"),
        ({"label_smoothing": 1.5}, ValueError, "label_smoothing was 1.5.*between 0 and 1"),
        ({"label_smoothing": -0.1}, ValueError, "label_smoothing was -0.1"),
        ({"reduction": "none"}, ValueError, "reduction was 'none', but must be 'mean' or 'sum'"),
    ],
)
def test_what_does_not_fit_cross_entropy_is_named(ops, changed, error, message):
    inputs = {"logits": np.ones((2, 5)), "targets": np.array([1, 2])} | changed
    with pytest.raises(error, match=message):
        ops.cross_entropy(inputs.pop("logits"), inputs.pop("targets"), **inputs)


# -- binary --------------------------------------------------------------------------------------


@st.composite
def binary_cases(draw):
    """(logits, targets, keywords): hard and soft targets, some of which weigh nothing."""
    sizes = draw(SIZES)
    rng = np.random.default_rng(draw(SEEDS))
    keywords = {"reduction": draw(REDUCTIONS)}
    if draw(st.booleans()):
        keywords["position_weights"] = rng.choice([0.0, 0.5, 3.0], sizes)
    targets = draw(st.sampled_from([rng.random(sizes), np.round(rng.random(sizes))]))
    return rng.normal(0, 2, sizes), targets, keywords


@given(binary_cases())
def test_binary_cross_entropy_is_the_sum_over_entries(ops, case):
    logits, targets, keywords = case
    weights = keywords.get("position_weights", np.ones(logits.shape))
    loss = 0.0
    for entry in np.ndindex(logits.shape):
        s, t = 1 / (1 + math.exp(-logits[entry])), targets[entry]
        loss -= weights[entry] * (t * math.log(s) + (1 - t) * math.log(1 - s))
    if keywords["reduction"] == "mean":
        loss /= weights.sum() or 1
    assert abs(ops.binary_cross_entropy_with_logits(logits, targets, **keywords)[0] - loss) < 1e-12


@given(binary_cases())
def test_binary_cross_entropy_gradients(ops, case):
    logits, targets, keywords = case
    check_gradients(
        ops.binary_cross_entropy_with_logits, logits, targets, **keywords, raise_on_failure=True
    )


@given(binary_cases())
def test_an_entry_of_weight_zero_has_no_gradient(ops, case):
    logits, targets, keywords = case
    _, backward = ops.binary_cross_entropy_with_logits(logits, targets, **keywords)
    uncounted = keywords.get("position_weights", np.ones(logits.shape)) == 0
    d_logits, d_targets = backward()
    assert np.all(d_logits[uncounted] == 0)
    assert np.all(d_targets[uncounted] == 0)
    np.testing.assert_allclose(backward(-3.0), np.multiply(-3, backward()), rtol=1e-14)


@REDUCE
def test_nothing_to_count_is_binary_loss_zero_and_gradient_zero(ops, reduction):
    x = np.random.default_rng(0).random((2, 3))
    for logits, weights in [(x, np.zeros((2, 3))), (x[:0], None)]:
        loss, backward = ops.binary_cross_entropy_with_logits(
            logits, logits, position_weights=weights, reduction=reduction
        )
        assert loss == 0
        for gradient in backward():
            assert np.all(gradient == 0)


def test_binary_is_cross_entropy_over_two_classes(ops):
    x = np.linspace(-30, 30, 61)
    targets = np.arange(61) % 2
    binary, back_binary = ops.binary_cross_entropy_with_logits(x, targets.astype(float))
    two, back_two = ops.cross_entropy(np.stack([0 * x, x], axis=-1), targets)
    np.testing.assert_allclose(binary, two, rtol=1e-14)
    np.testing.assert_allclose(back_binary()[0], back_two()[:, 1], atol=1e-16)
    np.testing.assert_allclose(back_binary()[0], (ops.sigmoid(x)[0] - targets) / 61, atol=1e-16)


def test_binary_cross_entropy_of_a_sure_mistake_is_the_logit(ops):
    logits, targets = np.array([1e4, -1e4]), np.array([0.0, 1.0])
    assert ops.binary_cross_entropy_with_logits(logits, targets)[0] == 1e4
    assert ops.binary_cross_entropy_with_logits(logits, 1 - targets)[0] == 0


def test_what_does_not_fit_binary_cross_entropy_is_named(ops):
    ones = np.ones((2, 3))
    with pytest.raises(ValueError, match=r"targets has shape \(3,\), but must be \(2, 3\)"):
        ops.binary_cross_entropy_with_logits(ones, ones[0])
    with pytest.raises(ValueError, match=r"position_weights has shape \(2,\)"):
        ops.binary_cross_entropy_with_logits(ones, ones, position_weights=np.ones(2))
    with pytest.raises(ValueError, match="reduction was 'none'"):
        ops.binary_cross_entropy_with_logits(ones, ones, reduction="none")


# -- what does not count, whatever it holds --------------------------------------------------------


def test_an_ignored_position_may_hold_infinity(ops):
    logits = np.array([[1.0, 2.0, 3.0], [np.inf, 0.0, 0.0]])
    with np.errstate(invalid="ignore"):
        loss, backward = ops.cross_entropy(logits, np.array([0, -100]), ignore_index=-100)
        d_logits = backward()
    assert np.isfinite(loss)
    assert (d_logits[1] == 0).all()
    assert np.isfinite(d_logits[0]).all()


def test_an_entry_of_weight_zero_may_hold_infinity(ops):
    logits, weights = np.array([1.0, np.inf]), np.array([1.0, 0.0])
    loss, backward = ops.binary_cross_entropy_with_logits(
        logits, np.zeros(2), position_weights=weights
    )
    assert np.isfinite(loss)
    for gradient in backward():
        assert gradient[1] == 0
        assert np.isfinite(gradient[0])


@pytest.mark.parametrize("weight", [-1.0, np.nan, np.inf])
def test_a_weight_that_is_no_weight_is_an_error(ops, weight):
    with pytest.raises(ValueError, match="position_weights"):
        ops.cross_entropy(np.zeros((1, 2)), np.array([0]), position_weights=np.array([weight]))


def test_weights_have_the_dtype_of_the_logits(ops):
    logits = np.zeros((1, 2), np.float32)
    with pytest.raises(TypeError, match="position_weights has dtype float64"):
        ops.cross_entropy(logits, np.array([0]), position_weights=np.ones(1))
