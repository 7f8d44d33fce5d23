"""The article's listing, section 5.2, as a configuration of the pipeline.

    create_model:  Embedding -> LSTM -> SelfAttention -> Dense, softmax
    ours:          embed     -> lstm -> featurewise   -> dense

It has what Keras gives it unless told otherwise: its initial values, its Adam, its history of
epochs, its order of weights. Two things are repaired, because nothing runs as printed:

    LSTM(64)                 gives its last state only, and the attention, which sums over axis 1,
                             then sums the features away; here it gives its state after every event
    Embedding(input_dim, 64) has no row for item `input_dim` of <1, ..., input_dim>; here it has
                             one row more. Class c of the output is item c + 1.

The listing masks nothing: to it padding would be an item like any other. So a sequence is full, and
an id outside 1..input_dim is an error.
"""

from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass, field

import numpy as np

from attention_from_scratch.arguments import check_dtype, check_integer
from attention_from_scratch.article.keras_defaults import (
    KerasAdam,
    init_params,
    params_from_keras,
    params_to_keras,
)
from attention_from_scratch.interop.tensors import as_array
from attention_from_scratch.networks import pipeline
from attention_from_scratch.networks.decoders import dense_head
from attention_from_scratch.networks.item_table import item_table
from attention_from_scratch.ops import softmax
from attention_from_scratch.training import Shard, shard_pool, stream
from attention_from_scratch.training.loop import descend
from attention_from_scratch.tree import Tree, tree_map

STAGES = pipeline.Stages(
    encoder="lstm", attention="featurewise", aggregation="pooled", decoder="dense"
)
PREDICTED_AT_ONCE = 1024  # sequences, so that memory does not grow with their number


@dataclass
class History:
    """What `fit` returns: `history` has a list of one number an epoch for each name in it."""

    epoch: list[int] = field(default_factory=list)
    history: dict[str, list[float]] = field(default_factory=dict)

    def append(self, row: dict[str, float]) -> None:
        """Write down one epoch; they are numbered from 0, as in Keras."""
        self.epoch.append(len(self.epoch))
        for name, value in row.items():
            self.history.setdefault(name, []).append(value)


class Listing:
    """Embedding, LSTM, the listing's attention, a dense softmax; with the calls of Keras' model.

    It computes with plain ops, always: it has no setting `ops`.

    Parameters
    ----------
    input_dim : int
        The items are 1..input_dim. In the listing it is the length of a sequence as well.
    output_dim : int
        Classes. Class c of a one-hot row is item c + 1.
    length : int or None
        Events in a sequence; None: input_dim, as in the listing.
    dim : int
        Width of everything in between.
    lr : float
        Step size of Adam.
    seed : int
        From it come the initial values and the order of the batches.
    dtype : "float32" or "float64"

    Attributes
    ----------
    params : tree as of `pipeline.init_params`
    stages : pipeline.Stages
    """

    stages = STAGES

    def __init__(
        self,
        input_dim: int = 5,
        output_dim: int = 5,
        *,
        length: int | None = None,
        dim: int = 64,
        lr: float = 1e-3,
        seed: int = 0,
        dtype: str = "float32",
    ):
        self.n_items = check_integer("input_dim", input_dim, 1)
        self.n_classes = check_integer("output_dim", output_dim, 1)
        length = self.n_items if length is None else check_integer("length", length, 1)
        self.config = {
            "max_len": length,
            "dim": check_integer("dim", dim, 1),
            "seed": check_integer("seed", seed, 0),
            "dtype": check_dtype(dtype),
        }
        self.params = self.initial_params()
        self.optimizer = KerasAdam(self.params, lr=lr)

    def initial_params(self) -> Tree:
        """Fresh parameters, drawn from the seed."""
        rng = stream(self.config["seed"], "parameters")
        return init_params(
            rng, self.n_items, self.n_classes, self.config["dim"], self.config["dtype"]
        )

    def fit(
        self,
        x: np.ndarray,
        y: np.ndarray,
        *,
        epochs: int = 10,
        batch_size: int = 32,
        validation_data: tuple[np.ndarray, np.ndarray] | None = None,
        shuffle: bool = True,
        progress: bool | None = None,
    ) -> History:
        """Go on training from the weights, and the moments of Adam, as they are.

        The weights of the last epoch are kept. If it fails or is interrupted, the model stays as it
        was.

        Parameters
        ----------
        x : (n, length) of integers in 1..input_dim
        y : (n, output_dim), one-hot
        validation_data : (x, y) or None
            Looked at after every epoch; nothing is chosen by it.
        shuffle : bool
            Draw the order of the sequences anew in each epoch.
        progress : bool or None
            Whether to show a bar; None: if a person is looking.

        Returns
        -------
        History
            "loss" and "accuracy" are means over an epoch's batches, each measured before its step;
            "val_loss" and "val_accuracy" are of the weights after the epoch.

        Raises
        ------
        ValueError, TypeError
            For sequences that are not full, items that are not there, rows that are not one-hot.
        FloatingPointError
            When the training diverges.
        """
        from tqdm import tqdm  # here, so that importing the package stays fast

        ids, targets = self.check_pair("x", x, "y", y)
        held_out = self.check_validation(validation_data)
        epochs, seed = check_integer("epochs", epochs, 1), self.config["seed"]
        batches = batches_of(
            ids, targets, check_integer("batch_size", batch_size, 1), seed if shuffle else None
        )
        params, optimizer = tree_map(np.copy, self.params), deepcopy(self.optimizer)
        right, history = [], History()
        with shard_pool(1) as parallel:
            steps = descend(
                counting_loss(right),
                params,
                batches,
                optimizer,
                parallel,
                epochs=epochs,
                seed=seed,
            )
            hidden = None if progress is None else not progress
            for row, _ in tqdm(steps, total=epochs, unit="epoch", disable=hidden):
                measured = {"loss": row["loss"], "accuracy": float(np.mean(right))}
                right.clear()
                if held_out is not None:
                    validation = measure(params, *held_out)
                    measured |= {f"val_{name}": value for name, value in validation.items()}
                history.append(measured)
        self.params, self.optimizer = params, optimizer
        return history

    def predict(self, x: np.ndarray) -> np.ndarray:
        """Probability of every class: (n, length) -> (n, output_dim)."""
        return probabilities(self.params, self.check_sequences("x", x))

    def evaluate(self, x: np.ndarray, y: np.ndarray) -> dict[str, float]:
        """The mean "loss" in nats and the "accuracy" over these sequences."""
        return measure(self.params, *self.check_pair("x", x, "y", y))

    def get_weights(self) -> list[np.ndarray]:
        """Copies of the weights, in the order of Keras' get_weights()."""
        return [np.array(weight) for weight in params_to_keras(self.params)]

    def set_weights(self, weights: Sequence) -> None:
        """Take the weights of the Keras model, in the order of its get_weights()."""
        mine, given = params_to_keras(self.params), [as_array(weight) for weight in weights]
        if len(given) != len(mine):
            raise ValueError(f"weights has {len(given)} arrays, but must have {len(mine)}")
        for i, (have, want) in enumerate(zip(given, mine, strict=True)):
            if have.shape != want.shape:
                raise ValueError(
                    f"weights[{i}] has shape {have.shape}, but must be {want.shape}"
                    + (", a row for every item and one for padding" if i == 0 else "")
                )
        self.params = params_from_keras([array.astype(self.config["dtype"]) for array in given])

    # --- what may come in

    def check_sequences(self, name: str, x) -> np.ndarray:
        """`x` as an int64 array, if it is of full sequences of items that are there."""
        x, length = np.asarray(x), self.config["max_len"]
        if x.ndim != 2 or x.shape[1] != length or not len(x):
            raise ValueError(
                f"{name} has shape {x.shape}, but must be (n, {length}): the listing masks "
                "nothing, so every sequence is full"
            )
        if x.dtype.kind not in "iu":
            raise TypeError(f"{name} has dtype {x.dtype}, but must hold integers")
        wrong = x[(x < 1) | (x > self.n_items)]
        if wrong.size:
            raise ValueError(
                f"{name} holds {wrong[0]}, but must hold items 1..{self.n_items}: the listing "
                "masks nothing, so there is no padding"
            )
        return x.astype(np.int64)

    def check_pair(self, x_name: str, x, y_name: str, y) -> tuple[np.ndarray, np.ndarray]:
        """Sequences, and the item after each: ids (n, length) and targets (n, 1)."""
        ids, y = self.check_sequences(x_name, x), np.asarray(y)
        if y.shape != (len(ids), self.n_classes):
            raise ValueError(
                f"{y_name} has shape {y.shape}, but must be ({len(ids)}, {self.n_classes}), one-hot"
            )
        one_hot = ((y == 0) | (y == 1)).all(axis=1) & (y.sum(axis=1) == 1)
        if not one_hot.all():
            row = int(np.argmin(one_hot))
            raise ValueError(f"{y_name}[{row}] was {y[row].tolist()}, but must be one-hot")
        return ids, y.argmax(axis=1)[:, None] + 1

    def check_validation(self, validation_data):
        """The pair as ids and targets; None stays None."""
        if validation_data is None:
            return None
        if not isinstance(validation_data, tuple | list) or len(validation_data) != 2:
            raise ValueError("validation_data must be a pair (x, y)")
        x, y = validation_data
        return self.check_pair("validation_data[0]", x, "validation_data[1]", y)


def listing(input_dim: int = 5, output_dim: int = 5, **settings) -> Listing:
    """The article's create_model(input_dim, output_dim), repaired: it gives a `Listing`."""
    return Listing(input_dim, output_dim, **settings)


# --- the model


def probabilities(params: Tree, ids: np.ndarray) -> np.ndarray:
    """The probability of every class, for each sequence: (n, L) -> (n, C)."""
    table, _ = item_table(params["items"], {})
    parts = []
    for start in range(0, len(ids), PREDICTED_AT_ONCE):
        part = ids[start : start + PREDICTED_AT_ONCE]
        known, _ = pipeline.states(params, table, part, {}, STAGES)
        logits = dense_head(params["decoder"], known[:, -1], table)
        parts.append(softmax(logits)[0])
    return np.concatenate(parts)


def measure(params: Tree, ids: np.ndarray, targets: np.ndarray) -> dict[str, float]:
    """Mean loss and accuracy over sequences and the item after each."""
    loss, _ = pipeline.next_item_loss(params, ids, targets, stages=STAGES)
    right = probabilities(params, ids).argmax(axis=1) + 1 == targets[:, 0]
    return {"loss": float(loss), "accuracy": float(right.mean())}


# --- its training


def batches_of(ids, targets, batch_size: int, seed: int | None):
    """Epoch -> batches, as `descend` asks; their order is drawn from the seed (None: as given)."""

    def batches(epoch):
        order = np.arange(len(ids))
        if seed is not None:
            order = stream(seed, "order", epoch).permutation(order)
        for start in range(0, len(ids), batch_size):
            part = order[start : start + batch_size]
            yield [Shard(ids[part], targets[part], [])]

    return batches


def counting_loss(right: list):
    """A loss for `descend` that also notes in `right` whether the model ranks each target first."""

    def loss(params, shard, *, rng, total):
        right.extend(probabilities(params, shard.ids).argmax(axis=1) + 1 == shard.targets[:, 0])
        return pipeline.next_item_loss(params, shard.ids, shard.targets, stages=STAGES, total=total)

    return loss
