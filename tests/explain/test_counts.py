"""What is counted in histories: by hand, and what must not be shown."""

import numpy as np
import pytest

from attention_from_scratch.explain.counts import (
    Period,
    flat_events,
    lifts,
    may_be_shown,
    totals_may_be_shown,
    trends_of,
    two_periods,
    wilson,
)


def events(rows):
    """{user: {item: how often}} -> users, items."""
    pairs = [(u, i) for u, held in rows.items() for i, n in held.items() for _ in range(n)]
    return np.array(pairs, np.int64).reshape(-1, 2).T


# --- what may be shown


def test_a_count_is_shown_from_so_many_users_on_however_many_events():
    # Item 1: three users. Item 2: two users with nine events. Item 3: one. Item 4: nobody.
    users, items = events({0: {1: 1, 2: 8}, 1: {1: 1, 2: 1}, 2: {1: 1, 3: 7}})
    assert may_be_shown(users, items, 5, 3).tolist() == [True, True, False, False, True]
    assert may_be_shown(users, items, 5, 1).all()


def test_what_is_hidden_cannot_be_had_by_subtraction():
    # Only item 3 is met by fewer than two users: total less items 1 and 2 would tell it.
    users, items = events({0: {1: 1, 2: 1}, 1: {1: 1, 2: 1}, 2: {1: 1, 3: 5}})
    assert may_be_shown(users, items, 4, 2).tolist() == [True, True, False, False]
    # With a fourth user who met only item 4, two users are behind what is hidden.
    users, items = events({0: {1: 1, 2: 1}, 1: {1: 1, 2: 1}, 2: {3: 5}, 3: {4: 1}})
    assert may_be_shown(users, items, 5, 2).tolist() == [True, True, True, False, False]


def test_a_total_is_hidden_whose_parts_would_tell_a_hidden_one():
    # Users 0 and 1 meet all five items at time 1, and item 1 again at time 2. Only users 2 and 3
    # meet items 2 and 3 at time 2, and items 4 and 5 at time 0, one each.
    users = np.array([0, 1] * 6 + [2, 3, 2, 3])
    items = np.array([1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 1, 1, 2, 3, 4, 5])
    when = np.repeat([1, 2, 0], [10, 4, 2])
    assert may_be_shown(users, items, 6, 2).all()
    shown = totals_may_be_shown(users, items, when, 6, (0, 1, 2), 2)
    assert np.flatnonzero(shown).tolist() == [0, 1]


# --- shares and their intervals


def test_wilson_interval_of_the_literature():
    # No hit in 10 draws: z^2 / (n + z^2). And 15 of 148, Newcombe 1998, method 3: 0.0624, 0.1605.
    z = 1.959964
    low, high = wilson(np.array([0, 15 / 148]), np.array([10, 148]), z)
    np.testing.assert_allclose(low, [0, 0.0624], atol=5e-5)
    np.testing.assert_allclose(high, [z**2 / (10 + z**2), 0.1605], atol=5e-5)


def test_interval_of_a_difference_of_the_literature():
    # 56 of 70 against 48 of 80, Newcombe 1998, method 10: 0.0524 to 0.3339. An event a user.
    latest = np.where(np.arange(70) < 56, 1, 2)
    before = np.where(np.arange(80) < 48, 1, 2)
    items, when = np.concatenate([before, latest]), np.repeat([1.0, 2.0], [80, 70])
    # Two items are listed; so that each has its 95 %, both together are asked for with 90 %.
    found = trends_of(np.arange(150), items, when, 3, 1, 1, 0.90)
    assert found.items.tolist() == [1, 2]
    assert found.before.tolist() == [48, 32]
    assert found.latest.tolist() == [56, 14]
    assert found.change[0] == pytest.approx(0.2)
    assert found.low[0] == pytest.approx(0.0524, abs=5e-5)
    assert found.high[0] == pytest.approx(0.3339, abs=5e-5)
    assert (found.low[1], found.high[1]) == pytest.approx((-found.high[0], -found.low[0]))
    assert found.direction.tolist() == [1, -1]


def test_events_of_one_user_that_are_all_alike_count_once():
    users, items = np.arange(20), np.repeat([1, 2], [15, 5])
    alone = Period.of(users, items, 3, 1)
    np.testing.assert_allclose(alone.effective[1:], 20)
    repeated = Period.of(np.repeat(users, 7), np.repeat(items, 7), 3, 1)
    assert repeated.n == 140
    np.testing.assert_allclose(repeated.effective[1:], 20)
    np.testing.assert_allclose(repeated.shares, alone.shares)


def test_the_effective_number_is_that_of_the_sum_over_users():
    rng = np.random.default_rng(0)
    users, items = rng.integers(0, 30, 300), rng.integers(1, 5, 300)
    items[users < 10] = 2
    found = Period.of(users, items, 5, 1)
    for item in range(1, 5):
        share = (items == item).mean()
        errors = [
            ((users == u) & (items == item)).sum() - share * (users == u).sum() for u in range(30)
        ]
        variance = np.square(errors).sum() / 300**2
        expected = min(300, share * (1 - share) / variance)
        assert found.effective[item] == pytest.approx(expected)


# --- trends


def tastes(seed, growth=0.0):
    """Users who want one item of six again and again, each period another; item 1 may grow."""
    rng = np.random.default_rng(seed)
    histories, times = [], []
    for _ in range(300):
        now = np.sort(rng.uniform(0, 2, rng.integers(4, 20)))
        wants = [rng.choice(6, p=softmax([growth * period, 0, 0, 0, 0, 0])) for period in (0, 1)]
        other = rng.random(len(now)) < 0.3
        items = np.where(other, rng.integers(0, 6, len(now)), np.take(wants, (now > 1) * 1))
        histories.append(items + 1)
        times.append(now)
    return flat_events(histories, times)


def softmax(x):
    return np.exp(x) / np.exp(x).sum()


def test_noise_is_not_called_a_trend_though_users_repeat_themselves():
    false, naive = 0, 0
    for seed in range(20):
        users, items, when = tastes(seed)
        false += trends_of(users, items, when, 7, 1, 10, 0.95).direction.any()
        naive += trends_of(np.arange(len(users)), items, when, 7, 1, 10, 0.95).direction.any()
    assert false <= 3  # one in twenty is to be expected
    assert naive >= 8  # were every event somebody's own


def test_a_trend_is_found():
    found = trends_of(*tastes(0, growth=1.0), 7, 1, 10, 0.95)
    assert found.items[0] == 1
    assert found.direction[0] == 1
    assert (found.direction[1:] <= 0).all()
    assert (found.low < found.change).all()
    assert (found.change < found.high).all()


def test_counts_on_few_users_are_hidden_and_still_compared():
    # Item 1 goes from one user to twelve, item 3 from none; item 2 is everybody's.
    users = np.concatenate([np.arange(12), np.arange(12), [0], np.arange(12)])
    items = np.repeat([2, 1, 1, 3], [12, 12, 1, 12])
    when = np.repeat([1.0, 2.0, 1.0, 2.0], [12, 12, 1, 12])
    found = trends_of(users, items, when, 6, 1, 12, 0.95)
    np.testing.assert_array_equal(found.before, [0, np.nan])
    np.testing.assert_array_equal(found.latest, [12, 12])
    np.testing.assert_array_equal(found.change, [0.5, np.nan])
    assert np.isnan([found.low[1], found.high[1]]).all()
    assert found.direction.tolist() == [1, 1]
    # 13 events before, of which 12 were item 2: that one is hidden too, or item 1 would be told.
    assert found.items.tolist() == [3, 1]
    assert found.n_hidden == 1


def test_items_on_few_users_in_both_periods_are_left_out():
    users = np.concatenate([np.arange(5), [0, 1], np.arange(5), [2, 3]])
    items = np.repeat([1, 2, 1, 3], [5, 2, 5, 2])
    when = np.repeat([1.0, 1.0, 2.0, 2.0], [5, 2, 5, 2])
    found = trends_of(users, items, when, 9, 1, 2, 0.95)
    assert found.items.tolist() == [3, 1, 2]
    assert found.n_hidden == 0
    found = trends_of(users, items, when, 9, 1, 3, 0.95)
    assert 2 not in found.items
    assert 3 not in found.items
    assert found.n_hidden >= 2


def test_periods():
    when = np.array([0.0, 1, 2, 3, 4, 5, 6, 12])
    assert two_periods(when, 4) == (4, 8, 12)
    assert two_periods(when, None) == (0, 6, 12)  # the latest quarter is one event: after 6
    with pytest.raises(ValueError, match="period was None, but a quarter"):
        two_periods(np.array([1.0, 5, 5]), None)
    with pytest.raises(ValueError, match="period was 0, but must be finite and above 0"):
        two_periods(when, 0)


@pytest.mark.parametrize(
    ("when", "which"), [([0, 0, 9, 9], "the one before"), ([6, 6, 6, 9], "the latest")]
)
def test_a_period_of_few_users_is_not_compared(when, which):
    message = f"period was 3, but fewer than 2 users have events in {which}"
    with pytest.raises(ValueError, match=message):
        trends_of(np.arange(4), np.ones(4, int), np.array(when), 2, 3, 2, 0.95)


# --- what follows what


def test_lift_by_hand():
    # Pairs: 1->2, 2->1, 1->2 | 1->2, 2->3 | 3->1. None from the end of one user to the next.
    users, items, _ = flat_events([[1, 2, 1, 2], [1, 2, 3], [3, 1]], [range(4), range(3), range(2)])
    found = lifts(users, items, np.array([1, 2, 3]), np.array([1, 2, 3]), 4, 1)
    # P(next): 1 2/6, 2 3/6, 3 1/6. After 1: always 2. After 2: 1 or 3. After 3: 1.
    expected = [[np.nan, 2, np.nan], [0.5 * 3, np.nan, 0.5 * 6], [3, np.nan, np.nan]]
    np.testing.assert_allclose(found, expected)
    few = lifts(users, items, np.array([2, 1]), np.array([1, 2]), 4, 2)
    np.testing.assert_allclose(few, [[np.nan, np.nan], [np.nan, 2]])  # 1->2: of two users
    assert lifts(users, items, np.array([], int), np.array([1]), 4, 1).shape == (0, 1)


@pytest.mark.parametrize(
    ("times", "message"),
    [
        ([[1, 2]], "times was of 1 users, but must be of 2"),
        (
            [[1, 2], [1, 2]],
            r"times of user 1 was of shape \(2,\), but must be of \(1,\), one entry",
        ),
        ([[1, 2], [np.nan]], "times holds nan, but must be finite"),
    ],
)
def test_times_that_do_not_fit(times, message):
    with pytest.raises(ValueError, match=message):
        flat_events([np.array([1, 2]), np.array([1])], times)
