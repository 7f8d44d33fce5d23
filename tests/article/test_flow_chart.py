"""The flow chart says what the model does: its shapes are those of arrays, its numbers add up."""

import re
from dataclasses import asdict
from itertools import product

import numpy as np
import pytest

from attention_from_scratch import SASRec
from attention_from_scratch.models import Pipeline, flow, flow_chart, gru4rec, listing
from attention_from_scratch.networks import pipeline
from attention_from_scratch.networks.decoders import STEPS
from attention_from_scratch.networks.events import embed
from attention_from_scratch.networks.item_table import item_table
from attention_from_scratch.networks.stages import CHOICES, Stages, aggregate, encode
from attention_from_scratch.tree import tree_leaves

SIZES = {"n_items": 7, "max_len": 6, "dim": 4}


def every_stages():
    for encoder, attention, aggregation, decoder in product(*CHOICES.values()):
        if attention == "featurewise" and aggregation != "pooled":
            continue
        yield Stages(
            encoder=encoder,
            attention=attention,
            window=3 if attention == "local" else None,
            aggregation=aggregation,
            decoder=decoder,
            n_heads=1 if attention == "featurewise" else 2,
        )


ALL = list(every_stages())
IDS = ["-".join(map(str, list(asdict(s).values())[:7:2])) for s in ALL]


def total(model):
    return sum(leaf.size for _, leaf in tree_leaves(model.params or model.initial_params()))


def numbers(chart):
    """What stands after the colons in the boxes of the stages."""
    lines = [line for _, lines in chart.boxes[:-1] for line in lines]
    return [int(line.split(": ")[1].replace(",", "")) for line in lines if ": " in line]


def shape_in(text):
    """(B, 6, 4) as (1, 6, 4)."""
    found = re.search(r"\(B, ([\d, ]+)\)", text)[1]
    return (1, *(int(n) for n in found.split(", ")))


def test_the_listing_as_mermaid():
    assert flow_chart(listing()) == (
        "graph TD\n"
        '    A["Events<br/>the last 5, of 5 items"]\n'
        '    B["Encoder<br/>item table 6 x 64: 384<br/>LSTM of 64: 33,024"]\n'
        '    C["Self-attention<br/>softmax over time in each feature,<br/>'
        'no event compared with another<br/>query 64 x 64: 4,160"]\n'
        '    D["Weighted aggregation<br/>value 64 x 64: 4,160<br/>'
        'sum over time, feature by feature"]\n'
        '    E["Decoder<br/>dense 64 x 5: 325"]\n'
        '    F["Next item<br/>42,053 parameters in all"]\n'
        '    A -- "ids (B, 5)" --> B\n'
        '    B -- "X (B, 5, 64)" --> C\n'
        '    C -- "W (B, 5, 64)" --> D\n'
        '    D -- "(B, 64)" --> E\n'
        '    E -- "probabilities (B, 5)" --> F\n'
        '    B -- "X (B, 5, 64)" --> D'
    )


@pytest.mark.parametrize("stages", ALL, ids=IDS)
def test_the_numbers_of_parameters_are_those_of_the_arrays(stages):
    chart = flow(stages, **SIZES, context={"behaviour": 3}, features={"genre": np.ones((8, 2))})
    model = Pipeline(
        **SIZES, **asdict(stages), context={"behaviour": 3}, features={"genre": np.ones((8, 2))}
    )
    assert sum(numbers(chart)) == total(model)
    assert chart.boxes[-1][1] == [f"{total(model):,} parameters in all"]
    assert "+ genre 2 x 4: 8" in chart.boxes[1][1]
    assert "+ behaviour 4 x 4: 16" in chart.boxes[1][1]


@pytest.mark.parametrize("stages", ALL, ids=IDS)
def test_the_shapes_are_those_of_the_arrays(stages):
    chart = flow(stages, **SIZES)
    model = Pipeline(**SIZES, **asdict(stages))
    params, ids = model.initial_params(), np.array([[1, 2, 3, 4, 5, 6]])
    table, _ = item_table(params["items"], {})
    x, _ = embed(params | {"items": table}, ids, context={})
    encoded, _ = encode(params["encoder"], x, ids, stages)
    known, _ = aggregate(params["attention"], encoded, ids, stages)
    scores = pipeline.next_item_scores(params, ids, stages=stages)
    to_encoder, to_attention, to_aggregation, to_decoder, answer = map(shape_in, chart.arrows)

    assert to_encoder == ids.shape
    assert to_attention == encoded.shape
    if stages.attention in ("none", "featurewise"):
        assert to_aggregation == encoded.shape
    else:
        weights = pipeline.attention_maps(params, ids, stages=stages)[-1]
        assert to_aggregation == weights.shape
    sees_all = stages.decoder == "transformer" and stages.aggregation == "matrix"
    assert to_decoder == (known if sees_all else known[:, -1]).shape
    assert answer == scores[:, 1:].shape
    assert chart.boxes[-1][0] == (
        "Next items, in order" if stages.decoder in STEPS else "Next item"
    )
    shortcuts = [] if stages.attention == "none" else [(1, 3, chart.arrows[1])]
    assert chart.shortcuts == shortcuts


def test_heads_window_scale_and_projections_are_named():
    chart = flow(
        Stages(attention="local", window=3, scaled=False, projections=False, n_heads=2), **SIZES
    )
    assert chart.boxes[2][1] == [
        "every event looks at the last 3,",
        "itself among them",
        "softmax of X Xᵀ, 2 heads",
    ]
    assert chart.boxes[3][1] == ["W X"]
    assert "positions 6 x 4: 24" in chart.boxes[1][1][1]
    assert chart.boxes[1][1][-1].startswith("Transformer, 2 blocks, 2 heads: ")


def test_a_trained_model_a_listing_of_other_sizes_and_gru4rec():
    model = gru4rec(9, 3, 4).fit([[1, 2, 3], [4, 5, 6]], epochs=1, progress=False)
    assert sum(numbers(flow(model))) == total(model)
    assert "GRU of 4: 120" in flow(model).boxes[1][1]
    model = listing(7, 3, length=4, dim=2)
    assert sum(numbers(flow(model))) == total(model)
    assert flow(model).arrows == [
        "ids (B, 4)",
        "X (B, 4, 2)",
        "W (B, 4, 2)",
        "(B, 2)",
        "probabilities (B, 3)",
    ]


def test_every_box_is_reached_in_every_direction():
    chart = flow_chart(Stages(), n_items=5, direction="LR")
    first, *lines = chart.split("\n")
    assert first == "graph LR"
    nodes = [line.strip()[0] for line in lines if "[" in line and "-->" not in line]
    assert nodes == list("ABCDEF")
    ends = [line[-1] for line in lines if "-->" in line]
    assert sorted(set(ends)) == list("BCDEF")


def test_errors():
    with pytest.raises(TypeError, match="model was a SASRec, but must be a Pipeline, a Listing or"):
        flow_chart(SASRec(5))
    with pytest.raises(TypeError, match="n_items was given, but a Listing has its sizes"):
        flow_chart(listing(), n_items=5)
    with pytest.raises(ValueError, match="direction was 'up', but must be one of TD, LR, BT, RL"):
        flow_chart(listing(), direction="up")
