"""News: articles come and go, and what is new can be told by its title alone."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from attention_from_scratch.arguments import check_ids, check_per_event
from attention_from_scratch.data.scenarios.hidden import forward
from attention_from_scratch.data.scenarios.newspaper import (
    END,
    FEATURES,
    HOURS_BETWEEN,
    IN_TOPIC,
    PUBLISHED,
    TITLES,
    TOPIC,
    TOPICS,
    WORDS,
)
from attention_from_scratch.data.scenarios.scenario import (
    Events,
    Scenario,
    check_at,
    cut_rows,
    draw,
    draw_lengths,
    mixture_rest,
)

CLICK, LIKE, COMMENT = range(1, 4)
FREQUENCY = [0.0, 0.70, 0.20, 0.10]  # of each behaviour among the events


@dataclass(frozen=True)
class News(Scenario):
    """Readers of a newspaper, whose articles can be opened for `lifetime` hours, and once.

        p(next | history, time) = liked * [an article of the topic last liked or commented on]
                                  + opened * [an article of the topic last opened]
                                  + (1 - liked - opened) * [any article]

    - Each part is uniform over its candidates: the articles that are alive at the time and that
      the reader has not opened yet. If a part has none, its weight goes to any article.
    - A click opens an article; so does a like or a comment, which say more. Which of the three an
      event is does not depend on the article: the probabilities are `FREQUENCY`.
    - One article is published every 1.5 hours from 0 on, 60 on each of 8 topics. Its title is
      three words of its topic and of no other, so that the title tells the topic.

    So a model has to look back to the last event that was more than a click. Times are in hours.

    Parameters
    ----------
    liked, opened : float
        The two weights, probabilities with a sum of at most 1.
    lifetime : float
        Hours from the publication of an article to its expiry.
    """

    liked: float = 0.60
    opened: float = 0.15
    lifetime: float = 72.0

    names: ClassVar[list[str]] = TITLES
    behaviour_names: ClassVar[list[str]] = ["", "click", "like", "comment"]
    words: ClassVar[list[str]] = WORDS
    features: ClassVar[np.ndarray] = FEATURES  # (V + 1, words): 1 if the title has it; row 0 is 0
    topic: ClassVar[np.ndarray] = TOPIC  # (V + 1,) from 1, in the order of TOPICS; topic[0] is 0
    published: ClassVar[np.ndarray] = PUBLISHED  # hours, (V + 1,)
    end: ClassVar[float] = END  # of the newspaper, in hours

    def __post_init__(self):
        mixture_rest(liked=self.liked, opened=self.opened)
        if not HOURS_BETWEEN <= self.lifetime < END:
            raise ValueError(
                f"lifetime was {self.lifetime}, but must be at least {HOURS_BETWEEN} hours "
                f"and below {END}"
            )

    @property
    def expires(self) -> np.ndarray:
        """When each article can be opened no more, (V + 1,)."""
        return self.published + self.lifetime

    def alive(self, time: float | np.ndarray) -> np.ndarray:
        """Which articles can be opened at a time: (...) -> (..., V + 1) bool."""
        time = np.asarray(time, float)[..., None]
        return (self.published <= time) & (time < self.expires)

    def _of_each(self, candidates: np.ndarray, liked: np.ndarray, last: np.ndarray) -> np.ndarray:
        """The probability of each single candidate of a topic: (n, topics + 1).

        candidates (n, V + 1); the topics last liked and last opened, 0 for none, (n,) each.
        """
        counts = candidates @ IN_TOPIC.T  # (n, topics + 1)
        rest = np.full(len(counts), mixture_rest(liked=self.liked, opened=self.opened))
        of_each = np.zeros(counts.shape)
        rows = np.arange(len(counts))
        for weight, topic in ((self.liked, liked), (self.opened, last)):
            n = counts[rows, topic]
            of_each[rows, topic] += weight * (n > 0) / np.maximum(n, 1)
            rest += weight * (n == 0)
        return of_each + rest[:, None] / counts.sum(axis=1, keepdims=True)

    def sample(
        self,
        n_users: int,
        rng: np.random.Generator,
        *,
        length: tuple[int, int] = (5, 15),
        between: tuple[float, float] | None = None,
        stay: float = 96.0,
    ) -> Events:
        """Draw the events of new readers.

        What readers after a time open is in part published after that time: nobody before has
        opened it. So readers of two periods are for training and for a test of new articles.

        Parameters
        ----------
        n_users, rng, length
            As in `Shop.sample`.
        between : (first, last) hours, optional
            The events are in this period. None: from `lifetime`, when the newspaper is as full as
            it gets, to `end`.
        stay : float
            Hours over which `longest` events are spread; who has fewer of them leaves earlier.
        """
        lengths = draw_lengths(n_users, length, rng)
        first, last = (self.lifetime, END) if between is None else between
        if not 0 <= first <= first + stay <= last <= END:
            raise ValueError(
                f"between was {(first, last)} and stay was {stay}, but must be a period within "
                f"0..{END} hours, and not be longer than it"
            )
        if length[1] > self.alive(first).sum():
            raise ValueError(
                f"length was {length}, but only {self.alive(first).sum()} articles are alive "
                f"at {first} hours"
            )
        shape = n_users, length[1]
        times = rng.uniform(first, last - stay, (n_users, 1)) + np.sort(rng.random(shape)) * stay
        behaviours = rng.choice(4, shape, p=FREQUENCY)
        items = np.zeros(shape, np.int64)
        unread = np.ones((n_users, self.n_items + 1), bool)
        liked, opened = np.zeros((2, n_users), np.int64)
        for t in range(length[1]):
            candidates = self.alive(times[:, t]) & unread
            p = self._of_each(candidates, liked, opened)[:, TOPIC] * candidates
            items[:, t] = article = draw(p, rng)
            unread[np.arange(n_users), article] = False
            opened = TOPIC[article]
            liked = np.where(behaviours[:, t] != CLICK, opened, liked)
        return Events(*(cut_rows(table, lengths) for table in (items, behaviours, times)))

    def next_probabilities(
        self,
        histories: Sequence[np.ndarray],
        *,
        at: Sequence[float],
        behaviours: Sequence[np.ndarray] | None = None,
        times: Sequence[np.ndarray] | None = None,
        untitled: np.ndarray | None = None,
    ) -> np.ndarray:
        """The exact p(next | history), if the next article is opened at the time `at`.

        Parameters
        ----------
        histories : sequence of (length,) arrays of ids 1..V
        at : (users,) hours
        behaviours : sequence of (length,) arrays, or None
            None: they are hidden, and p is what is known without them, by Bayes' rule.
        times : sequence of (length,) arrays of hours, or None
            When the past events were. It matters only if the behaviours are hidden, and is needed
            then: what a reader did not open says something only if it was there.
        untitled : (V + 1,) bool, or None
            Articles that a model cannot tell apart, because it cannot read and nobody has opened
            them before: those among the candidates share their probability evenly. To know how
            much they have together is more than it can know, so the limit is a bound from above:
            no such model does better.

        Returns
        -------
        (users, V + 1) float64; 0 for who is no candidate
        """
        histories = check_ids("histories", histories, 1, self.n_items)
        at = check_at(at, len(histories))
        candidates = self._candidates(histories, at, "at")
        beliefs = self._liked_topics(histories, behaviours, times)
        p = np.zeros(candidates.shape)
        for user, (history, belief) in enumerate(zip(histories, beliefs, strict=True)):
            of_each = self._if_liked(candidates[user], list(belief), history)
            p[user] = (np.array(list(belief.values())) @ of_each)[TOPIC] * candidates[user]
        if untitled is not None:
            alike = candidates & np.asarray(untitled, bool)
            shared = (p * alike).sum(axis=1) / np.maximum(alike.sum(axis=1), 1)
            p = np.where(alike, shared[:, None], p)
        return p

    def _candidates(
        self, histories: list[np.ndarray], at: Sequence[float], name: str
    ) -> np.ndarray:
        """Who can be opened after each history at its time: (n, V + 1) bool; an error if none."""
        candidates = self.alive(at)
        for row, history in zip(candidates, histories, strict=True):
            row[history] = False
        none = np.flatnonzero(~candidates.any(axis=1))
        if none.size:
            raise ValueError(f"{name} holds {at[none[0]]}, when there is no article left to open")
        return candidates

    def _if_liked(
        self, candidates: np.ndarray, liked: list[int], history: np.ndarray
    ) -> np.ndarray:
        """Give `_of_each` after one history, were each of these topics the last liked."""
        last = TOPIC[history[-1]] if len(history) else 0
        same = np.broadcast_to(candidates, (len(liked), len(candidates)))
        return self._of_each(same, np.array(liked), np.full(len(liked), last))

    def _liked_topics(self, histories, behaviours, times) -> list[dict[int, float]]:
        """How likely each topic is the one last liked or commented on; 0: none yet."""
        if behaviours is not None:
            check_per_event("behaviours", behaviours, histories)
            behaviours = check_ids("behaviours", behaviours, 1, COMMENT)
            liked = [h[b != CLICK] for h, b in zip(histories, behaviours, strict=True)]
            return [{int(TOPIC[h[-1]]) if len(h) else 0: 1.0} for h in liked]
        if times is None:
            raise ValueError("times was None, but must be given where behaviours is None")
        check_per_event("times", times, histories)
        return [self._infer(h, row) for h, row in zip(histories, times, strict=True)]

    def _infer(self, history: np.ndarray, times: np.ndarray) -> dict[int, float]:
        """How likely each topic is one user's last liked, from what was opened and what was not."""
        before = [history[:event] for event in range(len(history))]
        candidates = self._candidates(before, times, "times")
        wrong = np.flatnonzero(~candidates[np.arange(len(history)), history])
        if wrong.size:
            raise ValueError(
                f"times holds {times[wrong[0]]} for article {history[wrong[0]]}, which was not "
                "alive then or had been opened before"
            )
        events = []
        for article, seen, row in zip(history, before, candidates, strict=True):
            likelihood = self._if_liked(row, list(range(len(TOPICS) + 1)), seen)[:, TOPIC[article]]
            events.append((int(TOPIC[article]), likelihood.tolist()))
        return forward(0, events, _step)


def _step(liked: int, event: tuple[int, list[float]]) -> Iterator[tuple[float, int]]:
    """Both ways on from a topic last liked: the event was a click, or it was more."""
    topic, likelihood = event  # of its article, by the topic that was liked before
    yield FREQUENCY[CLICK] * likelihood[liked], liked
    yield (1 - FREQUENCY[CLICK]) * likelihood[liked], topic
