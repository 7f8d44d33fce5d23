"""Finance: products of a bank; one leads to another, and some are rising from month to month."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from attention_from_scratch.arguments import check_ids, check_per_event
from attention_from_scratch.data.scenarios.hidden import forward
from attention_from_scratch.data.scenarios.scenario import (
    Events,
    Scenario,
    check_at,
    cut_rows,
    draw,
    draw_lengths,
    mixture_rest,
)

# Each product with what its customers take next, and with what probability.
LEADS_TO = {
    "": {"current account": 0.5, "student account": 0.3, "savings account": 0.2},  # to begin with
    "current account": {"debit card": 0.5, "savings account": 0.3, "overdraft": 0.2},
    "student account": {"debit card": 0.6, "travel card": 0.4},
    "joint account": {"savings account": 0.5, "mortgage": 0.5},
    "debit card": {"credit card": 0.7, "overdraft": 0.3},
    "credit card": {"travel card": 0.6, "personal loan": 0.4},
    "travel card": {"travel insurance": 0.8, "currency account": 0.2},
    "overdraft": {"personal loan": 0.7, "credit card": 0.3},
    "currency account": {"stock account": 0.5, "travel insurance": 0.5},
    "savings account": {"fixed deposit": 0.6, "index fund": 0.4},
    "fixed deposit": {"bond fund": 0.7, "gold plan": 0.3},
    "bond fund": {"index fund": 0.6, "fixed deposit": 0.4},
    "index fund": {"stock account": 0.6, "green fund": 0.4},
    "green fund": {"index fund": 0.5, "pension plan": 0.5},
    "stock account": {"index fund": 0.7, "gold plan": 0.3},
    "gold plan": {"fixed deposit": 0.5, "bond fund": 0.5},
    "pension plan": {"life insurance": 0.7, "bond fund": 0.3},
    "personal loan": {"car loan": 0.6, "overdraft": 0.4},
    "car loan": {"car insurance": 0.9, "personal loan": 0.1},
    "mortgage": {"home insurance": 0.6, "life insurance": 0.4},
    "renovation loan": {"home insurance": 0.5, "mortgage": 0.5},
    "car insurance": {"travel insurance": 0.6, "joint account": 0.4},
    "home insurance": {"renovation loan": 0.6, "life insurance": 0.4},
    "life insurance": {"pension plan": 0.6, "joint account": 0.4},
    "travel insurance": {"credit card": 0.6, "currency account": 0.4},
}
# Demand in month 0 and its growth in a year, as a logarithm: 0.7 doubles it, -0.7 halves it.
DEMAND = {
    "fixed deposit": (40, -1.2),
    "gold plan": (15, -0.8),
    "overdraft": (10, -0.6),
    "index fund": (5, 1.0),
    "stock account": (5, 0.7),
    "pension plan": (3, 0.5),
    "green fund": (2, 1.5),
}
STEADY = (1, 0.0)  # the other products
PRODUCTS = list(LEADS_TO)
TRANSITIONS = np.array([[row.get(name, 0.0) for name in PRODUCTS] for row in LEADS_TO.values()])
BASE, GROWTH = np.array([DEMAND.get(name, STEADY) for name in PRODUCTS]).T

JOINING_MONTHS = 24  # a customer's first event is in one of them, each as likely as the other
GAPS = (0, 1, 2)  # months until the next event, each as likely as the other


@dataclass(frozen=True)
class Finance(Scenario):
    """Customers who come to a bank for one product and go on to others.

        p(next | history, month t) = leads * transitions(next | last) + trend * demand(next, t)
                                     + (1 - leads - trend) / V
        demand(i, t) = base_i * exp(growth_i * t / 12), divided by the sum over all products

    The last product of a new customer is none, and `transitions[0]` says what leads to the bank.
    A product may be taken again: more of a fund, a second card. Months do not depend on products:
    a customer's first event is in one of the months 0..23, the next one 0, 1 or 2 months later.

    So what to recommend depends on the month too. What leads to what is `transitions` and what is
    rising is `growth`: the truth to hold a report on such data against.

    Parameters
    ----------
    leads, trend : float
        The two weights, probabilities with a sum of at most 1.
    """

    leads: float = 0.45
    trend: float = 0.45

    names: ClassVar[list[str]] = PRODUCTS
    transitions: ClassVar[np.ndarray] = TRANSITIONS  # (V + 1, V + 1); row 0 is the first event
    base: ClassVar[np.ndarray] = BASE  # (V + 1,) the demand in month 0; only ratios matter
    growth: ClassVar[np.ndarray] = GROWTH  # (V + 1,) a year, as a logarithm

    def __post_init__(self):
        mixture_rest(leads=self.leads, trend=self.trend)

    def demand(self, months: np.ndarray) -> np.ndarray:
        """The share of each product in the demand of a month: (...) -> (..., V + 1)."""
        grown = BASE * np.exp(GROWTH * np.asarray(months, float)[..., None] / 12)
        grown[..., 0] = 0
        return grown / grown.sum(axis=-1, keepdims=True)

    def _mixture(self, last: np.ndarray, demand: np.ndarray) -> np.ndarray:
        """The formula: last (n,), demand (n, V + 1) -> (n, V + 1)."""
        chance = mixture_rest(leads=self.leads, trend=self.trend) / self.n_items
        p = self.leads * TRANSITIONS[last] + self.trend * demand + chance
        p[:, 0] = 0
        return p

    def sample(
        self, n_users: int, rng: np.random.Generator, *, length: tuple[int, int] = (4, 10)
    ) -> Events:
        """Draw the events of new customers, without behaviours; parameters as in `Shop.sample`."""
        lengths = draw_lengths(n_users, length, rng)
        gaps = rng.choice(GAPS, (n_users, length[1]))
        gaps[:, 0] = rng.integers(JOINING_MONTHS, size=n_users)
        months = gaps.cumsum(axis=1)
        items = np.zeros(months.shape, np.int64)
        last = np.zeros(n_users, np.int64)
        for t in range(length[1]):
            items[:, t] = last = draw(self._mixture(last, self.demand(months[:, t])), rng)
        return Events(cut_rows(items, lengths), None, cut_rows(months.astype(float), lengths))

    def next_probabilities(
        self,
        histories: Sequence[np.ndarray],
        *,
        times: Sequence[np.ndarray] | None = None,
        at: Sequence[float] | None = None,
    ) -> np.ndarray:
        """The exact p(next | history), for who knows the month of the next event or does not.

        Parameters
        ----------
        histories : sequence of (length,) arrays of ids 1..V
        times : sequence of (length,) arrays of months, or None
            When the past events were. It matters only if `at` is hidden.
        at : (users,) months, or None
            When the next event is. None: it is hidden, and p is what is known from `times`; or,
            if that is None too, from the items alone, by Bayes' rule.

        Returns
        -------
        (users, V + 1) float64; column 0, the padding, is 0
        """
        histories = check_ids("histories", histories, 1, self.n_items)
        last = np.array([h[-1] if len(h) else 0 for h in histories], np.int64)
        if at is not None:
            at = check_at(at, len(histories))
            return self._mixture(last, self.demand(at))
        if times is None:
            beliefs = [self._month_of_last(history) for history in histories]
        else:
            check_per_event("times", times, histories)
            beliefs = [{row[-1] if len(row) else None: 1.0} for row in times]
        demand = [self._coming_demand(belief) for belief in beliefs]
        return self._mixture(last, np.reshape(demand, (-1, self.n_items + 1)))

    def _coming_demand(self, belief: dict[float | None, float]) -> np.ndarray:
        """The demand to expect of the next event, if the last was in these months: (V + 1,)."""
        months = np.array([_months_after(month) for month in belief])
        return np.array(list(belief.values())) @ self.demand(months).mean(axis=1)

    def _month_of_last(self, history: np.ndarray) -> dict[int | None, float]:
        """How likely each month of the last event is, given the items; None: there was no event."""
        demand = self.demand(np.arange(JOINING_MONTHS + len(history) * max(GAPS)))
        likelihoods = [
            self._mixture(np.array([last]), demand)[:, item].tolist()  # of the item, by month
            for last, item in zip([0, *history], history, strict=False)
        ]
        return forward(None, likelihoods, _step)


def _months_after(month: float | None) -> list[float]:
    """The months in which the next event may be, each as likely as the other."""
    return list(range(JOINING_MONTHS)) if month is None else [month + gap for gap in GAPS]


def _step(month: int | None, likelihood: list[float]) -> Iterator[tuple[float, int]]:
    """All months in which an event may have been, and the probability of its item there."""
    return ((likelihood[later], later) for later in _months_after(month))
