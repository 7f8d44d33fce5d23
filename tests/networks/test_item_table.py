"""An item is its id and its features; what cannot be features is one clear error."""

import numpy as np
import pytest

from attention_from_scratch.arguments import check_features
from attention_from_scratch.networks.item_table import item_table
from attention_from_scratch.verify import check_gradients

V, D = 5, 3
RNG = np.random.default_rng(0)
FEATURES = {"words": RNG.standard_normal((V + 1, 4)), "genre": RNG.standard_normal((V + 1, 2))}
PARAMS = {
    "ids": RNG.standard_normal((V + 1, D)),
    "projections": {n: RNG.standard_normal((f.shape[1], D)) for n, f in FEATURES.items()},
}
KEEP = np.array([True, True, False, True, False, True])


@pytest.mark.parametrize("keep", [None, KEEP])
def test_an_item_is_the_sum_of_its_id_and_of_all_that_is_known_of_it(keep):
    table, backward = item_table(PARAMS, FEATURES, keep=keep)
    d_table = np.random.default_rng(1).standard_normal(table.shape)
    grads = backward(d_table)
    d_projections = {name: np.zeros((f.shape[1], D)) for name, f in FEATURES.items()}
    for item in range(V + 1):
        kept = keep is None or keep[item]
        expected = PARAMS["ids"][item] if kept else np.zeros(D)
        for name, matrix in FEATURES.items():
            for i, value in enumerate(matrix[item]):
                expected = expected + value * PARAMS["projections"][name][i]
                d_projections[name][i] += value * d_table[item]
        np.testing.assert_allclose(table[item], expected, rtol=0, atol=1e-14)
        assert np.array_equal(grads["ids"][item], d_table[item] if kept else np.zeros(D))
    for name, expected in d_projections.items():
        np.testing.assert_allclose(grads["projections"][name], expected, rtol=0, atol=1e-14)


@pytest.mark.parametrize("keep", [None, KEEP])
def test_its_gradient_is_the_derivative(keep):
    report = check_gradients(item_table, PARAMS, features=FEATURES, keep=keep)
    assert report.passed, report


def test_without_features_the_table_is_that_of_the_ids():
    params = {"ids": PARAMS["ids"], "projections": {}}
    table, backward = item_table(params, {})
    assert np.array_equal(table, PARAMS["ids"])
    assert backward(table)["projections"] == {}


def test_what_is_not_known_is_a_row_of_zeros_and_adds_nothing():
    matrix = np.arange(12.0).reshape(6, 2)
    matrix[3, 1] = np.nan
    features = check_features({"words": matrix, "genre": FEATURES["genre"]}, V, "float64")
    assert features["words"].tolist() == [[0, 0], [2, 3], [4, 5], [0, 0], [8, 9], [10, 11]]
    assert np.array_equal(features["genre"][1:], FEATURES["genre"][1:])
    assert np.isnan(matrix[3, 1])  # the caller's own is left as it was
    params = {"ids": PARAMS["ids"], "projections": {"words": np.ones((2, D))}}
    table, _ = item_table(params, {"words": features["words"]})
    assert np.array_equal(table[[0, 3]], PARAMS["ids"][[0, 3]])


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_features_take_the_dtype_of_the_model(dtype):
    given = {"flags": np.ones((6, 2), bool), "counts": [[1, 2]] * 6}
    features = check_features(given, V, dtype)
    assert {matrix.dtype for matrix in features.values()} == {np.dtype(dtype)}
    assert check_features(None, V, dtype) == check_features({}, V, dtype) == {}


@pytest.mark.parametrize(
    ("features", "message"),
    [
        ({"genre": np.ones((5, 2))}, r"features\['genre'\] has 5 rows, but the catalogue needs 6"),
        ({"genre": np.ones((7, 2))}, r"features\['genre'\] has 7 rows, but the catalogue needs 6"),
        ({"genre": np.ones(6)}, r"features\['genre'\] has shape \(6,\), but must be \(6, width\)"),
        ({"genre": np.ones((6, 0))}, r"features\['genre'\] has shape \(6, 0\), but must be"),
        ({"genre": np.full((6, 2), np.inf)}, r"features\['genre'\] holds an infinity; what is not"),
        ({"genre": np.full((6, 2), -np.inf)}, r"features\['genre'\] holds an infinity"),
        ({"genre": [["drama"]] * 6}, r"features\['genre'\] is no matrix of numbers"),
        ({"genre": [[1], [1, 2]]}, r"features\['genre'\] is no matrix of numbers"),
        ({"a b": np.ones((6, 2))}, "features has the name 'a b', but a name must be a word"),
        ({3: np.ones((6, 2))}, "features has the name 3, but a name must be a word"),
        (np.ones((6, 2)), "features was a ndarray, but must be a mapping from names to matrices"),
        ([np.ones((6, 2))], "features was a list, but must be a mapping from names to matrices"),
    ],
)
def test_features_that_cannot_be_are_an_error_that_names_them(features, message):
    with pytest.raises(ValueError, match=f"^{message}"):
        check_features(features, V, "float32")
