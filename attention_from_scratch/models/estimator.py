"""SASRec with the interface of a recommender: fit, scores, recommend, attention_weights, save."""

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

import numpy as np

from attention_from_scratch.evaluation import evaluate
from attention_from_scratch.models import sasrec
from attention_from_scratch.models.interchange import (
    as_tensors,
    in_dtype,
    load_safetensors,
    require_layout,
    save_safetensors,
)
from attention_from_scratch.models.recommender import Histories, Recommender, check_histories
from attention_from_scratch.models.settings import check_validation, checked
from attention_from_scratch.models.weights import sasrec_from_torch, sasrec_to_torch
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
from attention_from_scratch.training.checks import check_integer
from attention_from_scratch.training.loop import measured
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
    norm : "pre", "post" or "paper"
        `pre_norm_block`, `post_norm_block`, or `paper_block` as in the authors' code.
    loss : "cross_entropy" or "bce"
        Softmax over the whole catalogue, or binary cross-entropy against sampled items.
    n_negatives : int
        Sampled items per event, for "bce".
    seed : int
        Of the initial parameters and of all draws in training.
    dtype : "float32" or "float64"
    mask_padding : bool
        Of `sasrec.encode`; False for weights from code that does not mask padded keys.

    Attributes
    ----------
    params : tree of arrays, or None before `fit`
    history : list of dicts
        Loss, metrics and seconds of each epoch of the last `fit`.
    best_epoch, interrupted, diverged : int, bool, bool
        How that went, as in `Training`.

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
        mask_padding: bool = True,
    ):
        self.config = checked(
            {
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
                "mask_padding": bool(mask_padding),
            }
        )
        self.n_items, self.max_len = self.config["n_items"], self.config["max_len"]
        self.params = None
        self.item_counts = np.zeros(self.n_items + 1, np.int64)
        self.history: list[dict] = []
        self.best_epoch = 0
        self.interrupted = self.diverged = False

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

        If it fails, or is interrupted in the first epoch, the model stays as it was.

        Parameters
        ----------
        histories : one sequence of item ids per user, oldest first
            Users with fewer than two events teach nothing and are passed over.
        validation : (users,) of item ids, or None
            The event after each history (0: none), for choosing the epoch by `metric` and for
            stopping after `patience` epochs without a better one.
        protocol : of `evaluation`, or None
            How the validation event is ranked; None: in the whole catalogue, seen items left out.
        batch_size : int
            Users in a step.
        lr, betas, weight_decay, clip
            Of `Adam` and `clip_gradients`.
        epochs, evaluate_every, threads, progress
            As in `train`.
        """
        histories = check_histories(histories, self.n_items)
        sequences = [history for history in histories if len(history) > 1]
        if not sequences:
            raise ValueError("no history has two events: there is nothing to learn from")
        params = self.initial_params()
        item_counts = np.bincount(np.concatenate(histories), minlength=self.n_items + 1)
        validate = None
        if validation is not None:
            validate = self.validator(params, item_counts, histories, validation, protocol, metric)
        result = train(
            self.loss,
            params,
            partial(self.batches, sequences, check_integer("batch_size", batch_size, 1)),
            Adam(params, lr=lr, betas=betas, weight_decay=weight_decay),
            epochs=epochs,
            evaluate=validate,
            metric=metric,
            evaluate_every=evaluate_every,
            patience=patience,
            clip=clip,
            seed=self.config["seed"],
            threads=threads,
            progress=progress,
        )
        self.params, self.item_counts, self.history = result.params, item_counts, result.history
        self.best_epoch = result.best_epoch
        self.interrupted, self.diverged = result.interrupted, result.diverged
        return self

    def initial_params(self):
        """Fresh parameters, drawn from the seed."""
        names = ("n_items", "max_len", "dim", "n_blocks", "norm", "dtype")
        rng = stream(self.config["seed"], "parameters")
        return sasrec.init_params(rng, **{name: self.config[name] for name in names})

    def batches(self, sequences, batch_size, epoch):
        """Batches of one epoch, as `train` wants them; their order is drawn anew each time."""
        return epoch_batches(
            sequences,
            max_len=self.max_len,
            batch_size=batch_size,
            n_shards=N_SHARDS,
            rng=stream(self.config["seed"], "order", epoch),
            full=not self.config["mask_padding"],
        )

    def validator(self, params, item_counts, histories, validation, protocol, metric):
        """What `train` asks after an epoch: params -> metrics of the validation events."""
        validation = check_validation(validation, len(histories), self.n_items)

        def validate(params, targets=validation):
            def scores(users):
                scores = self.scores_with(params, item_counts, users)
                if np.isnan(scores).any():
                    raise FloatingPointError("the scores became NaN")
                return scores

            return evaluate(scores, histories, targets, protocol=protocol)

        # One user first: what cannot be measured should not cost the epochs before it is.
        one = np.zeros_like(validation)
        first = np.flatnonzero(validation)[0]
        one[first] = validation[first]
        measured(partial(validate, targets=one), params, metric, epoch=0)
        return validate

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
        return {name: self.config[name] for name in ("n_heads", "norm", "mask_padding")}

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
        return self.scores_with(self.params, self.item_counts, histories)

    def scores_with(self, params, item_counts, histories: Histories) -> np.ndarray:
        """`scores` of a model with other parameters and counts."""
        histories = check_histories(histories, self.n_items)
        scores = np.empty((len(histories), self.n_items + 1), self.config["dtype"])
        # Users of like length together: each batch is as wide as its longest history.
        order = np.argsort(
            [min(len(history), self.max_len) for history in histories], kind="stable"
        )
        for start in range(0, len(order), SCORING_BATCH):
            users = order[start : start + SCORING_BATCH]
            ids = self.padded([histories[user] for user in users])
            scores[users] = sasrec.next_item_scores(params, ids, **self.settings)
        scores[[len(history) == 0 for history in histories]] = np.log1p(item_counts)
        scores[:, 0] = -np.inf
        return scores

    def attention_weights(self, history) -> np.ndarray:
        """Who attends to whom in one history: (n_blocks, n_heads, L, L), rows sum to 1.

        L is the length of the history, or max_len if that is less; row i is what event i, counted
        from the oldest that is looked at, takes from each event. (What a model with
        mask_padding=False gives to padding is left out.)
        """
        self.require_fitted()
        (history,) = check_histories([history], self.n_items)
        if not history.size:
            raise ValueError("history is empty, but attention needs at least one event")
        weights = sasrec.attention_maps(self.params, self.padded([history]), **self.settings)
        length = min(len(history), self.max_len)
        return weights[:, 0, :, -length:, -length:]

    def padded(self, histories) -> np.ndarray:
        """Histories as a table of ids; where padding is attended to, how much there is matters."""
        return pad(histories, self.max_len, full=not self.config["mask_padding"])

    def to_torch(self) -> dict:
        """The weights as a state dict of PyTorch tensors (arrays, where torch is not installed).

        The layout is that of pmixer/SASRec.pytorch; `models.torch_module.SASRecModule` is a module
        that takes it and computes what this model computes. There is no such layout for
        norm="paper".
        """
        self.require_fitted()
        require_layout(self.config["norm"])
        return as_tensors(sasrec_to_torch(self.params))

    @classmethod
    def from_torch(
        cls,
        state_dict: Mapping,
        *,
        n_heads: int,
        norm: str,
        mask_padding: bool = False,
        max_len: int | None = None,
        **settings,
    ) -> "SASRec":
        """A model from such a state dict (of tensors or arrays).

        Parameters
        ----------
        state_dict : name -> tensor
        n_heads : int, norm : "pre" or "post"
            The weights do not tell: `num_heads`, and `norm_first` there.
        mask_padding : bool
            pmixer's code lets events attend to padding, so it is False; say True for weights of
            `to_torch` of a model that was trained here.
        max_len : int or None
            How many positions that code used (its `maxlen`), where its table has more; None: all.
        **settings
            Others of the constructor, such as dropout, loss and dtype (that of item_emb, unless
            given; 16 bits become float32).
        """
        require_layout(norm)
        params = sasrec_from_torch(state_dict, max_len)
        items, positions = params["items"], params["positions"]
        model = cls(
            len(items) - 1,
            len(positions),
            items.shape[1],
            len(params["blocks"]),
            n_heads,
            norm=norm,
            mask_padding=mask_padding,
            **({"dtype": items.dtype.name} | settings),
        )
        model.params = model.fitting(in_dtype(params, model), "the state dict")
        return model

    def save(self, path: str | Path) -> None:
        """Write the model to one file: to a temporary file first, then renamed.

        A name that ends in .safetensors gives that format, in PyTorch's layout as by `to_torch`
        (it needs the extra `safetensors`); any other gives NumPy's .npz.
        """
        self.require_fitted()
        if Path(path).suffix.lower() == ".safetensors":
            save_safetensors(path, self)
            return
        description = {"model": "sasrec", "config": self.config, "best_epoch": self.best_epoch}
        tree = {"model": self.params, "item_counts": self.item_counts}
        save_model(path, tree, description | {"history": self.history})

    @classmethod
    def load(cls, path: str | Path) -> "SASRec":
        """Read what `save` wrote."""
        if Path(path).suffix.lower() == ".safetensors":
            return load_safetensors(path, cls)
        tree, description = load_model(path)
        if description.get("model") != "sasrec":
            raise ValueError(f"{path} holds a {description.get('model')} model, not a sasrec")
        try:
            model = cls(**description["config"])
            model.history, model.best_epoch = description["history"], description["best_epoch"]
            params, model.item_counts = tree["model"], tree["item_counts"]
        except (KeyError, TypeError):
            raise ValueError(f"{path} lacks a part of a sasrec model") from None
        except ValueError as error:
            raise ValueError(f"{path}: {error}") from None
        model.params = model.fitting(params, path)
        return model

    def fitting(self, params, source):
        """The parameters, if they are those of such a model; or an error naming the source."""
        fresh = self.initial_params()
        given = {name: leaf.shape for name, leaf in tree_leaves(params)}
        for name, leaf in tree_leaves(fresh):
            if given.pop(name, None) != leaf.shape:
                raise ValueError(f"{source} has no {name} of shape {leaf.shape}")
        if given:
            raise ValueError(f"{source} has a {next(iter(given))}, which the model has not")
        # A part that is None (no output projection) leaves no array behind: take it from `fresh`.
        return filled(fresh, params)

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
