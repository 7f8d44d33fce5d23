"""A first-order Markov chain: what comes next depends on the last event alone."""

from dataclasses import dataclass

import numpy as np

from attention_from_scratch.models.counting import (
    CountingRecommender,
    CountingSettings,
    grouped,
    packed,
    tally,
    unpacked,
)
from attention_from_scratch.settings import Number, option
from attention_from_scratch.tree import Tree


@dataclass(frozen=True)
class MarkovSettings(CountingSettings):
    """The settings of a `MarkovChain`."""

    smoothing: float = option(1.0, Number(), "how many events popularity is worth")


class MarkovChain(CountingRecommender):
    """The next event depends on the last one alone: a first-order Markov chain.

        p(next = j | last = i) = (n(i, j) + smoothing * p(j)) / (n(i) + smoothing)

    n(i, j) is how often j came directly after i in training, n(i) how often anything did, and p(j)
    the share of j among all events: the fewer events were seen after i, the more popularity counts.

    Source: the smoothing by Dirichlet priors of Zhai & Lafferty, A study of smoothing methods for
    language models applied to information retrieval, TOIS 2004, with an item in place of a
    document and its followers in place of the words.
    """

    KIND = "markov"
    Settings = MarkovSettings

    def learn(self, histories: list[np.ndarray]) -> Tree:
        """Gather what came after each item."""
        nothing = np.zeros(0, np.int64)
        last = np.concatenate([nothing, *(history[:-1] for history in histories)])
        following = np.concatenate([nothing, *(history[1:] for history in histories)])
        return {"followers": packed(grouped(last, following, self.n_items + 1))}

    def prepare(self, learned: Tree) -> None:
        """Lay out what was learned as a list of followers for each item."""
        self.followers = unpacked(learned["followers"])

    def score(self, history: np.ndarray) -> np.ndarray | None:
        """p(next | last event), (V + 1,)."""
        if not self.item_counts.any():
            return None
        followers = self.followers[history[-1]]
        popularity = self.settings.smoothing * self.item_counts / self.item_counts.sum()
        counts = tally([followers], self.n_items + 1)
        return (counts + popularity) / (len(followers) + self.settings.smoothing)
