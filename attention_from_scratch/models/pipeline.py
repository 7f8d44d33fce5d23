"""The article's family of models: encoder -> self-attention -> weighted aggregation -> decoder.

Four stages, as in section 2.2 of the article, each a choice of its own:

    encoder       what each event says, given those before it
    attention     which events each one looks at: the weight matrix
    aggregation   the weight matrix times what the encoder says; or that, averaged over time
    decoder       the next item, or the next items in their order

SASRec is one of the family (a Transformer encoder, no attention after it, the dot product), and so
is GRU4Rec (a GRU encoder, no attention, the dot product).
"""

from dataclasses import dataclass

import numpy as np

from attention_from_scratch.models.decoders import HEADS, STEPS, init_decoder
from attention_from_scratch.models.fusion import item_table
from attention_from_scratch.models.transformer import (
    attention_maps_of,
    init_block,
    init_linear,
    init_norm,
    transformer_encoder,
)
from attention_from_scratch.ops import (
    causal_mask,
    cross_entropy,
    dropout,
    embedding,
    gru,
    local_mask,
    lstm,
    multi_head_attention,
    multi_head_attention_weights,
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


def init_params(
    rng,
    stages: Stages,
    *,
    n_items: int,
    max_len: int,
    dim: int,
    n_blocks: int = 2,
    n_next: int = 1,
    positions: bool = True,
    context: dict[str, int] | None = None,
    widths: dict[str, int] | None = None,
    dtype="float32",
) -> Tree:
    """Draw the parameters.

    Parameters
    ----------
    n_blocks : int
        Of a Transformer encoder.
    n_next : int
        How many events ahead a Transformer decoder learns.
    positions : bool
        Whether events are told where in the sequence they stand.
    context : name -> number of kinds
        What else is known of an event: a table each.
    widths : name -> number of features
        What else is known of an item: a projection each.

    Returns
    -------
    {"items": {"ids", "projections"}, "context": {name: table}, "positions", "encoder",
    "attention", "decoder"}, None for what there is not
    """

    def table(rows):  # of vectors about as long as 1
        return rng.normal(0, dim**-0.5, (rows, dim)).astype(dtype)

    def square():
        return init_linear(rng, dim, dim, dtype)

    projections = {name: init_linear(rng, n, dim, dtype) for name, n in (widths or {}).items()}
    return {
        "items": {
            "ids": table(n_items + 1),
            "projections": {name: linear["weight"] for name, linear in projections.items()},
        },
        "context": {name: table(kinds + 1) for name, kinds in (context or {}).items()},
        "positions": table(max_len) if positions else None,
        "encoder": init_encoder(rng, stages.encoder, dim, n_blocks, dtype),
        "attention": init_attention(stages, square),
        "decoder": init_decoder(
            rng, stages.decoder, n_items=n_items, dim=dim, n_next=n_next, dtype=dtype
        ),
    }


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


# --- the four stages


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
    output = np.where(real, noisy, 0)

    def backward(d_output):
        d_x = back_dropout(np.where(real, d_output, 0))
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
    return np.where(real, encoded, 0), lambda d_output: back_encoder(np.where(real, d_output, 0))


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
        grads, d_query, d_key, d_value = back_attention(np.where(real, d_output, 0))
        grads = params and {name: grads[name] for name in params}
        return grads, d_query + d_key + d_value

    return np.where(real, attended, 0), backward


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
    output = np.cumsum(np.where(real, x, 0), axis=1) / counts

    def backward(d_output):
        later = np.cumsum((d_output / counts)[:, ::-1], axis=1)[:, ::-1]
        return np.where(real, later, 0)

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


# --- all of it


def states(params: Tree, table, ids, context, stages: Stages, *, dropout_p=0.0, rng=None):
    """From the ids to what is known after each event: embed, encode, attend, aggregate.

    Returns
    -------
    output : (B, L, D), or (B, 1, D) as in `aggregate`
    backward : d_output -> grads of these stages, d_table
    """
    noise = {"dropout_p": dropout_p, "rng": rng}
    x, back_embed = embed(params, table, ids, context, **noise)
    encoded, back_encode = encode(params["encoder"], x, ids, stages, **noise)
    known, back_aggregate = aggregate(params["attention"], encoded, ids, stages)
    output, back_dropout = dropout(known, p=dropout_p, rng=rng)

    def backward(d_output):
        d_attention, d_encoded = back_aggregate(back_dropout(d_output))
        d_encoder, d_x = back_encode(d_encoded)
        grads, d_table = back_embed(d_x)
        return grads | {"encoder": d_encoder, "attention": d_attention}, d_table

    return output, backward


def next_states(params: Tree, table, ids, previous, context, stages: Stages, **noise):
    """What is known before each of the next items, given those before it.

    Parameters
    ----------
    previous : (B, m) of integers
        The item before each of the next m, for a decoder that goes on from item to item.

    Returns
    -------
    output : (B, L, D) where every event predicts the next; else (B, m, D)
    backward : d_output -> grads of all but items and head, d_table
    """
    known, back_states = states(params, table, ids, context, stages, **noise)
    if stages.predicts_everywhere:
        return known, back_states

    if stages.decoder in HEADS:

        def backward(d_last):
            return back_states(at_last(d_last, known))

        return known[:, -1:], backward

    pooled = stages.aggregation == "pooled"  # one vector is all that is handed on
    memory, real = (known[:, -1:], (ids != 0)[:, -1:]) if pooled else (known, ids != 0)
    output, back_steps = STEPS[stages.decoder](
        params["decoder"]["steps"], memory, table, previous, real=real, n_heads=stages.n_heads
    )

    def backward(d_output):
        d_steps, d_memory, d_table_steps = back_steps(d_output)
        grads, d_table = back_states(at_last(d_memory, known) if pooled else d_memory)
        return grads | {"steps": d_steps}, d_table + d_table_steps

    return output, backward


def at_last(d_last: np.ndarray, like: np.ndarray) -> np.ndarray:
    """Zeros like `like` (B, L, D), with d_last (B, 1, D) in the last row."""
    full = np.zeros_like(like)
    full[:, -1:] = d_last
    return full


def next_item_loss(
    params: Tree,
    ids: np.ndarray,
    targets: np.ndarray,
    *,
    stages: Stages,
    context=None,
    features=None,
    keep=None,
    total: int | None = None,
    dropout_p: float = 0.0,
    rng=None,
):
    """Softmax cross-entropy of what comes next over the whole catalogue.

    Parameters
    ----------
    params : tree of `init_params`
    ids : (B, L) of integers in 0..V
    targets : (B, L) of integers if `stages.predicts_everywhere`: the item after each; else (B, m):
        the m items after the last (m is 1 unless the decoder is autoregressive). 0: none.
    context : name -> (B, L) of integers
    features, keep
        Of `item_table`.
    total : int or None
        What the sum of the losses is divided by; None: the number of targets.
    dropout_p, rng
        Dropout on the embedded events, inside a Transformer encoder, and before the decoder.

    Returns
    -------
    output : ()
        In nats.
    backward : d_output () -> grads
    """
    table, back_table = item_table(params["items"], features or {}, keep=keep)
    noise = {"dropout_p": dropout_p, "rng": rng}
    previous = following(ids, targets[:, :-1])  # the true ones, whatever the decoder would say
    hidden, back_states = next_states(params, table, ids, previous, context, stages, **noise)
    wanted = np.nonzero(targets)  # N places in (B, L) or (B, m)
    logits, back_head = HEADS.get(stages.decoder, HEADS["dot"])(
        params["decoder"], hidden[wanted], table
    )
    loss, back_loss = cross_entropy(logits, targets[wanted] - 1, reduction="sum")
    total = max(len(wanted[0]) if total is None else int(total), 1)

    def backward(d_output=1.0):
        d_head, d_wanted, d_table_head = back_head(back_loss(d_output / total))
        d_hidden = np.zeros_like(hidden)
        d_hidden[wanted] = d_wanted
        grads, d_table = back_states(d_hidden)
        grads["decoder"] = {"head": d_head, "steps": grads.pop("steps", None)}
        return grads | {"items": back_table(d_table + d_table_head)}

    return loss / total, backward


def next_item_scores(
    params: Tree,
    ids: np.ndarray,
    *,
    stages: Stages,
    context=None,
    features=None,
    keep=None,
    said: np.ndarray | None = None,
) -> np.ndarray:
    """Score of every item as the event after the last: (B, V + 1), -inf for padding.

    Parameters
    ----------
    said : (B, j) of integers, or None
        Items that an autoregressive decoder has already given: the scores are those of the next.
    """
    table, _ = item_table(params["items"], features or {}, keep=keep)
    previous = following(ids, ids[:, :0] if said is None else said)
    hidden, _ = next_states(params, table, ids, previous, context, stages)
    head = HEADS.get(stages.decoder, HEADS["dot"])
    logits, _ = head(params["decoder"], hidden[:, -1], table)
    scores = np.full((len(ids), len(table)), -np.inf, logits.dtype)
    scores[:, 1:] = logits
    return scores


def following(ids: np.ndarray, said: np.ndarray) -> np.ndarray:
    """The item before each of the next ones: the last event, and what has been said since."""
    return np.concatenate([ids[:, -1:], said], axis=1)


def attention_maps(
    params: Tree, ids: np.ndarray, *, stages: Stages, context=None, features=None, keep=None
) -> np.ndarray:
    """Who looks at whom: (n_maps, B, H, L, L), those of the encoder's blocks first.

    `featurewise` attention has no such matrix: it compares nothing.
    """
    table, _ = item_table(params["items"], features or {}, keep=keep)
    x, _ = embed(params, table, ids, context)
    maps = []
    if stages.encoder == "transformer":
        maps += attention_maps_of(params["encoder"]["blocks"], x, **block_settings(ids, stages))
    if stages.attention not in ("none", "featurewise"):
        encoded, _ = encode(params["encoder"], x, ids, stages)
        weights, _ = multi_head_attention_weights(
            {**NO_PROJECTIONS, **(params["attention"] or {})},
            encoded,
            encoded,
            **attention_settings(ids, stages),
        )
        maps.append(weights)
    return np.array(maps).reshape(len(maps), len(ids), stages.n_heads, *ids.shape[1:] * 2)
