"""BPR-MF: matrix factorisation, taught that what a user chose ranks above what the user did not.

The order of the events plays no part: this is the yardstick for models to which it does.

Source: Rendle, Freudenthaler, Gantner & Schmidt-Thieme, BPR: Bayesian Personalized Ranking from
Implicit Feedback (UAI 2009).
"""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import KW_ONLY, dataclass

import numpy as np

from attention_from_scratch.arguments import check_context, check_histories
from attention_from_scratch.models.recommender import Histories
from attention_from_scratch.models.trained import TrainedRecommender, TrainedSettings
from attention_from_scratch.networks import factorisation
from attention_from_scratch.settings import Number, Whole, option
from attention_from_scratch.training.negatives import draw_unseen
from attention_from_scratch.tree import Tree

DIGEST_BYTES = 16  # in the digest of a training history, by which its user is known again
FOLD_IN_NEGATIVES = 30  # items not chosen that each event of a new user is held against


@dataclass(frozen=True)
class Triples:
    """A part of a batch: (n,) users, an item that each has chosen, and one not chosen."""

    users: np.ndarray
    positives: np.ndarray
    negatives: np.ndarray

    @property
    def count(self) -> int:
        """Number of triples, which is the number of losses in the shard."""
        return len(self.users)


@dataclass(frozen=True)
class BPRSettings(TrainedSettings):
    """The settings of a `BPR`."""

    dim: int = option(64, Whole(), "D, width of the vectors")
    _: KW_ONLY
    regularization: float = option(0.003, Number(above_0=False), "of users, items and biases")


class BPR(TrainedRecommender):
    """Matrix factorisation with Bayesian personalised ranking.

    It is handed histories and no names, so it knows a user by the training history: a history that
    begins with it is that user's, if the training history makes at least half of it. (What came
    after it does not change the user's vector.) Anybody else gets a vector by `fold_in`.

    Besides the settings it takes `users`, (U, 16) of uint8 or None: digests of the training
    histories of a model that `load` reads.

    Source: Rendle et al., BPR: Bayesian Personalized Ranking from Implicit Feedback (2009). It
    differs in that Adam takes the steps, over batches of triples, and that there are biases.
    """

    KIND = "bpr"
    Settings = BPRSettings
    ranks_only = True

    def __init__(
        self, *args, users: np.ndarray | None = None, fast: bool | None = None, **settings
    ):
        super().__init__(*args, fast=fast, **settings)
        self.users = check_digests(users)

    @property
    def constants(self) -> dict:
        """The digests by which users are known again."""
        return {"users": self.users}

    def initial_params(self) -> Tree:
        """Fresh parameters, drawn from the seed."""
        sizes = self.settings.only("n_items", "dim", "dtype") | {"n_users": len(self.users)}
        return factorisation.init_params(self.stream("parameters"), **sizes)

    def fit(
        self,
        histories: Histories,
        *,
        epochs: int,
        batch_size: int = 8192,
        lr: float = 5e-3,
        **settings,
    ) -> "BPR":
        """Train from fresh parameters, as `TrainedRecommender.fit` does and with its parameters.

        Every event (every wanted one) makes a triple in each epoch, with an item drawn anew;
        `batch_size` counts events.
        """
        before, histories = self.users, check_histories(histories, self.n_items)
        # The base class hands on just these histories to `batches`, in this order.
        self.users = digests([history for history in histories if len(history) > 1])
        try:
            return super().fit(histories, epochs=epochs, batch_size=batch_size, lr=lr, **settings)
        except BaseException:
            self.users = before
            raise

    def batches(
        self, sequences, batch_size, epoch, *, context=None, wanted=None, pool=1, pieces=False
    ) -> Iterator[list[Triples]]:
        """Batches of one epoch: each event makes one triple, in an order drawn anew each time."""
        rng = self.stream("order", epoch)
        users = np.repeat(np.arange(len(sequences)), [len(sequence) for sequence in sequences])
        positives = np.concatenate(sequences)
        if wanted is not None:
            flags = np.concatenate(wanted)
            users, positives = users[flags], positives[flags]
        negatives = draw_unseen(sequences, users, self.n_items, rng)
        order = rng.permutation(len(users))
        for start in range(0, len(order), batch_size):
            parts = np.array_split(order[start : start + batch_size], self.shards["n_shards"])
            yield [Triples(users[p], positives[p], negatives[p]) for p in parts if len(p)]

    @property
    def shards(self) -> dict[str, int]:
        """Few, for the gradients of each are as large as the model."""
        return {"n_shards": 2}

    def loss(self, params, shard, *, rng, total):
        """Loss of a shard of a batch, as `train` wants it."""
        triples = (shard.users, shard.positives, shard.negatives)
        settings = self.settings.only("regularization") | {"total": total, "ops": self.ops}
        return factorisation.bpr_loss(params, *triples, **settings)

    def scores_with(self, params, item_counts, histories, context=None) -> np.ndarray:
        """The scores that a model with these parameters and counts would give, (users, V + 1)."""
        histories = check_histories(histories, self.n_items)
        check_context(context, {}, histories)
        scores = self.user_vectors(params, histories) @ params["items"].T + params["bias"]
        scores[[len(history) == 0 for history in histories]] = np.log1p(item_counts)
        scores[:, 0] = -np.inf
        return scores

    def user_vectors(self, params, histories) -> np.ndarray:
        """The vector of each history's user, (B, D); 0 where it is empty."""
        vectors = np.zeros((len(histories), self.settings.dim), self.settings.dtype)
        # Of two users with the same training history, the first stands for both.
        row_of = {row.tobytes(): place for place, row in reversed(list(enumerate(self.users)))}
        for vector, history in zip(vectors, histories, strict=True):
            row = known_row(row_of, history)
            if row is not None:
                vector[:] = params["users"][row]
            elif len(history):
                vector[:] = self.vector_of_stranger(params, history)
        return vectors

    def vector_of_stranger(self, params, history) -> np.ndarray:
        """The vector of a user who was not there in training, (D,): by `fold_in`."""
        rng = np.random.default_rng(self.settings.seed)  # the same for everybody
        chosen = np.repeat(history, FOLD_IN_NEGATIVES)
        nobody = np.zeros(len(chosen), np.int64)
        others = draw_unseen([history], nobody, self.n_items, rng)
        regularization = self.settings.regularization
        return factorisation.fold_in(
            params, chosen, others, regularization=regularization, ops=self.ops
        )


def digest(history: np.ndarray) -> bytes:
    """`DIGEST_BYTES` bytes by which a history is known again."""
    return hashlib.blake2b(history.astype("<i8").tobytes(), digest_size=DIGEST_BYTES).digest()


def digests(histories: Sequence[np.ndarray]) -> np.ndarray:
    """The digest of each history: (U, 16) of uint8."""
    joined = b"".join(digest(history) for history in histories)
    return np.frombuffer(joined, np.uint8).reshape(-1, DIGEST_BYTES)


def check_digests(users) -> np.ndarray:
    """The digests as an array, an empty one for None; raise unless they have their form."""
    users = digests([]) if users is None else np.asarray(users)
    if users.dtype != np.uint8 or users.ndim != 2 or users.shape[1] != DIGEST_BYTES:
        raise ValueError(
            f"users is {users.dtype} of shape {users.shape}, "
            f"but must be uint8 of shape (U, {DIGEST_BYTES})"
        )
    return users


def known_row(row_of: dict[bytes, int], history: np.ndarray) -> int | None:
    """Which row of the table of users is that of this history; None if nobody's.

    Its user is the one whose training history is its longest beginning, at least half of it.
    """
    for length in range(len(history), (len(history) - 1) // 2, -1):
        row = row_of.get(digest(history[:length]))
        if row is not None:
            return row
    return None
