"""The catalogue in chunks of rows is the catalogue."""

import numpy as np
import pytest

from attention_from_scratch import fast, ops
from attention_from_scratch.fast import losses
from attention_from_scratch.verify import check_gradients
from tests.fast.comparing import assert_with, drawn, each_dtype


@pytest.mark.parametrize("rows", [1, 3, 4, 9])
@pytest.mark.parametrize("reduction", ["mean", "sum"])
@pytest.mark.parametrize("weighted", [False, True])
@each_dtype
@pytest.mark.usefixtures("shifts")
def test_the_catalogue_in_chunks_is_the_catalogue(rows, reduction, weighted, dtype, monkeypatch):
    monkeypatch.setattr(losses, "CHUNK", 4)
    x, weight, shares = drawn((rows, 2, 3), (3, 7), (rows, 2), dtype=dtype)
    targets = np.random.default_rng(1).integers(7, size=(rows, 2))
    keywords = {"reduction": reduction}
    if weighted:
        keywords["position_weights"] = np.where(shares > 1, 0, np.abs(shares))
    quick = dict.fromkeys((ops.linear_cross_entropy, fast.linear_cross_entropy), keywords)
    inputs = (x, weight, targets)
    assert_with(*quick, inputs, quick, dtype)


@pytest.mark.usefixtures("shifts")
def test_the_gradients_of_the_catalogue_in_chunks_are_its_derivatives(monkeypatch):
    monkeypatch.setattr(losses, "CHUNK", 4)
    x, weight = drawn((5, 2, 3), (3, 7))
    targets = np.random.default_rng(1).integers(7, size=(5, 2))
    report = check_gradients(fast.linear_cross_entropy, x, weight, targets)
    assert report.passed, report


def test_a_catalogue_without_positions_costs_nothing():
    x, weight = drawn((0, 3), (3, 7))
    loss, backward = fast.linear_cross_entropy(x, weight, np.zeros(0, int))
    d_x, d_weight = backward()
    assert loss == 0
    assert d_x.shape == (0, 3)
    assert np.all(d_weight == 0)


def test_a_position_without_weight_may_be_infinite():
    x, weight = (array.copy() for array in drawn((4, 3), (3, 7)))
    shares, targets = np.array([0.5, 0, 0.5, 0]), np.array([1, 2, 3, 4])
    loss, backward = fast.linear_cross_entropy(x, weight, targets, position_weights=shares)
    gradients = backward()
    x[1] = np.inf
    x[3] = np.nan
    again, backward = fast.linear_cross_entropy(x, weight, targets, position_weights=shares)
    assert again == loss
    for one, other in zip(gradients, backward(), strict=True):
        assert np.array_equal(one, other)
    assert np.all(gradients[0][[1, 3]] == 0)


def test_targets_that_are_no_column_are_an_error():
    x, weight = drawn((2, 3), (3, 7))
    for of in (ops, fast):
        with pytest.raises(ValueError, match="targets holds 7, but logits have 7 classes"):
            of.linear_cross_entropy(x, weight, np.array([0, 7]))


@pytest.mark.parametrize("of", [ops, fast], ids=["plain", "fast"])
def test_a_catalogue_of_one_item_is_known_exactly(of):
    x, weight = drawn((4, 3), (3, 1))
    loss, backward = of.linear_cross_entropy(x, weight, np.zeros(4, int))
    assert loss == 0
    for gradient in backward():
        assert np.all(gradient == 0)
