"""The article's listing, run in Keras: what fails as printed, and that ours is the repaired one."""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from attention_from_scratch.article.keras_defaults import KerasAdam, params_to_keras
from attention_from_scratch.article.listing import STAGES, listing
from attention_from_scratch.networks import pipeline
from attention_from_scratch.tree import tree_map

PATH = Path(__file__).parent.parent / "golden" / "keras_listing.py"
spec = importlib.util.spec_from_file_location("keras_listing", PATH)
printed = importlib.util.module_from_spec(spec)
spec.loader.exec_module(printed)

MOST_EPSILONS = 300
QUERY_BIAS = 5  # its place among the weights


def epsilons(found, expected, scale=None):
    """The largest error over the largest entry, in epsilons of the dtype."""
    expected = np.asarray(expected)
    scale = np.abs(expected).max() if scale is None else scale
    dtype = found.dtype if isinstance(found, np.ndarray | np.generic) else np.float32
    return np.abs(found - expected).max() / scale / np.finfo(dtype).eps


@pytest.fixture(params=["float32", "float64"])
def dtype(request):
    before = keras.config.floatx()
    printed.set_dtype(request.param)
    yield request.param
    printed.set_dtype(before)


def pair(dtype="float32", *, shaken=True, **settings):
    """A Keras model and ours, with its weights."""
    theirs, ours = printed.create_model(dtype=dtype, **settings), listing(dtype=dtype)
    if shaken:
        printed.shaken(theirs)
    ours.set_weights(theirs.get_weights())
    return theirs, ours


# --- as printed


def test_the_printed_model_cannot_be_made():
    with pytest.raises(ValueError, match="expected min_ndim=2, found ndim=1"):
        printed.create_model(repaired=False)


def test_the_printed_embedding_has_no_item_5_and_takes_minus_1_for_its_last_row():
    table = keras.layers.Embedding(5, 2)
    with pytest.raises(tf.errors.InvalidArgumentError, match=r"= 5 is not in \[0, 5\)"):
        table(np.array([[1, 2, 3, 4, 5]]))
    np.testing.assert_array_equal(table(np.array([-1])), table(np.array([4])))
    np.testing.assert_array_equal(table(np.array([1.7])), table(np.array([1])))


def test_the_length_of_a_sequence_is_the_number_of_items():
    model = printed.create_model(1000, 1000)
    assert model.input_shape == (None, 1000)
    with pytest.raises(ValueError, match=r"expected shape=\(None, 5\), found shape=\(1, 4\)"):
        printed.create_model().predict(np.ones((1, 4), int), verbose=0)


def test_classes_must_be_one_hot():
    x, y = printed.sequences(4)
    with pytest.raises(ValueError, match="must have the same rank"):
        printed.create_model().fit(x, y.argmax(axis=1), verbose=0)


def test_padding_is_an_item_like_any_other():
    model = printed.shaken(printed.create_model())
    padded = model.predict(np.array([[0, 0, 0, 1, 2]]), verbose=0)
    weights = model.get_weights()
    weights[0][0] += 1
    model.set_weights(weights)
    assert np.abs(model.predict(np.array([[0, 0, 0, 1, 2]]), verbose=0) - padded).max() > 0.01


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # in Keras' save
def test_what_is_saved_cannot_be_loaded(tmp_path):
    """Its layer takes none of the arguments that Keras hands to every layer."""
    model = printed.create_model(summed=False)
    model.save(tmp_path / "model.keras")
    with pytest.raises(TypeError, match="unexpected keyword argument 'trainable'"):
        keras.models.load_model(
            tmp_path / "model.keras", custom_objects={"SelfAttention": printed.SelfAttention}
        )


# --- repaired


@pytest.mark.parametrize("shaken", [False, True])
def test_outputs_loss_and_gradients_are_those_of_keras(dtype, shaken):
    theirs, ours = pair(dtype, shaken=shaken)
    x, y = printed.sequences(32)
    outputs = ours.predict(x)
    assert outputs.dtype == dtype
    assert epsilons(outputs, theirs.predict(x, verbose=0)) < MOST_EPSILONS

    expected_loss, expected = printed.loss_and_gradients(theirs, x, y)
    loss, backward = pipeline.next_item_loss(
        ours.params, x, y.argmax(axis=1)[:, None] + 1, stages=STAGES
    )
    assert epsilons(loss, expected_loss) < MOST_EPSILONS
    largest = max(np.abs(gradient).max() for gradient in expected)
    for i, (found, gradient) in enumerate(zip(params_to_keras(backward()), expected, strict=True)):
        scale = largest if i == QUERY_BIAS else None  # 0 but for rounding, in both
        assert epsilons(found, gradient, scale) < MOST_EPSILONS, theirs.weights[i].path


def test_training_takes_the_steps_of_keras():
    """Ten epochs of five batches, the last of them short, in one order, from Keras' fresh values.

    (From others: the golden values.)
    """
    theirs, ours = pair(shaken=False)
    x, y = printed.sequences(37)
    settings = {**printed.SCHEDULE, "validation_data": printed.sequences(10, 1), "shuffle": False}
    expected = theirs.fit(x, y, **settings, verbose=0)
    found = ours.fit(x, y, **settings, progress=False)
    assert found.epoch == expected.epoch
    assert found.history.keys() == expected.history.keys()
    for name, curve in expected.history.items():
        assert epsilons(found.history[name], curve) < MOST_EPSILONS, name


def test_weights_go_back_to_keras():
    theirs, ours = pair()
    x, y = printed.sequences(32)
    ours.fit(x, y, epochs=2, progress=False)
    theirs.set_weights(ours.get_weights())
    assert epsilons(ours.predict(x), theirs.predict(x, verbose=0)) < MOST_EPSILONS


def test_initial_values_have_the_spread_of_keras():
    """Largest entry and standard deviation of every weight, over four models of each."""
    drawn = [printed.create_model().get_weights() for _ in range(4)]
    ours = [listing(seed=seed).get_weights() for seed in range(4)]
    for theirs, mine in zip(zip(*drawn, strict=True), zip(*ours, strict=True), strict=True):
        theirs, mine = np.stack(theirs), np.stack(mine)
        assert mine.shape == theirs.shape
        assert mine.dtype == theirs.dtype
        assert mine.std() == pytest.approx(theirs.std(), rel=0.1)
        assert np.abs(mine).max() == pytest.approx(np.abs(theirs).max(), rel=0.15)
        assert mine.mean() == pytest.approx(theirs.mean(), abs=0.03)


# --- Keras' Adam and items that occur more than once in a batch


def gradients_of_occurrences(model, ids, targets):
    """The gradients, and for each row of the table sum_i g_i^2 over the events that read it.

    Each event gets a row of its own in a table made for the batch, so its gradient stands alone.
    """
    table = model.params["items"]["ids"]
    apart = np.concatenate([table[:1], table[ids.ravel()]])
    params = {**model.params, "items": {"ids": apart, "projections": {}}}
    own_rows = 1 + np.arange(ids.size).reshape(ids.shape)
    _, backward = pipeline.next_item_loss(params, own_rows, targets, stages=STAGES)
    grads = backward()
    events = grads["items"]["ids"][1:]
    summed, squares = np.zeros_like(table), np.zeros_like(table)
    np.add.at(summed, ids.ravel(), events)
    np.add.at(squares, ids.ravel(), events**2)
    return {**grads, "items": {"ids": summed, "projections": {}}}, squares


def test_on_tensorflow_keras_squares_the_gradients_of_an_item_one_by_one():
    """With that put into v, our steps are those of Keras as it comes; without, they are not."""
    theirs, ours = pair(summed=False)
    _, summed = pair(summed=False)
    x, y = printed.sequences(40)
    targets = y.argmax(axis=1)[:, None] + 1
    settings = {"batch_size": 8, "shuffle": False}
    expected = theirs.fit(x, y, epochs=2, **settings, verbose=0).history["loss"]

    adam, losses = KerasAdam(ours.params), []
    for _ in range(2):
        for start in range(0, len(x), 8):
            batch = slice(start, start + 8)
            losses.append(ours.evaluate(x[batch], y[batch])["loss"])
            grads, squares = gradients_of_occurrences(ours, x[batch], targets[batch])
            params = tree_map(np.copy, ours.params)
            v = 0.999 * adam.square["items"]["ids"] + 0.001 * squares
            adam.update(params, grads)
            adam.square["items"]["ids"] = v
            m, t = adam.mean["items"]["ids"], adam.step_count
            step = 1e-3 * (1 - 0.999**t) ** 0.5 / (1 - 0.9**t)
            params["items"]["ids"] = ours.params["items"]["ids"] - step * m / (v**0.5 + 1e-7)
            ours.params = params
    found = np.mean(np.reshape(losses, (2, 5)), axis=1).astype(np.float32)
    assert epsilons(found, expected) < MOST_EPSILONS
    apart = summed.fit(x, y, epochs=2, **settings, progress=False).history["loss"]
    assert abs(apart[1] - expected[1]) > 1e-3


FIRST_STEP = """
import keras, numpy as np
table = keras.layers.Embedding(3, 2, embeddings_initializer="zeros")
events = keras.Input((4,), dtype="int32")
model = keras.Model(events, keras.layers.GlobalAveragePooling1D()(table(events)))
model.compile(keras.optimizers.Adam(0.1), loss=lambda _, output: keras.ops.sum(output))
model.fit(np.ones((1, 4), int), np.zeros((1, 2)), verbose=0)
print(float(table.get_weights()[0][1, 0]))
"""


@pytest.mark.parametrize(
    ("backend", "step"), [("tensorflow", -0.2), ("jax", -0.1), ("torch", -0.1)]
)
def test_the_first_step_of_an_item_that_occurs_four_times(backend, step):
    """The first step of Adam is lr = 0.1, whatever the gradient; on TensorFlow it is lr sqrt(4)."""
    run = subprocess.run(
        [sys.executable, "-c", FIRST_STEP],
        env=os.environ | {"KERAS_BACKEND": backend},
        capture_output=True,
        text=True,
        check=True,
    )
    assert float(run.stdout.split()[-1]) == pytest.approx(step, rel=1e-3)
