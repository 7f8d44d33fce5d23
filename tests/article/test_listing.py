"""The article's listing: as Keras computes it, by its stored values, and what it will not take."""

import re
import sys
from pathlib import Path

import numpy as np
import pytest

from attention_from_scratch.article.keras_defaults import (
    KerasAdam,
    params_from_keras,
    params_to_keras,
)
from attention_from_scratch.article.listing import STAGES, batches_of, listing
from attention_from_scratch.models import Pipeline
from attention_from_scratch.networks import pipeline
from attention_from_scratch.training import Adam
from attention_from_scratch.tree import tree_leaves

GOLDEN = dict(np.load(Path(__file__).parent.parent / "golden" / "listing.npz"))
EPSILON = np.finfo(np.float32).eps
MOST_EPSILONS = 300


def numbered(name):
    count = sum(key.startswith(f"{name}.") for key in GOLDEN)
    return [GOLDEN[f"{name}.{i}"] for i in range(count)]


def epsilons(found, expected, scale=None):
    """The largest error over the largest entry, in epsilons of float32."""
    scale = np.abs(expected).max() if scale is None else scale
    return np.abs(np.asarray(found) - expected).max() / scale / EPSILON


@pytest.fixture
def model():
    """The listing with the weights that the golden values belong to."""
    model = listing(dim=GOLDEN["weights.0"].shape[1])
    model.set_weights(numbered("weights"))
    return model


def one_hot(classes, n=5):
    return np.eye(n)[classes]


# --- the numbers of Keras


def test_probabilities_are_those_of_keras(model):
    found = model.predict(GOLDEN["x"])
    assert found.dtype == np.float32
    assert epsilons(found, GOLDEN["probabilities"]) < MOST_EPSILONS


def test_loss_and_every_gradient_are_those_of_keras(model):
    targets = GOLDEN["y"].argmax(axis=1)[:, None] + 1
    loss, backward = pipeline.next_item_loss(model.params, GOLDEN["x"], targets, stages=STAGES)
    assert epsilons(loss, GOLDEN["loss"]) < MOST_EPSILONS
    found, expected = params_to_keras(backward()), numbered("gradients")
    assert [a.shape for a in found] == [a.shape for a in expected]
    largest = max(np.abs(array).max() for array in expected)
    for i, (ours, theirs) in enumerate(zip(found, expected, strict=True)):
        # The softmax over time takes no notice of its bias: the gradient is 0, and rounding.
        scale = largest if i == 5 else None
        assert epsilons(ours, theirs, scale) < MOST_EPSILONS, i
    assert np.abs(expected[5]).max() < EPSILON * largest


def test_training_goes_where_it_goes_in_keras(model):
    history = model.fit(
        GOLDEN["x"],
        GOLDEN["y"],
        epochs=int(GOLDEN["epochs"]),
        batch_size=int(GOLDEN["batch_size"]),
        validation_data=(GOLDEN["held_out.x"], GOLDEN["held_out.y"]),
        shuffle=False,
        progress=False,
    )
    assert history.epoch == list(range(10))
    assert set(history.history) == {"loss", "accuracy", "val_loss", "val_accuracy"}
    for name, curve in history.history.items():
        assert epsilons(curve, GOLDEN[f"history.{name}"]) < MOST_EPSILONS, name
    assert history.history["loss"][-1] < history.history["loss"][0] - 0.3
    for i, (ours, theirs) in enumerate(zip(model.get_weights(), numbered("trained"), strict=True)):
        if i != 5:
            assert epsilons(ours, theirs) < MOST_EPSILONS, i


def test_eps_stands_before_the_correction_and_that_shows_where_gradients_are_small():
    """Two steps written out with numbers; algorithm 1 takes steps three times as long here."""
    params, other, grads = {"w": np.ones(1)}, {"w": np.ones(1)}, {"w": np.array([1e-6])}
    adam, algorithm_1 = KerasAdam(params), Adam(other, eps=1e-7)
    w, m, v = 1.0, 0.0, 0.0
    for t in (1, 2):
        adam.update(params, grads)
        algorithm_1.update(other, grads)
        m, v = 0.9 * m + 0.1 * 1e-6, 0.999 * v + 0.001 * 1e-12
        w -= 1e-3 * (1 - 0.999**t) ** 0.5 / (1 - 0.9**t) * m / (v**0.5 + 1e-7)
        assert params["w"][0] == pytest.approx(w, rel=1e-12)
    assert 1 - other["w"][0] > 3 * (1 - w) > 1e-3


def test_weights_go_there_and_back(model):
    for ours, theirs in zip(model.get_weights(), numbered("weights"), strict=True):
        np.testing.assert_array_equal(ours, theirs)
    params = params_from_keras(numbered("weights"))
    for ours, theirs in zip(params_to_keras(params), numbered("weights"), strict=True):
        np.testing.assert_array_equal(ours, theirs)
    model.get_weights()[0][:] = 0  # a copy
    assert model.params["items"]["ids"].all()


# --- what it is


def test_it_is_the_pipeline(model):
    """The estimator with these stages and weights ranks alike; the shapes are the estimator's."""
    other = Pipeline(
        n_items=5,
        max_len=5,
        dim=16,
        encoder="lstm",
        attention="featurewise",
        aggregation="pooled",
        decoder="dense",
        positions=False,
    )
    assert other.stages == model.stages
    shapes = {path: leaf.shape for path, leaf in tree_leaves(other.initial_params())}
    del shapes["encoder.hidden.bias"]  # Keras' LSTM has one bias
    assert {path: leaf.shape for path, leaf in tree_leaves(model.params)} == shapes
    other.params = model.params
    scores = other.scores(GOLDEN["x"])[:, 1:]
    odds = np.exp(scores - scores.max(axis=1, keepdims=True))
    expected = odds / odds.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(model.predict(GOLDEN["x"]), expected, rtol=1e-5)


def test_the_numbers_of_parameters_are_those_that_keras_prints():
    """41,989 as printed, and 64 for the row that the embedding lacks."""
    assert sum(leaf.size for _, leaf in tree_leaves(listing().params)) == 41_989 + 64


def test_initial_values_are_those_of_keras_layers():
    table, kernel, recurrent, bias, *linears = listing(dim=64).get_weights()
    assert 0.049 < np.abs(table).max() <= 0.05
    for array, n_in, n_out in [
        (kernel, 64, 256),
        (linears[0], 64, 64),
        (linears[2], 64, 64),
        (linears[4], 64, 5),
    ]:
        limit = (6 / (n_in + n_out)) ** 0.5
        assert array.shape == (n_in, n_out)
        assert 0.98 * limit < np.abs(array).max() <= limit * (1 + EPSILON)
        assert array.std() == pytest.approx(limit / 3**0.5, rel=0.1)
    np.testing.assert_allclose(recurrent @ recurrent.T, np.eye(64), atol=1e-6)
    np.testing.assert_array_equal(bias, np.repeat([0, 1, 0, 0], 64))
    assert not any(linears[i].any() for i in (1, 3, 5))


def test_a_seed_makes_the_same_model_and_another_seed_another():
    x, y = GOLDEN["x"], GOLDEN["y"]
    curves = []
    for seed in (0, 0, 1):
        model = listing(dim=4, seed=seed)
        curves.append(model.fit(x, y, epochs=2, batch_size=8, progress=False).history["loss"])
    assert curves[0] == curves[1] != curves[2]


def test_each_epoch_has_every_sequence_once_in_an_order_of_its_own():
    ids, targets = np.arange(10)[:, None], 10 + np.arange(10)[:, None]

    def order(epoch, seed):
        batches = [shard for (shard,) in batches_of(ids, targets, 4, seed)(epoch)]
        assert [len(shard.ids) for shard in batches] == [4, 4, 2]
        for shard in batches:
            np.testing.assert_array_equal(shard.targets, shard.ids + 10)
        return np.concatenate([shard.ids[:, 0] for shard in batches]).tolist()

    assert order(1, None) == order(2, None) == list(range(10))
    assert sorted(order(1, 0)) == list(range(10))
    assert order(1, 0) == order(1, 0)
    assert order(1, 0) not in (order(2, 0), order(1, 1), order(1, None))


def test_fit_shuffles_unless_told_not_to():
    x, y = GOLDEN["x"], GOLDEN["y"]
    curves = [
        listing(dim=4).fit(x, y, epochs=2, batch_size=8, shuffle=shuffle, progress=False).history
        for shuffle in (True, False)
    ]
    assert curves[0]["loss"] != curves[1]["loss"]


def test_fit_goes_on_where_it_stopped():
    """Twice three epochs are six, the moments of Adam included."""
    x, y = GOLDEN["x"], GOLDEN["y"]
    settings = {"batch_size": 8, "shuffle": False, "progress": False}
    once, twice = listing(dim=4), listing(dim=4)
    whole = once.fit(x, y, epochs=6, **settings).history["loss"]
    parts = [twice.fit(x, y, epochs=3, **settings).history["loss"] for _ in range(2)]
    assert whole == [*parts[0], *parts[1]]


def test_it_learns_the_item_after_the_last():
    rng = np.random.default_rng(0)
    x = rng.integers(1, 6, (400, 5))
    y = one_hot(x[:, -1] % 5)
    model = listing(dim=16, lr=1e-2)
    history = model.fit(x[:300], y[:300], validation_data=(x[300:], y[300:]), progress=False)
    assert history.history["val_accuracy"][-1] == 1
    assert model.evaluate(x[300:], y[300:])["accuracy"] == 1


def test_the_classes_the_items_and_the_length_may_differ():
    model = listing(7, 3, length=4, dim=6, dtype="float64")
    found = model.predict(np.full((2, 4), 7))
    assert found.shape == (2, 3)
    assert found.dtype == np.float64
    np.testing.assert_allclose(found.sum(axis=1), 1)
    model.fit(np.full((2, 4), 7), one_hot([0, 2], 3), epochs=1, progress=False)


def test_many_sequences_are_predicted_in_parts(monkeypatch, model):
    whole = model.predict(GOLDEN["x"])
    monkeypatch.setattr(sys.modules[listing.__module__], "PREDICTED_AT_ONCE", 4)
    np.testing.assert_allclose(model.predict(GOLDEN["x"]), whole, rtol=1e-5)


# --- what it will not take

FULL = np.array([[1, 2, 3, 4, 5]])


@pytest.mark.parametrize("wrong", [0, 6, -1])
def test_an_id_that_is_no_item_is_one_error(wrong):
    x = FULL.copy()
    x[0, 2] = wrong
    message = (
        f"x holds {wrong}, but must hold items 1..5: the listing masks nothing, so there is no "
        "padding"
    )
    with pytest.raises(ValueError, match=re.escape(message)):
        listing(dim=2).predict(x)


@pytest.mark.parametrize(
    ("x", "y", "message"),
    [
        (FULL[:, :4], [0], "x has shape (1, 4), but must be (n, 5): the listing masks nothing"),
        (FULL[0], [0], "x has shape (5,), but must be (n, 5)"),
        (FULL[:0], [], "x has shape (0, 5), but must be (n, 5)"),
        (FULL, np.array([2]), "y has shape (1,), but must be (1, 5), one-hot"),
        (FULL, one_hot([1, 2]), "y has shape (2, 5), but must be (1, 5), one-hot"),
        (FULL, one_hot([1]) / 2, "y[0] was [0.0, 0.5, 0.0, 0.0, 0.0], but must be one-hot"),
        (FULL, one_hot([1]) + one_hot([2]), "y[0] was [0.0, 1.0, 1.0, 0.0, 0.0], but"),
        (FULL, one_hot([1]) * np.nan, "y[0] was [nan, nan, nan, nan, nan], but"),
    ],
)
def test_data_that_do_not_fit_are_named(x, y, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        listing(dim=2).fit(x, y, progress=False)


def test_ids_that_are_no_integers_are_named():
    with pytest.raises(TypeError, match="x has dtype float64, but must hold integers"):
        listing(dim=2).predict(FULL + 0.5)


@pytest.mark.parametrize(
    ("validation_data", "message"),
    [
        (FULL, "validation_data must be a pair (x, y)"),
        ((FULL + 1, one_hot([1])), "validation_data[0] holds 6, but"),
        ((FULL, one_hot([1, 2])), "validation_data[1] has shape (2, 5), but must be (1, 5)"),
    ],
)
def test_validation_data_that_do_not_fit_are_named(validation_data, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        listing(dim=2).fit(FULL, one_hot([1]), validation_data=validation_data, progress=False)


def test_the_printed_embedding_lacks_a_row():
    model = listing()
    weights = model.get_weights()
    weights[0] = weights[0][1:]
    message = "weights[0] has shape (5, 64), but must be (6, 64), a row for every item and one"
    with pytest.raises(ValueError, match=re.escape(message)):
        model.set_weights(weights)
    with pytest.raises(ValueError, match="weights has 9 arrays, but must have 10"):
        model.set_weights(weights[1:])


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"input_dim": 0}, "input_dim was 0, but must be an integer from 1 on"),
        ({"output_dim": 2.5}, "output_dim was 2.5, but must be an integer from 1 on"),
        ({"length": 0}, "length was 0, but must be an integer from 1 on"),
        ({"lr": 0}, "lr was 0, but must be finite and above 0"),
        ({"dtype": "float16"}, "dtype was 'float16', but must be one of"),
    ],
)
def test_settings_that_cannot_be_are_named(settings, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        listing(**settings)


def test_a_training_that_fails_leaves_the_model_as_it_was():
    model = listing(dim=4, lr=1e38)
    before = model.get_weights()
    x, y = GOLDEN["x"], GOLDEN["y"]
    with pytest.raises(FloatingPointError, match="a smaller lr may help"):
        model.fit(x, y, epochs=20, batch_size=8, progress=False)
    for ours, expected in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(ours, expected)
    assert model.optimizer.step_count == 0
