"""The newspaper of the news scenario: its topics, and the titles and times of its articles."""

from itertools import product

import numpy as np

# A title is a word of each part: cabinet tax vote, cabinet tax debate, and so on.
TOPICS = {
    "politics": "cabinet senate minister coalition, tax budget border pension, "
    "vote debate reform crisis",
    "sports": "striker goalkeeper coach captain, league cup derby transfer, "
    "victory injury ban record",
    "science": "comet genome fossil particle, telescope lab archive satellite, "
    "discovery theory mystery image",
    "business": "bank retailer startup factory, profit merger export shares, "
    "forecast slump surge strike",
    "weather": "coast mountain valley island, snow rain storm heat, warning damage relief alert",
    "culture": "museum theatre orchestra cinema, spring winter jubilee charity, "
    "premiere gala festival tour",
    "travel": "airport railway ferry hotel, ticket luggage weekend family, "
    "guide delay discount queue",
    "food": "bakery vineyard chef market, cheese tomato noodle truffle, "
    "recipe tasting harvest shortage",
}
N_ARTICLES = 480
HOURS_BETWEEN = 1.5  # from one article to the next: the paper appears for 30 days
END = N_ARTICLES * HOURS_BETWEEN


def _newspaper() -> tuple[list[str], np.ndarray, list[str], np.ndarray]:
    """The titles, topics (V + 1,) from 1, all words, and who has which: (V + 1, words)."""
    rng = np.random.default_rng(0)  # the order in which topics and titles appear
    topic = np.append(0, rng.permutation(N_ARTICLES) % len(TOPICS) + 1)
    titles, words = [""] * len(topic), []
    for number, parts in enumerate(TOPICS.values(), start=1):
        parts = [part.split() for part in parts.split(", ")]
        choices = rng.permutation(list(product(*parts)))
        for article, choice in zip(np.flatnonzero(topic == number), choices, strict=False):
            titles[article] = " ".join(choice)
        words += [word for part in parts for word in part]
    column = {word: number for number, word in enumerate(words)}
    features = np.zeros((len(titles), len(words)))
    for row, title in zip(features, titles, strict=True):
        row[[column[word] for word in title.split()]] = 1
    return titles, topic, words, features


TITLES, TOPIC, WORDS, FEATURES = _newspaper()
IN_TOPIC = np.equal.outer(np.arange(len(TOPICS) + 1), TOPIC).astype(float)  # (topics + 1, V + 1)
PUBLISHED = np.append(np.inf, np.arange(N_ARTICLES) * HOURS_BETWEEN)  # id 0 never was
