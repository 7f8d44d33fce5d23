"""Purchases: what is bought next depends on what was put in the cart, and on how long ago."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import product
from typing import ClassVar

import numpy as np

from attention_from_scratch.arguments import check_ids, check_per_event
from attention_from_scratch.data.scenarios.hidden import expected, forward
from attention_from_scratch.data.scenarios.scenario import (
    Events,
    Scenario,
    cut_rows,
    draw,
    draw_lengths,
    mixture_rest,
)
from attention_from_scratch.data.scenarios.shop import BELONGS, FOLLOWS, NAMES, START

VIEW, SEARCH, CART, PURCHASE = range(1, 5)
SHARE = [0.0, 0.40, 0.15, 0.25, 0.20]  # of each behaviour among the events
SHARE_FRESH = [0.0, 0.60, 0.15, 0.25, 0.0]  # where a session begins: nothing is bought

SESSION_HOURS = 6.0  # a longer gap begins a new session
SHORT_GAPS, LONG_GAPS = (1 / 60, 0.5), (12.0, 120.0)  # hours; logarithms are uniform in between


@dataclass(frozen=True)
class Purchases(Scenario):
    """Customers of the shop who view, search, put in the cart and buy; the question is what.

        p(item of the next purchase | history) = cart * [item last put in the cart]
                                                 + follows * FOLLOWS(item | last purchase)
                                                 + (1 - cart - follows) / V

    - A gap of more than 6 hours begins a new session, and the cart of an old one is forgotten.
      What has been bought is in the cart no more. If the cart is empty, its weight goes to FOLLOWS.
    - FOLLOWS is that of `Shop`. A first purchase is a device.
    - Views and what goes into the cart: with probability `near` an accessory of the family of the
      event before, else any item. A search is for any item.

    So a model has to tell the behaviours apart and to see the gaps. Behaviours and gaps do not
    depend on items (so p is exact for whichever purchases are asked about by them, such as a user's
    last): each event begins a new session with probability `fresh`, and is a view, search, cart or
    purchase with the probabilities `SHARE`; where a session begins, a purchase becomes a view.
    Times are in hours.

    Parameters
    ----------
    cart, follows : float
        The two weights, probabilities with a sum of at most 1.
    near, fresh : float
        Probabilities.
    """

    cart: float = 0.60
    follows: float = 0.25
    near: float = 0.50
    fresh: float = 0.25

    names: ClassVar[list[str]] = NAMES
    behaviour_names: ClassVar[list[str]] = ["", "view", "search", "cart", "purchase"]

    def __post_init__(self):
        mixture_rest(cart=self.cart, follows=self.follows)
        mixture_rest(near=self.near)
        mixture_rest(fresh=self.fresh)

    @cached_property
    def _buy(self) -> np.ndarray:
        """p(item | a purchase, cart, last purchase): (V + 1, V + 1, V + 1); 0 is none."""
        after = FOLLOWS + (np.arange(self.n_items + 1)[:, None] == 0) * START
        p = np.empty((self.n_items + 1,) * 3)
        p[0] = (self.cart + self.follows) * after
        p[1:] = self.follows * after + self.cart * np.eye(self.n_items + 1)[1:, None]
        p[..., 1:] += mixture_rest(cart=self.cart, follows=self.follows) / self.n_items
        return p

    @cached_property
    def _look(self) -> np.ndarray:
        """p(item | behaviour, item before) of all but purchases: (4, V + 1, V + 1)."""
        p = np.zeros((4, self.n_items + 1, self.n_items + 1))
        p[1:, :, 1:] = 1 / self.n_items
        p[[VIEW, CART], 1:] = (1 - self.near) * p[SEARCH, 1:] + self.near * BELONGS[1:]
        return p

    def sample(
        self, n_users: int, rng: np.random.Generator, *, length: tuple[int, int] = (10, 30)
    ) -> Events:
        """Draw the events of new customers; parameters as in `Shop.sample`."""
        lengths = draw_lengths(n_users, length, rng)
        shape = n_users, length[1]
        fresh = rng.random(shape) < self.fresh
        fresh[:, 0] = True
        behaviours = rng.choice(5, shape, p=SHARE)
        behaviours[fresh & (behaviours == PURCHASE)] = VIEW
        short, long = (
            np.exp(rng.uniform(*np.log(ends), shape)) for ends in (SHORT_GAPS, LONG_GAPS)
        )
        times = np.where(fresh, long, short).cumsum(axis=1)
        items = np.zeros(shape, np.int64)
        last, cart, bought = np.zeros((3, n_users), np.int64)
        for t in range(length[1]):
            cart[fresh[:, t]] = 0
            buys = behaviours[:, t] == PURCHASE
            look = self._look[np.where(buys, SEARCH, behaviours[:, t]), last]
            last = draw(np.where(buys[:, None], self._buy[cart, bought], look), rng)
            cart[buys & (cart == last)] = 0
            cart = np.where(behaviours[:, t] == CART, last, cart)
            bought = np.where(buys, last, bought)
            items[:, t] = last
        return Events(*(cut_rows(table, lengths) for table in (items, behaviours, times)))

    def next_probabilities(
        self,
        histories: Sequence[np.ndarray],
        *,
        behaviours: Sequence[np.ndarray] | None = None,
        times: Sequence[np.ndarray] | None = None,
    ) -> np.ndarray:
        """The exact p(item | history), if what comes next is a purchase.

        It comes in the session of the last event, as always.

        Parameters
        ----------
        histories : sequence of (length,) arrays of ids 1..V
        behaviours : sequence of (length,) arrays, or None
            None: they are hidden, and p is what is known without them, by Bayes' rule.
        times : sequence of (length,) arrays of hours, or None
            None: they are hidden too, and with them which events begin a session.

        Returns
        -------
        (users, V + 1) float64; column 0, the padding, is 0
        """
        histories = check_ids("histories", histories, 1, self.n_items)
        did = fresh = [[None] * len(history) for history in histories]
        if behaviours is not None:
            check_per_event("behaviours", behaviours, histories)
            did = [row.tolist() for row in check_ids("behaviours", behaviours, 1, PURCHASE)]
        if times is not None:
            check_per_event("times", times, histories)
            fresh = [(np.diff(row, prepend=-np.inf) > SESSION_HOURS).tolist() for row in times]
        p = np.empty((len(histories), self.n_items + 1))
        for user, history in enumerate(histories):
            items = history.tolist()
            begins = [True, *fresh[user][1:]]  # the first event does, whatever else is hidden
            events = zip(items, [0, *items], did[user], begins, strict=False)
            p[user] = expected(forward((0, 0), events, self._step), self._buy)
        return p

    def _step(self, state: tuple[int, int], event: tuple) -> Iterator[tuple]:
        """All ways in which an event may have come about: (its probability, the state then).

        A state is (item in the cart, last purchase), an event (item, item before, behaviour, does
        it begin a session?); the last two are None where they are hidden.
        """
        item, last, behaviour, fresh = event
        for begins, did in product(
            (True, False) if fresh is None else (fresh,),
            range(VIEW, PURCHASE + 1) if behaviour is None else (behaviour,),
        ):
            cart, bought = (0 if begins else state[0]), state[1]
            p = (self.fresh * SHARE_FRESH[did]) if begins else (1 - self.fresh) * SHARE[did]
            if did == PURCHASE:
                p *= self._buy[cart, bought, item]
                cart, bought = (0 if cart == item else cart), item
            else:
                p *= self._look[did, last, item]
                cart = item if did == CART else cart
            yield p, (cart, bought)
