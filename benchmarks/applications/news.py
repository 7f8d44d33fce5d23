"""Section 6.2, news: articles come and go, and what is new is recommended by what it says."""

import argparse
from typing import ClassVar

import numpy as np

from attention_from_scratch.data import Events, News, before_last
from attention_from_scratch.data.scenarios.news import CLICK
from attention_from_scratch.evaluation import Protocol, rank_targets
from attention_from_scratch.models import Pipeline
from attention_from_scratch.models.content import ContentBased
from attention_from_scratch.models.popularity import MostPopular
from benchmarks.applications.study import (
    GRU,
    TRANSFORMER,
    Asked,
    Counted,
    Model,
    Study,
    chosen,
    recipe,
    recommended,
    run,
)

NEWS = News()
LATER = 504.0  # hours, three weeks: what readers do from then on is the test
NEW = NEWS.published >= LATER  # articles that nobody in training can have opened
TITLES = {"title": NEWS.features}


class Newspaper(Study):
    """Readers of the news scenario."""

    NAME = "news"
    TITLE = "News: the next article"
    ARTICLE = (
        "(6.2) that from what readers click, like and comment on the next article that they are "
        "interested in can be predicted."
    )
    ASKED = (
        "Readers follow a formula (`data/scenarios/news.py`): an article of the topic they last "
        "liked or commented on, or of the one they last opened, or any. Articles expire after "
        f"{NEWS.lifetime:.0f} hours. Training has the readers of the first three weeks; the test "
        "has other readers, later, and nearly all that they open was published after training. A "
        "model sees all events of a reader but the last and ranks the articles that are alive at "
        "the time and not opened yet. A model that reads titles is told those of new articles "
        "after training (`Pipeline.with_features`). To one that does not, all new articles are the "
        "same; its limit knows how probable they are together, so that no such model passes it."
    )
    MODELS: ClassVar = {
        "transformer": Model(
            "self-attention, reads titles", "titles, behaviours", ("behaviour",), TRANSFORMER
        ),
        "gru": Model("GRU, reads titles", "titles, behaviours", ("behaviour",), GRU),
        "transformer-no-behaviours": Model(
            "self-attention, blind to behaviours", "titles", (), TRANSFORMER
        ),
        "transformer-no-titles": Model(
            "self-attention, ids alone", "ids, behaviours", ("behaviour",), TRANSFORMER, reads=False
        ),
    }
    KINDS: ClassVar = {"behaviour": len(NEWS.behaviour_names) - 1}
    scenario = NEWS

    def settings(self, quick: bool) -> dict:
        """Sizes and settings."""
        return {
            "users": 300 if quick else 8000,
            "readers of the test": 200 if quick else 4000,
            "length": (5, 15),
            "id_dropout of those who read titles": 0.9,
            **recipe(quick, max_len=15, dim=32, dropout=0.1, lr=3e-3),
        }

    def prepare(self, settings: dict, seed: int) -> Asked:
        """Readers of the first three weeks, and others of the time after."""
        rng = np.random.default_rng(seed)
        length = settings["length"]
        before = NEWS.sample(settings["users"], rng, length=length, between=(NEWS.lifetime, LATER))
        later = NEWS.sample(
            settings["readers of the test"], rng, length=length, between=(LATER, NEWS.end)
        )
        return Asked(*before_last(before), *before_last(later))

    def describe(self, data: Asked) -> dict:
        """How much there is."""
        return {
            "readers in training": len(data.train.histories),
            "articles": NEWS.n_items,
            "events in training": sum(map(len, data.train.histories)),
            "articles to be predicted": len(data.targets),
            "of them published after training": int(NEW[data.targets].sum()),
        }

    def protocol(self, data: Asked) -> Protocol:
        """Among the articles that a reader can open."""

        def rank(scores, histories, targets, users):
            scores = open_to(scores, histories, data.validation_at[users])
            return rank_targets(scores, targets), scores

        return Protocol(choose_users=lambda users: users, rank=rank)

    def train(
        self, settings: dict, data: Asked, model: Model, *, seed: int, threads: int, **more
    ) -> Pipeline:
        """A model that learns without the titles of what is new, and is told them afterwards."""
        if model.reads:
            titles = np.where(NEW[:, None], np.nan, NEWS.features)
            share = settings["id_dropout of those who read titles"]
            more |= {"features": {"title": titles}, "id_dropout": share}
        fitted = super().train(settings, data, model, seed=seed, threads=threads, **more)
        return fitted.with_features(TITLES) if model.reads else fitted

    def scores(self, data: Asked, model: Model, fitted: Pipeline) -> np.ndarray:
        """The scores of the articles that a reader can open."""
        return open_to(super().scores(data, model, fitted), data.known.histories, data.at)

    def counted(self, data: Asked):
        """Any article, what was opened most, what is newest, and what reads like those opened."""
        histories, at = data.known.histories, data.at
        same = np.zeros((len(histories), NEWS.n_items + 1))
        popular = MostPopular(NEWS.n_items).fit(data.train.histories)
        content = ContentBased(NEWS.n_items, TITLES, half_life=2).fit(data.train.histories)
        yield Counted("any article", open_to(same, histories, at))
        yield Counted("most popular", open_to(popular.scores(histories), histories, at))
        newest = open_to(same + NEWS.published, histories, at)
        yield Counted("newest first", newest, told=False)
        alike = open_to(content.scores(histories), histories, at)
        yield Counted("content-based", alike, told=False)

    def truth(self, data: Asked, model: Model) -> np.ndarray:
        """The formula; without titles, new articles cannot be told apart."""
        return NEWS.next_probabilities(
            data.known.histories,
            at=data.at,
            behaviours=data.known.behaviours if "behaviour" in model.sees else None,
            times=data.known.times,
            untitled=None if model.reads else NEW,
        )

    def example(self, data: Asked, scores: np.ndarray) -> list[str]:
        """A history in which the last like was some events ago, and on another topic."""
        user = telling(data.known)
        known, at = chosen(data.known, [user]), data.at[[user]]
        (p,) = NEWS.next_probabilities(known.histories, at=at, behaviours=known.behaviours)
        lines = recommended(NEWS.names, scores[user], p, int(data.targets[user]))
        return [*history(known), "", *lines]


def open_to(scores: np.ndarray, histories: list[np.ndarray], at: np.ndarray) -> np.ndarray:
    """The scores of articles that are alive and not opened yet; -inf for the others."""
    candidates = NEWS.alive(at)
    for row, history in zip(candidates, histories, strict=True):
        row[history] = False
    return np.where(candidates, scores, -np.inf)


def telling(known: Events) -> int:
    """The first reader of few events who last liked one topic, and has clicked on others since."""
    for user, (articles, behaviours) in enumerate(
        zip(known.histories, known.behaviours, strict=True)
    ):
        liked, topics = np.flatnonzero(behaviours != CLICK), NEWS.topic[articles]
        if not (5 <= len(articles) <= 9 and len(liked) and liked[-1] < len(articles) - 2):
            continue
        if topics[liked[-1]] not in topics[liked[-1] + 1 :]:
            return user
    return 0


def history(known: Events) -> list[str]:
    """The events of one reader as text."""
    (articles,), (behaviours,), (times,) = known
    return [
        f"{time - times[0]:5.1f} h  {NEWS.behaviour_names[behaviour]:8} {NEWS.names[article]}"
        for article, behaviour, time in zip(articles, behaviours, times, strict=True)
    ]


def main(options: argparse.Namespace) -> str:
    """Run what is missing; the page."""
    return run(Newspaper(), options)
