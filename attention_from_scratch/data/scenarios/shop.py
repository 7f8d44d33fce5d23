"""A small shop whose customers follow a formula: sequences with readable names and a known optimum.

Real data never tell how good a model could have been. Here the truth is on paper, so the best
cross-entropy, NDCG and hit rate that any model can reach are numbers to hold its own against.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from attention_from_scratch.arguments import check_ids
from attention_from_scratch.data.scenarios.scenario import (
    Scenario,
    cut_rows,
    draw,
    draw_lengths,
    mixture_rest,
)

# Each device with its accessories, in the order in which people tend to buy them.
SHELVES = {
    "phone": "case, screen protector, charger, cable, power bank, car mount, earbuds",
    "laptop": "sleeve, mouse, keyboard, dock, monitor, backpack, webcam",
    "camera": "lens, memory card, battery, bag, tripod, flash, strap",
    "tablet": "cover, pen, keyboard, stand, charger, cable",
    "console": "controller, game, headset, charging dock, hard drive, carry case",
    "watch": "strap, charger, screen protector, chest belt, stand, case",
    "speaker": "cable, stand, wall mount, remote, amplifier, turntable",
    "drone": "propellers, battery, charger, landing pad, filter set, backpack, spare arms",
}


def _shelves() -> tuple[list[str], np.ndarray, np.ndarray, np.ndarray]:
    """Lay out the shop: names, start (V + 1,), the tables follows and belongs (V + 1, V + 1)."""
    families = [
        [device, *(f"{device} {accessory}" for accessory in accessories.split(", "))]
        for device, accessories in SHELVES.items()
    ]
    names = ["", *(name for family in families for name in family)]
    start = np.zeros(len(names))
    follows, belongs = np.zeros((2, len(names), len(names)))
    device = 1
    for family in families:
        n = len(family) - 1  # accessories; they have the ids device + 1 .. device + n
        start[device] = 1 / len(families)
        belongs[device : device + n + 1, device + 1 : device + n + 1] = 1 / n
        for place in range(n + 1):  # of the device: 0; its accessories stand in a ring: 1..n, 1..
            follows[device + place, device + 1 + place % n] = 0.6
            follows[device + place, device + 1 + (place + 1) % n] = 0.4
        device += n + 1
    return names, start, follows, belongs


NAMES, START, FOLLOWS, BELONGS = _shelves()


@dataclass(frozen=True)
class Shop(Scenario):
    """Users who begin with a device, each as likely as the other, and go on by a formula:

        p(next | history) = short * follows(next | last event)
                          + long * belongs(next | first event)
                          + (1 - short - long) / V

    - follows(. | last): in the family of the last event, the accessory after it has 0.6 and the
      one after that 0.4. The accessories stand in a ring, so that the last is followed by the
      first; the device stands before the first.
    - belongs(. | first): uniform over the accessories of the device the user began with.

    So a model has to look at two places at once: at the last event, and back at the first. The
    families and their order are in `SHELVES`; an item may be bought again.

    Parameters
    ----------
    short, long : float
        The two weights, probabilities with a sum of at most 1. What is left of 1 is chance.
    """

    short: float = 0.55
    long: float = 0.30

    names: ClassVar[list[str]] = NAMES

    def __post_init__(self):
        mixture_rest(short=self.short, long=self.long)

    def next_probabilities(self, histories: Sequence[np.ndarray]) -> np.ndarray:
        """The exact p(next | history), (users, V + 1) float64; column 0, the padding, is 0.

        An empty history gets the distribution of the first event.

        Raises
        ------
        ValueError
            If a history holds an id that is not in 1..V.
        """
        histories = check_ids("histories", histories, 1, self.n_items)
        first = np.array([h[0] if len(h) else 0 for h in histories], np.int64)
        last = np.array([h[-1] if len(h) else 0 for h in histories], np.int64)
        return np.where(first[:, None] > 0, self._mixture(first, last), START)

    def _mixture(self, first: np.ndarray, last: np.ndarray) -> np.ndarray:
        """The formula, for users who have a first and a last event: (users, V + 1)."""
        p = self.short * FOLLOWS[last] + self.long * BELONGS[first]
        p[:, 1:] += mixture_rest(short=self.short, long=self.long) / self.n_items
        return p

    def sample(
        self, n_users: int, rng: np.random.Generator, *, length: tuple[int, int] = (5, 20)
    ) -> list[np.ndarray]:
        """Draw the histories of new users.

        Parameters
        ----------
        n_users : int
        rng : numpy.random.Generator
        length : (shortest, longest)
            The number of events of a user is uniform in this range, both ends included.

        Returns
        -------
        list of (length,) int64 arrays of ids 1..V
        """
        lengths = draw_lengths(n_users, length, rng)
        events = np.zeros((n_users, length[1]), np.int64)
        events[:, 0] = draw(np.tile(START, (n_users, 1)), rng)
        for t in range(1, length[1]):
            events[:, t] = draw(self._mixture(events[:, 0], events[:, t - 1]), rng)
        return cut_rows(events, lengths)
