from itertools import product

import numpy as np
import pytest

from attention_from_scratch.data import Purchases
from attention_from_scratch.data.scenarios import purchases
from attention_from_scratch.data.scenarios.shop import SHELVES, Shop

NAMES, DID = Purchases.names, Purchases.behaviour_names
CHANCE = 0.15 / 60


def story(text):
    """ "view phone, cart phone case" -> item ids, behaviour ids."""
    events = [event.strip().split(" ", 1) for event in text.split(",")]
    items = np.array([NAMES.index(name) for _, name in events])
    return items, np.array([DID.index(behaviour) for behaviour, _ in events])


def p_after(text, hours, scenario=None):
    items, behaviours = story(text)
    scenario = scenario or Purchases(cart=0.6, follows=0.25)
    (p,) = scenario.next_probabilities([items], behaviours=[behaviours], times=[np.array(hours)])
    return {name: p[NAMES.index(name)] for name in NAMES}


def test_the_formula_by_hand():
    p = p_after("purchase watch, view phone, cart drone, search phone", [0, 1, 2, 3])
    by_hand = {
        "drone": 0.6 + CHANCE,  # in the cart
        "watch strap": 0.25 * 0.6 + CHANCE,  # after a watch
        "watch charger": 0.25 * 0.4 + CHANCE,  # after that
        "phone": CHANCE,  # was only looked at
        "": 0,
    }
    for name, expected in by_hand.items():
        np.testing.assert_allclose(p[name], expected, rtol=1e-13, err_msg=name)


def test_only_the_last_item_in_the_cart_counts():
    p = p_after("cart drone, cart phone, view watch", [0, 1, 2])
    np.testing.assert_allclose(
        [p["phone"], p["drone"]], [0.6 + 0.25 / 8 + CHANCE, 0.25 / 8 + CHANCE]
    )


def test_a_gap_above_six_hours_forgets_the_cart():
    text = "cart phone case, view watch"
    np.testing.assert_allclose(p_after(text, [0, 6])["phone case"], 0.6 + CHANCE)
    np.testing.assert_allclose(p_after(text, [0, 6.01])["phone case"], CHANCE)


def test_what_is_bought_is_in_the_cart_no_more():
    p = p_after("cart phone case, purchase phone case", [0, 1])
    np.testing.assert_allclose(p["phone case"], CHANCE)
    np.testing.assert_allclose(p["phone screen protector"], 0.85 * 0.6 + CHANCE)
    p = p_after("cart phone case, purchase watch", [0, 1])
    np.testing.assert_allclose(p["phone case"], 0.6 + CHANCE)


def test_a_first_purchase_without_a_cart_is_a_device():
    p = p_after("view phone case", [0])
    np.testing.assert_allclose([p[name] for name in SHELVES], 0.85 / 8 + CHANCE)
    (empty,) = Purchases().next_probabilities([np.array([], np.int64)])
    np.testing.assert_allclose(list(p.values()), empty)


# --- what is hidden


def by_enumeration(scenario, items, behaviours, fresh):
    """Bayes' rule in full: every sequence of behaviours and beginnings that agrees with the known.

    What is not None is known.
    """
    n, shop = len(items), Shop(short=1, long=0)
    family = Shop(short=0, long=1)  # an accessory of the device begun with
    chance = np.append(0, np.full(60, 1 / 60))

    def p_purchase(cart, bought):
        follows = shop.next_probabilities([bought[-1:]])[0]
        p = (1 - scenario.cart - scenario.follows) * chance + scenario.follows * follows
        p += scenario.cart * (follows if cart is None else np.eye(61)[cart])
        return p

    def device_of(item):
        return next(NAMES.index(d) for d in SHELVES if NAMES[item].split()[0] == d)

    total = np.zeros(61)
    for did, begins in product(product(range(1, 5), repeat=n), product([True, False], repeat=n)):
        if not begins[0]:
            continue
        if behaviours is not None and tuple(behaviours) != did:
            continue
        if fresh is not None and tuple(fresh) != begins:
            continue
        weight, cart, bought = 1.0, None, []
        for t in range(n):
            cart = None if begins[t] else cart
            if begins[t]:
                weight *= scenario.fresh * [0.60, 0.15, 0.25, 0.0][did[t] - 1]
            else:
                weight *= (1 - scenario.fresh) * [0.40, 0.15, 0.25, 0.20][did[t] - 1]
            if did[t] == 4:
                weight *= p_purchase(cart, bought)[items[t]]
                cart = None if cart == items[t] else cart
                bought = [*bought, items[t]]
            elif did[t] == 2 or t == 0:
                weight *= 1 / 60
            else:
                near = family.next_probabilities([np.array([device_of(items[t - 1])])])[0]
                weight *= scenario.near * near[items[t]] + (1 - scenario.near) / 60
            if did[t] == 3:
                cart = items[t]
        if weight:
            total += weight * p_purchase(cart, bought)
    return total / total.sum()


@pytest.mark.parametrize("hidden", [(), ("times",), ("behaviours",), ("behaviours", "times")])
@pytest.mark.parametrize(
    "text",
    [
        "cart phone case, view phone cable, cart watch",
        "view drone, cart drone battery, purchase drone battery",
    ],
)
def test_next_probabilities_are_bayes_rule_in_full(text, hidden):
    scenario = Purchases(cart=0.5, follows=0.3, near=0.6, fresh=0.3)
    items, behaviours = story(text)
    times, fresh = np.array([0.0, 20.0, 20.5]), [True, True, False]
    known = {"behaviours": [behaviours], "times": [times]}
    (p,) = scenario.next_probabilities(
        [items], **{name: rows for name, rows in known.items() if name not in hidden}
    )
    expected = by_enumeration(
        scenario,
        items,
        None if "behaviours" in hidden else behaviours,
        None if "times" in hidden else fresh,
    )
    np.testing.assert_allclose(p, expected, rtol=1e-12, atol=1e-18)


# --- what is sampled


def test_sessions_and_behaviours_are_as_often_as_stated():
    sample = Purchases().sample(3000, np.random.default_rng(3), length=(8, 8))
    times, did = np.array(sample.times), np.array(sample.behaviours)
    fresh = np.diff(times, axis=1) > purchases.SESSION_HOURS
    n = fresh.size
    assert abs(fresh.mean() - 0.25) < 4 * np.sqrt(0.25 * 0.75 / n)
    for begins, share in ((fresh, purchases.SHARE_FRESH), (~fresh, purchases.SHARE)):
        counts = np.bincount(did[:, 1:][begins], minlength=5) / begins.sum()
        assert counts[share == 0].sum() == 0
        assert abs(counts - share).max() < 4 * np.sqrt(0.25 / begins.sum())
    gaps = np.diff(times, axis=1)
    assert ((gaps < 0.5) | (gaps > 12)).all()
    assert (did[:, 0] != purchases.PURCHASE).all()


def test_views_stay_near_and_searches_do_not():
    sample = Purchases(near=0.8).sample(4000, np.random.default_rng(4), length=(6, 6))
    items, did = np.array(sample.histories), np.array(sample.behaviours)
    device = np.array(["", *(name.split()[0] for name in NAMES[1:])])
    same = device[items[:, 1:]] == device[items[:, :-1]]
    looks = did[:, 1:]
    assert 0.8 < same[looks == purchases.VIEW].mean() < 0.85
    assert 0.8 < same[looks == purchases.CART].mean() < 0.85
    assert same[looks == purchases.SEARCH].mean() < 0.2
