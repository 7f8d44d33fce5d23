"""Mistakes of multi-head attention: of the attention inside, the heads and the linear maps."""

import math
from collections.abc import Iterator

import numpy as np

from attention_from_scratch import ops
from attention_from_scratch.ops.attention import merge_heads, over_heads, split_heads
from attention_from_scratch.verify.doctor.mistakes.attention import (
    attention_mistakes,
    attention_of,
    scale_ignored,
)
from attention_from_scratch.verify.doctor.mistakes.linear import linear
from attention_from_scratch.verify.doctor.mistakes.shared import Probe


def multi_head_attention(probe: Probe) -> Iterator:
    """The mistakes of the attention inside, of the heads, and of the four linear maps."""
    params, query, key, value = (*probe.inputs, None)[:4]
    n_heads, d = probe.keywords["n_heads"], probe.d_output
    sources = {"query": query, "key": key, "value": value}
    sources = {name: x for name, x in sources.items() if x is not None}
    projected = {name: ops.linear(x, **params[name])[0] for name, x in sources.items()}
    heads = {name: split_heads(x, n_heads) for name, x in projected.items()}
    keywords = probe.keywords | {"mask": over_heads(probe.keywords.get("mask"))}
    parts = attention_of(*heads.values(), keywords=keywords)
    output = params.get("output")
    d_merged = d if output is None or value is None else d @ output["weight"].T
    d_heads = split_heads(d_merged, n_heads) if value is not None else d

    def through_maps(gradients, merge=merge_heads):
        """From gradients of the heads to those of parameters and inputs."""
        found = {}
        for name, x in sources.items():
            if f"d_{name}" in gradients:
                d_projected = merge(gradients[f"d_{name}"])
                if d_projected.shape != projected[name].shape:
                    continue  # a mistake that only square shapes allow
                d_x, d_weight, d_bias = ops.linear(x, **params[name])[1](d_projected)
                found |= {f"d_{name}": d_x, f"d_params.{name}.weight": d_weight}
                found |= {} if d_bias is None else {f"d_params.{name}.bias": d_bias}
        return found

    for mistake, gradients in attention_mistakes(parts, d_heads):
        yield mistake, through_maps(gradients)
    yield from single_heads(parts.backward(d_heads), through_maps)
    if keywords.get("scale") is not None:
        for mistake, gradients in scale_ignored(parts, d_heads):
            yield mistake, through_maps(gradients)
    right = parts.backward(d_heads)
    narrower = {n: right[n] / math.sqrt(n_heads) for n in ("d_query", "d_key")}
    if keywords.get("scale") is not None:  # which it may use rightly
        yield "scale_of_all_heads", through_maps({n: right[n] for n in narrower})
    yield "scale_of_all_heads", through_maps(narrower)
    yield from exchanged("query_key_swapped", probe.right, "query", "key")
    if value is not None:
        yield from exchanged("key_value_swapped", probe.right, "key", "value")
    yield from head_mistakes(parts, d_merged, n_heads, through_maps, value is not None, d_heads)
    for name, x in sources.items():
        d_projected = merge_heads(parts.backward(d_heads)[f"d_{name}"])
        yield from map_mistakes(f"d_params.{name}", f"d_{name}", params[name], x, d_projected)
    if output is not None and value is not None:
        merged = merge_heads(ops.scaled_dot_product_attention(*heads.values(), **kept(keywords))[0])
        yield from map_mistakes("d_params.output", None, output, merged, d)
        if output["weight"].shape[0] == output["weight"].shape[1]:
            wrong = split_heads(d @ output["weight"], n_heads)
            gradients = parts.backward(wrong)
            yield "transpose_missing", through_maps(gradients)


def single_heads(right: dict, through_maps) -> Iterator:
    """Of what the heads send back to an input only that of the last or of the first arrives."""
    for which in (slice(-1, None), slice(0, 1)):
        alone = {}
        for name, gradient in right.items():
            kept = np.zeros_like(gradient)
            kept[..., which, :, :] = gradient[..., which, :, :]
            alone[name] = through_maps({name: kept})[name]
            yield "heads_not_added", {name: alone[name]}
        yield "heads_not_added", alone


def exchanged(mistake, right, one, other) -> Iterator:
    """The gradients of two inputs, of their projections or of both in each other's place."""
    inputs, projections = {}, {}
    for a, b in ((one, other), (other, one)):
        inputs[f"d_{a}"] = right[f"d_{b}"]
        for part in ("weight", "bias"):
            if f"d_params.{b}.{part}" in right:
                projections[f"d_params.{a}.{part}"] = right[f"d_params.{b}.{part}"]
    for gradients in (inputs, projections, inputs | projections):
        yield mistake, gradients


def kept(keywords) -> dict:
    """Those of the keywords that the attention inside takes."""
    names = ("mask", "scale", "dropout_p", "keep")
    return {name: keywords[name] for name in names if name in keywords}


def head_mistakes(parts, d_merged, n_heads, through_maps, has_value, d_heads) -> Iterator:
    """Heads are split or merged backward in ways that only look right, as their shapes fit."""

    def by_reshape(x):  # (B, L, H d) -> (B, H, L, d) with no transpose
        *batch, length, width = x.shape
        return x.reshape(*batch, n_heads, length, width // n_heads)

    def interleaved(x):  # head h takes columns h, h + H, ...
        *batch, length, width = x.shape
        return np.moveaxis(x.reshape(*batch, length, width // n_heads, n_heads), -1, -3)

    def reversed_heads(x):
        return split_heads(x, n_heads)[..., ::-1, :, :]

    def merge_by_reshape(heads):
        *batch, h, length, width = heads.shape
        return heads.reshape(*batch, length, h * width)

    def merge_interleaved(heads):
        *batch, h, length, width = heads.shape
        return np.moveaxis(heads, -3, -1).reshape(*batch, length, h * width)

    def merge_reversed(heads):
        return merge_heads(heads[..., ::-1, :, :])

    merges = (merge_by_reshape, merge_interleaved, merge_reversed)
    for merge in merges:
        right = parts.backward(d_heads)
        yield "heads_wrong_order", through_maps(right, merge)
        for name in ("d_query", "d_key", "d_value"):
            if name in right:
                yield "heads_wrong_order", through_maps({name: right[name]}, merge)
    if has_value:
        for split, merge in zip((by_reshape, interleaved, reversed_heads), merges, strict=True):
            gradients = parts.backward(split(d_merged))
            yield "heads_wrong_order", through_maps(gradients)
            yield "heads_wrong_order", through_maps(gradients, merge)


def map_mistakes(parameter, argument, params, x, d) -> Iterator:
    """The mistakes of one linear map, under the names that it has in the tree."""
    if params is None:
        return
    output, back = ops.linear(x, **params)
    _, _, d_bias = back(d)
    inner = Probe((x, params["weight"], params["bias"]), {}, d, output, {"d_bias": d_bias})
    names = {"d_weight": f"{parameter}.weight", "d_bias": f"{parameter}.bias", "d_x": argument}
    for mistake, gradients in linear(inner):
        yield mistake, {names[n]: g for n, g in gradients.items() if names[n] is not None}
