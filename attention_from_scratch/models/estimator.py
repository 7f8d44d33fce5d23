"""SASRec with the interface of a recommender: fit, scores, recommend, attention_weights, save."""

from collections.abc import Mapping
from functools import partial
from pathlib import Path

import numpy as np

from attention_from_scratch import fast, ops
from attention_from_scratch.models import sasrec
from attention_from_scratch.models.interchange import (
    LAYOUT,
    as_tensors,
    in_dtype,
    load_safetensors,
    require_layout,
    save_safetensors,
)
from attention_from_scratch.models.recommender import check_histories
from attention_from_scratch.models.settings import checked
from attention_from_scratch.models.trained import N_SHARDS, SCORING_BATCH, TrainedRecommender
from attention_from_scratch.models.weights import sasrec_from_torch, sasrec_to_torch
from attention_from_scratch.training import (
    draw_negatives,
    epoch_batches,
    pad,
    shard_pool,
    sharing,
)

FAST_SHARDS = 4  # of a batch at most: fewer, larger ones leave less to the interpreter
FAST_EVENTS = 1024  # of a shard at least, or there are two
SEVERAL = 8  # times as many items as events to predict: then few rows of a large table are met


class SASRec(TrainedRecommender):
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
    count_from : "end" or "start"
        Where positions are counted from: the last event, as in the paper, or the first that is
        looked at, as in code that pads on the right.
    output_projection : bool or None
        Of attention; None: unless norm is "paper".
    init : "glorot" or "small"
        Of the linear maps; "small": what a block adds starts close to 0.
    fast : bool
        Compute with the ops of `fast`: the same to rounding, except that dropout is drawn from
        bytes, at a rate that is a multiple of 1 / 256.

    Source: Kang & McAuley, Self-Attentive Sequential Recommendation, ICDM 2018. The softmax loss:
    Klenitskiy & Vasilev, Turning Dross Into Gold Loss, RecSys 2023.
    """

    KIND = "sasrec"

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
        count_from: str = "end",
        output_projection: bool | None = None,
        init: str = "glorot",
        fast: bool = False,
    ):
        config = checked(
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
                "count_from": count_from,
                "output_projection": bool(
                    norm != "paper" if output_projection is None else output_projection
                ),
                "init": init,
                "fast": bool(fast),
            }
        )
        super().__init__(config)
        self.max_len = config["max_len"]

    def initial_params(self):
        """Fresh parameters, drawn from the seed."""
        sizes = ("n_items", "max_len", "dim", "n_blocks")
        choices = ("norm", "output_projection", "init", "dtype")
        settings = {name: self.config[name] for name in (*sizes, *choices)}
        return sasrec.init_params(self.stream("parameters"), **settings)

    def batches(self, sequences, batch_size, epoch, **columns):
        """Batches of one epoch, as `train` wants them; their order is drawn anew each time."""
        fast_shards = {"n_shards": FAST_SHARDS, "least": FAST_EVENTS}
        return epoch_batches(
            sequences,
            max_len=self.max_len,
            batch_size=batch_size,
            **(fast_shards if self.config["fast"] else {"n_shards": N_SHARDS}),
            rng=self.stream("order", epoch),
            full=not self.config["mask_padding"],
            **columns,
        )

    def loss(self, params, shard, *, rng, total):
        """Loss of a shard of a batch, as `train` wants it."""
        settings = self.settings | {
            "dropout_p": self.config["dropout"],
            "rng": rng,
            "total": total,
            "ops": self.ops,
        }
        if self.config["loss"] == "cross_entropy":
            return sasrec.catalogue_loss(params, shard.ids, shard.targets, **settings)
        length, n_negatives = shard.ids.shape[1], self.config["n_negatives"]
        negatives = draw_negatives(shard.histories, length, n_negatives, self.n_items, rng)
        few = self.config["fast"] and self.n_items > SEVERAL * total
        few = few and params["items"].size > sharing.LARGE
        of_items = sasrec.sampled_loss_of_few if few else sasrec.sampled_loss
        return of_items(params, shard.ids, shard.targets, negatives, **settings)

    @property
    def settings(self) -> dict:
        """What the model's functions need beside the parameters."""
        names = ("n_heads", "norm", "mask_padding", "count_from")
        return {name: self.config[name] for name in names}

    @property
    def ops(self):
        """The ops that the model is made of."""
        return fast if self.config["fast"] else ops

    def batch_scores(self, params, item_counts, ids, context) -> np.ndarray:
        """Score of every item after the last event: (B, L) -> (B, V + 1)."""
        scores = sasrec.fast_scores if self.config["fast"] else sasrec.next_item_scores
        return scores(params, ids, **self.settings)

    def recommend(self, histories, k=10, *, exclude_seen=True):
        """As in `Recommender`; with fast ops, users of like length together, side by side."""
        ask = partial(super().recommend, k=k, exclude_seen=exclude_seen)
        if not self.config["fast"] or len(histories) <= SCORING_BATCH:
            return ask(histories)
        histories = check_histories(histories, self.n_items)
        parts = self.scoring_batches(histories)
        with shard_pool() as parallel:
            found = list(parallel(ask, ([histories[user] for user in users] for users in parts)))
        back = np.argsort(np.concatenate(parts))
        ids, scores = (np.concatenate(of)[back] for of in zip(*found, strict=True))
        return ids, scores

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
        norm="paper", for count_from="start" and without an output projection.
        """
        self.require_fitted()
        require_layout(**{name: self.config[name] for name in LAYOUT})
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
        else:
            super().save(path)

    @classmethod
    def load(cls, path: str | Path) -> "SASRec":
        """Read what `save` wrote."""
        if Path(path).suffix.lower() == ".safetensors":
            return load_safetensors(path, cls)
        return super().load(path)
