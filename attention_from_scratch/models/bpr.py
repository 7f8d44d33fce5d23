"""BPR-MF: matrix factorisation, taught that what a user chose ranks above what the user did not.

A user is a vector and an item is a vector, and the score is their inner product plus the item's
bias. The order of the events plays no part: this is the yardstick for models to which it does.

Source: Rendle, Freudenthaler, Gantner & Schmidt-Thieme, BPR: Bayesian Personalized Ranking from
Implicit Feedback (UAI 2009).
"""

import hashlib
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from numbers import Real

import numpy as np

from attention_from_scratch.models.recommender import Histories, check_histories
from attention_from_scratch.models.settings import check_context, check_dtype
from attention_from_scratch.models.trained import TrainedRecommender
from attention_from_scratch.ops import binary_cross_entropy_with_logits, sigmoid
from attention_from_scratch.training.checks import check_integer
from attention_from_scratch.tree import Tree

N_SHARDS = 2  # of a batch; few, for the gradients of each are as large as the model
DIGEST_BYTES = 16  # of a training history, by which its user is known again
FOLD_IN_NEGATIVES = 30  # for each event
FOLD_IN_STEPS = 50
LEAST_REGULARIZATION = 1e-4  # of a user who is folded in: without any there may be no optimum


def init_params(rng, *, n_users, n_items, dim, dtype="float32") -> Tree:
    """Draw the parameters: {"users" (U, D), "items" (V + 1, D), "bias" (V + 1,)}.

    The vectors are normal with standard deviation 0.1, and the biases are 0.
    """

    def table(rows):
        return rng.normal(0, 0.1, (rows, dim)).astype(dtype)

    return {
        "users": table(n_users),
        "items": table(n_items + 1),
        "bias": np.zeros(n_items + 1, dtype),
    }


def bpr_loss(params: Tree, users, positives, negatives, *, regularization=0.0, total=None):
    """-log sigmoid(x_ui - x_uj): of two items, the one that user u has chosen should score higher.

    With w a user's vector, h an item's and b its bias, x_ui = w_u . h_i + b_i, and each triple
    (u, i, j) costs

        -log sigmoid(x_ui - x_uj) + r/2 (|w_u|^2 + |h_i|^2 + |h_j|^2 + b_i^2 + b_j^2)

    so that a step of gradient descent on one triple is the paper's LearnBPR, with its three
    constants of regularisation equal. With s = sigmoid(x_ui - x_uj) - 1, the slope of the first
    term,

        d_w = s (h_i - h_j) + r w      d_h_i = s w + r h_i      d_h_j = -s w + r h_j

    and likewise d_b_i = s + r b_i, d_b_j = -s + r b_j. What occurs in several triples collects
    the gradient of each.

    Parameters
    ----------
    params : tree of `init_params`
    users, positives, negatives : (N,) of integers
        Rows of the tables: a user, an item that this user has chosen, and one not chosen.
    regularization : float, r
    total : int or None
        What the sum of the losses is divided by; None: N.

    Returns
    -------
    output : ()
    backward : d_output () -> grads

    Source: Rendle et al. (2009), sections 4.2 (BPR-Opt, LearnBPR) and 4.3.1 (MF).
    """
    user = params["users"][users]  # (N, D)
    chosen, other = params["items"][positives], params["items"][negatives]  # (N, D)
    bias_chosen, bias_other = params["bias"][positives], params["bias"][negatives]  # (N,)
    apart = chosen - other
    margins = (user * apart).sum(axis=-1) + bias_chosen - bias_other  # (N,)
    loss, back_loss = binary_cross_entropy_with_logits(
        margins, np.ones_like(margins), reduction="sum"
    )
    penalty = sum((rows * rows).sum() for rows in (user, chosen, other, bias_chosen, bias_other))
    total = max(len(users) if total is None else int(total), 1)

    def backward(d_output=1.0):
        d_total = d_output / total
        d_margins, _ = back_loss(d_total)
        d_penalty = d_total * regularization
        pull = d_margins[:, None] * user  # towards the chosen item, away from the other
        d_user = d_margins[:, None] * apart + d_penalty * user
        d_items = [pull + d_penalty * chosen, d_penalty * other - pull]
        d_bias = [d_margins + d_penalty * bias_chosen, d_penalty * bias_other - d_margins]
        items = np.concatenate([positives, negatives])
        return {
            "users": sum_of_rows(users, d_user, params["users"]),
            "items": sum_of_rows(items, np.concatenate(d_items), params["items"]),
            "bias": sum_of_rows(items, np.concatenate(d_bias), params["bias"]),
        }

    return (loss + regularization / 2 * penalty) / total, backward


def sum_of_rows(ids: np.ndarray, rows: np.ndarray, like: np.ndarray) -> np.ndarray:
    """An array of zeros like `like`, with every row of `rows` added to the row its id names.

    NumPy adds to single numbers several times faster than to rows, so the rows are taken apart.
    """
    summed = np.zeros_like(like)
    width = math.prod(like.shape[1:])
    places = ids[:, None] * width + np.arange(width)
    np.add.at(summed.reshape(-1), places.ravel(), rows.ravel())
    return summed


def draw_unseen(histories: Sequence[np.ndarray], users, n_items: int, rng) -> np.ndarray:
    """Draw an item for each entry of `users`, uniformly from those not in that user's history.

    Of the unseen items, in the order of their ids, number r (from 0) has the id r + 1 + s where s
    is how many seen items stand before it. So one draw is enough, and none has to be repeated.

    Parameters
    ----------
    histories : list of arrays of item ids in 1..V
    users : (N,) of integers
        Indices into `histories`.
    n_items : int, V
    rng : numpy.random.Generator

    Returns
    -------
    (N,) of int64 in 1..V
        A user who has seen the whole catalogue gets any item.
    """
    base = n_items + 1  # user * base + item is a number for each pair, in the order of the users
    owners = np.repeat(np.arange(len(histories)), [len(history) for history in histories])
    pairs = np.sort(owners * base + np.concatenate(histories))
    pairs = pairs[np.diff(pairs, prepend=-1) > 0]  # each once; np.unique takes five times as long
    owners, seen = np.divmod(pairs, base)
    n_seen = np.bincount(owners, minlength=len(histories))
    first = np.cumsum(n_seen) - n_seen  # where in `seen` each user begins
    unseen_before = seen - 1 - (np.arange(len(seen)) - first[owners])  # each seen item

    n_unseen = n_items - n_seen
    number = rng.integers(np.where(n_unseen, n_unseen, n_items)[users])
    place = np.searchsorted(owners * base + unseen_before, users * base + number, side="right")
    return number + 1 + np.where(n_unseen[users], place - first[users], 0)


def fold_in(params: Tree, history: np.ndarray, *, regularization: float, rng) -> np.ndarray:
    """The vector of a user who was not there in training: (D,), the items as they are.

    With the items fixed, `bpr_loss` is a logistic regression of the user's vector w on the
    differences h_i - h_j, and convex. Every event is set against `FOLD_IN_NEGATIVES` items that
    are not in the history. As no curvature of the loss is above that of

        w^T (X^T X / 4 N + r I) w / 2,

    X the differences, a Newton step with this matrix never goes too far.

    Source of the bound: Böhning & Lindsay, Monotonicity of quadratic-approximation algorithms,
    Ann. Inst. Statist. Math. 40 (1988), 641-663.
    """
    items, bias = params["items"], params["bias"]
    positives = np.repeat(history, FOLD_IN_NEGATIVES)
    nobody = np.zeros(len(positives), np.int64)
    negatives = draw_unseen([history], nobody, len(items) - 1, rng)
    apart = items[positives] - items[negatives]  # X: (N, D)
    bias_apart = bias[positives] - bias[negatives]
    regularization = max(regularization, LEAST_REGULARIZATION)
    ridge = regularization * np.eye(items.shape[1], dtype=items.dtype)
    step = np.linalg.inv(apart.T @ apart / (4 * len(apart)) + ridge)
    vector = np.zeros_like(items[0])
    for _ in range(FOLD_IN_STEPS):
        wrong, _ = sigmoid(-apart @ vector - bias_apart)
        vector = vector - step @ (regularization * vector - wrong @ apart / len(apart))
    return vector


@dataclass(frozen=True)
class Triples:
    """A part of a batch: (n,) users, an item that each has chosen, and one not chosen."""

    users: np.ndarray
    positives: np.ndarray
    negatives: np.ndarray

    @property
    def count(self) -> int:
        """Number of triples."""
        return len(self.users)


class BPR(TrainedRecommender):
    """Matrix factorisation with Bayesian personalised ranking.

    It is handed histories and no names, so it knows a user by the training history: a history that
    begins with it is that user's, if the training history makes at least half of it. (What came
    after it does not change the user's vector.) Anybody else gets a vector by `fold_in`.

    Parameters
    ----------
    n_items : int, V
        Items are 1..V.
    dim : int, D
    regularization : float
        Of `bpr_loss`.
    seed : int
        Of the initial parameters and of all draws in training.
    dtype : "float32" or "float64"
    users : (U, 16) of uint8, or None
        Digests of the training histories of a model that `load` reads.

    Source: Rendle et al., BPR: Bayesian Personalized Ranking from Implicit Feedback (2009). It
    differs in that Adam takes the steps, over batches of triples, and that there are biases.
    """

    KIND = "bpr"

    def __init__(
        self,
        n_items: int,
        dim: int = 64,
        *,
        regularization: float = 0.003,
        seed: int = 0,
        dtype: str = "float32",
        users: np.ndarray | None = None,
    ):
        if not (isinstance(regularization, Real) and 0 <= regularization < math.inf):
            raise ValueError(
                f"regularization was {regularization!r}, but must be finite and at least 0"
            )
        super().__init__(
            {
                "n_items": check_integer("n_items", n_items, 1),
                "dim": check_integer("dim", dim, 1),
                "regularization": float(regularization),
                "seed": check_integer("seed", seed, 0),
                "dtype": check_dtype(dtype),
            }
        )
        self.users = check_digests(users)

    @property
    def constants(self) -> dict:
        """The digests by which users are known again."""
        return {"users": self.users}

    def initial_params(self) -> Tree:
        """Fresh parameters, drawn from the seed."""
        names = ("n_items", "dim", "dtype")
        sizes = {name: self.config[name] for name in names} | {"n_users": len(self.users)}
        return init_params(self.stream("parameters"), **sizes)

    def fit(
        self,
        histories: Histories,
        *,
        epochs: int,
        batch_size: int = 8192,
        lr: float = 5e-3,
        **settings,
    ) -> "BPR":
        """As `TrainedRecommender.fit`, but `batch_size` counts events.

        Every event (every wanted one) makes a triple in each epoch, with an item drawn anew.
        """
        before, histories = self.users, check_histories(histories, self.n_items)
        # Those that the base class hands on to `batches`, in the same order.
        self.users = digests([history for history in histories if len(history) > 1])
        try:
            return super().fit(histories, epochs=epochs, batch_size=batch_size, lr=lr, **settings)
        except BaseException:
            self.users = before
            raise

    def batches(
        self, sequences, batch_size, epoch, *, context=None, wanted=None, pool=1, pieces=False
    ) -> Iterator[list[Triples]]:
        """Batches of one epoch: each event once, in an order drawn anew; none has a length."""
        rng = self.stream("order", epoch)
        users = np.repeat(np.arange(len(sequences)), [len(sequence) for sequence in sequences])
        positives = np.concatenate(sequences)
        if wanted is not None:
            flags = np.concatenate(wanted)
            users, positives = users[flags], positives[flags]
        negatives = draw_unseen(sequences, users, self.n_items, rng)
        order = rng.permutation(len(users))
        for start in range(0, len(order), batch_size):
            parts = np.array_split(order[start : start + batch_size], N_SHARDS)
            yield [Triples(users[p], positives[p], negatives[p]) for p in parts if len(p)]

    def loss(self, params, shard, *, rng, total):
        """Loss of a shard of a batch, as `train` wants it."""
        triples = (shard.users, shard.positives, shard.negatives)
        return bpr_loss(params, *triples, regularization=self.config["regularization"], total=total)

    def scores_with(self, params, item_counts, histories, context=None) -> np.ndarray:
        """`scores` of a model with other parameters and counts."""
        histories = check_histories(histories, self.n_items)
        check_context(context, {}, histories)
        scores = self.user_vectors(params, histories) @ params["items"].T + params["bias"]
        scores[[len(history) == 0 for history in histories]] = np.log1p(item_counts)
        scores[:, 0] = -np.inf
        return scores

    def user_vectors(self, params, histories) -> np.ndarray:
        """The vector of each history's user, (B, D); 0 where it is empty."""
        vectors = np.zeros((len(histories), self.config["dim"]), self.config["dtype"])
        # Of two users with the same training history, the first stands for both.
        row_of = {row.tobytes(): place for place, row in reversed(list(enumerate(self.users)))}
        for vector, history in zip(vectors, histories, strict=True):
            row = known_row(row_of, history)
            if row is not None:
                vector[:] = params["users"][row]
            elif len(history):
                rng = np.random.default_rng(self.config["seed"])  # the same for everybody
                regularization = self.config["regularization"]
                vector[:] = fold_in(params, history, regularization=regularization, rng=rng)
        return vectors


def digest(history: np.ndarray) -> bytes:
    """A number of `DIGEST_BYTES` bytes for each history."""
    return hashlib.blake2b(history.astype("<i8").tobytes(), digest_size=DIGEST_BYTES).digest()


def digests(histories: Sequence[np.ndarray]) -> np.ndarray:
    """The digest of each history: (U, 16) of uint8."""
    joined = b"".join(digest(history) for history in histories)
    return np.frombuffer(joined, np.uint8).reshape(-1, DIGEST_BYTES)


def check_digests(users) -> np.ndarray:
    """An array of digests; None stands for none."""
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
