"""Every metric against a loop over all orders of the ties, and against chance."""

from itertools import permutations
from math import log2

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from attention_from_scratch.evaluation import coverage, hit_rate, mrr, ndcg, rank_targets, top_k

INF = np.inf


def matrix(*rows):
    """Scores of items 1..V, with the padding column put in front."""
    return np.array([[-INF, *row] for row in rows])


def all_orders(row, target, k):
    """HR, NDCG and reciprocal rank of one user, averaged over every sorted order of the items."""
    if row[target] == -INF:
        return 0, 0, 0
    items = range(1, len(row))
    orders = [o for o in permutations(items) if all(np.diff([row[item] for item in o]) <= 0)]
    ranks = [order.index(target) + 1 for order in orders]
    hits = [rank <= k for rank in ranks]
    gains = [1 / log2(rank + 1) if rank <= k else 0 for rank in ranks]
    return np.mean(hits), np.mean(gains), np.mean([1 / rank for rank in ranks])


def metrics(scores, targets, k):
    ranks = rank_targets(scores, np.array(targets))
    return hit_rate(ranks, k), ndcg(ranks, k), mrr(ranks)


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.sampled_from([-1e6, 0.0, 0.5, 7.0]), min_size=1, max_size=6),
    st.data(),
    st.integers(1, 8),
)
def test_expectation_over_all_orders_of_the_ties(row, data, k):
    target = data.draw(st.integers(1, len(row)))
    found = metrics(matrix(row), [target], k)
    np.testing.assert_allclose(np.ravel(found), all_orders([-INF, *row], target, k), atol=1e-15)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(("V", "k"), [(1, 1), (7, 3), (7, 7), (7, 10), (100, 10)])
def test_constant_scores_earn_chance(V, k, dtype):
    scores = matrix(*np.zeros((V, V))).astype(dtype)
    hr, gain, reciprocal = metrics(scores, range(1, V + 1), k)
    ranks = np.arange(1, V + 1)
    assert np.all(hr == min(k, V) / V)
    np.testing.assert_allclose(gain, np.mean((ranks <= k) / np.log2(ranks + 1)), rtol=1e-14)
    np.testing.assert_allclose(reciprocal, np.mean(1 / ranks), rtol=1e-14)


def test_by_hand():
    scores = matrix([4, 3, 2, 1], [4, 3, 3, 1], [1, 2, 3, -INF])
    hr, gain, reciprocal = metrics(scores, [3, 2, 4], k=2)
    assert hr.tolist() == [0, 0.5, 0]  # rank 3; rank 2 or 3; never
    np.testing.assert_allclose(gain, [0, 0.5 / log2(3), 0])
    np.testing.assert_allclose(reciprocal, [1 / 3, (1 / 2 + 1 / 3) / 2, 0])


def test_target_that_cannot_be_recommended_earns_nothing_even_among_its_like():
    assert np.all(np.array(metrics(matrix([-INF, -INF], [-INF, 0]), [1, 1], k=99)) == 0)


def slow_top_k(scores, k):
    lists = []
    for row in scores:
        order = sorted(range(len(row)), key=lambda item: (-row[item], item))
        items = [item for item in order if row[item] > -INF]
        lists.append((items + [0] * k)[:k])
    return np.array(lists)


@pytest.mark.parametrize("k", [1, 2, 5, 9, 20])
def test_top_k_is_a_stable_sort(k):
    rng = np.random.default_rng(k)
    scores = matrix(*rng.choice([-INF, 0.0, 1.0, 2.0, INF], (60, 9)))
    before = scores.copy()
    np.testing.assert_array_equal(top_k(scores, k), slow_top_k(scores, k))
    np.testing.assert_array_equal(scores, before)


def test_coverage_counts_each_item_once_and_no_padding():
    assert coverage(np.array([[1, 2], [2, 0]]), n_items=4) == 0.5
    with pytest.raises(ValueError, match=r"recommended holds 5 \(valid ids are 0\.\.4\)"):
        coverage(np.array([[5]]), n_items=4)


@pytest.mark.parametrize(
    ("scores", "targets", "message"),
    [
        (matrix([np.nan, 0]), [1], "scores holds NaN"),
        (np.zeros((1, 3)), [1], "scores holds a number in column 0"),
        (np.zeros((1, 3), int), [1], "scores has dtype int64"),
        (np.zeros(3), [1], r"scores has shape \(3,\)"),
        (matrix([1, 0]), [1, 2], r"scores has shape \(1, 3\), must be \(2, V \+ 1\)"),
        (matrix([1, 0]), [3], r"targets holds 3, but scores ranks the ids 1\.\.2"),
        (matrix([1, 0]), [0], "targets holds 0"),
        (matrix([1, 0]), [1.0], "targets is float64"),
    ],
)
def test_errors(scores, targets, message):
    with pytest.raises(ValueError, match=message):
        rank_targets(scores, np.array(targets))


@pytest.mark.parametrize("k", [0, -1, 2.5])
def test_k_is_a_length(k):
    ranks = rank_targets(matrix([1, 0]), np.array([1]))
    for call in (lambda: hit_rate(ranks, k), lambda: ndcg(ranks, k), lambda: top_k(matrix([1]), k)):
        with pytest.raises(ValueError, match="k is"):
            call()
