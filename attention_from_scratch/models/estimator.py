"""SASRec with the interface of a recommender: fit, scores, recommend, attention_weights, save."""

from collections.abc import Callable
from pathlib import Path

import numpy as np

from attention_from_scratch.evaluation import evaluate, whole_catalogue
from attention_from_scratch.models import sasrec
from attention_from_scratch.models.recommender import Histories, Recommender, check_histories
from attention_from_scratch.training import (
    Adam,
    draw_negatives,
    epoch_batches,
    load_model,
    pad,
    save_model,
    stream,
    train,
)
from attention_from_scratch.tree import tree_leaves

N_SHARDS = 8  # of a batch; fixed, so that the number of threads does not change the sums
SCORING_BATCH = 128


class SASRec(Recommender):
    """Self-attentive sequential recommendation.

    Parameters
    ----------
    n_items : int, V
        Items are 1..V.
    max_len : int
        How many of the latest events are looked at.
    dim : int, D
    n_blocks, n_heads : int
        n_heads divides dim.
    dropout : float in [0, 1)
    norm : "pre" or "paper"
        `pre_norm_block`, or `paper_block` as in the authors' code.
    loss : "cross_entropy" or "bce"
        Softmax over the whole catalogue, or binary cross-entropy against sampled items.
    n_negatives : int
        Sampled items per event, for "bce".
    seed : int
        Of the initial parameters and of all draws in training.
    dtype : "float32" or "float64"

    Attributes
    ----------
    params : tree of arrays, or None before `fit`
    history : list of dicts
        Loss, metrics and seconds of each epoch of the last `fit`.

    Source: Kang & McAuley, Self-Attentive Sequential Recommendation, ICDM 2018. The softmax loss:
    Klenitskiy & Vasilev, Turning Dross Into Gold Loss, RecSys 2023.
    """

    def __init__(
        self,
        n_items: int,
        max_len: int = 50,
        dim: int = 50,
        n_blocks: int = 2,
        n_heads: int = 1,
        dropout: float = 0.2,
        *,
        norm: str = "pre",
        loss: str = "cross_entropy",
        n_negatives: int = 1,
        seed: int = 0,
        dtype: str = "float32",
    ):
        self.config = {
            "n_items": n_items,
            "max_len": max_len,
            "dim": dim,
            "n_blocks": n_blocks,
            "n_heads": n_heads,
            "dropout": dropout,
            "norm": norm,
            "loss": loss,
            "n_negatives": n_negatives,
            "seed": seed,
            "dtype": dtype,
        }
        check_config(self.config)
        self.n_items, self.max_len = n_items, max_len
        self.params = None
        self.item_counts = np.zeros(n_items + 1, np.int64)
        self.history: list[dict] = []
        self.best_epoch = 0
        self.interrupted = False

    def fit(
        self,
        histories: Histories,
        *,
        epochs: int,
        validation: np.ndarray | None = None,
        metric: str = "NDCG@10",
        protocol: Callable | None = None,
        evaluate_every: int = 5,
        patience: int | None = 50,
        batch_size: int = 128,
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.98),
        weight_decay: float = 0.0,
        clip: float | None = None,
        threads: int | None = None,
        progress: bool | None = None,
    ) -> "SASRec":
        """Train from fresh parameters; keep those of the best epoch.

        Parameters
        ----------
        histories : one sequence of item ids per user, oldest first
            Users with fewer than two events teach nothing and are passed over.
        epochs : int
        validation : (users,) of item ids, or None
            The event after each history (0: none), for choosing the epoch by `metric` and for
            stopping after `patience` epochs without a better one.
        protocol : of `evaluation`, or None
            How the validation event is ranked; None: in the whole catalogue, seen items left out.
        batch_size : int
            Users in a step.
        lr, betas, weight_decay, clip
            Of `Adam` and `clip_gradients`.
        threads, progress, evaluate_every
            As in `train`.
        """
        histories = check_histories(histories, self.n_items)
        if validation is not None and len(validation) != len(histories):
            raise ValueError(
                f"validation has {len(validation)} targets, but there are {len(histories)} users"
            )
        sequences = [history for history in histories if len(history) > 1]
        if not sequences:
            raise ValueError("no history has two events: there is nothing to learn from")
        counts = {"epochs": epochs, "batch_size": batch_size, "evaluate_every": evaluate_every}
        for name, value in counts.items():
            if value < 1:
                raise ValueError(f"{name} was {value}, but must be at least 1")

        seed = self.config["seed"]
        params = self.initial_params()
        self.item_counts = np.bincount(np.concatenate(histories), minlength=self.n_items + 1)
        protocol = protocol or whole_catalogue()

        def batches(epoch):
            return epoch_batches(
                sequences,
                max_len=self.max_len,
                batch_size=batch_size,
                n_shards=N_SHARDS,
                rng=stream(seed, "order", epoch),
            )

        def validate(params):
            def scores(users):
                return self.scores_with(params, users)

            return evaluate(scores, histories, validation, protocol=protocol)

        result = train(
            self.loss,
            params,
            batches,
            Adam(params, lr=lr, betas=betas, weight_decay=weight_decay),
            epochs=epochs,
            evaluate=None if validation is None else validate,
            metric=metric,
            evaluate_every=evaluate_every,
            patience=patience,
            clip=clip,
            seed=seed,
            threads=threads,
            progress=progress,
        )
        self.params, self.history = result.params, result.history
        self.best_epoch, self.interrupted = result.best_epoch, result.interrupted
        return self

    def initial_params(self):
        """Fresh parameters, drawn from the seed."""
        names = ("n_items", "max_len", "dim", "n_blocks", "norm", "dtype")
        rng = stream(self.config["seed"], "parameters")
        return sasrec.init_params(rng, **{name: self.config[name] for name in names})

    def loss(self, params, shard, *, rng, total):
        """Loss of a shard of a batch, as `train` wants it."""
        settings = self.settings | {
            "dropout_p": self.config["dropout"],
            "rng": rng,
            "total": total,
        }
        if self.config["loss"] == "cross_entropy":
            return sasrec.catalogue_loss(params, shard.ids, shard.targets, **settings)
        length, n_negatives = shard.ids.shape[1], self.config["n_negatives"]
        negatives = draw_negatives(shard.histories, length, n_negatives, self.n_items, rng)
        return sasrec.sampled_loss(params, shard.ids, shard.targets, negatives, **settings)

    @property
    def settings(self) -> dict:
        """What the model's functions need beside the parameters."""
        return {"n_heads": self.config["n_heads"], "norm": self.config["norm"]}

    def scores(self, histories: Histories) -> np.ndarray:
        """Score of every item as the next event of each user.

        Parameters
        ----------
        histories : one sequence of item ids per user, oldest first
            Of a longer one than max_len the latest events count. An empty one is scored by how
            often each item occurred in training.

        Returns
        -------
        (users, V + 1), -inf in column 0

        Raises
        ------
        ValueError
            For an item that is not in 1..V, or a model that has not been fitted.
        """
        self.require_fitted()
        return self.scores_with(self.params, histories)

    def scores_with(self, params, histories: Histories) -> np.ndarray:
        """`scores` of a model with other parameters."""
        histories = check_histories(histories, self.n_items)
        scores = np.empty((len(histories), self.n_items + 1), self.config["dtype"])
        # Users of like length together: each batch is as wide as its longest history.
        order = np.argsort(
            [min(len(history), self.max_len) for history in histories], kind="stable"
        )
        for start in range(0, len(order), SCORING_BATCH):
            users = order[start : start + SCORING_BATCH]
            ids = pad([histories[user] for user in users], self.max_len)
            scores[users] = sasrec.next_item_scores(params, ids, **self.settings)
        scores[[len(history) == 0 for history in histories]] = np.log1p(self.item_counts)
        scores[:, 0] = -np.inf
        return scores

    def attention_weights(self, history) -> np.ndarray:
        """Who attends to whom in one history: (n_blocks, n_heads, L, L), rows sum to 1.

        L is the length of the history, or max_len if that is less; row i is what event i, counted
        from the oldest that is looked at, takes from each event.
        """
        self.require_fitted()
        (history,) = check_histories([history], self.n_items)
        if not history.size:
            raise ValueError("history is empty, but attention needs at least one event")
        ids = pad([history], self.max_len)
        return sasrec.attention_maps(self.params, ids, **self.settings)[:, 0]

    def save(self, path: str | Path) -> None:
        """Write the model to one .npz file: to a temporary file first, then renamed."""
        self.require_fitted()
        description = {"model": "sasrec", "config": self.config, "best_epoch": self.best_epoch}
        tree = {"model": self.params, "item_counts": self.item_counts}
        save_model(path, tree, description | {"history": self.history})

    @classmethod
    def load(cls, path: str | Path) -> "SASRec":
        """Read what `save` wrote."""
        tree, description = load_model(path)
        if description.get("model") != "sasrec":
            raise ValueError(f"{path} holds a {description.get('model')} model, not a sasrec")
        try:
            model = cls(**description["config"])
            model.history, model.best_epoch = description["history"], description["best_epoch"]
            params, model.item_counts = tree["model"], tree["item_counts"]
        except (KeyError, TypeError):
            raise ValueError(f"{path} lacks a part of a sasrec model") from None
        fresh = model.initial_params()
        loaded = {name: leaf.shape for name, leaf in tree_leaves(params)}
        if loaded != {name: leaf.shape for name, leaf in tree_leaves(fresh)}:
            raise ValueError(f"{path} does not hold the parameters that its description names")
        # A part that is None (no output projection) leaves no array behind: take it from `fresh`.
        model.params = filled(fresh, params)
        return model

    def require_fitted(self):
        """Raise unless there are parameters."""
        if self.params is None:
            raise ValueError("the model has not been trained: call fit, or load a saved one")


def filled(template, tree):
    """`tree` with the branches that are None in `template` put back."""
    if template is None:
        return None
    if isinstance(template, dict):
        return {name: filled(branch, tree.get(name)) for name, branch in template.items()}
    if isinstance(template, list):
        return [filled(*pair) for pair in zip(template, tree, strict=True)]
    return tree


def check_config(config: dict) -> None:
    """Raise for a size or a choice that cannot be."""
    for name in ("n_items", "max_len", "dim", "n_blocks", "n_heads", "n_negatives"):
        if config[name] < 1:
            raise ValueError(f"{name} was {config[name]}, but must be at least 1")
    if config["dim"] % config["n_heads"]:
        raise ValueError(
            f"n_heads was {config['n_heads']}, but must divide dim, which is {config['dim']}"
        )
    if not 0 <= config["dropout"] < 1:
        raise ValueError(f"dropout was {config['dropout']}, but must be at least 0 and below 1")
    choices = {
        "norm": ("pre", "paper"),
        "loss": ("cross_entropy", "bce"),
        "dtype": ("float32", "float64"),
    }
    for name, allowed in choices.items():
        if config[name] not in allowed:
            raise ValueError(f"{name} was {config[name]!r}, but must be one of {allowed}")
