"""The stages of the pipeline, one function each, and what each may be.

From the bottom of the article's flow chart upwards: `encode`, `attend`, `aggregate`. What comes
before them (`events.embed`) they share with SASRec, and the decoders have a file of their own.
"""

from dataclasses import dataclass

import numpy as np

from attention_from_scratch import ops as plain
from attention_from_scratch.arguments import check_integer
from attention_from_scratch.networks.decoders import HEADS
from attention_from_scratch.networks.initial import init_block, init_linear, init_norm
from attention_from_scratch.networks.transformer import (
    causal_settings,
    only_real,
    transformer_encoder,
)
from attention_from_scratch.settings import Choice, Flag, OrNone, Settings, Whole, option
from attention_from_scratch.tree import Tree

NO_PROJECTIONS = {"query": None, "key": None, "value": None, "output": None}
RECURRENT = {"rnn": 1, "gru": 3, "lstm": 4}  # an op's name, and how many gates it has
CHOICES = {
    "encoder": ("embedding", "rnn", "gru", "lstm", "transformer"),
    "attention": ("global", "causal", "local", "featurewise", "none"),
    "aggregation": ("matrix", "pooled"),
    "decoder": ("dense", "dot", "rnn", "transformer"),
}


@dataclass(frozen=True, kw_only=True)
class Stages(Settings):
    """The choice made for each stage of the pipeline.

    An encoder takes each event by itself, or together with those before it; none of them looks
    ahead. In attention every event looks at all events ("global"); at itself and those before it
    ("causal"); at the last `window` of these ("local"); "featurewise" is `featurewise_attention`,
    as in the article's listing. Without projections the weights are the article's own
    softmax(X X^T / sqrt(d)). Aggregation gives the weight matrix times the events, one row an event
    ("matrix"), or the mean of these rows ("pooled"). The decoders "dense" and "dot" give the next
    item, "rnn" and "transformer" the next items in order.
    """

    encoder: str = option("transformer", Choice(CHOICES["encoder"]), "what each event says")
    attention: str = option("causal", Choice(CHOICES["attention"]), "which events each looks at")
    window: int | None = option(None, OrNone(Whole()), 'of "local"; 1 is the event alone')
    scaled: bool = option(True, Flag(), "divide the scores by sqrt(d)")
    projections: bool = option(True, Flag(), "learn maps to queries, keys and values")
    aggregation: str = option(
        "matrix", Choice(CHOICES["aggregation"]), "a row an event, or their mean"
    )
    decoder: str = option("dot", Choice(CHOICES["decoder"]), "what makes the answer")
    n_heads: int = option(1, Whole(), "of the Transformers and of the attention")

    def check_together(self) -> None:
        """Raise for stages that do not go together."""
        if self.attention == "local" and self.window is None:
            check_integer("window", self.window, 1)
        if self.attention != "local" and self.window is not None:
            raise ValueError(
                f"window was {self.window!r}, but attention {self.attention!r} has none"
            )
        if self.attention == "featurewise" and not (
            self.projections and self.aggregation == "pooled" and self.n_heads == 1
        ):
            raise ValueError(
                "attention was 'featurewise', but that has projections, one head and "
                "aggregation='pooled'"
            )

    @property
    def predicts_everywhere(self) -> bool:
        """Whether every event can learn to predict the one after it.

        Not where attention looks ahead: it would see what it is to predict. And not where the
        decoder goes on from the last event only. Such a model learns from histories cut in two.
        """
        looks_ahead = self.attention in ("global", "featurewise")
        return not looks_ahead and self.decoder in HEADS


def encode(params: Tree, x: np.ndarray, ids, stages: Stages, *, dropout_p=0.0, rng=None, ops=plain):
    """Each event in the light of those before it: (B, L, D) -> (B, L, D), 0 at padding."""
    if stages.encoder == "embedding":
        return x, lambda d_output: (None, d_output)
    if stages.encoder in RECURRENT:
        recurrent = getattr(ops, stages.encoder)
        output, back_recurrent = recurrent(params, x, mask=ids != 0)
        return output, lambda d_output: back_recurrent(d_output)[:2]

    real = (ids != 0)[..., None]
    causal = causal_settings(ids, n_heads=stages.n_heads, ops=ops)
    encoded, back_encoder = transformer_encoder(
        params, x, **causal, dropout_p=dropout_p, rng=rng, ops=ops
    )
    return only_real(encoded, real), lambda d_output: back_encoder(only_real(d_output, real))


def attend(params: Tree, x: np.ndarray, ids: np.ndarray, stages: Stages, ops=plain):
    """Compare every event with every other, and take the weighted sum: W X.

    Returns
    -------
    output : (B, L, D)
    backward : d_output -> grads, d_x
    """
    if stages.attention == "none":
        return x, lambda d_output: (None, d_output)
    real = (ids != 0)[..., None]
    attended, back_attention = ops.multi_head_attention(
        {**NO_PROJECTIONS, **(params or {})}, x, x, x, **attention_settings(ids, stages, ops)
    )

    def backward(d_output):
        grads, d_query, d_key, d_value = back_attention(only_real(d_output, real))
        grads = params and {name: grads[name] for name in params}
        return grads, d_query + d_key + d_value

    return only_real(attended, real), backward


def attention_settings(ids: np.ndarray, stages: Stages, ops=plain) -> dict:
    """Heads, scale and mask of the attention stage, as `multi_head_attention` takes them."""
    length, mask = ids.shape[1], ops.padding_mask(ids)
    if stages.attention in ("causal", "local"):
        mask = mask & ops.causal_mask(length)
    if stages.attention == "local":
        mask = mask & ops.local_mask(length, stages.window)
    return {"n_heads": stages.n_heads, "mask": mask, "scale": None if stages.scaled else 1.0}


def running_mean(x: np.ndarray, real: np.ndarray):
    """The mean of each row and those before it, padding left out: (B, L, D) -> (B, L, D).

        y_i = sum_{j <= i} x_j / n_i        d_x_j = sum_{i >= j} d_y_i / n_i

    with n_i the number of events up to i: the sum runs forwards, its gradient backwards. The last
    row is the mean over the whole sequence.
    """
    real = real[..., None]
    counts = np.maximum(np.cumsum(real, axis=1), 1).astype(x.real.dtype)
    output = np.cumsum(only_real(x, real), axis=1) / counts

    def backward(d_output):
        later = np.cumsum((d_output / counts)[:, ::-1], axis=1)[:, ::-1]
        return only_real(later, real)

    return output, backward


def featurewise_attention(params: Tree, x: np.ndarray, real: np.ndarray, ops=plain):
    """sum_t softmax_t(q_t) v_t, with q = x W_q + b_q and v = x W_v + b_v: what the listing does.

    The softmax runs over time, in each feature by itself, and no position is ever compared with
    another: it is a weighted mean over time whose weights each event sets for itself.

    Parameters
    ----------
    params : {"query", "value": {"weight": (D, D), "bias": (D,)}}
    x : (B, L, D)
    real : bool (B, L)

    Returns
    -------
    output : (B, 1, D)
    backward : d_output -> grads, d_x

    Source: the article, section 5.2, class SelfAttention.
    """
    query, back_query = ops.project(params["query"], x)
    value, back_value = ops.project(params["value"], x)
    weights, back_softmax = ops.softmax(query, axis=1, where=real[..., None])
    output = (weights * value).sum(axis=1, keepdims=True)

    def backward(d_output):
        d_query_params, d_x_query = back_query(back_softmax(d_output * value))
        d_value_params, d_x_value = back_value(d_output * weights)
        return {"query": d_query_params, "value": d_value_params}, d_x_query + d_x_value

    return output, backward


def aggregate(params: Tree, x: np.ndarray, ids: np.ndarray, stages: Stages, ops=plain):
    """Attention and aggregation: what is known after each event.

    Returns
    -------
    output : (B, L, D); (B, 1, D) where there is one vector for the whole sequence
    backward : d_output -> grads, d_x
    """
    real = ids != 0
    if stages.attention == "featurewise":
        return featurewise_attention(params, x, real, ops)
    rows, back_attend = attend(params, x, ids, stages, ops)
    if stages.aggregation == "matrix":
        return rows, back_attend
    means, back_mean = running_mean(rows, real)
    return means, lambda d_output: back_attend(back_mean(d_output))


def init_encoder(rng, name: str, dim: int, n_blocks: int, dtype) -> Tree:
    """Fresh parameters of an encoder; None for the embedding alone."""
    if name in RECURRENT:
        width = RECURRENT[name] * dim
        return {part: init_linear(rng, dim, width, dtype) for part in ("input", "hidden")}
    if name == "transformer":
        blocks = [
            init_block(rng, dim, output_projection=True, dtype=dtype) for _ in range(n_blocks)
        ]
        return {"blocks": blocks, "norm": init_norm(dim, dtype)}
    return None


def init_attention(stages: Stages, square) -> Tree:
    """Fresh parameters of the attention, each by `square()`; None where there are none to learn."""
    if stages.attention == "none" or not stages.projections:
        return None
    names = ("query", "value") if stages.attention == "featurewise" else ("query", "key", "value")
    return {name: square() for name in names}
