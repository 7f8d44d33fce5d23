"""The article's flow chart, section 2.3, drawn from a model: its stages, shapes and parameters.

    encoder -> self-attention -> weighted aggregation -> decoder

The article's chart has these three arrows. A model has a fourth: the aggregation multiplies the
weights with what the encoder says, so that goes past the attention as well.
"""

from collections.abc import Iterator
from dataclasses import asdict, dataclass

import numpy as np

from attention_from_scratch.article.listing import Listing
from attention_from_scratch.models.pipeline import Pipeline
from attention_from_scratch.networks.decoders import STEPS
from attention_from_scratch.networks.stages import RECURRENT, Stages
from attention_from_scratch.tree import Tree, tree_leaves

DIRECTIONS = ("TD", "LR", "BT", "RL")
ENCODERS = {"rnn": "RNN", "gru": "GRU", "lstm": "LSTM"}
LOOKS = {
    "global": ["every event looks at all events"],
    "causal": ["every event looks at itself", "and those before it"],
    "local": ["every event looks at the last {window},", "itself among them"],
    "featurewise": ["softmax over time in each feature,", "no event compared with another"],
    "none": ["none"],
}


@dataclass(frozen=True)
class Flow:
    """Boxes and arrows, in words.

    Attributes
    ----------
    boxes : (title, lines) of each stage, the events first and the answer last
    arrows : what each box hands to the next, one fewer than boxes
    shortcuts : (from, to, what) by number of the box
    """

    boxes: list[tuple[str, list[str]]]
    arrows: list[str]
    shortcuts: list[tuple[int, int, str]]


def flow(model: Pipeline | Listing | Stages, **sizes) -> Flow:
    """What happens in a model from the events to the answer.

    Parameters
    ----------
    model : Pipeline, Listing or Stages
        It need not have been trained.
    **sizes
        Of Stages only: n_items and all else that `Pipeline` takes.

    Returns
    -------
    Flow
        Shapes are those of B full histories, answered after the last event. The numbers of
        parameters are those of the model's own arrays; all of them are in some box.
    """
    model = model_of(model, sizes)
    params = model.initial_params() if model.params is None else model.params
    length, width, stages = model.config["max_len"], model.config["dim"], model.stages
    rows = f"(B, {length}, {width})"
    boxes = [
        ("Events", [f"the last {length}, of {model.n_items:,} items"]),
        ("Encoder", list(encoder_lines(params, stages))),
        ("Self-attention", list(attention_lines(params, stages))),
        ("Weighted aggregation", list(aggregation_lines(params, stages))),
        ("Decoder", list(decoder_lines(params, stages))),
        (answer_title(model), [f"{count(params)} parameters in all"]),
    ]
    arrows = [
        f"ids (B, {length})",
        f"X {rows}",
        weights_shape(stages, length, rows),
        handed_on(stages, width, rows),
        answer(model),
    ]
    shortcuts = [] if stages.attention == "none" else [(1, 3, f"X {rows}")]
    return Flow(boxes, arrows, shortcuts)


def flow_chart(model: Pipeline | Listing | Stages, *, direction: str = "TD", **sizes) -> str:
    """The flow of a model as a mermaid chart.

    Parameters
    ----------
    model, **sizes
        As in `flow`.
    direction : "TD", "LR", "BT" or "RL"
        Top down, as in the article; left to right; ...

    Returns
    -------
    str
        For a ```mermaid block of Markdown.
    """
    if direction not in DIRECTIONS:
        raise ValueError(f"direction was {direction!r}, but must be one of {', '.join(DIRECTIONS)}")
    chart = flow(model, **sizes)
    lines = [f"graph {direction}"]
    for i, (title, details) in enumerate(chart.boxes):
        text = "<br/>".join([title, *details])
        lines.append(f'    {name(i)}["{text}"]')
    for i, what in enumerate(chart.arrows):
        lines.append(f'    {name(i)} -- "{what}" --> {name(i + 1)}')
    for start, end, what in chart.shortcuts:
        lines.append(f'    {name(start)} -- "{what}" --> {name(end)}')
    return "\n".join(lines)


def name(i: int) -> str:
    """The letter of node number i: A, B, C, ..., as in the article."""
    return chr(ord("A") + i)


def model_of(model, sizes: dict) -> Pipeline | Listing:
    """The model itself, or the pipeline with these stages and sizes."""
    if isinstance(model, Stages):
        return Pipeline(**asdict(model), **sizes)
    if not isinstance(model, Pipeline | Listing):
        raise TypeError(
            f"model was a {type(model).__name__}, but must be a Pipeline, a Listing or Stages"
        )
    if sizes:
        raise TypeError(
            f"{next(iter(sizes))} was given, but a {type(model).__name__} has its sizes"
        )
    return model


# --- what stands in the boxes


def encoder_lines(params: Tree, stages: Stages) -> Iterator[str]:
    """The tables that make an event a vector, and what reads the vectors."""
    items = params["items"]
    yield with_count(f"item table {shape(items['ids'])}", items["ids"])
    for feature, weight in items["projections"].items():
        yield with_count(f"+ {feature} {shape(weight)}", weight)
    for kind, table in params["context"].items():
        yield with_count(f"+ {kind} {shape(table)}", table)
    if params["positions"] is not None:
        yield with_count(f"+ positions {shape(params['positions'])}", params["positions"])
    encoder = params["encoder"]
    if stages.encoder in RECURRENT:
        width = len(encoder["hidden"]["weight"])
        yield with_count(f"{ENCODERS[stages.encoder]} of {width}", encoder)
    if stages.encoder == "transformer":
        blocks = counted(len(encoder["blocks"]), "block")
        yield with_count(f"Transformer, {blocks}, {counted(stages.n_heads, 'head')}", encoder)


def attention_lines(params: Tree, stages: Stages) -> Iterator[str]:
    """Who looks at whom, and the maps that the weights are made with."""
    yield from (line.format(window=stages.window) for line in LOOKS[stages.attention])
    if stages.attention in ("none", "featurewise"):
        maps = params["attention"] and {"query": params["attention"]["query"]}
    else:
        scores = "Q Kᵀ" if stages.projections else "X Xᵀ"
        scale = " / √d" if stages.scaled else ""
        heads = f", {counted(stages.n_heads, 'head')}" if stages.n_heads > 1 else ""
        yield f"softmax of {scores}{scale}{heads}"
        maps = params["attention"] and {n: params["attention"][n] for n in ("query", "key")}
    for kind, linear in (maps or {}).items():
        yield with_count(f"{kind} {shape(linear['weight'])}", linear)


def aggregation_lines(params: Tree, stages: Stages) -> Iterator[str]:
    """What the aggregation adds up, and over what."""
    if params["attention"] is not None:
        linear = params["attention"]["value"]
        yield with_count(f"value {shape(linear['weight'])}", linear)
    if stages.attention == "featurewise":
        yield "sum over time, feature by feature"
    elif stages.attention != "none":
        yield "W V" if stages.projections else "W X"
    if stages.aggregation == "pooled" and stages.attention != "featurewise":
        yield "mean over time"
    if stages.attention == "none" and stages.aggregation == "matrix":
        yield "none"


def decoder_lines(params: Tree, stages: Stages) -> Iterator[str]:
    """What the decoder makes its scores with, from the states it is told."""
    decoder = params["decoder"]
    if stages.decoder == "rnn":
        width = len(decoder["steps"]["hidden"]["weight"])
        yield with_count(f"RNN of {width}, from item to item", decoder["steps"])
    if stages.decoder == "transformer":
        yield with_count("Transformer block, from item to item", decoder["steps"])
    if stages.decoder == "dense":
        weight = decoder["head"]["weight"]
        yield with_count(f"dense {shape(weight)}", decoder["head"])
    else:
        yield "dot product with the item table"


def answer_title(model) -> str:
    """The title of the last box: what the decoder gives."""
    return "Next items, in order" if model.stages.decoder in STEPS else "Next item"


# --- what stands at the arrows


def weights_shape(stages: Stages, length: int, rows: str) -> str:
    """What the attention hands on, with its shape."""
    if stages.attention == "none":
        return f"X {rows}"
    if stages.attention == "featurewise":
        return f"W {rows}"
    heads = f"{stages.n_heads}, " if stages.n_heads > 1 else ""
    return f"W (B, {heads}{length}, {length})"


def handed_on(stages: Stages, width: int, rows: str) -> str:
    """What the decoder is told, with its shape: one vector, unless it attends to all events."""
    if stages.decoder == "transformer" and stages.aggregation == "matrix":
        return f"states {rows}"
    pooled = stages.aggregation == "pooled"
    return f"(B, {width})" if pooled else f"last row (B, {width})"


def answer(model) -> str:
    """What the decoder says of each item or class, with its shape."""
    if isinstance(model, Listing):
        return f"probabilities (B, {model.n_classes})"
    return f"scores (B, {model.n_items})"


# --- numbers


def count(tree: Tree) -> str:
    """The number of parameters in a tree, as text."""
    return f"{sum(int(np.size(leaf)) for _, leaf in tree_leaves(tree)):,}"


def with_count(text: str, tree: Tree) -> str:
    """A text, and after it the number of parameters in a tree."""
    return f"{text}: {count(tree)}"


def shape(array: np.ndarray) -> str:
    """The shape of an array as text, such as 6 x 64."""
    return " x ".join(f"{n:,}" for n in array.shape)


def counted(n: int, what: str) -> str:
    """A number with its noun, such as 1 head or 2 heads."""
    return f"{n} {what}" if n == 1 else f"{n} {what}s"
