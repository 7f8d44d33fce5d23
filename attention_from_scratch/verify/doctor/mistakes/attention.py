"""Mistakes of attention: its scale, its softmax, its weighted sum, and inputs that are repeated."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from attention_from_scratch import ops
from attention_from_scratch.ops.attention import transpose
from attention_from_scratch.verify.doctor.mistakes.dropout import dropout_factors
from attention_from_scratch.verify.doctor.mistakes.shared import Probe
from attention_from_scratch.verify.doctor.mistakes.softmax import softmax_backwards


@dataclass(frozen=True)
class Attention:
    """The parts of an attention that its backward pass uses, and the ways to get it wrong."""

    query: np.ndarray
    key: np.ndarray
    value: np.ndarray | None  # None: the op stops at the weights
    mask: np.ndarray | None
    scale: float
    keep: np.ndarray | None = None
    p: float = 0.0

    def weights(self, mask) -> np.ndarray:
        """The attention weights softmax(scale Q K^T) under a mask."""
        return ops.attention_weights(self.query, self.key, mask=mask, scale=self.scale)[0]

    @property
    def factor(self):
        """What dropout multiplies the weights by."""
        return 1.0 if self.keep is None else self.keep / (1 - self.p)

    def d_scores(self, d, back_softmax=None, factor=None, d_weights=None) -> np.ndarray:
        """The gradient of scale Q K^T, with what is given in place of the right thing."""
        weights = self.weights(self.mask)
        if d_weights is None:
            d_weights = d if self.value is None else d @ transpose(self.value)
            d_weights = d_weights * (self.factor if factor is None else factor)
        d_weights = np.broadcast_to(d_weights, weights.shape).copy()
        if back_softmax is not None:
            return back_softmax(weights, d_weights)
        seen = weights > 0
        return ops.softmax(np.log(np.where(seen, weights, 1)), where=seen)[1](d_weights)

    def backward(self, d, **wrong) -> dict:
        """The gradients of query, key and value; `wrong` is of `d_scores`."""
        d_scores = self.d_scores(d, **wrong)
        gradients = {
            "d_query": self.scale * d_scores @ self.key,
            "d_key": self.scale * transpose(d_scores) @ self.query,
        }
        if self.value is not None:
            gradients["d_value"] = transpose(self.weights(self.mask) * self.factor) @ d
        return gradients


def attention_mistakes(parts: Attention, d: np.ndarray) -> Iterator:
    """The mistakes of an attention, as wrong gradients of query, key and value."""
    right = parts.backward(d)
    if parts.scale != 1:
        yield from scale_mistakes(right, parts.scale)
    yield "query_key_swapped", {"d_query": right["d_key"], "d_key": right["d_query"]}
    d_scores = parts.d_scores(d)
    if d_scores.shape[-1] == d_scores.shape[-2]:
        wrong_key = parts.scale * d_scores @ parts.query
        wrong_query = parts.scale * transpose(d_scores) @ parts.key
        yield "transpose_missing", {"d_key": wrong_key}
        yield "transpose_missing", {"d_query": wrong_query}
        yield "transpose_missing", {"d_query": wrong_query, "d_key": wrong_key}
    yield from weight_mistakes(parts, d)
    if parts.value is not None:
        yield "key_value_swapped", {"d_key": right["d_value"], "d_value": right["d_key"]}
        yield from value_mistakes(parts, d, parts.weights(parts.mask))


def scale_mistakes(right: dict, scale: float) -> Iterator:
    """The scale is forgotten, or applied again, on one side or on both."""
    d_query, d_key = right["d_query"], right["d_key"]
    yield "scale_missing", {"d_query": d_query / scale, "d_key": d_key / scale}
    yield "scale_twice", {"d_query": d_query * scale, "d_key": d_key * scale}
    yield "scale_twice", {"d_query": d_query * scale}
    yield "scale_twice", {"d_key": d_key * scale}
    yield "scale_on_query_only", {"d_key": d_key / scale}
    yield "scale_on_key_only", {"d_query": d_query / scale}
    root = math.sqrt(abs(scale))  # one half of a scale that is split between the two
    yield "scale_missing", {"d_query": d_query / root, "d_key": d_key / root}


def scale_ignored(parts: Attention, d) -> Iterator:
    """The scale that was given is not used, but the one that there would be without it."""
    share = 1 / math.sqrt(parts.query.shape[-1]) / parts.scale
    right = parts.backward(d)
    for names in (("d_query", "d_key"), ("d_query",), ("d_key",)):
        yield "scale_ignored", {name: share * right[name] for name in names}


def weight_mistakes(parts: Attention, d: np.ndarray) -> Iterator:
    """Wrong ways back through the softmax, and a mask that is forgotten there or at the values."""
    unmasked = None if parts.mask is None else parts.weights(None)
    leaked = {}
    if unmasked is not None and parts.value is not None:
        leaked = {"d_value": transpose(unmasked * parts.factor) @ d}
        yield "mask_ignored", leaked
    ndim = parts.weights(parts.mask).ndim
    for mistake, back in softmax_backwards(ndim, -1, unmasked):
        gradients = parts.backward(d, back_softmax=back)
        yield mistake, gradients
        if mistake == "mask_ignored" and leaked:
            yield mistake, gradients | leaked
    if unmasked is not None:
        yield from recomputed_without_mask(parts, d, unmasked)


def recomputed_without_mask(parts: Attention, d: np.ndarray, unmasked) -> Iterator:
    """Weights made anew on the way back, without the mask but with the sums saved under it.

    Their rows then add up to more than 1, and what is subtracted from each row may be the saved
    mean or one made anew; the values may be met by the weights made anew or by the saved ones.
    """
    weights = parts.weights(parts.mask)
    seen = (unmasked * (weights != 0)).sum(axis=-1, keepdims=True)
    leaking = np.divide(unmasked, seen, out=np.zeros_like(unmasked), where=seen != 0)
    d_value = {"d_value": transpose(leaking * parts.factor) @ d} if parts.value is not None else {}
    for of_mean in (weights, leaking):
        back = lambda _, d_weights, p=of_mean: (
            leaking * (d_weights - (p * d_weights).sum(axis=-1, keepdims=True))
        )
        gradients = parts.backward(d, back_softmax=back)
        yield "mask_ignored", gradients
        yield "mask_ignored", gradients | d_value
    yield "mask_ignored", d_value


def value_mistakes(parts: Attention, d, weights) -> Iterator:
    """Wrong ways back through the weighted sum of the values, and through the dropout before it."""
    kept = weights * parts.factor
    if kept.shape[-1] == kept.shape[-2]:
        yield "transpose_missing", {"d_value": kept @ d}
        yield "value_not_weighted", {"d_value": np.broadcast_to(d, (*kept.shape[:-1], d.shape[-1]))}
    yield "value_not_weighted", {"d_value": d}
    summed = d.sum(axis=-2, keepdims=True)
    yield "value_not_weighted", {"d_value": np.repeat(summed, kept.shape[-1], axis=-2)}
    yield "value_not_weighted", {"d_value": np.repeat(summed / kept.shape[-1], kept.shape[-1], -2)}
    if parts.value.shape[-1] == parts.value.shape[-2] == d.shape[-1]:
        wrong = (d @ parts.value) * parts.factor
        yield "transpose_missing", parts.backward(d, d_weights=wrong)
        yield "transpose_missing", parts.backward(d, d_weights=d @ parts.value)
    if parts.keep is None:
        return
    yield from weights_confused(parts, d, weights)
    for mistake, factor in dropout_factors(parts.keep, parts.p):
        gradients = parts.backward(d, factor=factor)
        yield mistake, gradients
        yield mistake, gradients | {"d_value": transpose(weights * factor) @ d}
        yield mistake, {"d_value": transpose(weights * factor) @ d}


def weights_confused(parts: Attention, d, weights) -> Iterator:
    """The weights after dropout in the softmax, or those before it in the mean of a row."""
    kept = np.broadcast_to(weights * parts.factor, weights.shape)
    undropped = np.broadcast_to(d @ transpose(parts.value), weights.shape)

    def mean(p, d_weights):
        return (p * d_weights).sum(axis=-1, keepdims=True)

    backs = (
        lambda p, d_weights: kept * (d_weights - mean(kept, d_weights)),
        lambda p, d_weights: kept * (d_weights - mean(p, d_weights)),
        lambda p, d_weights: p * (d_weights - mean(kept, d_weights)),
        lambda p, d_weights: p * (d_weights - mean(p, undropped)),
    )
    for back in backs:
        yield "dropout_weights_confused", parts.backward(d, back_softmax=back)


def attention(probe: Probe) -> Iterator:
    """The mistakes of attention_weights and of scaled_dot_product_attention."""
    parts = attention_of(*probe.inputs, keywords=probe.keywords)
    mistakes = [*attention_mistakes(parts, probe.d_output)]
    if probe.keywords.get("scale") is not None:
        mistakes += scale_ignored(parts, probe.d_output)
    for mistake, gradients in mistakes:
        fitting = {
            name: reduce_like(gradient, probe.right[name])
            for name, gradient in gradients.items()
            if name in probe.right
        }
        yield mistake, fitting
    yield from broadcast_mistakes(parts, probe)


def attention_of(query, key, value=None, *, keywords) -> Attention:
    """The parts of an attention, from what the op was called with."""
    scale = keywords.get("scale")
    return Attention(
        query,
        key,
        value,
        keywords.get("mask"),
        1 / math.sqrt(query.shape[-1]) if scale is None else scale,
        keywords.get("keep"),
        keywords.get("dropout_p", 0.0),
    )


def reduce_like(gradient, like):
    """Sum out broadcast axes where that gives the right shape."""
    try:
        return ops.contract.unbroadcast(gradient, like.shape)
    except (ValueError, IndexError, np.exceptions.AxisError):
        return gradient


def broadcast_mistakes(parts: Attention, probe: Probe) -> Iterator:
    """A repeated input whose gradient is not summed, or of which one slice is kept."""
    full = parts.backward(probe.d_output)
    for name, right in probe.right.items():
        gradient = full.get(name)
        if gradient is None or gradient.shape == right.shape:
            continue
        yield "broadcast_not_summed", {name: gradient}
        extra = gradient.ndim - right.ndim
        for place in (0, -1):
            kept = gradient
            for _ in range(extra):
                kept = kept[place]
            for axis, (n, m) in enumerate(zip(kept.shape, right.shape, strict=True)):
                if n != m:
                    kept = kept.take([place], axis=axis)
            yield "broadcast_not_summed", {name: kept}
        mean = gradient.mean(axis=tuple(range(extra)))
        yield "broadcast_not_summed", {name: reduce_like(mean, right)}
        yield "broadcast_not_summed", {name: gradient.sum(axis=tuple(range(extra)))}
        if not extra:
            axes = tuple(
                i
                for i, (n, m) in enumerate(zip(gradient.shape, right.shape, strict=True))
                if n != m
            )
            yield "broadcast_not_summed", {name: gradient.mean(axis=axes, keepdims=True)}
            yield "broadcast_not_summed", {name: gradient.sum(axis=axes)}
