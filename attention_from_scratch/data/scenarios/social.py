"""Social: posts of creators; what comes next depends on the last follow, share and like."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import numpy as np

from attention_from_scratch.arguments import check_ids, check_per_event
from attention_from_scratch.data.scenarios.hidden import expected, forward
from attention_from_scratch.data.scenarios.scenario import (
    Events,
    Scenario,
    cut_rows,
    draw,
    draw_lengths,
    mixture_rest,
)

# Topic by topic: the creators, and what each of them posts about.
CIRCLES = {
    "Mia, Tom, Aisha, Luca": "sourdough, brownies, ramen, curry, pickles",  # cooking
    "Nora, Ben, Yuki, Omar": "seedlings, roses, compost, tomatoes, bonsai",  # gardening
    "Lena, Max, Priya, Hugo": "marathon, sprints, trail run, stretching, recovery",  # running
    "Ella, Sam, Chen, Ivan": "guitar solo, drum cover, piano, new song, remix",  # music
    "Zoe, Kai, Fatima, Leo": "night train, island, old town, desert, hostel",  # travel
    "Ida, Jon, Mei, Pablo": "kitten, puppy, parrot, tortoise, pony",  # animals
}
LIKE, COMMENT, SHARE, FOLLOW = range(1, 5)
FREQUENCY = [0.0, 0.50, 0.20, 0.15, 0.15]  # of each behaviour among the events


def _posts() -> tuple[list[str], np.ndarray, np.ndarray]:
    """The names of the posts, and the creator and the topic of each, from 1: (V + 1,)."""
    names, creator, topic, n_creators = [""], [0], [0], 0
    for number, (people, subjects) in enumerate(CIRCLES.items(), start=1):
        for person in people.split(", "):
            n_creators += 1
            for subject in subjects.split(", "):
                names.append(f"{person}: {subject}")
                creator.append(n_creators)
                topic.append(number)
    return names, np.array(creator), np.array(topic)


POSTS, CREATOR, TOPIC = _posts()


@dataclass(frozen=True)
class Social(Scenario):
    """Users who meet posts, and like, comment on, share or follow what they meet.

        p(next post | history) = followed * [a post of the creator last followed] / 5
                                 + shared * [a post of the topic last shared] / 20
                                 + liked * [a post of the topic last liked or commented on] / 20
                                 + (1 - followed - shared - liked) / V

    Each creator has 5 posts and each topic 4 creators. Before the first follow, share or like its
    weight goes to chance. A share is a stronger sign than a like as long as `shared` > `liked`.

    So what counts is not the last event but the last one of each kind. The behaviour of an event
    does not depend on its post: the probabilities are `FREQUENCY`. Times are in hours and mean
    nothing here.

    Parameters
    ----------
    followed, shared, liked : float
        The three weights, probabilities with a sum of at most 1.
    """

    followed: float = 0.50
    shared: float = 0.30
    liked: float = 0.10

    names: ClassVar[list[str]] = POSTS
    behaviour_names: ClassVar[list[str]] = ["", "like", "comment", "share", "follow"]
    creator: ClassVar[np.ndarray] = CREATOR  # of each post, (V + 1,); creator[0] is 0
    topic: ClassVar[np.ndarray] = TOPIC

    def __post_init__(self):
        mixture_rest(followed=self.followed, shared=self.shared, liked=self.liked)

    @cached_property
    def _next(self) -> np.ndarray:
        """p(post | creator followed, topic shared, topic liked), 0 for none yet, as one table.

        (creators + 1, topics + 1, topics + 1, V + 1)
        """
        chance = (np.arange(self.n_items + 1) > 0) / self.n_items
        of_creator, of_topic = (
            np.vstack(
                [chance] + [(group == g) / (group == g).sum() for g in range(1, group[-1] + 1)]
            )
            for group in (CREATOR, TOPIC)
        )
        rest = mixture_rest(followed=self.followed, shared=self.shared, liked=self.liked)
        return (
            self.followed * of_creator[:, None, None]
            + self.shared * of_topic[:, None]
            + self.liked * of_topic
            + rest * chance
        )

    def sample(
        self, n_users: int, rng: np.random.Generator, *, length: tuple[int, int] = (8, 20)
    ) -> Events:
        """Draw the events of new users, 1 to 24 hours apart; parameters as in `Shop.sample`."""
        lengths = draw_lengths(n_users, length, rng)
        shape = n_users, length[1]
        behaviours = rng.choice(5, shape, p=FREQUENCY)
        times = rng.uniform(1, 24, shape).cumsum(axis=1)
        posts = np.zeros(shape, np.int64)
        followed, shared, liked = np.zeros((3, n_users), np.int64)
        for t in range(length[1]):
            post, did = draw(self._next[followed, shared, liked], rng), behaviours[:, t]
            followed = np.where(did == FOLLOW, CREATOR[post], followed)
            shared = np.where(did == SHARE, TOPIC[post], shared)
            liked = np.where(did <= COMMENT, TOPIC[post], liked)
            posts[:, t] = post
        return Events(*(cut_rows(table, lengths) for table in (posts, behaviours, times)))

    def next_probabilities(
        self, histories: Sequence[np.ndarray], *, behaviours: Sequence[np.ndarray] | None = None
    ) -> np.ndarray:
        """The exact p(next post | history).

        Parameters
        ----------
        histories : sequence of (length,) arrays of ids 1..V
        behaviours : sequence of (length,) arrays, or None
            None: they are hidden, and p is what is known without them, by Bayes' rule.

        Returns
        -------
        (users, V + 1) float64; column 0, the padding, is 0
        """
        histories = check_ids("histories", histories, 1, self.n_items)
        did = [[None] * len(history) for history in histories]
        if behaviours is not None:
            check_per_event("behaviours", behaviours, histories)
            did = [row.tolist() for row in check_ids("behaviours", behaviours, 1, FOLLOW)]
        p = np.empty((len(histories), self.n_items + 1))
        for user, history in enumerate(histories):
            events = zip(history.tolist(), did[user], strict=True)
            p[user] = expected(forward((0, 0, 0), events, self._step), self._next)
        return p

    def _step(self, state: tuple[int, int, int], event: tuple) -> Iterator[tuple]:
        """All ways in which an event may have come about: (its probability, the state then).

        A state is (creator followed, topic shared, topic liked), an event (post, behaviour); the
        behaviour is None where it is hidden.
        """
        (followed, shared, liked), (post, behaviour) = state, event
        p, creator, topic = self._next[state][post], int(CREATOR[post]), int(TOPIC[post])
        ways = {
            LIKE: (followed, shared, topic),
            COMMENT: (followed, shared, topic),
            SHARE: (followed, topic, liked),
            FOLLOW: (creator, shared, liked),
        }
        for did in ways if behaviour is None else (behaviour,):
            yield FREQUENCY[did] * p, ways[did]
