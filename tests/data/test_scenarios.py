"""What holds for every scenario: the stated probabilities are true, and the limits are the best."""

import numpy as np
import pytest

from attention_from_scratch.data import (
    Events,
    Finance,
    News,
    Purchases,
    Shop,
    Social,
    before_last,
    best_possible,
)

PURCHASE = Purchases.behaviour_names.index("purchase")

# What may be known besides the items; in the first row of each, it is all that matters.
KNOWN = {
    "purchases": [("behaviours", "times"), ("behaviours",), ("times",), ()],
    "news": [("at", "behaviours"), ("at", "times")],
    "social": [("behaviours",), ()],
    "finance": [("at",), ("times",), ()],
}
SCENARIOS = {"purchases": Purchases, "news": News, "social": Social, "finance": Finance}
EVERY_CASE = [(name, known) for name, rows in KNOWN.items() for known in rows]
EVERY_HIDDEN = [(name, known) for name, rows in KNOWN.items() for known in rows[1:]]


@pytest.fixture
def rng():
    return np.random.default_rng(11)


def ask(scenario, n_users, rng, length):
    """Histories, targets, and all that is known besides."""
    events = scenario.sample(n_users, rng, length=length)
    known, targets, at = before_last(events, PURCHASE if type(scenario) is Purchases else None)
    asked = np.flatnonzero(targets)
    histories, behaviours, times = (rows and [rows[user] for user in asked] for rows in known)
    besides = {"behaviours": behaviours, "times": times, "at": at[asked]}
    return histories, targets[asked], besides


def chosen(besides, names):
    return {name: besides[name] for name in names}


@pytest.fixture(scope="module")
def asked():
    """Many questions of each scenario, with p for whatever is known."""
    answers = {}
    for name, scenario in SCENARIOS.items():
        question = ask(scenario(), 800, np.random.default_rng(7), (1, 6))
        histories, targets, besides = question
        for known in KNOWN[name]:
            p = scenario().next_probabilities(histories, **chosen(besides, known))
            answers[name, known] = p, targets, question
    return answers


def chi_square_is_plausible(observed, expected):
    """Pearson's: its mean is its freedom f, its std is sqrt(2 f). Rare cells are taken together."""
    assert observed[expected == 0].sum() == 0
    rare = (expected > 0) & (expected < 1)
    observed = np.append(observed[expected >= 1], observed[rare].sum())
    expected = np.append(expected[expected >= 1], expected[rare].sum())
    freedom = len(expected) - 1
    assert freedom > 5
    chi_square = ((observed - expected) ** 2 / np.maximum(expected, 1e-9)).sum()
    return chi_square < freedom + 4 * np.sqrt(2 * freedom)


@pytest.mark.parametrize(("name", "known"), EVERY_CASE)
def test_what_is_sampled_follows_next_probabilities(asked, name, known):
    p, targets, _ = asked[name, known]
    assert chi_square_is_plausible(np.bincount(targets, minlength=p.shape[1]), p.sum(axis=0))


@pytest.mark.parametrize(("name", "known"), EVERY_CASE)
def test_each_rank_is_met_as_often_as_it_is_likely(asked, name, known):
    """Not only the sums over all users are right: what is likely for a user is what is met."""
    p, targets, _ = asked[name, known]
    assert chi_square_is_plausible(*by_rank(p, targets))


@pytest.mark.parametrize(
    "scenario",
    [
        Purchases(cart=0.5, follows=0),
        Purchases(cart=0, follows=0.5),
        News(liked=0.5, opened=0),
        News(liked=0, opened=0.5),
        Social(followed=0.5, shared=0, liked=0),
        Social(followed=0, shared=0.5, liked=0),
        Social(followed=0, shared=0, liked=0.5),
        Finance(leads=0.5, trend=0),
        Finance(leads=0, trend=0.5),
    ],
    ids=str,
)
def test_each_part_of_the_formula_surprises_as_much_as_it_should(scenario, rng):
    """-log p(target) has the mean and the variance that p says: a sharp test of the sampling."""
    n_users = 500 if type(scenario) is News else 1500  # its catalogue is large
    histories, targets, besides = ask(scenario, n_users, rng, (6, 14))
    known = KNOWN[type(scenario).__name__.lower()][0]
    p = scenario.next_probabilities(histories, **chosen(besides, known))
    surprise = -np.log(np.where(p > 0, p, 1))
    mean = (p * surprise).sum(axis=1)
    variance = (p * (surprise - mean[:, None]) ** 2).sum(axis=1)
    met = surprise[np.arange(len(targets)), targets]
    assert abs((met - mean).sum()) < 4 * np.sqrt(variance.sum())


def by_rank(p, targets):
    """How many targets are the most likely item, the second, ...; and how many are expected."""
    order = np.argsort(-p, axis=1, kind="stable")
    ranks = (order == targets[:, None]).argmax(axis=1)
    expected = np.take_along_axis(p, order, axis=1).sum(axis=0)
    return np.bincount(ranks, minlength=p.shape[1]), expected


@pytest.mark.parametrize(
    "scenario",
    [
        Purchases(cart=1, follows=0),
        Purchases(cart=0, follows=1),
        News(liked=1, opened=0),
        News(liked=0, opened=1),
        Social(followed=1, shared=0, liked=0),
        Social(followed=0, shared=1, liked=0),
        Social(followed=0, shared=0, liked=1),
        Finance(leads=1, trend=0),
    ],
    ids=str,
)
def test_without_chance_nothing_impossible_is_sampled(scenario, rng):
    name = type(scenario).__name__.lower()
    histories, targets, besides = ask(scenario, 400, rng, (8, 16))
    p = scenario.next_probabilities(histories, **chosen(besides, KNOWN[name][0]))
    assert (p[np.arange(len(targets)), targets] > 0).all()
    assert ((p > 0).mean(axis=1) < 0.5).sum() > 300  # what is not possible is most


@pytest.mark.parametrize(("name", "known"), EVERY_CASE)
def test_probabilities_sum_to_one_and_padding_has_none(asked, name, known):
    p, _, _ = asked[name, known]
    assert (p >= 0).all()
    assert (p[:, 0] == 0).all()
    np.testing.assert_allclose(p.sum(axis=1), 1, rtol=1e-12)


@pytest.mark.parametrize(("name", "known"), EVERY_CASE)
def test_limit_is_what_the_best_ranking_earns_on_sampled_targets(asked, name, known):
    p, targets, (histories, _, besides) = asked[name, known]
    n = len(targets)
    ranks = (np.argsort(-p, axis=1, kind="stable") == targets[:, None]).argmax(axis=1) + 1
    earned = {
        "cross_entropy": -np.log(p[np.arange(n), targets]),
        "ndcg": np.where(ranks <= 5, 1 / np.log2(ranks + 1), 0),
        "hit_rate": (ranks <= 5).astype(float),
    }
    limit = SCENARIOS[name]().limit(histories[:50], k=5, **chosen_first(besides, known, 50))
    assert limit == best_possible(p[:50], k=5)
    for metric, value in best_possible(p, k=5).items():
        assert abs(earned[metric].mean() - value) < 4 * earned[metric].std() / np.sqrt(n)


def chosen_first(besides, names, n):
    return {name: rows[:n] for name, rows in chosen(besides, names).items()}


@pytest.mark.parametrize(("name", "known"), EVERY_HIDDEN)
def test_hiding_costs_what_the_formula_says(asked, name, known):
    """KL(p || q) > 0: what is lost where the truth is p and the best answer without it is q."""
    p, _, _ = asked[name, KNOWN[name][0]]
    q, _, _ = asked[name, known]
    lost = (p * np.log(np.where(p > 0, p, 1) / np.where(q > 0, q, 1))).sum(axis=1)
    assert (lost > -1e-12).all()
    assert lost.mean() > (1e-4 if known == ("times",) and name == "finance" else 5e-3)
    # The same from the two limits: both are the mean over what may be hidden.
    difference = best_possible(q)["cross_entropy"] - best_possible(p)["cross_entropy"]
    entropy = [-(r * np.log(np.where(r > 0, r, 1))).sum(axis=1) for r in (p, q)]
    error = (entropy[1] - entropy[0] - lost).std() / np.sqrt(len(p))
    assert abs(difference - lost.mean()) < 4 * error


@pytest.mark.parametrize(("name", "known"), EVERY_CASE)
def test_an_answer_for_one_user_does_not_depend_on_the_others(asked, name, known):
    p, _, (histories, _, besides) = asked[name, known]
    some = slice(3, 6)
    alone = {key: rows[some] for key, rows in chosen(besides, known).items()}
    np.testing.assert_array_equal(
        SCENARIOS[name]().next_probabilities(histories[some], **alone), p[some]
    )


@pytest.mark.parametrize("scenario", SCENARIOS.values())
def test_names_are_readable_and_unlike_one_another(scenario):
    names = scenario.names
    assert names[0] == ""
    assert len(set(names)) == len(names) == scenario().n_items + 1
    assert all(3 <= len(name) <= 40 for name in names[1:])


@pytest.mark.parametrize("scenario", SCENARIOS.values())
def test_the_same_seed_gives_the_same_users(scenario):
    one, other = (scenario().sample(20, np.random.default_rng(5)) for _ in range(2))
    for rows, same in zip(one, other, strict=True):
        assert rows is None or all((a == b).all() for a, b in zip(rows, same, strict=True))


@pytest.mark.parametrize("scenario", SCENARIOS.values())
def test_lengths_are_uniform_with_both_ends_included(scenario, rng):
    lengths = [len(history) for history in scenario().sample(1500, rng, length=(2, 4)).histories]
    counts = np.bincount(lengths)
    assert counts[:2].tolist() == [0, 0]
    assert len(counts) == 5
    assert abs(counts[2:] - 500).max() < 4 * np.sqrt(1500 * (1 / 3) * (2 / 3))


@pytest.mark.parametrize("scenario", SCENARIOS.values())
def test_interactions_keep_catalogue_times_and_behaviours(scenario):
    events = scenario().sample(4, np.random.default_rng(2), length=(3, 9))
    data = scenario().interactions(4, np.random.default_rng(2), length=(3, 9))
    assert data.names == data.titles == scenario.names
    assert data.users == ["1", "2", "3", "4"]
    assert data.ordered_by == "timestamp"
    assert data.behaviour_names == scenario.behaviour_names
    for field in ("histories", "times", "behaviours"):
        one, other = getattr(events, field), getattr(data, field)
        assert one is other is None or all(map(np.array_equal, one, other))


# --- the best possible scores


def test_best_possible_is_that_of_the_shop(rng):
    histories = Shop().sample(30, rng)
    p = Shop().next_probabilities(histories)
    p.flags.writeable = False
    assert best_possible(p, 7) == Shop().limit(histories, 7)
    assert best_possible(p, 7, seen=histories) == Shop().limit(histories, 7, exclude_seen=True)


def test_no_other_answer_scores_better_than_the_best_possible(rng):
    p = np.append(0, rng.dirichlet(np.ones(6)))
    best = best_possible(p[None], 3)
    discount = np.append(1 / np.log2([2, 3, 4]), np.zeros(3))
    for _ in range(300):
        q, order = rng.dirichlet(np.ones(6)), rng.permutation(6)
        assert -(p[1:] * np.log(q)).sum() >= best["cross_entropy"]
        assert p[1:][order] @ discount <= best["ndcg"] + 1e-15
        assert p[1:][order[:3]].sum() <= best["hit_rate"] + 1e-15


def test_limit_can_leave_out_what_was_seen(rng):
    histories, _, besides = ask(Social(), 20, rng, (3, 6))
    known = {"behaviours": besides["behaviours"]}
    p = Social().next_probabilities(histories, **known)
    limit = Social().limit(histories, 4, exclude_seen=True, **known)
    assert limit == best_possible(p, 4, seen=histories)
    assert limit["hit_rate"] < Social().limit(histories, 4, **known)["hit_rate"]


# --- questions


def test_before_last_asks_for_the_last_event_of_a_behaviour():
    events = Events(
        [np.array([5, 6, 7, 8]), np.array([9, 4])],
        [np.array([1, 4, 4, 2]), np.array([1, 1])],
        [np.array([0.5, 1.5, 2.5, 3.5]), np.array([1.0, 2.0])],
    )
    known, targets, at = before_last(events, 4)
    assert [row.tolist() for row in known.histories] == [[5, 6], [9, 4]]
    assert [row.tolist() for row in known.behaviours] == [[1, 4], [1, 1]]
    assert [row.tolist() for row in known.times] == [[0.5, 1.5], [1.0, 2.0]]
    np.testing.assert_array_equal(targets, [7, 0])
    np.testing.assert_array_equal(at, [2.5, np.nan])
    assert before_last(known, 4)[1].tolist() == [6, 0]
    assert before_last(events)[1].tolist() == [8, 4]


def test_before_last_takes_interactions_and_data_without_behaviours(rng):
    known, targets, _ = before_last(Finance().interactions(3, rng, length=(2, 2)))
    assert known.behaviours is None
    assert [len(history) for history in known.histories] == [1, 1, 1]
    assert (targets > 0).all()


# --- errors


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Purchases(cart=0.8, follows=0.3), "cart was 0.8 and follows was 0.3, but must be"),
        (lambda: Purchases(cart=-0.1), r"cart was -0\.1"),
        (lambda: Purchases(near=1.2), "near was 1.2, but must be a probability"),
        (lambda: Purchases(fresh=float("nan")), "fresh was nan"),
        (lambda: Social(followed=0.9), "followed was 0.9 and shared was 0.3 and liked was 0.1"),
        (lambda: News(opened=0.7), "liked was 0.6 and opened was 0.7"),
        (lambda: News(lifetime=0), "lifetime was 0, but must be at least 1.5 hours"),
        (lambda: Finance(leads=0.7, trend=0.4), "leads was 0.7 and trend was 0.4"),
    ],
)
def test_parameters_that_cannot_be_are_an_error(make, message):
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize("scenario", SCENARIOS.values())
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"n_users": 0}, "n_users was 0, but must be an integer from 1 on"),
        ({"n_users": 2, "length": (0, 3)}, r"length was \(0, 3\)"),
        ({"n_users": 2, "length": (4, 3)}, r"length was \(4, 3\)"),
    ],
)
def test_samples_that_cannot_be_drawn_are_an_error(scenario, rng, arguments, message):
    with pytest.raises(ValueError, match=message):
        scenario().sample(rng=rng, **arguments)


@pytest.mark.parametrize(
    ("ask", "message"),
    [
        (
            lambda: Purchases().next_probabilities([[1], [61]]),
            r"histories of user 1 holds 61, but may hold 1\.\.60",
        ),
        (lambda: Finance().next_probabilities([[0, 1]]), "histories of user 0 holds 0"),
        (
            lambda: Social().next_probabilities([[1]], behaviours=[[5]]),
            "behaviours of user 0 holds 5",
        ),
        (
            lambda: Social().next_probabilities([[1]], behaviours=[]),
            "behaviours was of 0 users, but must be of 1",
        ),
        (
            lambda: Purchases().next_probabilities([[1], [2]], times=[[1], [2, 3]]),
            r"times of user 1 was of shape \(2,\), but must be of \(1,\), one entry for each event",
        ),
        (lambda: Finance().next_probabilities([[1]], at=[1, 2]), r"at was of shape \(2,\)"),
        (lambda: News().next_probabilities([[]], at=[1e6], behaviours=[[]]), "at holds 1000000.0"),
        (lambda: News().next_probabilities([[1]], at=[20]), "times was None, but must be given"),
        (
            lambda: News().next_probabilities([[9]], at=[20], times=[[3]]),
            "times holds 3 for article 9, which was not alive",
        ),
        (lambda: Social().limit([]), "histories was empty, but must hold at least one"),
        (lambda: Social().limit([[1]], k=0), r"k was 0, but must be in 1\.\.120"),
    ],
)
def test_questions_that_cannot_be_answered_are_an_error(ask, message):
    with pytest.raises(ValueError, match=message):
        ask()


def test_items_that_are_no_integers_are_an_error():
    with pytest.raises(TypeError, match="histories of user 0 was of float64, but must be of int"):
        Social().next_probabilities([[1.5]])
