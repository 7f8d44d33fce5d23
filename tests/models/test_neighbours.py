import math

import numpy as np
import pytest

from attention_from_scratch.models.neighbours import ItemKNN, UserKNN, largest

V = 12  # item 12 has no event
HALF_LIVES = [None, 3.0]


@pytest.fixture
def train():
    """Fifteen users of 1 to 8 events among the items 1..11; some come twice."""
    rng = np.random.default_rng(5)
    return [rng.integers(1, V, rng.integers(1, 9)).tolist() for _ in range(15)]


@pytest.fixture
def asked(train):
    """Histories of strangers, of training users who went on, and of one who met half of it all."""
    return [[3, 1, 4], [11, 2, 11, 7, 12], [*train[0], 5], [*train[6], 9, 2], [1, 2, 3, 4, 5, 6]]


def slow_weights(history, half_life):
    """Item -> weight, event by event; the last time counts."""
    age = {item: len(history) - 1 - place for place, item in enumerate(history)}
    return {item: 1 if half_life is None else 0.5 ** (n / half_life) for item, n in age.items()}


def slow_user_knn(train, history, k, half_life):
    weights = slow_weights(history, half_life)
    length = math.sqrt(sum(weight**2 for weight in weights.values()))
    neighbours = []
    for user, other in enumerate(map(set, train)):
        product = sum(weight for item, weight in weights.items() if item in other)
        if product and other - set(history):
            neighbours.append((-product / (length * math.sqrt(len(other))), user, other))
    scores = np.zeros(V + 1)
    for similarity, _, other in sorted(neighbours, key=lambda n: (round(n[0], 12), n[1]))[:k]:
        for item in other:
            scores[item] -= similarity
    return scores[1:]


def slow_item_knn(train, history, k, shrinkage, half_life):
    users = {item: {u for u, h in enumerate(train) if item in h} for item in range(1, V + 1)}

    def similarity(i, j):
        if i == j or not users[i] or not users[j]:
            return 0
        root = math.sqrt(len(users[i]) * len(users[j]))
        return len(users[i] & users[j]) / (root + shrinkage)

    scores = np.zeros(V + 1)
    for item, weight in slow_weights(history, half_life).items():
        nearest = sorted(users, key=lambda j, i=item: (-similarity(i, j), j))[:k]
        for other in nearest:
            scores[other] += weight * similarity(item, other)
    return scores[1:]


@pytest.mark.parametrize("half_life", HALF_LIVES)
@pytest.mark.parametrize("k", [1, 4, 100])
def test_the_most_similar_users_vote_for_their_items(train, asked, k, half_life):
    scores = UserKNN(V, k, half_life).fit(train).scores(asked)
    for row, history in zip(scores, asked, strict=True):
        np.testing.assert_allclose(row[1:], slow_user_knn(train, history, k, half_life))


@pytest.mark.parametrize("half_life", HALF_LIVES)
@pytest.mark.parametrize("shrinkage", [0, 2.5])
@pytest.mark.parametrize("k", [1, 4, 100])
def test_the_items_of_the_history_vote_for_those_nearest(train, asked, k, shrinkage, half_life):
    scores = ItemKNN(V, k, shrinkage, half_life).fit(train).scores(asked)
    for row, history in zip(scores, asked, strict=True):
        expected = slow_item_knn(train, history, k, shrinkage, half_life)
        np.testing.assert_allclose(row[1:], expected)


def test_similarity_of_users_is_the_cosine_of_their_items():
    model = UserKNN(V, half_life=None).fit([[1, 2, 3, 4], [5], [2, 9]])
    np.testing.assert_allclose(model.similarity(np.array([2, 3, 8])), [2 / 12**0.5, 0, 1 / 6**0.5])


@pytest.mark.parametrize("more", [[], [9], [9, 12]])
def test_a_users_own_training_history_changes_nothing(train, more):
    for user, own in enumerate(train):
        others = train[:user] + train[user + 1 :]
        scores, expected = (
            UserKNN(V, k=3).fit(users).scores([[*own, *more]])[0, 1:] for users in (train, others)
        )
        # Only popularity, where there is no neighbour, counts their events too.
        if not np.array_equal(expected, np.log1p(UserKNN(V).fit(others).item_counts[1:])):
            np.testing.assert_array_equal(scores, expected)


def test_without_a_neighbour_popularity_decides():
    user_knn, item_knn = (kind(V).fit([[1, 2], [1, 2], [2, 3], [4]]) for kind in (UserKNN, ItemKNN))
    popularity = np.log1p([2, 3, 1, 1, *[0] * 8])
    for model, history in [(user_knn, [12]), (user_knn, [4]), (item_knn, [12]), (item_knn, [4])]:
        np.testing.assert_allclose(model.scores([history])[0, 1:], popularity)
    # Whoever met all that the others met has no neighbour either.
    np.testing.assert_allclose(user_knn.scores([[1, 2, 3]])[0, 1:], popularity)


def test_how_often_a_user_met_an_item_does_not_matter(train, asked):
    twice = [[item for item in history for _ in range(2)] for history in train]
    for kind in (UserKNN, ItemKNN):
        once, doubled = (kind(V, k=4).fit(users).scores(asked) for users in (train, twice))
        np.testing.assert_array_equal(once, doubled)


def test_without_a_half_life_the_order_means_nothing(train, asked):
    for kind in (UserKNN, ItemKNN):
        model = kind(V, half_life=None).fit(train)
        turned = [history[::-1] for history in asked]
        np.testing.assert_allclose(model.scores(asked), model.scores(turned))
        model = kind(V).fit(train)
        assert not np.allclose(model.scores(asked[:1]), model.scores(turned[:1]))


def test_the_largest_are_those_above_0_and_of_equal_ones_the_first():
    values = np.array([0.5, 0, 2, 0.5, 0.5, 3])
    assert sorted(largest(values, 3)) == [0, 2, 5]
    assert sorted(largest(values, 2)) == [2, 5]
    assert sorted(largest(values, 10)) == sorted(largest(values, 5)) == [0, 2, 3, 4, 5]
    assert largest(np.zeros(4), 2).tolist() == largest(np.zeros(0), 2).tolist() == []


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: UserKNN(V, k=0), "k was 0, but must be an integer from 1 on"),
        (lambda: ItemKNN(V, k=1.5), "k was 1.5, but must be an integer from 1 on"),
        (lambda: ItemKNN(V, shrinkage=-1), "shrinkage was -1, but must be finite and at least 0"),
    ],
)
def test_a_setting_that_cannot_be_is_named(make, message):
    with pytest.raises(ValueError, match=f"^{message}$"):
        make()
