import math
from itertools import pairwise

import numpy as np
import pytest

from attention_from_scratch.models.content import ContentBased
from attention_from_scratch.models.counting import weighted
from attention_from_scratch.models.markov import MarkovChain
from attention_from_scratch.models.neighbours import ItemKNN, UserKNN
from attention_from_scratch.models.popularity import MostPopular, RecentlyPopular

V = 7  # item 7 has no event
TRAIN = [[1, 2, 3, 1], [2, 3], [], [4], [5, 2, 6, 2, 3, 3], [6, 5, 4, 1, 2]]
FEATURES = {"colour": np.eye(V + 1)[:, :3] + 0.1}
MODELS = {
    "MostPopular": MostPopular(V),
    "RecentlyPopular": RecentlyPopular(V, share=0.5),
    "MarkovChain": MarkovChain(V),
    "UserKNN": UserKNN(V, k=2),
    "ItemKNN": ItemKNN(V, k=3),
    "ContentBased": ContentBased(V, FEATURES),
}


@pytest.fixture(params=MODELS)
def model(request):
    return MODELS[request.param].fit(TRAIN)


# --- what holds for all of them


def test_scores_are_finite_floats_but_for_padding(model):
    scores = model.scores([[1, 2], [7], [3]])
    assert scores.shape == (3, V + 1)
    assert scores.dtype == np.float64
    assert np.isfinite(scores[:, 1:]).all()
    assert (scores[:, 0] == -np.inf).all()
    assert model.scores([]).shape == (0, V + 1)


def test_an_empty_history_is_scored_by_popularity(model):
    counts = model.item_counts[1:]
    np.testing.assert_array_equal(model.scores([[]])[0, 1:], np.log1p(counts))


def test_users_are_scored_one_by_one(model):
    histories = [[1, 2], [], [7], [3, 3, 5]]
    alone = np.concatenate([model.scores([history]) for history in histories])
    np.testing.assert_allclose(model.scores(histories), alone, rtol=1e-12)


def test_it_recommends_what_was_not_seen(model):
    ids, scores = model.recommend([[1, 2, 3], []], k=3)
    assert ids.shape == scores.shape == (2, 3)
    assert not set(ids[0]) & {1, 2, 3}
    assert (np.diff(scores, axis=1) <= 0).all()


def test_fitting_again_forgets(model):
    before = model.scores([[1, 2], [4]])
    model.fit([[6, 7], [7, 6, 5], [5, 1, 7]])
    assert model.item_counts[7]
    np.testing.assert_array_equal(model.fit(TRAIN).scores([[1, 2], [4]]), before)


def test_nobody_to_learn_from_is_no_error(model):
    for nobody in ([], [[]]):
        assert np.isfinite(model.fit(nobody).scores([[1, 2], []])[:, 1:]).all()


@pytest.mark.parametrize(
    "unfitted",
    [
        MostPopular(V),
        RecentlyPopular(V),
        MarkovChain(V),
        UserKNN(V),
        ItemKNN(V),
        ContentBased(V, FEATURES),
    ],
    ids=lambda unfitted: type(unfitted).__name__,
)
def test_a_model_that_is_not_fitted_says_so(unfitted):
    for ask in (unfitted.scores, unfitted.recommend):
        with pytest.raises(ValueError, match="the model has not been trained: call fit"):
            ask([[1]])


def test_an_item_that_is_not_in_the_catalogue_is_an_error(model):
    for use in (model.fit, model.scores):
        with pytest.raises(ValueError, match=r"histories of user 1 holds 8, but may hold 1\.\.7"):
            use([[1], [2, 8]])


@pytest.mark.parametrize("kind", [MostPopular, MarkovChain, UserKNN, ItemKNN])
def test_the_catalogue_has_a_size(kind):
    with pytest.raises(ValueError, match="n_items was 0, but must be an integer from 1 on"):
        kind(0)


# --- popularity


def test_most_popular_orders_by_the_number_of_events():
    scores = MostPopular(V).fit(TRAIN).scores([[1]])[0]
    counts = [sum(history.count(item) for history in TRAIN) for item in range(1, V + 1)]
    np.testing.assert_allclose(scores[1:], np.log([1 + count for count in counts]))


@pytest.mark.parametrize("share", [0.1, 0.3, 0.5, 1])
def test_recently_popular_counts_the_latest_events_of_all_users(share):
    rng = np.random.default_rng(1)
    histories = [rng.integers(1, V + 1, n) for n in (5, 0, 9, 1, 6)]
    times = [np.sort(rng.random(len(history))) for history in histories]
    events = sorted(
        (t, i) for h, ts in zip(histories, times, strict=True) for i, t in zip(h, ts, strict=True)
    )
    latest = [item for _, item in events[-math.ceil(share * len(events)) :]]
    model = RecentlyPopular(V, share).fit(histories, times=times)
    assert model.item_counts[1:].tolist() == [latest.count(item) for item in range(1, V + 1)]


def test_events_of_the_same_time_count_together():
    model = RecentlyPopular(V, share=0.25).fit([[1, 2], [3, 4]], times=[[1, 5], [5, 5]])
    assert model.item_counts.tolist() == [0, 0, 1, 1, 1, 0, 0, 0]


def test_without_times_the_latest_of_each_user_count():
    model = RecentlyPopular(V, share=0.5).fit(TRAIN)
    latest = [3, 1, 3, 4, 2, 3, 3, 4, 1, 2]  # two of four, one of two, one of one, three of six...
    assert model.item_counts[1:].tolist() == [latest.count(item) for item in range(1, V + 1)]
    np.testing.assert_array_equal(model.scores([[1]]), model.scores([[]]))


def test_times_that_do_not_fit_the_histories_are_an_error():
    with pytest.raises(ValueError, match="times was of 1 users, but must be of 2"):
        RecentlyPopular(V).fit([[1], [2]], times=[[1]])
    with pytest.raises(
        ValueError, match=r"times of user 1 was of shape \(3,\), but must be of \(1,\)"
    ):
        RecentlyPopular(V).fit([[1], [2]], times=[[1], [1, 2, 3]])


@pytest.mark.parametrize("share", [0, 1.5, math.nan])
def test_a_share_is_between_0_and_1(share):
    with pytest.raises(ValueError, match="share was"):
        RecentlyPopular(V, share)


# --- the Markov chain


def slow_markov(train, last, smoothing):
    """p(next | last) of every item, counted pair by pair."""
    pairs = [pair for history in train for pair in pairwise(history)]
    events = [item for history in train for item in history]
    return [
        (pairs.count((last, item)) + smoothing * events.count(item) / len(events))
        / (sum(a == last for a, _ in pairs) + smoothing)
        for item in range(1, V + 1)
    ]


@pytest.mark.parametrize("smoothing", [0.5, 1, 20])
def test_a_markov_chain_counts_pairs_and_backs_off_to_popularity(smoothing):
    model = MarkovChain(V, smoothing).fit(TRAIN)
    scores = model.scores([[5, last] for last in range(1, V + 1)])[:, 1:]
    for last, row in enumerate(scores, 1):
        np.testing.assert_allclose(row, slow_markov(TRAIN, last, smoothing))
    np.testing.assert_allclose(scores.sum(axis=1), 1)


def test_after_an_item_that_nothing_followed_popularity_is_all_there_is():
    model = MarkovChain(V).fit(TRAIN)
    np.testing.assert_allclose(model.scores([[7]])[0, 1:], model.item_counts[1:] / 18)


def test_smoothing_is_above_0():
    with pytest.raises(ValueError, match="smoothing was 0, but must be finite and above 0"):
        MarkovChain(V, 0)


# --- what the others share


def test_an_item_weighs_by_the_last_time_it_was_met():
    items, weights = weighted(np.array([4, 2, 4, 3]), half_life=2)
    assert items.tolist() == [2, 3, 4]
    np.testing.assert_allclose(weights, [0.5, 1, 0.5**0.5])
    assert weighted(np.array([4, 2, 4]), None)[1].tolist() == [1, 1]


@pytest.mark.parametrize("half_life", [0, -1, math.inf, math.nan])
def test_a_half_life_is_above_0_or_none(half_life):
    for make in (UserKNN, ItemKNN, lambda n, half_life: ContentBased(n, FEATURES, half_life)):
        with pytest.raises(ValueError, match="half_life was"):
            make(V, half_life=half_life)
