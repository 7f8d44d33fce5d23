from itertools import product

import numpy as np
import pytest

from attention_from_scratch.data import Finance
from attention_from_scratch.data.scenarios.finance import LEADS_TO

NAMES = Finance.names


def ids(*names):
    return np.array([NAMES.index(name) for name in names])


def test_the_table_of_transitions_is_one_of_probabilities_between_products_that_exist():
    assert {name for row in LEADS_TO.values() for name in row} <= set(NAMES) - {""}
    assert Finance.transitions.shape == (25, 25)
    np.testing.assert_allclose(Finance.transitions.sum(axis=1), 1)
    (mortgage,), (insurance,) = ids("mortgage"), ids("home insurance")
    assert Finance.transitions[mortgage, insurance] == 0.6
    assert (Finance.transitions.diagonal() == 0).all()


def test_demand_is_a_share_and_grows_as_stated():
    demand = Finance().demand(np.array([[0, 12, 24]]))
    assert demand.shape == (1, 3, 25)
    assert (demand[..., 0] == 0).all()
    np.testing.assert_allclose(demand.sum(axis=-1), 1)
    for year in (0, 1):  # relative to a product whose demand is steady
        grown = np.log(demand[0, year + 1, 1:] / demand[0, year, 1:])
        steady = grown[NAMES.index("mortgage") - 1]
        np.testing.assert_allclose(grown - steady, Finance.growth[1:], atol=1e-12)
    np.testing.assert_allclose(demand[0, 0, ids("fixed deposit", "mortgage")], [40 / 97, 1 / 97])


def test_the_formula_by_hand():
    scenario = Finance(leads=0.5, trend=0.3)
    (p,) = scenario.next_probabilities([ids("current account", "mortgage")], at=[12])
    base = dict.fromkeys(NAMES[1:], 1.0)
    base |= {"fixed deposit": 40 * np.exp(-1.2), "gold plan": 15 * np.exp(-0.8)}
    base |= {"overdraft": 10 * np.exp(-0.6), "index fund": 5 * np.exp(1.0)}
    base |= {"stock account": 5 * np.exp(0.7), "pension plan": 3 * np.exp(0.5)}
    base |= {"green fund": 2 * np.exp(1.5)}
    for name, amount in base.items():
        leads = {"home insurance": 0.6, "life insurance": 0.4}.get(name, 0)
        expected = 0.5 * leads + 0.3 * amount / sum(base.values()) + 0.2 / 24
        np.testing.assert_allclose(p[NAMES.index(name)], expected, rtol=1e-12, err_msg=name)


def test_the_same_history_is_answered_by_the_month():
    early, late = Finance().next_probabilities([ids("mortgage")] * 2, at=[0, 24])
    fund, deposit = ids("green fund", "fixed deposit")
    assert early[fund] < 0.02 < 0.1 < late[fund]
    assert late[deposit] < 0.03 < 0.1 < early[deposit]


def test_a_hidden_month_of_the_next_event_is_one_of_three():
    history = ids("debit card", "credit card")
    (p,) = Finance().next_probabilities([history], times=[np.array([3.0, 7.0])])
    each = Finance().next_probabilities([history] * 3, at=[7, 8, 9])
    np.testing.assert_allclose(p, each.mean(axis=0), rtol=1e-13)


@pytest.mark.parametrize(
    "names", [(), ("green fund",), ("fixed deposit", "bond fund", "gold plan")]
)
def test_hidden_months_are_weighed_by_bayes_rule_in_full(names):
    history, scenario = ids(*names).astype(np.int64), Finance()
    total = np.zeros(25)
    for first, *gaps in product(range(24), *[range(3)] * len(names)):
        months = first + np.cumsum([0, *gaps])
        p = scenario.next_probabilities([history[:t] for t in range(len(months))], at=months)
        total += np.prod(p[np.arange(len(names)), history]) * p[-1]
    (p,) = scenario.next_probabilities([history])
    np.testing.assert_allclose(p, total / total.sum(), rtol=1e-12)


def test_a_report_on_a_sample_shows_what_is_rising_and_what_leads_to_what():
    sample = Finance().sample(4000, np.random.default_rng(1))
    items, months = np.concatenate(sample.histories), np.concatenate(sample.times)
    assert set(months % 1) == {0}
    share = [
        np.bincount(items[(start <= months) & (months < start + 6)], minlength=25)
        / ((start <= months) & (months < start + 6)).sum()
        for start in (0, 18)
    ]
    risen = np.argsort(share[0] - share[1])
    assert {NAMES[i] for i in risen[:2]} == {"index fund", "green fund"}
    assert NAMES[risen[-1]] == "fixed deposit"
    after = np.concatenate([h[1:][h[:-1] == NAMES.index("mortgage")] for h in sample.histories])
    assert NAMES[np.bincount(after).argmax()] == "home insurance"
