"""An item is its id and its features."""

import numpy as np
import pytest

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


def test_a_row_of_zeros_adds_nothing():
    matrix = np.arange(12.0).reshape(6, 2)
    matrix[[0, 3]] = 0
    params = {"ids": PARAMS["ids"], "projections": {"words": np.ones((2, D))}}
    table, _ = item_table(params, {"words": matrix})
    assert np.array_equal(table[[0, 3]], PARAMS["ids"][[0, 3]])
