import numpy as np
import pytest

from attention_from_scratch.data import Shop
from attention_from_scratch.data.scenarios.shop import SHELVES


@pytest.fixture
def rng():
    return np.random.default_rng(11)


def ids(*names):
    return np.array([Shop.names.index(name) for name in names])


def test_names_are_readable_and_unlike_one_another():
    shop = Shop()
    assert shop.names[0] == ""
    assert shop.names[1:4] == ["phone", "phone case", "phone screen protector"]
    assert len(shop.names) == len(set(shop.names)) == shop.n_items + 1 == 61
    assert len(SHELVES) == 8


def test_next_probabilities_follow_the_formula_by_hand():
    p = Shop(short=0.5, long=0.3).next_probabilities([ids("watch", "drone", "phone charger")])[0]
    chance = 0.2 / 60
    by_hand = {
        "phone cable": 0.5 * 0.6 + chance,  # the one after a phone charger
        "phone power bank": 0.5 * 0.4 + chance,  # the one after that
        "watch strap": 0.3 / 6 + chance,  # one of 6 accessories of the first device
        "watch": chance,  # a device is no accessory of itself
        "drone": chance,  # what stands in the middle has no say
        "": 0,
    }
    for name, expected in by_hand.items():
        np.testing.assert_allclose(p[Shop.names.index(name)], expected, rtol=1e-14)


def test_accessories_stand_in_a_ring_and_the_device_before_the_first():
    p = Shop(short=1, long=0).next_probabilities([ids("phone"), ids("phone", "phone earbuds")])
    for row in p:
        case, protector = ids("phone case", "phone screen protector")
        np.testing.assert_allclose(row[[case, protector]], [0.6, 0.4])


@pytest.mark.parametrize(("short", "long"), [(0.55, 0.3), (1, 0), (0, 1), (0, 0), (0.7, 0.3)])
def test_probabilities_sum_to_one_and_padding_has_none(short, long):
    shop = Shop(short=short, long=long)
    every_pair = [np.array([i, j]) for i in range(1, 61) for j in range(1, 61)]
    p = shop.next_probabilities([*every_pair, np.array([], np.int64)])
    assert p.shape == (3601, 61)
    assert (p >= 0).all()
    assert (p[:, 0] == 0).all()
    np.testing.assert_allclose(p.sum(axis=1), 1, rtol=1e-14)


def test_an_empty_history_begins_with_a_device():
    p = Shop().next_probabilities([np.array([], np.int64)])[0]
    np.testing.assert_allclose(p[ids(*SHELVES)], 1 / 8)


def test_what_is_sampled_follows_next_probabilities(rng):
    """Pearson's chi-square at each position: its mean is its freedom f, its std is sqrt(2 f)."""
    shop = Shop()
    histories = np.array(shop.sample(20_000, rng, length=(4, 4)))
    for t in range(4):
        p = shop.next_probabilities(list(histories[:, :t]))
        expected = p.sum(axis=0)
        observed = np.bincount(histories[:, t], minlength=61)
        possible = expected > 0
        assert observed[~possible].sum() == 0
        chi_square = ((observed - expected)[possible] ** 2 / expected[possible]).sum()
        freedom = possible.sum() - 1
        assert chi_square < freedom + 4 * np.sqrt(2 * freedom)


def test_what_is_sampled_follows_the_last_and_the_first_event(rng):
    """Marginals could be right by chance: here the next item is counted after one fixed context."""
    shop = Shop()
    histories = np.array(shop.sample(40_000, rng, length=(3, 3)))
    context = ids("camera", "camera lens")
    following = histories[(histories[:, :2] == context).all(axis=1), 2]
    assert len(following) > 1500
    expected = shop.next_probabilities([context])[0, 1:] * len(following)
    observed = np.bincount(following, minlength=61)[1:]
    assert ((observed - expected) ** 2 / expected).sum() < 59 + 4 * np.sqrt(2 * 59)


def test_lengths_are_uniform_with_both_ends_included(rng):
    lengths = [len(history) for history in Shop().sample(3000, rng, length=(2, 4))]
    counts = np.bincount(lengths)
    assert counts[:2].tolist() == [0, 0]
    assert len(counts) == 5
    assert abs(counts[2:] - 1000).max() < 4 * np.sqrt(3000 * (1 / 3) * (2 / 3))


def test_the_same_seed_gives_the_same_users():
    one, other = (Shop().sample(20, np.random.default_rng(5)) for _ in range(2))
    assert all((a == b).all() for a, b in zip(one, other, strict=True))


def test_interactions_keep_the_catalogue_and_the_ids_of_the_shop(rng):
    shop = Shop()
    data = shop.interactions(3, rng, length=(5, 5))
    assert str(data) == "3 users, 60 items, 15 events"
    assert data.names == data.titles == shop.names
    assert data.users == ["1", "2", "3"]
    assert (data.ordered_by, data.times, data.behaviours) == ("line", None, None)
    assert data.ids(["phone", "phone case"]).tolist() == [1, 2]


def loop_limit(p, seen, k):
    """The expectation as a loop over every possible target, with the rank counted out."""
    cross_entropy = ndcg = hit_rate = 0.0
    ranking = sorted((i for i in range(1, len(p)) if i not in seen), key=lambda i: -p[i])
    for target in range(1, len(p)):
        cross_entropy -= p[target] * np.log(p[target])
        rank = ranking.index(target) + 1 if target in ranking else k + 1
        if rank <= k:
            ndcg += p[target] / np.log2(rank + 1)
            hit_rate += p[target]
    return {"cross_entropy": cross_entropy, "ndcg": ndcg, "hit_rate": hit_rate}


@pytest.mark.parametrize("exclude_seen", [False, True])
@pytest.mark.parametrize("k", [1, 5, 60])
def test_limit_is_the_mean_over_all_targets_and_histories(rng, k, exclude_seen):
    shop = Shop()
    histories = shop.sample(15, rng, length=(1, 12))
    each = [
        loop_limit(p, set(history.tolist()) if exclude_seen else set(), k)
        for p, history in zip(shop.next_probabilities(histories), histories, strict=True)
    ]
    limit = shop.limit(histories, k, exclude_seen=exclude_seen)
    for name, value in limit.items():
        np.testing.assert_allclose(value, np.mean([one[name] for one in each]), rtol=1e-12)


def test_limit_is_what_the_best_ranking_earns_on_sampled_targets(rng):
    shop, n = Shop(), 20_000
    sequences = shop.sample(n, rng, length=(3, 3))
    histories, targets = [s[:-1] for s in sequences], np.array([s[-1] for s in sequences])
    p = shop.next_probabilities(histories)
    p_target = p[np.arange(n), targets]
    ranks = (np.argsort(-p, axis=1, kind="stable") == targets[:, None]).argmax(axis=1) + 1
    earned = {
        "cross_entropy": -np.log(p_target),
        "ndcg": np.where(ranks <= 5, 1 / np.log2(ranks + 1), 0),
        "hit_rate": (ranks <= 5).astype(float),
    }
    limit = shop.limit(histories, k=5)
    for name, values in earned.items():
        assert abs(values.mean() - limit[name]) < 4 * values.std() / np.sqrt(n)


def test_a_shop_without_chance_has_the_entropy_of_its_table():
    limit = Shop(short=1, long=0).limit([ids("phone")], k=1)
    assert limit["hit_rate"] == limit["ndcg"] == 0.6
    np.testing.assert_allclose(limit["cross_entropy"], -0.6 * np.log(0.6) - 0.4 * np.log(0.4))


@pytest.mark.parametrize("weights", [(-0.1, 0.5), (0.8, 0.3), (float("nan"), 0.1), (0.5, -0.1)])
def test_weights_that_are_no_probabilities_are_an_error(weights):
    with pytest.raises(
        ValueError, match=r"short was \S+ and long was \S+, but must be probabilities"
    ):
        Shop(*weights)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda shop, rng: shop.sample(0, rng), "n_users was 0, but must be an integer from 1 on"),
        (lambda shop, rng: shop.sample(2, rng, length=(0, 3)), r"length was \(0, 3\)"),
        (lambda shop, rng: shop.sample(2, rng, length=(4, 3)), r"length was \(4, 3\)"),
        (
            lambda shop, rng: shop.next_probabilities([[1], [61]]),
            r"of user 1 holds 61, but may hold 1\.\.60",
        ),
        (lambda shop, rng: shop.next_probabilities([[0, 1]]), "of user 0 holds 0"),
        (lambda shop, rng: shop.limit([]), "histories was empty"),
        (lambda shop, rng: shop.limit([[1]], k=0), r"k was 0, but must be in 1\.\.60"),
    ],
)
def test_other_arguments_out_of_range_are_an_error(rng, call, message):
    with pytest.raises(ValueError, match=message):
        call(Shop(), rng)
