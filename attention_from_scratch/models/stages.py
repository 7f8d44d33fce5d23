"""The stages of the pipeline, one function each, and what each may be.

From the bottom of the article's flow chart upwards: `embed` and `encode`, `attend`, `aggregate`.
The decoders have a file of their own.
"""

from dataclasses import dataclass

import numpy as np

from attention_from_scratch.models.decoders import HEADS
from attention_from_scratch.models.transformer import (
    init_block,
    init_linear,
    init_norm,
    only_real,
    transformer_encoder,
)
from attention_from_scratch.ops import (
    causal_mask,
    dropout,
    embedding,
    gru,
    local_mask,
    lstm,
    multi_head_attention,
    padding_mask,
    rnn,
    softmax,
)
from attention_from_scratch.ops.linear import project
from attention_from_scratch.training.checks import check_integer
from attention_from_scratch.tree import Tree

EPS = 1e-8  # of the layer norms
NO_PROJECTIONS = {"query": None, "key": None, "value": None, "output": None}
RECURRENT = {"rnn": rnn, "gru": gru, "lstm": lstm}
GATES = {"rnn": 1, "gru": 3, "lstm": 4}
CHOICES = {
    "encoder": ("embedding", "rnn", "gru", "lstm", "transformer"),
    "attention": ("global", "causal", "local", "featurewise", "none"),
    "aggregation": ("matrix", "pooled"),
    "decoder": ("dense", "dot", "rnn", "transformer"),
}


@dataclass(frozen=True)
class Stages:
    """What each stage is.

    Parameters
    ----------
    encoder : "embedding", "rnn", "gru", "lstm" or "transformer"
        Each event by itself, or together with those before it. None of them looks ahead.
    attention : "global", "causal", "local", "featurewise" or "none"
        Every event looks at all events; at itself and those before it; at the last `window` of
        these; `featurewise_attention`, as in the article's listing; or no attention at all.
    window : int or None
        Of "local"; 1 is the event alone.
    scaled : bool
        Divide the scores by sqrt(d).
    projections : bool
        Learned maps to queries, keys and values. Without them the weights are the article's own
        softmax(X X^T / sqrt(d)).
    aggregation : "matrix" or "pooled"
        The weight matrix times the events, one row an event; or the mean of these rows.
    decoder : "dense", "dot", "rnn" or "transformer"
        `dense_head` or `dot_head` for the next item; `rnn_decoder` or `transformer_decoder` for
        the next items in order.
    n_heads : int
        Of the Transformers and of the attention.
    """

    encoder: str = "transformer"
    attention: str = "causal"
    window: int | None = None
    scaled: bool = True
    projections: bool = True
    aggregation: str = "matrix"
    decoder: str = "dot"
    n_heads: int = 1

    def __post_init__(self):
        for name, allowed in CHOICES.items():
            if getattr(self, name) not in allowed:
                raise ValueError(
                    f"{name} was {getattr(self, name)!r}, but must be one of {', '.join(allowed)}"
                )
        check_integer("n_heads", self.n_heads, 1)
        if self.attention == "local":
            check_integer("window", self.window, 1)
        elif self.window is not None:
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


def embed(params: Tree, table: np.ndarray, ids: np.ndarray, context, *, dropout_p=0.0, rng=None):
    """item + position + whatever else is known of the event; exactly 0 where there is none.

    Parameters
    ----------
    params : {"positions": (max_len, D) or None, "context": {name: (kinds + 1, D)}}
    table : (V + 1, D)
    ids : (B, L) of integers in 0..V
    context : name -> (B, L) of integers, 0 for nothing

    Returns
    -------
    output : (B, L, D)
    backward : d_output (B, L, D) -> grads, d_table
    """
    real, length = (ids != 0)[..., None], ids.shape[1]
    x, back_items = embedding(ids, table)
    if params["positions"] is not None:
        x = x + params["positions"][-length:]  # counted from the end: the last event has the last
    back_context = {}
    for name, kinds in params["context"].items():
        vectors, back_context[name] = embedding(context[name], kinds)
        x = x + vectors
    noisy, back_dropout = dropout(x, p=dropout_p, rng=rng)
    output = only_real(noisy, real)

    def backward(d_output):
        d_x = back_dropout(only_real(d_output, real))
        d_positions = None
        if params["positions"] is not None:
            d_positions = np.zeros_like(params["positions"])
            d_positions[-length:] = d_x.sum(axis=0)
        d_context = {name: back(d_x) for name, back in back_context.items()}
        return {"positions": d_positions, "context": d_context}, back_items(d_x)

    return output, backward


def encode(params: Tree, x: np.ndarray, ids, stages: Stages, *, dropout_p=0.0, rng=None):
    """Each event in the light of those before it: (B, L, D) -> (B, L, D), 0 at padding."""
    real = ids != 0
    if stages.encoder == "embedding":
        return x, lambda d_output: (None, d_output)
    if stages.encoder in RECURRENT:
        output, back_recurrent = RECURRENT[stages.encoder](params, x, mask=real)
        return output, lambda d_output: back_recurrent(d_output)[:2]

    real = real[..., None]
    encoded, back_encoder = transformer_encoder(
        params, x, **block_settings(ids, stages), dropout_p=dropout_p, rng=rng
    )
    return only_real(encoded, real), lambda d_output: back_encoder(only_real(d_output, real))


def block_settings(ids: np.ndarray, stages: Stages) -> dict:
    """Of the encoder's blocks: pre-norm, and an event sees itself and those before it."""
    return {
        "real": (ids != 0)[..., None],
        "norm": "pre",
        "n_heads": stages.n_heads,
        "mask": causal_mask(ids.shape[1]) & padding_mask(ids),
        "eps": EPS,
    }


def attend(params: Tree, x: np.ndarray, ids: np.ndarray, stages: Stages):
    """Compare every event with every other, and take the weighted sum: W X.

    Returns
    -------
    output : (B, L, D)
    backward : d_output -> grads, d_x
    """
    if stages.attention == "none":
        return x, lambda d_output: (None, d_output)
    real = (ids != 0)[..., None]
    attended, back_attention = multi_head_attention(
        {**NO_PROJECTIONS, **(params or {})}, x, x, x, **attention_settings(ids, stages)
    )

    def backward(d_output):
        grads, d_query, d_key, d_value = back_attention(only_real(d_output, real))
        grads = params and {name: grads[name] for name in params}
        return grads, d_query + d_key + d_value

    return only_real(attended, real), backward


def attention_settings(ids: np.ndarray, stages: Stages) -> dict:
    """Heads, scale, and who may look at whom."""
    length, mask = ids.shape[1], padding_mask(ids)
    if stages.attention in ("causal", "local"):
        mask = mask & causal_mask(length)
    if stages.attention == "local":
        mask = mask & local_mask(length, stages.window)
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


def featurewise_attention(params: Tree, x: np.ndarray, real: np.ndarray):
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
    query, back_query = project(params["query"], x)
    value, back_value = project(params["value"], x)
    weights, back_softmax = softmax(query, axis=1, where=real[..., None])
    output = (weights * value).sum(axis=1, keepdims=True)

    def backward(d_output):
        d_query_params, d_x_query = back_query(back_softmax(d_output * value))
        d_value_params, d_x_value = back_value(d_output * weights)
        return {"query": d_query_params, "value": d_value_params}, d_x_query + d_x_value

    return output, backward


def aggregate(params: Tree, x: np.ndarray, ids: np.ndarray, stages: Stages):
    """Attention and aggregation: what is known after each event.

    Returns
    -------
    output : (B, L, D); (B, 1, D) where there is one vector for the whole sequence
    backward : d_output -> grads, d_x
    """
    real = ids != 0
    if stages.attention == "featurewise":
        return featurewise_attention(params, x, real)
    rows, back_attend = attend(params, x, ids, stages)
    if stages.aggregation == "matrix":
        return rows, back_attend
    means, back_mean = running_mean(rows, real)
    return means, lambda d_output: back_attend(back_mean(d_output))


def init_encoder(rng, name: str, dim: int, n_blocks: int, dtype) -> Tree:
    """Parameters of an encoder; None for the embedding alone."""
    if name in RECURRENT:
        return {
            part: init_linear(rng, dim, GATES[name] * dim, dtype) for part in ("input", "hidden")
        }
    if name == "transformer":
        blocks = [
            init_block(rng, dim, output_projection=True, dtype=dtype) for _ in range(n_blocks)
        ]
        return {"blocks": blocks, "norm": init_norm(dim, dtype)}
    return None


def init_attention(stages: Stages, square) -> Tree:
    """Parameters of the attention; None where it has none to learn."""
    if stages.attention == "none" or not stages.projections:
        return None
    names = ("query", "value") if stages.attention == "featurewise" else ("query", "key", "value")
    return {name: square() for name in names}
