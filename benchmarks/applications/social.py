"""Section 6.3, social media: the next post, after likes, comments, shares and follows."""

import argparse
from typing import ClassVar

import numpy as np

from attention_from_scratch.data import Events, Social, before_last
from attention_from_scratch.data.scenarios.social import FOLLOW, SHARE
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

SOCIAL = Social()


class Feed(Study):
    """Users of the social scenario."""

    NAME = "social"
    TITLE = "Social: the next post"
    ARTICLE = (
        "(6.3) that from likes, comments and shares the next post that somebody engages with can "
        "be predicted."
    )
    ASKED = (
        "Users follow a formula (`data/scenarios/social.py`): the next post is by the creator they "
        "last followed, or on the topic they last shared, or on the one they last liked, in this "
        "order of weight. A model sees all events but the last and ranks all posts; the event "
        "before the last is for validation, those before that for training."
    )
    MODELS: ClassVar = {
        "transformer": Model("self-attention", "posts, behaviours", ("behaviour",), TRANSFORMER),
        "gru": Model("GRU", "posts, behaviours", ("behaviour",), GRU, {"lr": 3e-3}),
        "transformer-posts-only": Model(
            "self-attention, blind to behaviours", "posts", (), TRANSFORMER
        ),
        "gru-posts-only": Model("GRU, blind to behaviours", "posts", (), GRU, {"lr": 3e-3}),
    }
    KINDS: ClassVar = {"behaviour": len(SOCIAL.behaviour_names) - 1}
    scenario = SOCIAL

    def settings(self, quick: bool) -> dict:
        """Sizes and settings."""
        return {
            "users": 300 if quick else 8000,
            "length": (8, 20),
            **recipe(quick, max_len=20, dim=32, dropout=0.3, lr=2e-3),
        }

    def prepare(self, settings: dict, seed: int) -> Asked:
        """New users; their last events."""
        rng = np.random.default_rng(seed)
        events = SOCIAL.sample(settings["users"], rng, length=settings["length"])
        known, targets, at = before_last(events)
        train, *validation = before_last(known)
        return Asked(train, *validation, known, targets, at)

    def describe(self, data: Asked) -> dict:
        """How much there is."""
        return {
            "users": len(data.train.histories),
            "posts": SOCIAL.n_items,
            "events in training": sum(map(len, data.train.histories)),
            "events to be predicted": len(data.targets),
        }

    def counted(self, data: Asked):
        """What is met most, what comes after what, and the rule of the follow."""
        popular = MostPopular(SOCIAL.n_items).fit(data.train.histories)
        yield Counted("most popular", popular.scores(data.known.histories))
        chain = MarkovChain(SOCIAL.n_items).fit(data.train.histories)
        follows = after(chain, data.known.histories)
        with np.errstate(divide="ignore"):
            yield Counted("Markov chain", np.log(follows))
        yield Counted("creator last followed, else Markov chain", by_follow(data, follows))

    def truth(self, data: Asked, model: Model) -> np.ndarray:
        """The formula."""
        behaviours = data.known.behaviours if "behaviour" in model.sees else None
        return SOCIAL.next_probabilities(data.known.histories, behaviours=behaviours)

    def example(self, data: Asked, scores: np.ndarray) -> list[str]:
        """A history in which the last follow was some events ago."""
        user = telling(data.known)
        known = chosen(data.known, [user])
        (p,) = SOCIAL.next_probabilities(known.histories, behaviours=known.behaviours)
        lines = recommended(SOCIAL.names, scores[user], p, int(data.targets[user]))
        return [*history(known), "", *lines]


def last_followed(histories, behaviours) -> np.ndarray:
    """The creator that each user last followed; 0: none."""
    followed = [h[b == FOLLOW] for h, b in zip(histories, behaviours, strict=True)]
    return np.array([SOCIAL.creator[h[-1]] if len(h) else 0 for h in followed])


def by_follow(data: Asked, follows: np.ndarray) -> np.ndarray:
    """The rule that a feed would begin with, as log-probabilities: (asked, V + 1).

    With probability w one of the posts of the creator last followed, else by the Markov chain; w
    is the share of the events of validation that were, and 0 for who follows nobody.
    """
    creator = last_followed(data.train.histories, data.train.behaviours)
    hits = (creator == SOCIAL.creator[data.validation])[creator > 0].mean()
    creator = last_followed(data.known.histories, data.known.behaviours)
    posts = (SOCIAL.creator == creator[:, None]) & (creator[:, None] > 0)
    posts = posts / np.maximum(posts.sum(axis=1, keepdims=True), 1)
    return mixed(np.where(creator > 0, hits, 0), posts, follows)


def telling(known: Events) -> int:
    """The first user of few events who followed, then shared something on another topic."""
    for user, (posts, behaviours) in enumerate(zip(known.histories, known.behaviours, strict=True)):
        follows, shares = np.flatnonzero(behaviours == FOLLOW), np.flatnonzero(behaviours == SHARE)
        if not (len(posts) <= 12 and len(follows) == len(shares) == 1):
            continue
        topics = SOCIAL.topic[posts]
        if follows[0] < shares[0] < len(posts) - 2 and topics[follows[0]] != topics[shares[0]]:
            return user
    return 0


def history(known: Events) -> list[str]:
    """The events of one user as text."""
    (posts,), (behaviours,), _ = known
    return [
        f"{SOCIAL.behaviour_names[behaviour]:9} {SOCIAL.names[post]}"
        for post, behaviour in zip(posts, behaviours, strict=True)
    ]


def main(options: argparse.Namespace) -> str:
    """Run what is missing; the page."""
    return run(Feed(), options)
