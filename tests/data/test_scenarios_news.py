from itertools import product

import numpy as np
import pytest

from attention_from_scratch.data import News, before_last, best_possible
from attention_from_scratch.data.scenarios.newspaper import TOPICS

CLICK, LIKE, COMMENT = range(1, 4)
TOPIC = News.topic


def alive_of(topic, time, but=()):
    """Articles of a topic that are alive at a time, by the docstring."""
    return [
        i
        for i in range(1, 481)
        if News.topic[i] == topic and 0 <= time - 1.5 * (i - 1) < 72 and i not in but
    ]


# --- the newspaper


def test_there_are_sixty_articles_of_each_topic_in_no_regular_order():
    assert News().n_items == 480
    assert np.bincount(TOPIC).tolist() == [1] + [60] * 8
    assert len(set(zip(TOPIC[1:9], TOPIC[9:17], strict=True))) > 4


def test_a_title_has_three_words_of_its_topic_that_no_other_topic_has():
    vocabulary = [parts.replace(",", "").split() for parts in TOPICS.values()]
    assert len({word for words in vocabulary for word in words}) == 8 * 12 == len(News.words)
    for title, topic in zip(News.names[1:], TOPIC[1:], strict=True):
        assert len(title.split()) == 3
        assert set(title.split()) <= set(vocabulary[topic - 1])


def test_features_say_which_words_a_title_has():
    assert News.features.shape == (481, 96)
    assert (News.features[0] == 0).all()
    for title, row in zip(News.names[1:], News.features[1:], strict=True):
        assert {News.words[i] for i in np.flatnonzero(row)} == set(title.split())


def test_an_article_is_alive_from_publication_to_expiry():
    news = News(lifetime=10)
    assert news.published[[1, 2, 480]].tolist() == [0, 1.5, 718.5]
    assert news.expires[2] == 11.5
    times = np.array([1.49, 1.5, 11.49, 11.5])
    assert news.alive(times)[:, 2].tolist() == [False, True, True, False]
    assert news.alive(5.0).shape == (481,)
    assert not news.alive(times)[:, 0].any()


# --- the formula


def test_the_formula_by_hand():
    news, time = News(liked=0.5, opened=0.3), 200.0
    liked, last = alive_of(1, time)[0], alive_of(2, time)[0]
    history, did = np.array([liked, last, last + 1]), np.array([COMMENT, CLICK, CLICK])
    (p,) = news.next_probabilities([history], behaviours=[did], at=[time])
    candidates = [i for topic in range(1, 9) for i in alive_of(topic, time, history)]
    assert len(candidates) == 48 - 3
    for i in range(481):
        expected = 0.2 / len(candidates)
        for weight, topic in ((0.5, 1), (0.3, TOPIC[last + 1])):
            if TOPIC[i] == topic:
                expected += weight / len(alive_of(topic, time, history))
        np.testing.assert_allclose(p[i], expected * (i in candidates), rtol=1e-12)


def test_a_part_without_candidates_gives_its_weight_to_any_article():
    news, time = News(liked=0.5, opened=0.3), 100.0
    all_of_one = np.array(alive_of(1, time))
    did = np.full(len(all_of_one), LIKE)
    (p,) = news.next_probabilities([all_of_one], behaviours=[did], at=[time])
    np.testing.assert_allclose(p[p > 0], 1 / (48 - len(all_of_one)))
    (empty,) = news.next_probabilities([[]], behaviours=[[]], at=[time])
    np.testing.assert_allclose(empty, news.alive(time) / 48)


def test_candidates_change_with_time():
    early, late = News().next_probabilities([[1]] * 2, behaviours=[[LIKE]] * 2, at=[20, 400])
    assert not ((early > 0) & (late > 0)).any()


def test_hidden_behaviours_are_weighed_by_bayes_rule_in_full():
    news, times, at = News(), np.array([100.0, 101, 103, 105]), 106.0
    one, other = alive_of(1, 99), alive_of(3, 99)
    history = np.array([one[-1], one[-2], other[-1], one[-3]])
    total = np.zeros(481)
    for did in product((CLICK, LIKE, COMMENT), repeat=4):
        weight = np.prod([[0.7, 0.2, 0.1][behaviour - 1] for behaviour in did])
        p = news.next_probabilities(
            [history[:t] for t in range(5)],
            behaviours=[np.array(did[:t], np.int64) for t in range(5)],
            at=[*times, at],
        )
        total += weight * np.prod(p[np.arange(4), history]) * p[-1]
    (p,) = news.next_probabilities([history], times=[times], at=[at])
    np.testing.assert_allclose(p, total / total.sum(), rtol=1e-12)


# --- what is sampled


def test_only_what_is_alive_is_opened_and_only_once():
    news = News(lifetime=48)
    sample = news.sample(300, np.random.default_rng(0), length=(10, 20))
    for history, times in zip(sample.histories, sample.times, strict=True):
        assert len(set(history)) == len(history)
        assert news.alive(times)[np.arange(len(history)), history].all()
        assert (np.diff(times) >= 0).all()
    times = np.concatenate(sample.times)
    assert 48 <= times.min() < 100 < 600 < times.max() <= 720


def test_readers_of_a_later_period_open_what_nobody_has_opened_before():
    news, rng = News(), np.random.default_rng(1)
    before, after = (
        news.sample(200, rng, between=(72, 500)),
        news.sample(200, rng, between=(500, 720)),
    )
    assert np.concatenate(before.times).max() <= 500 <= np.concatenate(after.times).min()
    opened = np.concatenate(before.histories)
    assert (news.published[opened] <= 500).all()
    _, targets, _ = before_last(after)
    assert (news.published[targets] > 500).mean() > 0.8


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"between": (10, 50)}, r"between was \(10, 50\) and stay was 96.0, but must be a period"),
        ({"between": (700, 900)}, "within 0..720"),
        ({"stay": -1}, "stay was -1"),
        ({"between": (3, 300)}, r"length was \(5, 15\), but only 3 articles are alive at 3 hours"),
    ],
)
def test_periods_that_cannot_be_are_an_error(settings, message):
    with pytest.raises(ValueError, match=message):
        News().sample(2, np.random.default_rng(0), **settings)


# --- what a title is worth


@pytest.fixture
def later_readers():
    """p for readers after 500 hours; p for who cannot tell apart what was published since."""
    news = News()
    sample = news.sample(60, np.random.default_rng(2), between=(500, 720))
    known, _, at = before_last(sample)
    given = {"behaviours": known.behaviours, "at": at}
    new = news.published >= 500
    new[0] = False
    p = news.next_probabilities(known.histories, **given)
    return p, news.next_probabilities(known.histories, **given, untitled=new), new


def test_without_titles_new_articles_share_what_they_have_together(later_readers):
    p, blind, new = later_readers
    np.testing.assert_array_equal(blind[:, ~new], p[:, ~new])
    np.testing.assert_allclose(blind.sum(axis=1), 1)
    assert all(np.ptp(row[new & (row > 0)]) == 0 for row in blind)
    assert ((blind > 0) == (p > 0)).all()


def test_without_titles_no_answer_scores_better_than_the_bound(later_readers):
    """Which of the new articles has which title is as good as drawn: shuffle p among them."""
    p, blind, new = later_readers
    bound, rng = best_possible(blind, 5), np.random.default_rng(3)
    discount = 1 / np.log2(np.arange(2, 7))
    for _ in range(20):
        gains, losses = [], []
        for row in p:
            alike, answer = np.flatnonzero(new & (row > 0)), rng.dirichlet(np.ones(481))
            answer[alike] = answer[alike].mean()
            answer[row > 0] += row.max()  # it knows what is alive
            losses.append(-(row * np.log(answer / answer.sum())).sum())
            ranked = np.argsort(-answer)[:5]
            expected = row.copy()
            expected[alike] = row[alike].mean()
            gains.append(expected[ranked] @ discount)
        assert np.mean(losses) >= bound["cross_entropy"]
        assert np.mean(gains) <= bound["ndcg"]


def test_a_title_is_worth_much(later_readers):
    p, blind, _ = later_readers
    assert best_possible(blind)["ndcg"] < 0.5 * best_possible(p)["ndcg"]
    assert best_possible(blind)["cross_entropy"] > best_possible(p)["cross_entropy"] + 0.5
