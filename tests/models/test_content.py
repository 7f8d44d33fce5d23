import math
import re

import numpy as np
import pytest

from attention_from_scratch.models import content
from attention_from_scratch.models.content import ContentBased

V = 8
TRAIN = [[1, 2], [2, 3, 2], [8]]
ASKED = [[1, 2, 4], [3], [6, 6, 5], [7, 1], [2, 3, 4, 5, 8, 1, 1]]


@pytest.fixture
def features():
    """Kinds (of 5 nothing is known), words (of 5 and 6), and a price (of 3 and 5)."""
    rng = np.random.default_rng(2)
    kinds = rng.integers(0, 2, (V + 1, 3)).astype(float)
    kinds[:, 2] = 1
    words, price = rng.normal(size=(V + 1, 4)), rng.normal(20, 5, size=(V + 1, 1))
    kinds[5] = words[[5, 6]] = price[[3, 5]] = np.nan
    kinds[0] = words[0] = price[0] = 0
    return {"kinds": kinds, "words": words, "price": price}


def slow_scores(features, history, half_life):
    """Item by item and matrix by matrix."""
    age = {item: len(history) - 1 - place for place, item in enumerate(history)}
    weights = {item: 0.5 ** (n / half_life) if half_life else 1 for item, n in age.items()}
    scores = np.zeros(V + 1)
    for matrix in features.values():
        rows = {item: matrix[item] for item in range(1, V + 1) if not np.isnan(matrix[item]).any()}
        if matrix.shape[1] == 1:
            values = np.array([row[0] for row in rows.values()])
            rows = {item: (row - values.mean()) / values.std() for item, row in rows.items()}
        else:
            rows = {item: row / np.linalg.norm(row) for item, row in rows.items()}
        known = [item for item in weights if item in rows]
        if not known:
            continue
        total = sum(weights[item] for item in known)
        profile = sum(weights[item] * rows[item] for item in known) / total
        for item, row in rows.items():
            if len(row) == 1:
                scores[item] += math.exp(-((profile[0] - row[0]) ** 2) / 2)
            else:
                scores[item] += profile @ row / np.linalg.norm(profile)
    return scores[1:]


@pytest.mark.parametrize("half_life", [None, 2.0])
@pytest.mark.parametrize("names", [["kinds"], ["words"], ["price"], ["kinds", "words", "price"]])
def test_items_are_scored_by_how_much_they_are_like_the_profile(features, names, half_life):
    chosen = {name: features[name] for name in names}
    histories = [h for h in ASKED if not np.isnan([chosen[n][h, 0] for n in names]).all()]
    scores = ContentBased(V, chosen, half_life).fit(TRAIN).scores(histories)
    for row, history in zip(scores, histories, strict=True):
        np.testing.assert_allclose(row[1:], slow_scores(chosen, history, half_life), atol=1e-12)


def test_batches_change_nothing(features, monkeypatch):
    model = ContentBased(V, features).fit(TRAIN)
    expected = model.scores(ASKED)
    monkeypatch.setattr(content, "BATCH", 2)
    np.testing.assert_allclose(model.scores(ASKED), expected)


def test_of_whose_items_nothing_is_known_popularity_decides(features):
    model = ContentBased(V, features).fit(TRAIN)
    expected = np.log1p([1, 3, 1, 0, 0, 0, 0, 1])
    np.testing.assert_allclose(model.scores([[5], [1], [5, 5]])[[0, 2], 1:], [expected] * 2)
    assert not np.allclose(model.scores([[1]])[0, 1:], expected)


def test_the_scale_of_a_matrix_does_not_matter(features):
    scaled = {name: 7 * matrix for name, matrix in features.items()}
    scaled["price"] += 1000
    one, other = (ContentBased(V, f).fit(TRAIN).scores(ASKED) for f in (features, scaled))
    np.testing.assert_allclose(one, other)


def test_a_row_of_zeros_is_like_nothing():
    matrix = np.zeros((V + 1, 2))
    matrix[1] = matrix[2] = [1, 1]
    scores = ContentBased(V, {"kinds": matrix}).fit(TRAIN).scores([[1], [3]])[:, 1:]
    np.testing.assert_allclose(scores, [[1, 1, 0, 0, 0, 0, 0, 0], [0] * 8])


def test_the_features_are_not_written_to(features):
    for matrix in features.values():
        matrix.setflags(write=False)
    ContentBased(V, features).fit(TRAIN).scores(ASKED)


def with_row(row):
    matrix = np.ones((V + 1, 2))
    matrix[4] = row
    return matrix


@pytest.mark.parametrize(
    ("features", "message"),
    [
        ({}, "features is empty, but needs at least one matrix"),
        (
            {"genres": np.ones((12, 3))},
            "features['genres'] has 12 rows, but the catalogue needs 9 (row 0 is padding)",
        ),
        ({"a": np.ones(9)}, "features['a'] has shape (9,), but must be (9, width)"),
        ({"a": np.ones((9, 0))}, "features['a'] has shape (9, 0), but must be (9, width)"),
        (
            {"a": with_row([1, np.nan])},
            "features['a'] row 4 must be numbers throughout, or NaN throughout",
        ),
        (
            {"a": with_row([1, np.inf])},
            "features['a'] holds an infinity; what is not known is NaN",
        ),
    ],
)
def test_features_that_are_none_are_an_error_that_names_them(features, message):
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        ContentBased(V, features)
