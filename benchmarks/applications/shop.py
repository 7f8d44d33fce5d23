"""Section 6.1, a shop: what is bought next, after what was viewed, searched and put in the cart."""

import argparse
from typing import ClassVar

import numpy as np

from attention_from_scratch.data import Events, Purchases, before_last, time_gaps
from attention_from_scratch.data.scenarios.purchases import CART, PURCHASE, SESSION_HOURS
from attention_from_scratch.models.markov import MarkovChain
from attention_from_scratch.models.popularity import MostPopular
from benchmarks.applications.study import (
    GRU,
    TRANSFORMER,
    Asked,
    Counted,
    Model,
    Study,
    after,
    chosen,
    mixed,
    recipe,
    recommended,
    run,
)

SHOP = Purchases()
GAP_KINDS, MINUTE = 16, 1 / 60  # hours


class Shop(Study):
    """Customers of the purchases scenario."""

    NAME = "shop"
    TITLE = "Shop: the next purchase"
    ARTICLE = (
        "(6.1) that from views, searches, carts and purchases the next purchase can be predicted."
    )
    ASKED = (
        "Customers follow a formula (`data/scenarios/purchases.py`): mostly they buy what they "
        "last put in the cart, unless they have left the shop since, or what goes with their last "
        "purchase. A model sees all that a customer did before the last purchase and ranks all "
        "items; the purchase before is for validation, those before that for training."
    )
    MODELS: ClassVar = {
        "gru": Model("GRU", "items, behaviours, gaps", ("behaviour", "gap"), GRU),
        "transformer": Model(
            "self-attention",
            "items, behaviours, gaps",
            ("behaviour", "gap"),
            TRANSFORMER | {"dropout": 0.2},
            {"lr": 2e-3},
        ),
        "gru-no-gaps": Model("GRU, blind to gaps", "items, behaviours", ("behaviour",), GRU),
        "gru-no-behaviours": Model("GRU, blind to behaviours", "items, gaps", ("gap",), GRU),
        "gru-items-only": Model("GRU, blind to both", "items", (), GRU),
    }
    KINDS: ClassVar = {"behaviour": len(SHOP.behaviour_names) - 1, "gap": GAP_KINDS}
    scenario = SHOP

    def settings(self, quick: bool) -> dict:
        """Sizes and settings."""
        return {
            "users": 300 if quick else 6000,
            "length": (10, 20) if quick else (20, 50),
            **recipe(quick, max_len=50, dim=64, dropout=0.3, lr=5e-3),
        }

    def prepare(self, settings: dict, seed: int) -> Asked:
        """New customers; their last purchases."""
        rng = np.random.default_rng(seed)
        events = SHOP.sample(settings["users"], rng, length=settings["length"])
        known, targets, at = before_last(events, PURCHASE)
        train, *validation = before_last(known, PURCHASE)
        asked = np.flatnonzero(targets)
        return Asked(train, *validation, chosen(known, asked), targets[asked], at[asked])

    def describe(self, data: Asked) -> dict:
        """How much there is."""
        bought = self.wanted(data.train)
        return {
            "users": len(data.train.histories),
            "items": SHOP.n_items,
            "events in training": sum(map(len, bought)),
            "purchases among them": int(sum(flags.sum() for flags in bought)),
            "purchases to be predicted": len(data.targets),
        }

    def columns(self, events: Events) -> dict:
        """Behaviours, and the time since the event before, in kinds."""
        gaps = time_gaps(events.times, GAP_KINDS, MINUTE)
        return {"behaviour": events.behaviours, "gap": gaps}

    def wanted(self, events: Events) -> list[np.ndarray]:
        """The purchases."""
        return [behaviours == PURCHASE for behaviours in events.behaviours]

    def counted(self, data: Asked):
        """What is bought most, what is bought after what, and the rule of the cart."""
        histories, bought = purchases(data.train), purchases(data.known)
        popular = MostPopular(SHOP.n_items).fit(histories)
        yield Counted("most popular purchases", popular.scores(bought))
        follows = after(MarkovChain(SHOP.n_items).fit(histories), bought)
        with np.errstate(divide="ignore"):
            yield Counted("Markov chain of purchases", np.log(follows))
        yield Counted("last in the cart, else Markov chain", by_cart(data, follows))

    def truth(self, data: Asked, model: Model) -> np.ndarray:
        """The formula."""
        known, sees = data.known, model.sees
        return SHOP.next_probabilities(
            known.histories,
            behaviours=known.behaviours if "behaviour" in sees else None,
            times=known.times if "gap" in sees else None,
        )

    def example(self, data: Asked, scores: np.ndarray) -> list[str]:
        """A history in which something has been in the cart for a while."""
        user = telling(data.known)
        known = chosen(data.known, [user])
        (p,) = SHOP.next_probabilities(
            known.histories, behaviours=known.behaviours, times=known.times
        )
        lines = recommended(SHOP.names, scores[user], p, int(data.targets[user]))
        return [*history(known), "", *lines]


def purchases(events: Events) -> list[np.ndarray]:
    """What each user bought."""
    return [h[b == PURCHASE] for h, b in zip(events.histories, events.behaviours, strict=True)]


def last_in_cart(histories, behaviours) -> np.ndarray:
    """The item that each user last put in the cart; 0: none."""
    carts = [h[b == CART] for h, b in zip(histories, behaviours, strict=True)]
    return np.array([cart[-1] if len(cart) else 0 for cart in carts], np.int64)


def by_cart(data: Asked, follows: np.ndarray) -> np.ndarray:
    """The rule that a shop would begin with, as log-probabilities: (asked, V + 1).

    With probability w what was last put in the cart, else by the Markov chain; w is the share of
    the purchases of training that were just that, and 0 for who has put nothing in the cart.
    """
    hits = total = 0
    for h, b in zip(data.train.histories, data.train.behaviours, strict=True):
        ends = np.flatnonzero(b == PURCHASE)
        cart = last_in_cart([h[:end] for end in ends], [b[:end] for end in ends])
        hits, total = hits + int((cart == h[ends])[cart > 0].sum()), total + int((cart > 0).sum())
    cart = last_in_cart(data.known.histories, data.known.behaviours)
    certain = np.eye(SHOP.n_items + 1)[cart]
    return mixed(np.where(cart > 0, hits / max(total, 1), 0), certain, follows)


def telling(known: Events) -> int:
    """The first of few events whose cart was filled in this session, and not just now."""
    for user, (behaviours, times) in enumerate(zip(known.behaviours, known.times, strict=True)):
        begins = np.flatnonzero(np.diff(times, prepend=-np.inf) > SESSION_HOURS)
        carts = np.flatnonzero(behaviours == CART)
        if (
            len(behaviours) <= 16
            and len(carts)
            and len(begins) > 1
            and begins[-1] < carts[-1] < len(behaviours) - 2
            and not (behaviours[carts[-1] :] == PURCHASE).any()
        ):
            return user
    return 0


def history(known: Events) -> list[str]:
    """The events of one user as text; a line between sessions."""
    (items,), (behaviours,), (times,) = known
    lines = ["hours  what    item"]
    for item, behaviour, time, gap in zip(
        items, behaviours, times, np.diff(times, prepend=times[0]), strict=True
    ):
        if gap > SESSION_HOURS:
            lines.append(f"       (nothing for {gap:.0f} hours)")
        name = SHOP.behaviour_names[behaviour]
        lines.append(f"{time - times[0]:5.1f}  {name:9} {SHOP.names[item]}")
    lines[0] = f"{'hours':5}  {'':9} item"
    return lines


def main(options: argparse.Namespace) -> str:
    """Run what is missing; the page."""
    return run(Shop(), options)
