"""The pipeline with the interface of a recommender: fit, scores, recommend, and what comes next."""

from collections.abc import Mapping
from copy import copy
from dataclasses import asdict

import numpy as np

from attention_from_scratch.evaluation import mask_seen, top_k
from attention_from_scratch.models import pipeline
from attention_from_scratch.models.decoders import STEPS
from attention_from_scratch.models.fusion import check_features
from attention_from_scratch.models.recommender import Histories, check_histories
from attention_from_scratch.models.settings import (
    check_context,
    check_dtype,
    check_kinds,
    check_share,
)
from attention_from_scratch.models.trained import N_SHARDS, Context, TrainedRecommender
from attention_from_scratch.training import cut_batches, epoch_batches
from attention_from_scratch.training.checks import check_integer


class Pipeline(TrainedRecommender):
    """Encoder -> self-attention -> weighted aggregation -> decoder, each of them a choice.

    Parameters
    ----------
    n_items : int, V
        Items are 1..V.
    max_len : int
        How many of the latest events are looked at.
    dim : int, D
    encoder, attention, window, scaled, projections, aggregation, decoder, n_heads
        The stages, as in `pipeline.Stages`.
    n_blocks : int
        Of a Transformer encoder.
    positions : bool
        Whether events are told where in the sequence they stand.
    n_next : int
        How many events ahead an autoregressive decoder ("rnn", "transformer") learns.
    cuts : int
        Of models that learn from histories cut in two (`Stages.predicts_everywhere`): in how many
        places each history is cut in an epoch.
    dropout : float in [0, 1)
    context : name -> number of kinds
        What else is known of an event, such as {"behaviour": 4}: integers 1..kinds, 0 for nothing.
    features : name -> (V + 1, F) array, or None
        What else is known of an item, as in `item_table`: any number of matrices; a row with a NaN
        says that this is not known of the item. An item without an event in training is then what
        its features say.
    id_dropout : float in [0, 1]
        Share of the items whose id is left out in a step of training, so that the features carry.
        1: nowhere has an item an id; it is what its features say.
    seed : int
    dtype : "float32" or "float64"

    Source: the article, sections 2.2 and 3.2; `stages.py` names those of each stage.
    """

    KIND = "pipeline"

    def __init__(
        self,
        n_items: int,
        max_len: int = 50,
        dim: int = 50,
        *,
        encoder: str = "transformer",
        attention: str = "causal",
        window: int | None = None,
        scaled: bool = True,
        projections: bool = True,
        aggregation: str = "matrix",
        decoder: str = "dot",
        n_heads: int = 1,
        n_blocks: int = 2,
        positions: bool = True,
        n_next: int = 5,
        cuts: int = 10,
        dropout: float = 0.2,
        context: Mapping[str, int] | None = None,
        features: Mapping[str, np.ndarray] | None = None,
        id_dropout: float = 0.0,
        seed: int = 0,
        dtype: str = "float32",
    ):
        self.stages = pipeline.Stages(
            encoder=encoder,
            attention=attention,
            window=window,
            scaled=bool(scaled),
            projections=bool(projections),
            aggregation=aggregation,
            decoder=decoder,
            n_heads=n_heads,
        )
        sizes = {
            "n_items": n_items,
            "max_len": max_len,
            "dim": dim,
            "n_blocks": n_blocks,
            "n_next": n_next,
            "cuts": cuts,
        }
        config = {name: check_integer(name, value, 1) for name, value in sizes.items()}
        if config["dim"] % n_heads:
            raise ValueError(f"n_heads was {n_heads}, but must divide dim, which is {dim}")
        config |= asdict(self.stages) | {
            "positions": bool(positions),
            "dropout": check_share("dropout", dropout),
            "context": check_kinds(context),
            "id_dropout": 1.0 if id_dropout == 1 else check_share("id_dropout", id_dropout),
            "seed": check_integer("seed", seed, 0),
            "dtype": check_dtype(dtype),
        }
        super().__init__(config)
        self.features = check_features(features, self.n_items, config["dtype"])
        if config["id_dropout"] == 1 and not self.features:
            raise ValueError("id_dropout was 1, but without features nothing is left of an item")

    @property
    def constants(self) -> dict:
        """The feature matrices."""
        return {"features": self.features} if self.features else {}

    def with_features(self, features: Mapping[str, np.ndarray]) -> "Pipeline":
        """The same trained model, with features that are known of more items than in training.

        For items that come later: train with NaN in their rows, then hand over what they say. Were
        it in training, where nobody meets them, the model would learn that they are wrong answers.

        Parameters
        ----------
        features : name -> (V + 1, F) array
            Matrices of the same names and widths as before.
        """
        features = check_features(features, self.n_items, self.config["dtype"])
        before, after = (
            {name: matrix.shape[1] for name, matrix in matrices.items()}
            for matrices in (self.features, features)
        )
        if before != after:
            raise ValueError(f"features had the widths {after}, but the model has learnt {before}")
        told = copy(self)
        told.features = features
        return told

    def initial_params(self):
        """Fresh parameters, drawn from the seed."""
        names = (
            *("n_items", "max_len", "dim", "n_blocks", "n_next"),
            *("positions", "context", "dtype"),
        )
        return pipeline.init_params(
            self.stream("parameters"),
            self.stages,
            widths={name: matrix.shape[1] for name, matrix in self.features.items()},
            **{name: self.config[name] for name in names},
        )

    def batches(self, sequences, batch_size, epoch, *, pieces=False, **columns):
        """Batches of one epoch: whole histories, or histories cut in two."""
        settings = {
            "max_len": self.config["max_len"],
            "batch_size": batch_size,
            "n_shards": N_SHARDS,
            "rng": self.stream("order", epoch),
            **columns,
        }
        if self.stages.predicts_everywhere:
            return epoch_batches(sequences, pieces=pieces, **settings)
        n_next = self.config["n_next"] if self.stages.decoder in STEPS else 1
        cuts = self.config["cuts"]
        return cut_batches(sequences, n_targets=n_next, cuts=cuts, **settings)

    def loss(self, params, shard, *, rng, total):
        """Loss of a shard of a batch, as `train` wants it."""
        share = self.config["id_dropout"]
        keep = rng.random(self.n_items + 1) >= share if share else None
        return pipeline.next_item_loss(
            params,
            shard.ids,
            shard.targets,
            stages=self.stages,
            context=shard.context,
            features=self.features,
            keep=keep,
            total=total,
            dropout_p=self.config["dropout"],
            rng=rng,
        )

    def batch_scores(self, params, item_counts, ids, context, said=None) -> np.ndarray:
        """Score of every item after the last event: (B, L) -> (B, V + 1)."""
        settings = self.settings(item_counts) | {"context": context, "said": said}
        return pipeline.next_item_scores(params, ids, **settings)

    def settings(self, item_counts) -> dict:
        """What the model's functions need; an item without an event is what its features say."""
        keep = item_counts > 0 if self.features else None
        if self.config["id_dropout"] == 1:
            keep = np.zeros(self.n_items + 1, bool)
        return {"stages": self.stages, "features": self.features, "keep": keep}

    def recommend_in_order(
        self,
        histories: Histories,
        length: int,
        *,
        context: Context | None = None,
        exclude_seen: bool = True,
    ) -> np.ndarray:
        """The next `length` items in their order, each the best one given those before it.

        Parameters
        ----------
        histories : one sequence of item ids per user, oldest first; none of them empty
        length : int
            At most `n_next` of a Transformer decoder, which has learnt so many places.
        context : name -> one sequence per user, as in `fit`
        exclude_seen : bool
            Leave out what is in the history. No item comes twice in any case.

        Returns
        -------
        (users, length) of int64
        """
        self.require_fitted()
        if self.stages.decoder not in STEPS:
            raise ValueError(
                f"decoder was {self.stages.decoder!r}, but items in order need one of "
                f"{', '.join(STEPS)}"
            )
        histories = check_histories(histories, self.n_items)
        check_integer("length", length, 1)
        if self.stages.decoder == "transformer" and length > self.config["n_next"]:
            raise ValueError(
                f"length was {length}, but the decoder has learnt {self.config['n_next']} places "
                "(n_next)"
            )
        if any(not history.size for history in histories):
            raise ValueError("a history is empty, but a decoder goes on from a last event")
        context = check_context(context, self.config["context"], histories)
        chosen = np.zeros((len(histories), length), np.int64)
        for users in self.scoring_batches(histories):
            seen = [histories[user] for user in users]
            ids = self.padded(seen)
            around = {n: self.padded([rows[u] for u in users]) for n, rows in context.items()}
            for step in range(length):
                said = chosen[users, :step]
                scores = self.batch_scores(self.params, self.item_counts, ids, around, said)
                scores = mask_seen(scores, said)
                if exclude_seen:
                    scores = mask_seen(scores, seen)
                chosen[users, step] = top_k(scores, 1)[:, 0]
        return chosen

    def attention_weights(self, history, context: Context | None = None) -> np.ndarray:
        """Who attends to whom in one history: (n_maps, n_heads, L, L), rows sum to 1.

        The maps of a Transformer encoder's blocks come first, then that of the attention stage; row
        i is what event i, counted from the oldest that is looked at, takes from each event.
        """
        self.require_fitted()
        (history,) = check_histories([history], self.n_items)
        if not history.size:
            raise ValueError("history is empty, but attention needs at least one event")
        one_user = {name: [column] for name, column in (context or {}).items()}
        context = check_context(one_user, self.config["context"], [history])
        around = {name: self.padded(rows) for name, rows in context.items()}
        settings = self.settings(self.item_counts) | {"context": around}
        weights = pipeline.attention_maps(self.params, self.padded([history]), **settings)
        if not len(weights):
            raise ValueError("this model compares no event with another: it has no weights to show")
        return weights[:, 0]


def gru4rec(n_items: int, max_len: int = 50, dim: int = 50, **settings) -> Pipeline:
    """The pipeline as GRU4Rec: one GRU over the events, the item table as its last layer.

    It is trained on the softmax over the whole catalogue, the loss that its authors' second paper
    samples.

    Source: Hidasi et al., Session-based Recommendations with Recurrent Neural Networks (2016), with
    the constrained embedding of Hidasi & Karatzoglou, Recurrent Neural Networks with Top-k Gains
    (2018).
    """
    stages = {"encoder": "gru", "attention": "none", "decoder": "dot", "positions": False}
    return Pipeline(n_items, max_len, dim, **(stages | settings))
