"""SASRec with the interface of a recommender: fit, scores, recommend, attention_weights, save."""

from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass
from pathlib import Path

import numpy as np

from attention_from_scratch.arguments import check_histories
from attention_from_scratch.explain.rollout import attention_rollout
from attention_from_scratch.interop.safetensors import (
    LAYOUT,
    load_safetensors,
    require_layout,
    save_safetensors,
)
from attention_from_scratch.interop.tensors import as_tensors
from attention_from_scratch.interop.torch import sasrec_from_torch, sasrec_to_torch
from attention_from_scratch.models.checks import check_heads
from attention_from_scratch.models.trained import TrainedRecommender, TrainedSettings
from attention_from_scratch.networks import sasrec
from attention_from_scratch.settings import Choice, Flag, OrNone, Share, Whole, option
from attention_from_scratch.training import draw_negatives, epoch_batches, pad
from attention_from_scratch.tree import in_dtype


@dataclass(frozen=True)
class SASRecSettings(TrainedSettings):
    """The settings of a `SASRec`."""

    max_len: int = option(50, Whole(), "latest events looked at")
    dim: int = option(50, Whole(), "D, width of the model")
    n_blocks: int = option(2, Whole(), "Transformer blocks")
    n_heads: int = option(1, Whole(), "of the attention; divides dim")
    dropout: float = option(0.2, Share(), "share of numbers left out in training")
    _: KW_ONLY
    norm: str = option(
        "pre", Choice(("pre", "post", "paper")), "where the layer norms stand; paper: as its code"
    )
    loss: str = option(
        "cross_entropy",
        Choice(("cross_entropy", "bce")),
        "softmax over the catalogue, or binary cross-entropy against sampled items",
    )
    n_negatives: int = option(1, Whole(), "items sampled for an event, by bce")
    mask_padding: bool = option(True, Flag(), "hide padding from attention; not so in all code")
    count_from: str = option(
        "end",
        Choice(("end", "start")),
        "from which of the events looked at positions are counted: the last, or the first",
    )
    output_projection: bool | None = option(
        None, OrNone(Flag()), "of attention; None: unless norm is paper"
    )
    init: str = option(
        "glorot", Choice(("glorot", "small")), "small: what a block adds starts close to 0"
    )

    def check_together(self) -> None:
        """Raise for heads that do not divide the width; settle an open output projection."""
        check_heads(self.n_heads, self.dim)
        has_one = sasrec.has_output_projection(self.norm, self.output_projection)
        self.put("output_projection", has_one)


class SASRec(TrainedRecommender):
    """Self-attentive sequential recommendation.

    Source: Kang & McAuley, Self-Attentive Sequential Recommendation, ICDM 2018. The softmax loss:
    Klenitskiy & Vasilev, Turning Dross Into Gold Loss, RecSys 2023.
    """

    KIND = "sasrec"
    Settings = SASRecSettings

    def initial_params(self):
        """Fresh parameters, drawn from the seed."""
        sizes = ("n_items", "max_len", "dim", "n_blocks")
        choices = ("norm", "output_projection", "init", "dtype")
        settings = self.settings.only(*sizes, *choices)
        return sasrec.init_params(self.stream("parameters"), **settings)

    def batches(self, sequences, batch_size, epoch, **columns):
        """Batches of one epoch, as `train` wants them; their order is drawn anew each time."""
        return epoch_batches(
            sequences,
            max_len=self.max_len,
            batch_size=batch_size,
            rng=self.stream("order", epoch),
            full=not self.settings.mask_padding,
            **self.shards,
            **columns,
        )

    def loss(self, params, shard, *, rng, total):
        """Loss of a shard of a batch, as `train` wants it."""
        noise = {"dropout_p": self.settings.dropout, "rng": rng}
        settings = self.network_settings() | noise | {"total": total}
        if self.settings.loss == "cross_entropy":
            return sasrec.catalogue_loss(params, shard.ids, shard.targets, **settings)
        length, n_negatives = shard.ids.shape[1], self.settings.n_negatives
        negatives = draw_negatives(shard.histories, length, n_negatives, self.n_items, rng)
        return self.by_few_items(
            sasrec.sampled_loss, params, shard.ids, shard.targets, negatives, **settings
        )

    @property
    def ranks_only(self) -> bool:
        """Whether its loss holds items against sampled ones, and asks for no distribution."""
        return self.settings.loss == "bce"

    def network_settings(self) -> dict:
        """What the functions of the network need beside the parameters."""
        names = ("n_heads", "norm", "mask_padding", "count_from")
        return self.settings.only(*names) | {"ops": self.ops}

    def batch_scores(self, params, item_counts, ids, context) -> np.ndarray:
        """Score of every item after the last event: (B, L) -> (B, V + 1)."""
        return sasrec.next_item_scores(params, ids, **self.network_settings())

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
        weights = sasrec.attention_maps(
            self.params, self.padded([history]), **self.network_settings()
        )
        length = min(len(history), self.max_len)
        return weights[:, 0, :, -length:, -length:]

    def attention_shares(self, history, context) -> np.ndarray:
        """What the answer takes from each event, (L,), followed back through all blocks."""
        return attention_rollout(self.attention_weights(history))

    def padded(self, histories) -> np.ndarray:
        """Histories as a table of ids; where padding is attended to, how much there is matters."""
        return pad(histories, self.max_len, full=not self.settings.mask_padding)

    def to_torch(self) -> dict:
        """The weights as a state dict of PyTorch tensors (arrays, where torch is not installed).

        The layout is that of pmixer/SASRec.pytorch; `interop.torch_module.SASRecModule` is a module
        that takes it and computes what this model computes. There is no such layout for
        norm="paper", for count_from="start" and without an output projection.
        """
        self.require_fitted()
        require_layout(**self.settings.only(*LAYOUT))
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
        """A model from a state dict of tensors or arrays, in the layout that `to_torch` gives.

        Parameters
        ----------
        state_dict : name -> tensor
        n_heads : int, norm : "pre" or "post"
            The weights do not tell: in that code they are `num_heads` and `norm_first`.
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
        model.params = model.fitting(in_dtype(params, model.settings.dtype), "the state dict")
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
        """Read a model from a file that `save` wrote, of either format."""
        if Path(path).suffix.lower() == ".safetensors":
            return load_safetensors(path, cls)
        return super().load(path)
