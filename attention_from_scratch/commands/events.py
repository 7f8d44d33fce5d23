"""From a file of events to a model that has learnt from them."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from attention_from_scratch.data import Interactions, Split, leave_one_out, read_features
from attention_from_scratch.evaluation import evaluate
from attention_from_scratch.models import RecentlyPopular, Recommender
from attention_from_scratch.models.trained import TrainedRecommender


@dataclass(frozen=True)
class Events:
    """A file of events, split, and what its items are like (None: nobody says)."""

    name: str
    data: Interactions
    split: Split
    features: Mapping[str, np.ndarray] | None = None

    @classmethod
    def of(cls, path: Path, data: Interactions, items: Path | None = None) -> "Events":
        """Hold out each user's last two events; read what the items are like, if a file says it."""
        features = None if items is None else read_features(items, data.items)[0]
        return cls(path.stem, data, leave_one_out(data.histories), features)

    @property
    def times(self) -> list[np.ndarray] | None:
        """When the events of `split.train` were."""
        if self.data.times is None:
            return None
        return [
            times[: len(history)]
            for times, history in zip(self.data.times, self.split.train, strict=True)
        ]


def learn(model: Recommender, events: Events, **fit) -> np.ndarray:
    """Fit a model on the training events, choosing the epoch by the validation events.

    Returns
    -------
    (2,) seconds that it took: on the clock, and as processors have given to this process.
    """
    split, start = events.split, clocks()
    if isinstance(model, TrainedRecommender):
        validation = split.validation if split.validation.any() else None
        model.fit(split.train, validation=validation, **fit)
    elif isinstance(model, RecentlyPopular):
        model.fit(split.train, times=events.times)
    else:
        model.fit(split.train)
    return clocks() - start


def measured(model: Recommender, split: Split) -> dict[str, float]:
    """The metrics of the test events, ranked in the whole catalogue."""
    return evaluate(model.scores, split.test_histories, split.test)


def clocks() -> np.ndarray:
    """Now: on the clock, and in the seconds that processors have given to this process."""
    return np.array([time.perf_counter(), time.process_time()])
