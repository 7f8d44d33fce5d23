"""The pipeline with the interface of a recommender: fit, scores, recommend, and what comes next."""

from collections.abc import Mapping
from copy import copy
from dataclasses import KW_ONLY, dataclass, fields

import numpy as np

from attention_from_scratch.arguments import check_context, check_histories, check_integer
from attention_from_scratch.evaluation import mask_seen, top_k
from attention_from_scratch.explain.rollout import attention_rollout
from attention_from_scratch.models.checks import check_features, check_heads
from attention_from_scratch.models.recommender import Histories
from attention_from_scratch.models.trained import Context, TrainedRecommender, TrainedSettings
from attention_from_scratch.networks import pipeline
from attention_from_scratch.networks.decoders import STEPS
from attention_from_scratch.networks.stages import Stages
from attention_from_scratch.settings import Flag, Kinds, Share, Whole, option
from attention_from_scratch.training import cut_batches, epoch_batches


@dataclass(frozen=True)
class PipelineSettings(TrainedSettings, Stages):
    """The settings of a `Pipeline`: its stages, and all else."""

    max_len: int = option(50, Whole(), "latest events looked at")
    dim: int = option(50, Whole(), "D, width of the model")
    _: KW_ONLY
    n_blocks: int = option(2, Whole(), "of a Transformer encoder")
    positions: bool = option(True, Flag(), "tell events where in the sequence they stand")
    n_next: int = option(5, Whole(), 'events ahead that a decoder "rnn" or "transformer" learns')
    cuts: int = option(
        10, Whole(), "of models that learn from histories cut in two: cuts of each in an epoch"
    )
    dropout: float = option(0.2, Share(), "share of numbers left out in training")
    context: Mapping[str, int] | None = option(
        None, Kinds(), 'what else is known of an event, such as {"behaviour": 4}; 0 for nothing'
    )
    id_dropout: float = option(
        0.0, Share(with_1=True), "share of items without their id in a step, so that features carry"
    )

    def check_together(self) -> None:
        """Raise for stages that do not go together, and for heads that do not divide the width."""
        super().check_together()
        check_heads(self.n_heads, self.dim)

    @property
    def stages(self) -> Stages:
        """The choice for each stage, without the other settings."""
        return Stages(**self.only(*(told.name for told in fields(Stages))))


class Pipeline(TrainedRecommender):
    """Encoder -> self-attention -> weighted aggregation -> decoder, each of them a choice.

    Besides the settings it takes `features`: name -> (V + 1, F) array, or None. That is what else
    is known of an item, as in `item_table`: any number of matrices; a row with a NaN says that this
    is not known of the item. An item without an event in training is then what its features say,
    and with id_dropout=1 nowhere has an item an id.

    Source: the article, sections 2.2 and 3.2; `stages.py` names those of each stage.
    """

    KIND = "pipeline"
    Settings = PipelineSettings

    def __init__(
        self,
        *args,
        features: Mapping[str, np.ndarray] | None = None,
        fast: bool | None = None,
        **settings,
    ):
        super().__init__(*args, fast=fast, **settings)
        self.stages, self.kinds = self.settings.stages, self.settings.context
        self.features = check_features(features, self.n_items, self.settings.dtype)
        if self.settings.id_dropout == 1 and not self.features:
            raise ValueError("id_dropout was 1, but without features nothing is left of an item")

    @property
    def constants(self) -> dict:
        """The feature matrices, for the file; {} if there are none."""
        return {"features": self.features} if self.features else {}

    def with_features(self, features: Mapping[str, np.ndarray]) -> "Pipeline":
        """A copy of this trained model that knows the features of more items than in training.

        For items that come later: train with NaN in their rows, then hand over what they say. If
        training saw their features, in histories where nobody meets these items, the model would
        learn that they are wrong answers.

        Parameters
        ----------
        features : name -> (V + 1, F) array
            Matrices of the same names and widths as before.
        """
        features = check_features(features, self.n_items, self.settings.dtype)
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
        sizes = ("n_items", "max_len", "dim", "n_blocks", "n_next")
        names = (*sizes, "positions", "context", "dtype")
        return pipeline.init_params(
            self.stream("parameters"),
            self.stages,
            widths={name: matrix.shape[1] for name, matrix in self.features.items()},
            **self.settings.only(*names),
        )

    def batches(self, sequences, batch_size, epoch, *, pieces=False, **columns):
        """Batches of one epoch: whole histories, or histories cut in two."""
        settings = {
            "max_len": self.max_len,
            "batch_size": batch_size,
            "rng": self.stream("order", epoch),
            **self.shards,
            **columns,
        }
        if self.stages.predicts_everywhere:
            return epoch_batches(sequences, pieces=pieces, **settings)
        n_next = self.settings.n_next if self.stages.decoder in STEPS else 1
        cuts = self.settings.cuts
        return cut_batches(sequences, n_targets=n_next, cuts=cuts, **settings)

    def loss(self, params, shard, *, rng, total):
        """Loss of a shard of a batch, as `train` wants it."""
        share = self.settings.id_dropout
        return pipeline.next_item_loss(
            params,
            shard.ids,
            shard.targets,
            stages=self.stages,
            context=shard.context,
            features=self.features,
            keep=rng.random(self.n_items + 1) >= share if share else None,
            total=total,
            dropout_p=self.settings.dropout,
            rng=rng,
            ops=self.ops,
        )

    def batch_scores(self, params, item_counts, ids, context, said=None) -> np.ndarray:
        """Score of every item after the last event: (B, L) -> (B, V + 1)."""
        settings = self.network_settings(item_counts) | {"context": context, "said": said}
        return pipeline.next_item_scores(params, ids, **settings)

    def network_settings(self, item_counts) -> dict:
        """What the functions of the network need beside parameters, once the model is trained.

        Of an item without an event its id says nothing: it is what its features say.
        """
        keep = item_counts > 0 if self.features else None
        if self.settings.id_dropout == 1:
            keep = np.zeros(self.n_items + 1, bool)
        known = {"features": self.features, "keep": keep}
        return {"stages": self.stages, "ops": self.ops} | known

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
        if self.stages.decoder == "transformer" and length > self.settings.n_next:
            raise ValueError(
                f"length was {length}, but the decoder has learnt {self.config['n_next']} places "
                "(n_next)"
            )
        if any(not history.size for history in histories):
            raise ValueError("a history is empty, but a decoder goes on from a last event")
        context = check_context(context, self.kinds, histories)
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
        context = check_context(one_user, self.kinds, [history])
        around = {name: self.padded(rows) for name, rows in context.items()}
        settings = self.network_settings(self.item_counts) | {"context": around}
        weights = pipeline.attention_maps(self.params, self.padded([history]), **settings)
        if not len(weights):
            return super().attention_weights(history)  # which says that there are none
        return weights[:, 0]

    def attention_shares(self, history, context) -> np.ndarray | None:
        """What the answer takes from each event, followed back through all maps.

        None where they do not say it: there is no attention; or it is featurewise, which has
        weights but compares no event with another; or the answer is read by a Transformer decoder,
        whose own attention to the events is not among the maps.
        """
        has_stage = self.stages.attention != "none"
        if not has_stage and self.stages.encoder != "transformer":
            return None
        if self.stages.attention == "featurewise" or self.stages.decoder == "transformer":
            return None
        maps = self.attention_weights(history, context)
        bypass = [True] * len(maps)
        if has_stage:
            bypass[-1] = False  # the attention stage has no residual path
        pooled = self.stages.aggregation == "pooled"
        return attention_rollout(maps, bypass=bypass, pooled=pooled)


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
