"""Collaborative filtering by neighbours: users who are alike, or items that are met together.

Both give an event of the history that is asked about less weight the older it is: the weight is
halved every `half_life` events. With half_life=None all weigh the same, as in the papers; the
order of the events then means nothing.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from attention_from_scratch.models.counting import (
    CountingRecommender,
    CountingSettings,
    grouped,
    packed,
    tally,
    unpacked,
    weighted,
)
from attention_from_scratch.settings import Number, OrNone, Whole, option
from attention_from_scratch.tree import Tree

FORGETS = "events after which one counts half; None: all count alike"


@dataclass(frozen=True)
class UserKNNSettings(CountingSettings):
    """The settings of a `UserKNN`."""

    k: int = option(20, Whole(), "number of neighbours")
    half_life: float | None = option(3.0, OrNone(Number()), FORGETS)


class UserKNN(CountingRecommender):
    """Users who met what you met also met this: user-based collaborative filtering.

        similarity(u, v) = sum over the items of both of weight(u, i) / (|u| |v|)
        score(u, j) = sum of similarity(u, v) over those of the k most similar users v who met j

    It is the cosine of two vectors with an entry an item: of a training user, 1 for each item that
    they met; of the user who is asked about, its weight, as `weighted` gives it.

    Who is asked about has no name here: only a history. So if they are one of the training users,
    their own training history would be the most similar of all. But it can hold no item that is not
    in the history that is asked about, and nor can that of anybody else for whom this is true: a
    training user who met nothing else has nothing to recommend, and is no neighbour. (It follows
    that one should not ask about less than a user's training history: it would answer itself.)

    Source: Resnick et al., GroupLens: an open architecture for collaborative filtering of netnews,
    CSCW 1994; with the cosine, for events without ratings, as in Sarwar et al., Analysis of
    recommendation algorithms for e-commerce, EC 2000.
    """

    KIND = "user-knn"
    Settings = UserKNNSettings

    def learn(self, histories: list[np.ndarray]) -> Tree:
        """Note which items each user met."""
        return {"items_of": packed([np.unique(history) for history in histories])}

    def prepare(self, learned: Tree) -> None:
        """Lay out which items each user met, and which users met each item."""
        self.items_of, self.lengths = unpacked(learned["items_of"]), learned["items_of"]["lengths"]
        self.users_of = turned(self.items_of, self.n_items)

    def score(self, history: np.ndarray) -> np.ndarray | None:
        """Votes of the neighbours, (V + 1,); None if there is no neighbour."""
        similarity = self.similarity(history)
        neighbours = largest(similarity, self.settings.k)
        if not neighbours.size:
            return None
        items = [self.items_of[user] for user in neighbours]
        return tally(items, self.n_items + 1, similarity[neighbours])

    def similarity(self, history: np.ndarray) -> np.ndarray:
        """How similar each training user is, (users,); 0 for those with nothing to recommend."""
        items, weights = weighted(history, self.settings.half_life)
        users = [self.users_of[item] for item in items]
        n_common = tally(users, len(self.lengths))
        product = n_common
        if self.settings.half_life is not None:
            product = tally(users, len(self.lengths), weights)
        length = np.sqrt(np.maximum(self.lengths, 1) * (weights**2).sum())
        return np.where(n_common < self.lengths, product / length, 0)


@dataclass(frozen=True)
class ItemKNNSettings(CountingSettings):
    """The settings of an `ItemKNN`."""

    k: int = option(50, Whole(), "number of neighbours of each item")
    shrinkage: float = option(
        5.0, Number(above_0=False), "takes similarity from pairs that few users stand for"
    )
    half_life: float | None = option(1.0, OrNone(Number()), FORGETS)


class ItemKNN(CountingRecommender):
    """People who met this also met that: item-based collaborative filtering.

        similarity(i, j) = n(i, j) / (sqrt(n(i) n(j)) + shrinkage)
        score(j) = sum of weight(i) * similarity(i, j) over the items i of the history
                   that have j among their k most similar items

    n(i) is the number of users who met i, n(i, j) of those who met both; without shrinkage the
    similarity is the cosine of two vectors with an entry a user. Shrinkage takes from pairs that
    few users stand for. The similarities are computed item by item and k of each are kept, so
    there is never a matrix of all pairs.

    Source: Sarwar et al., Item-based collaborative filtering recommendation algorithms, WWW 2001;
    for lists of items, with k neighbours of each item of the history: Deshpande & Karypis,
    Item-based top-N recommendation algorithms, TOIS 2004.
    """

    KIND = "item-knn"
    Settings = ItemKNNSettings

    def learn(self, histories: list[np.ndarray]) -> Tree:
        """Find the k most similar items of each, and how similar they are."""
        items_of = [np.unique(history) for history in histories]
        users_of = turned(items_of, self.n_items)
        n_users = np.array([max(len(users), 1) for users in users_of])  # 1 for none: no 0 / 0
        k = self.settings.k
        shape = (self.n_items + 1, min(k, self.n_items))
        neighbours = np.zeros(shape, np.int64)  # filled up with padding, of similarity 0
        similarities = np.zeros(shape)
        for item, users in enumerate(users_of):
            n_both = tally([items_of[user] for user in users], self.n_items + 1)
            n_both[item] = 0  # an item is no neighbour of itself
            similarity = n_both / (np.sqrt(n_users[item] * n_users) + self.settings.shrinkage)
            nearest = largest(similarity, k)
            neighbours[item, : len(nearest)] = nearest
            similarities[item, : len(nearest)] = similarity[nearest]
        return {"neighbours": neighbours, "similarities": similarities}

    def prepare(self, learned: Tree) -> None:
        """Take the tables of neighbours and similarities as they were learned."""
        self.neighbours, self.similarities = learned["neighbours"], learned["similarities"]

    def score(self, history: np.ndarray) -> np.ndarray | None:
        """Votes of the history's items, (V + 1,); None if they have no neighbour."""
        items, weights = weighted(history, self.settings.half_life)
        votes = weights[:, None] * self.similarities[items]  # (n, k)
        if not votes.any():
            return None
        neighbours = self.neighbours[items]
        return np.bincount(neighbours.ravel(), votes.ravel(), minlength=self.n_items + 1)


def turned(items_of: Sequence[np.ndarray], n_items: int) -> list[np.ndarray]:
    """The users of each item 0..n_items, from the items of each user."""
    users = np.repeat(np.arange(len(items_of)), [len(items) for items in items_of])
    return grouped(np.concatenate([np.zeros(0, np.int64), *items_of]), users, n_items + 1)


def largest(values: np.ndarray, k: int) -> np.ndarray:
    """Where the k largest values are, of those above 0; of equal ones, the first."""
    places = np.flatnonzero(values > 0)  # zeros first: to partition equal values is slow
    if len(places) <= k:
        return places
    values = values[places]
    last = np.partition(values, -k)[-k]
    level = places[values == last]
    above = places[values > last]
    return np.concatenate([above, level[: k - len(above)]])
