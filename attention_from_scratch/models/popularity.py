"""The same list for everybody: what is met most often, ever or of late."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from attention_from_scratch.arguments import check_histories, check_per_event
from attention_from_scratch.models.counting import CountingRecommender, CountingSettings
from attention_from_scratch.models.recommender import Histories
from attention_from_scratch.settings import Share, option


class MostPopular(CountingRecommender):
    """The same list for everybody: the score of an item is ln(1 + how often it occurred)."""

    KIND = "popular"
    Settings = CountingSettings


@dataclass(frozen=True)
class RecentSettings(CountingSettings):
    """The settings of a `RecentlyPopular`."""

    share: float = option(
        0.1, Share(with_0=False, with_1=True), "of the events that is counted, the latest"
    )


class RecentlyPopular(MostPopular):
    """The same list for everybody: the items that occurred most of late."""

    KIND = "recently-popular"
    Settings = RecentSettings

    def fit(
        self, histories: Histories, *, times: Sequence[np.ndarray] | None = None
    ) -> "RecentlyPopular":
        """Count the latest events.

        Parameters
        ----------
        histories : one sequence of item ids per user, oldest first
        times : one sequence of floats per user, parallel to `histories`, or None
            With them the latest events are those of all users together (and all that are of the
            same time as the first that counts). Without them they are the latest of each user's
            own, rounded up, which is another thing where users were not there at the same time.
        """
        histories = check_histories(histories, self.n_items)
        if times is None:
            lengths = [math.ceil(self.settings.share * len(history)) for history in histories]
            return super().fit([h[len(h) - n :] for h, n in zip(histories, lengths, strict=True)])
        times = [np.asarray(row, float) for row in check_per_event("times", times, histories)]
        everything = np.concatenate([np.zeros(0), *times])
        n_older = len(everything) - math.ceil(self.settings.share * len(everything))
        start = np.partition(everything, n_older)[n_older] if everything.size else 0
        return super().fit([h[t >= start] for h, t in zip(histories, times, strict=True)])
