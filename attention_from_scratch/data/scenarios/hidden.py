"""What can be known of what is not seen: exact inference about a hidden state, by Bayes' rule."""

from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable

import numpy as np


def forward(start: Hashable, events: Iterable, step: Callable) -> dict[Hashable, float]:
    """How likely each state is after all events: the forward algorithm of hidden Markov models.

    Where an event tells all, one state is left, and it is certain. Where a part of it is hidden,
    every way in which it may have come about is followed, with its probability.

    Parameters
    ----------
    start : state before the first event
    events : what is seen, one after the other
    step : (state, event) -> iterable of (probability, state)
        All ways on from a state: the probability of what is seen and of what is hidden, and the
        state then. Constant factors may be left out.

    Returns
    -------
    dict of state -> probability, with a sum of 1

    Source: Rabiner, A Tutorial on Hidden Markov Models, Proc. IEEE 77(2), 1989, eq. 19-21.
    """
    belief = {start: 1.0}
    for number, event in enumerate(events):
        after = defaultdict(float)
        for state, weight in belief.items():
            for probability, next_state in step(state, event):
                after[next_state] += weight * probability
        if len(after) == 1:  # certain, however unlikely
            belief = dict.fromkeys(after, 1.0)
            continue
        total = sum(after.values())
        if total == 0:
            raise ValueError(f"event {number} cannot have happened: its probability is 0")
        belief = {state: weight / total for state, weight in after.items() if weight > 0}
    return belief


def expected(belief: dict[Hashable, float], table: np.ndarray) -> np.ndarray:
    """The mean of `table[state]` under a belief; a state is an index, or a tuple of them."""
    states = tuple(np.array(list(belief)).T)
    return np.array(list(belief.values())) @ table[states]
