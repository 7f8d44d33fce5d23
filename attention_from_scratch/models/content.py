"""Recommend what resembles what the user met, by what is known of the items themselves."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from attention_from_scratch.arguments import check_names
from attention_from_scratch.models.checks import check_matrix
from attention_from_scratch.models.counting import CountingRecommender, CountingSettings, weighted
from attention_from_scratch.models.neighbours import FORGETS
from attention_from_scratch.settings import Number, OrNone, option

BATCH = 256  # users at a time; changes nothing but time and memory


@dataclass(frozen=True)
class ContentSettings(CountingSettings):
    """The settings of a `ContentBased`."""

    half_life: float | None = option(2.0, OrNone(Number()), FORGETS)


class ContentBased(CountingRecommender):
    """Items like those of the history: content-based filtering.

        profile(u) = weighted mean of the rows of the items of u's history
        score(u, j) = sum over the feature matrices of cosine(profile(u), row j)

    Before that every row is brought to length 1, so that an item of many genres counts as much as
    one of few. A matrix of one column, such as a year, has only two directions; it is standardised
    instead, and in place of the cosine comes exp(-(profile(u) - j)^2 / 2).

    A row of NaN is an item of which the matrix knows nothing: it adds nothing to a profile, and
    gets 0 for this matrix. Nobody else's events matter; those of training are only there to say
    what is popular, for a history about whose items nothing is known.

    Besides the settings it takes `features`: name -> (V + 1, F) matrix, as from `read_features`;
    row 0 is padding.

    Raises
    ------
    ValueError
        If there is no matrix, one has another number of rows, or a row is known in part.

    Source: Pazzani & Billsus, Content-based recommendation systems, in The Adaptive Web, 2007; the
    mean of the items as profile is that of Rocchio's relevance feedback.
    """

    KIND = "content-based"
    Settings = ContentSettings

    def __init__(self, n_items: int, features: Mapping[str, np.ndarray], *args, **settings):
        super().__init__(n_items, *args, **settings)
        features = check_names("features", features, "matrices")
        if not features:
            raise ValueError("features is empty, but needs at least one matrix")
        self.given, self.known, self.features = dict(features), {}, {}
        for name, matrix in features.items():
            self.known[name], self.features[name] = normalised(name, matrix, self.n_items)

    @property
    def constants(self) -> dict:
        """The feature matrices as they were given, for the file."""
        return {"features": {name: np.asarray(of) for name, of in self.given.items()}}

    def score_users(self, histories: list[np.ndarray]) -> Iterator[np.ndarray | None]:
        """For each history, how much every item resembles those in it, (V + 1,).

        None for a history of whose items no feature is known.
        """
        for start in range(0, len(histories), BATCH):
            batch = [weighted(h, self.settings.half_life) for h in histories[start : start + BATCH]]
            scores, told = self.score_batch(batch)
            for row, any_known in zip(scores, told, strict=True):
                yield row if any_known else None

    def score_batch(self, batch: list) -> tuple[np.ndarray, np.ndarray]:
        """Scores of B weighted histories, (B, V + 1), and which of them can be scored, (B,)."""
        scores = np.zeros((len(batch), self.n_items + 1))
        told = np.zeros((len(batch), 1), bool)
        for name, matrix in self.features.items():
            known = self.known[name]
            profiles, weight = profiles_of(batch, matrix, known)
            scores += resemblance(profiles, matrix) * (known & (weight > 0))
            told |= weight > 0
        return scores, told[:, 0]


def normalised(name: str, matrix: np.ndarray, n_items: int) -> tuple[np.ndarray, np.ndarray]:
    """Tell which rows of a feature matrix are known, (V + 1,), and make the rows comparable."""
    matrix = check_matrix(name, matrix, n_items, "float64").copy()
    known = ~np.isnan(matrix).all(axis=1)
    known[0] = False
    matrix[~known] = 0
    in_part = np.isnan(matrix).any(axis=1)
    if in_part.any():
        row = int(np.argmax(in_part))
        raise ValueError(
            f"features[{name!r}] row {row} must be numbers throughout, or NaN throughout"
        )
    if matrix.shape[1] == 1:
        values = matrix[known]
        matrix[known] = (values - values.mean()) / (values.std() or 1) if values.size else values
    return known, matrix if matrix.shape[1] == 1 else unit_rows(matrix)


def unit_rows(matrix: np.ndarray) -> np.ndarray:
    """The rows brought to length 1; those of length 0 stay."""
    lengths = np.linalg.norm(matrix, axis=1, keepdims=True)
    return np.divide(matrix, lengths, out=np.zeros_like(matrix), where=lengths > 0)


def profiles_of(batch, matrix, known) -> tuple[np.ndarray, np.ndarray]:
    """Weighted mean of the rows of each user's items, (B, F), and the sum of the weights, (B, 1).

    Items that are not known do not count.
    """
    profiles, total = np.zeros((len(batch), matrix.shape[1])), np.zeros((len(batch), 1))
    for user, (items, weights) in enumerate(batch):
        weights = weights * known[items]
        profiles[user], total[user] = weights @ matrix[items], weights.sum()
    return np.divide(profiles, total, out=profiles, where=total > 0), total


def resemblance(profiles: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """How alike each profile and each item are, (B, V + 1): the cosine; of numbers, a bell."""
    if matrix.shape[1] == 1:
        return np.exp(-((profiles - matrix.T) ** 2) / 2)
    return unit_rows(profiles) @ matrix.T
