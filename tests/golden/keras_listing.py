"""The article's listing in Keras, section 5.2, and what Keras computes for it.

Layer by layer as printed, but for the two repairs without which it does not run (`repaired`), and
a width and a dtype of one's own. `python tests/golden/keras_listing.py` prints how far ours is from
it; needs the `frameworks` extra.
"""

import keras
import numpy as np
import tensorflow as tf

SCHEDULE = {"epochs": 10, "batch_size": 8}  # of 27 sequences: 40 steps


class SelfAttention(keras.layers.Layer):
    """Both maps, the softmax over axis 1, the weighted sum: as printed."""

    def __init__(self, units):
        super().__init__()
        self.W = keras.layers.Dense(units)
        self.V = keras.layers.Dense(units)

    def call(self, inputs):
        query, value = self.W(inputs), self.V(inputs)
        return tf.reduce_sum(tf.nn.softmax(query, axis=1) * value, axis=1)


class SummedAdam(keras.optimizers.Adam):
    """Adam that squares the gradient of an item, not those of its occurrences one by one.

    With TensorFlow beneath it, Keras hands Adam one row for each time an item occurs in the batch,
    and Keras' Adam adds up their squares: sum_i g_i^2 in place of (sum_i g_i)^2. With JAX or
    PyTorch beneath it the rows are summed first, as here.
    """

    def update_step(self, gradient, variable, learning_rate):
        super().update_step(tf.convert_to_tensor(gradient), variable, learning_rate)


def create_model(input_dim=5, output_dim=5, *, dim=64, repaired=True, summed=True, dtype="float32"):
    """A compiled model; not repaired, it fails where the printed one fails."""
    before = keras.config.floatx()
    set_dtype(dtype)
    try:
        inputs = keras.Input((input_dim,))
        x = keras.layers.Embedding(input_dim + (1 if repaired else 0), dim)(inputs)
        x = keras.layers.LSTM(dim, return_sequences=repaired)(x)
        x = SelfAttention(dim)(x)
        outputs = keras.layers.Dense(output_dim, activation="softmax")(x)
        model = keras.Model(inputs=inputs, outputs=outputs)
        model.compile(
            optimizer=SummedAdam() if summed else "adam",
            loss="categorical_crossentropy",
            metrics=["accuracy"],
        )
        model.optimizer.build(model.trainable_variables)  # its own arrays are of this dtype, too
    finally:
        set_dtype(before)
    return model


def set_dtype(dtype):
    keras.config.set_floatx(dtype)
    keras.config.set_dtype_policy(dtype)


def shaken(model, seed=0):
    """Weights away from the zeros and ones that a model starts from."""
    rng = np.random.default_rng(seed)
    model.set_weights([w + 0.3 * rng.standard_normal(w.shape) for w in model.get_weights()])
    return model


def sequences(n, seed=0, *, input_dim=5, output_dim=5):
    """Random items and one-hot classes; some items are missing from some batches."""
    rng = np.random.default_rng(seed)
    x = rng.integers(1, input_dim + 1, (n, input_dim))
    return x, np.eye(output_dim)[rng.integers(output_dim, size=n)]


def loss_and_gradients(model, x, y):
    """Mean loss, and the gradient of every weight in the order of get_weights()."""
    with tf.GradientTape() as tape:
        loss = model.compute_loss(x=x, y=tf.cast(y, model.dtype), y_pred=model(x, training=True))
    gradients = tape.gradient(loss, model.trainable_variables)
    return loss.numpy(), [tf.convert_to_tensor(gradient).numpy() for gradient in gradients]


def golden_values(dim=16):
    """What Keras computes, in float32, for weights, sequences and classes that come with it."""
    keras.utils.set_random_seed(0)
    model, (x, y) = shaken(create_model(dim=dim)), sequences(27)
    held_out = sequences(10, seed=1)
    values = {"version": np.array(f"keras {keras.__version__} (tensorflow {tf.__version__})")}
    values |= {name: np.array(value) for name, value in SCHEDULE.items()}
    values |= {"x": x, "y": y, "held_out.x": held_out[0], "held_out.y": held_out[1]}
    values |= numbered("weights", model.get_weights())
    values["loss"], gradients = loss_and_gradients(model, x, y)
    values |= numbered("gradients", gradients)
    values["probabilities"] = model.predict(x, verbose=0)
    history = model.fit(x, y, **SCHEDULE, validation_data=held_out, shuffle=False, verbose=0)
    values |= {f"history.{name}": np.array(curve) for name, curve in history.history.items()}
    return values | numbered("trained", model.get_weights())


def numbered(name, arrays):
    return {f"{name}.{i}": array for i, array in enumerate(arrays)}


def agreement(n=37):
    """Print the largest error of ours over the largest entry, in epsilons of float32."""
    from attention_from_scratch.article.keras_defaults import params_to_keras
    from attention_from_scratch.article.listing import STAGES, listing
    from attention_from_scratch.networks import pipeline

    def show(name, found, expected, scale=None):
        scale = np.abs(expected).max() if scale is None else scale
        error = np.abs(np.asarray(found) - expected).max() / scale / np.finfo(np.float32).eps
        print(f"{name:34}{error:7.1f}")

    keras.utils.set_random_seed(0)
    theirs, ours, (x, y) = create_model(), listing(), sequences(n)
    ours.set_weights(theirs.get_weights())
    made_with = f"keras {keras.__version__} (tensorflow {tf.__version__}), ours on plain ops"
    print(f"{made_with}, errors in epsilons of float32")
    show("probabilities", ours.predict(x), theirs.predict(x, verbose=0))
    expected_loss, expected = loss_and_gradients(theirs, x, y)
    loss, backward = pipeline.next_item_loss(
        ours.params, x, y.argmax(axis=1)[:, None] + 1, stages=STAGES
    )
    show("loss", loss, expected_loss)
    largest = max(np.abs(gradient).max() for gradient in expected)
    for weight, found, gradient in zip(
        theirs.weights, params_to_keras(backward()), expected, strict=True
    ):
        nothing = np.abs(gradient).max() < 1e-6 * largest
        name = f"d {weight.path}" + (", which is 0" if nothing else "")
        show(name, found, gradient, largest if nothing else None)
    as_it_comes = create_model(summed=False)
    as_it_comes.set_weights(theirs.get_weights())
    settings = {**SCHEDULE, "validation_data": sequences(10, seed=1), "shuffle": False}
    expected = theirs.fit(x, y, **settings, verbose=0).history
    found = ours.fit(x, y, **settings, progress=False).history
    for name in expected:
        show(f"{name}, {SCHEDULE['epochs']} epochs", found[name], np.array(expected[name]))
    expected = as_it_comes.fit(x, y, **settings, verbose=0).history["loss"]
    print("\nwith the Adam that Keras has on TensorFlow (SummedAdam says what it does):")
    print(f"loss after each epoch, Keras {np.round(expected, 4)}")
    print(f"                       ours  {np.round(found['loss'], 4)}")


if __name__ == "__main__":
    agreement()
