"""Whole models as cases for `verify`: the loss, to every parameter."""

from collections.abc import Iterable
from itertools import combinations, product

import numpy as np

from attention_from_scratch.networks import initial, pipeline, sasrec, transformer
from attention_from_scratch.networks.bidirectional import bidirectional
from attention_from_scratch.networks.decoders import STEPS
from attention_from_scratch.networks.events import embed
from attention_from_scratch.networks.stages import CHOICES, RECURRENT, Stages
from attention_from_scratch.networks.transformer import EPS
from attention_from_scratch.ops import causal_mask, padding_mask
from attention_from_scratch.tree import Tree, tree_map
from attention_from_scratch.verify import Case
from attention_from_scratch.verify.cases import Draw

IDS = np.array([[0, 0, 3, 1, 5], [2, 4, 4, 1, 6], [0, 1, 2, 3, 2]])
TARGETS = np.array([[0, 0, 1, 5, 2], [4, 4, 1, 6, 3], [0, 2, 0, 2, 1]])  # the item after each event
NEXT = np.array([[2, 7, 0], [3, 0, 1], [1, 2, 5]])  # the items after the last event
GENRES = np.cos(np.arange(24.0)).reshape(8, 3)  # features of 8 ids: any numbers do


def model_cases(seed: int = 0, dtype: str = "float64", *, dropout: bool = True) -> list[Case]:
    """Cases of blocks and SASRec with every norm and loss, dropout if wanted; and of the others."""
    draw = Draw(seed, dtype)
    negatives, x = draw.rng.integers(1, 8, (*IDS.shape, 2)), draw.normal(3, 5, 4)
    cases = []
    for norm in transformer.BLOCKS:
        cases.append(block_case(draw, norm, x))
        cases += sasrec_cases(draw, norm, negatives, dropout)
    return cases + transformer_cases(draw) + pipeline_cases(draw) + bidirectional_cases(draw)


def noisy(draw: Draw, params: Tree) -> Tree:
    """Move parameters away from the zeros and ones that a model starts from."""
    return tree_map(
        lambda a: (a + 0.5 * draw.rng.standard_normal(a.shape)).astype(draw.dtype), params
    )


def block_case(draw: Draw, norm: str, x) -> Case:
    """One Transformer block."""
    params = noisy(
        draw,
        initial.init_block(draw.rng, 4, output_projection=norm != "paper", dtype=draw.dtype),
    )
    keywords = {"n_heads": 2, "mask": causal_mask(5), "eps": EPS}
    return Case(transformer.BLOCKS[norm], (params, x), keywords, "causal, 2 heads")


def sasrec_cases(draw: Draw, norm: str, negatives, dropout: bool) -> list[Case]:
    """Cases of SASRec's embedding and of its losses."""
    rng, dtype = draw.rng, draw.dtype
    params = noisy(
        draw,
        sasrec.init_params(rng, n_items=7, max_len=6, dim=4, n_blocks=2, norm=norm, dtype=dtype),
    )
    tables = {name: params[name] for name in ("items", "positions")}
    cases = [Case(embed, (tables, IDS), {"scale": 2.0}, "padding", "sasrec.embed")]
    for loss, integers in (
        (sasrec.catalogue_loss, (IDS, TARGETS)),
        (sasrec.sampled_loss, (IDS, TARGETS, negatives)),
    ):
        settings = {"n_heads": 2, "norm": norm}
        name, inputs = f"sasrec.{loss.__name__}", (params, *integers)
        cases.append(Case(loss, inputs, settings, f'norm="{norm}"', name))
        if dropout:
            noisy_loss = with_dropout(loss)
            cases.append(Case(noisy_loss, inputs, settings, f'norm="{norm}", dropout', name))
    if norm != "paper":
        settings = {"n_heads": 2, "norm": norm, "mask_padding": False}
        note, inputs = f'norm="{norm}", padding attended', (params, IDS, TARGETS)
        cases.append(Case(sasrec.catalogue_loss, inputs, settings, note, "sasrec.catalogue_loss"))
    return cases


def with_dropout(loss):
    """A loss with dropout that draws the same numbers at every evaluation."""

    def loss_with_dropout(params, *integers, **settings):
        rng = np.random.default_rng(1)
        return loss(params, *integers, dropout_p=0.3, rng=rng, **settings)

    return loss_with_dropout


def transformer_cases(draw: Draw) -> list[Case]:
    """Cases of the stack of blocks, and of the block of a decoder."""
    rng, dtype = draw.rng, draw.dtype
    blocks = [initial.init_block(rng, 4, output_projection=True, dtype=dtype) for _ in range(2)]
    stack = noisy(draw, {"blocks": blocks, "norm": initial.init_norm(4, dtype)})
    block = noisy(draw, initial.init_decoder_block(rng, 4, dtype=dtype))
    x, said = draw.normal(3, 5, 4), draw.normal(3, 4, 4)
    common = {"n_heads": 2, "eps": EPS}
    padded = {"real": (IDS != 0)[..., None], "mask": causal_mask(5) & padding_mask(IDS)}
    masks = {"mask": causal_mask(4), "memory_mask": padding_mask(IDS)}
    return [
        Case(
            transformer.transformer_encoder,
            (stack, x),
            common | padded | {"norm": "pre"},
            "2 blocks, padding",
        ),
        Case(transformer.decoder_block, (block, said, x), common | masks, "padded memory"),
    ]


def pipeline_cases(draw: Draw) -> list[Case]:
    """Cases of pipelines with all that can be known; any two choices meet in one of them."""
    return [pipeline_case(draw, stages) for stages in covering(every_pipeline())]


def pipeline_case(draw: Draw, stages: Stages) -> Case:
    """The case of one pipeline: context, features, padding, and an item whose id is left out."""
    sizes = {"n_items": 7, "max_len": 6, "dim": 4, "n_blocks": 1, "n_next": 3}
    known = {"context": {"behaviour": 2}, "widths": {"genre": 3}}
    params = pipeline.init_params(draw.rng, stages, **sizes, **known, dtype=draw.dtype)
    if stages.predicts_everywhere:
        targets = TARGETS
    else:
        targets = NEXT if stages.decoder in STEPS else NEXT[:, :1]
    settings = {
        "stages": stages,
        "context": {"behaviour": np.where(IDS, 1 + IDS % 2, 0)},
        "features": {"genre": GENRES.astype(draw.dtype)},
        "keep": np.arange(8) != 3,
    }
    note = ", ".join((stages.encoder, stages.attention, stages.aggregation, stages.decoder))
    inputs = (noisy(draw, params), IDS, targets)
    # Many large models of one kind: two directions see all entries of a parameter at once.
    name, along = "pipeline.next_item_loss", 2
    return Case(pipeline.next_item_loss, inputs, settings, note, name, projections=along)


def bidirectional_cases(draw: Draw) -> list[Case]:
    """Cases of recurrent layers in both directions, padded."""
    cases = []
    for layer, last, note in (("lstm", False, "padding"), ("gru", True, "padding, last states")):
        gates = 4 * RECURRENT[layer]
        params = {
            direction: {"input": draw.affine(4, gates), "hidden": draw.affine(4, gates)}
            for direction in ("forward", "reverse")
        }
        settings = {"layer": layer, "mask": IDS != 0, "last": last}
        inputs = (params, draw.normal(3, 5, 4))
        cases.append(Case(bidirectional, inputs, settings, f"{layer}, {note}"))
    return cases


def every_pipeline() -> list[Stages]:
    """Every combination of choices, leaving out those in which a choice makes no difference."""
    stages = []
    for encoder, attention, aggregation, decoder in product(*CHOICES.values()):
        if attention == "featurewise" and aggregation != "pooled":
            continue
        heads = {"n_heads": 1 if attention == "featurewise" else 2}
        window = {"window": 2 if attention == "local" else None}
        compares = attention in ("global", "causal", "local")
        for scaled, projections in product((True, False), repeat=2) if compares else [(True, True)]:
            chosen = (encoder, attention, aggregation, decoder)
            names = dict(zip(CHOICES, chosen, strict=True))
            flags = {"scaled": scaled, "projections": projections}
            stages.append(Stages(**names, **flags, **heads, **window))
    return stages


def covering(candidates: Iterable[Stages]) -> list[Stages]:
    """Few of the candidates, chosen greedily: any two choices that meet in one, meet in these."""
    met = {stages: pairs_of(stages) for stages in candidates}
    missing, chosen = set().union(*met.values()), []
    while missing:
        best = max(met, key=lambda stages: len(met[stages] & missing))
        chosen.append(best)
        missing -= met[best]
    return chosen


def pairs_of(stages: Stages) -> set:
    """All pairs of its choices; how scores are made counts only where there are scores."""
    names = list(CHOICES)
    if stages.attention in ("global", "causal", "local"):
        names += ["scaled", "projections"]
    return set(combinations([(name, getattr(stages, name)) for name in names], 2))
