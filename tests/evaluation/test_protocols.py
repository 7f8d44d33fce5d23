"""Protocols on a toy: what is ranked, what is left out, and that batches change nothing."""

import numpy as np
import pytest

from attention_from_scratch.evaluation import (
    evaluate,
    mask_seen,
    sampled_negatives,
    whole_catalogue,
)
from attention_from_scratch.evaluation.metrics import NEVER

V = 40
RNG = np.random.default_rng(0)
HISTORIES = [RNG.permutation(V)[: RNG.integers(1, 9)] + 1 for _ in range(50)]
TARGETS = RNG.integers(1, V + 1, 50) * (RNG.random(50) > 0.2)  # about ten users without one
WEIGHT = RNG.integers(0, 5, (V + 1, V + 1)).astype(np.float32)  # few values, so many ties


def score(histories):
    """A toy model: the last item decides. Read-only, as a model may hand out its own memory."""
    scores = WEIGHT[[history[-1] for history in histories]]
    scores[:, 0] = -np.inf
    scores.flags.writeable = False
    return scores


def constant(histories):
    scores = np.zeros((len(histories), V + 1))
    scores[:, 0] = -np.inf
    return scores


PROTOCOLS = {
    "whole catalogue": whole_catalogue(),
    "whole catalogue, seen items too": whole_catalogue(exclude_seen=False),
    "strict": sampled_negatives(20),
    "paper": sampled_negatives(20, variant="paper", train_histories=[h[:-1] for h in HISTORIES]),
}
every_protocol = pytest.mark.parametrize("protocol", PROTOCOLS.values(), ids=PROTOCOLS)


@every_protocol
def test_batch_size_changes_nothing(protocol):
    results = [
        evaluate(score, HISTORIES, TARGETS, protocol=protocol, batch_size=size)
        for size in (1, 7, 99)
    ]
    assert results[0] == results[1] == results[2]
    assert results[0]["users"] == np.count_nonzero(TARGETS)


@every_protocol
def test_a_users_draw_does_not_depend_on_the_others(protocol):
    alone = np.where(np.arange(50) == 7, 3, 0)
    both = np.where(np.arange(50) == 5, 4, alone)
    first = evaluate(score, HISTORIES, np.where(np.arange(50) == 5, 4, 0), protocol=protocol)
    second, together = (evaluate(score, HISTORIES, t, protocol=protocol) for t in (alone, both))
    assert together["MRR"] == pytest.approx((first["MRR"] + second["MRR"]) / 2)


def test_keys():
    whole = evaluate(score, HISTORIES, TARGETS, k=5)
    assert list(whole) == ["HR@5", "NDCG@5", "MRR", "coverage", "users"]
    sampled = evaluate(score, HISTORIES, TARGETS, k=5, protocol=PROTOCOLS["strict"])
    assert list(sampled) == ["HR@5", "NDCG@5", "MRR", "users"]


def test_constant_model_earns_chance():
    histories, targets = [[1, 2]] * 9, np.arange(3, 12)
    chance = 10 / (V - 2)
    assert evaluate(constant, histories, targets)["HR@10"] == pytest.approx(chance)
    assert evaluate(constant, histories, targets, protocol=sampled_negatives(19))["HR@10"] == 0.5


def test_seen_items_are_left_out_and_a_seen_target_earns_nothing():
    def prefer_three_then_two(histories):
        scores = constant(histories)
        scores[:, 3], scores[:, 2] = 2, 1
        return scores

    one = {"k": 1, "histories": [[3, 3, 5], []], "targets": [2, 3]}
    assert evaluate(prefer_three_then_two, **one)["HR@1"] == 1
    seen_target = one | {"targets": [3, 3]}
    assert evaluate(prefer_three_then_two, **seen_target)["HR@1"] == 0.5
    found = evaluate(
        prefer_three_then_two, **seen_target, protocol=whole_catalogue(exclude_seen=False)
    )
    assert found["HR@1"] == 1
    assert found["coverage"] == 1 / V


@every_protocol
@pytest.mark.parametrize("batch_size", [1, 7, 99])
def test_the_context_of_the_users_is_handed_on_with_their_histories(protocol, batch_size):
    context = {"user": [np.full(len(h), user) for user, h in enumerate(HISTORIES)]}
    context["last"] = [history * 2 for history in HISTORIES]
    met = []

    def score_in_context(histories, around):
        assert around.keys() == {"user", "last"}
        for history, users, last in zip(histories, around["user"], around["last"], strict=True):
            assert np.array_equal(history, HISTORIES[users[0]])
            assert np.array_equal(last, history * 2)
            met.append(int(users[0]))
        return score(histories)

    settings = {"protocol": protocol, "batch_size": batch_size}
    result = evaluate(score_in_context, HISTORIES, TARGETS, context=context, **settings)
    assert met == np.flatnonzero(TARGETS).tolist()
    assert result == evaluate(score, HISTORIES, TARGETS, protocol=protocol)


def test_a_score_that_takes_no_context_is_given_none():
    assert evaluate(score, HISTORIES, TARGETS, context={}) == evaluate(score, HISTORIES, TARGETS)


def drawn(protocol, user, history, target):
    """How often each item is drawn: score it alone above the target and see how often it is met."""
    count = np.zeros(V + 1, int)
    for item in range(1, V + 1):
        scores = np.zeros((1, V + 1))
        scores[0, 0], scores[0, item] = -np.inf, 1 if item != target else 0
        ranks, _ = protocol.rank(scores, [history], np.array([target]), np.array([user]))
        count[item] = ranks.better[0]
    return count


def test_strict_draws_each_unseen_item_once():
    history, target = np.arange(1, 11), 40
    count = drawn(sampled_negatives(V - 11), 0, history, target)
    assert count.tolist() == [0] + [0] * 10 + [1] * 29 + [0]
    with pytest.raises(ValueError, match="n is 30, but user 0 has 29 items to draw from"):
        drawn(sampled_negatives(V - 10), 0, history, target)


def test_paper_draws_with_replacement_and_leaves_out_training_items_only():
    history, target = np.arange(1, 11), 40
    protocol = sampled_negatives(1000, variant="paper", train_histories=[history[:-1]])
    count = drawn(protocol, 0, history, target)
    assert np.all(count[:10] == 0)
    assert np.all(count[10:40] > 5)  # 1000 draws of 31 items; item 10 is the validation item
    scores = np.where(np.arange(V + 1) == 0, -np.inf, np.arange(V + 1.0))[None]
    ranks, catalogue = protocol.rank(scores, [history], np.array([target]), np.array([0]))
    assert ranks.better[0] == 0
    assert ranks.tied[0] == 1000 - count.sum() > 5  # the target met itself
    assert catalogue is None


def test_paper_asks_ten_thousand_users_where_there_are_more():
    protocol = sampled_negatives(variant="paper", train_histories=[])
    few, many = np.arange(10_000), np.arange(12_000) * 2
    assert protocol.choose_users(few) is few
    chosen = protocol.choose_users(many)
    assert len(np.unique(chosen)) == 10_000
    assert np.isin(chosen, many).all()
    np.testing.assert_array_equal(chosen, protocol.choose_users(many))
    assert sampled_negatives().choose_users(many) is many


def test_another_seed_draws_other_negatives():
    counts = [drawn(sampled_negatives(5, seed=seed), 3, np.array([1]), 2) for seed in (0, 0, 1)]
    np.testing.assert_array_equal(counts[0], counts[1])
    assert np.any(counts[0] != counts[2])


def test_sampled_target_that_cannot_be_recommended_earns_nothing():
    scores = np.full((1, V + 1), -np.inf)
    ranks, _ = sampled_negatives(5).rank(scores, [[1]], np.array([2]), np.array([0]))
    assert (ranks.better[0], ranks.tied[0]) == (NEVER, 0)


def test_mask_seen_copies():
    scores = constant([[1]])
    masked = mask_seen(scores, [[2, 2, 0]])
    assert np.flatnonzero(masked[0] == -np.inf).tolist() == [0, 2]
    assert scores[0, 2] == 0


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: evaluate(score, HISTORIES, TARGETS[:3]), "targets is int64 of shape"),
        (lambda: evaluate(score, HISTORIES, TARGETS * 0), "targets holds no target"),
        (lambda: evaluate(score, HISTORIES, TARGETS, batch_size=0), "batch_size is 0"),
        (lambda: evaluate(score, HISTORIES, TARGETS, k=0), "k is 0"),
        (lambda: evaluate(score, [[1]], [V + 1]), "targets holds 41"),
        (lambda: evaluate(constant, [[99]], [1]), "histories holds 99, but scores has 41 columns"),
        (lambda: evaluate(lambda h: np.zeros((3, 5)), [[1]], [1]), r"must be \(1, V \+ 1\)"),
        (lambda: sampled_negatives(variant="loose"), "variant is 'loose', must be 'paper' or"),
        (lambda: sampled_negatives(variant="paper"), "train_histories is None"),
        (lambda: sampled_negatives(0), "n is 0"),
        (lambda: sampled_negatives(seed=-1), "seed is -1"),
    ],
)
def test_errors(call, message):
    with pytest.raises(ValueError, match=message):
        call()
