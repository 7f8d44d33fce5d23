"""Other forms of attention: its scale, its softmax, its mask, its dropout, its heads."""

import math
from collections.abc import Iterator
from dataclasses import replace
from functools import partial

import numpy as np

from attention_from_scratch import ops
from attention_from_scratch.ops.attention import merge_heads, split_heads
from attention_from_scratch.verify.doctor.forms.form import Form


def weights_of(scores, mask, axis=-1):
    """The softmax of scores under a mask."""
    return ops.softmax(scores, axis=axis, where=None if mask is None else mask)[0]


def attention(probe, *, form):
    """Attention with one thing done in another way; the op that stops at the weights as well."""
    query, key, *values = probe.inputs
    keywords = probe.keywords
    mask, scale = keywords.get("mask"), keywords.get("scale")
    scale = 1 / math.sqrt(query.shape[-1]) if scale is None else scale
    scores = scale * (query @ key.swapaxes(-1, -2))
    if mask is not None:
        mask = np.broadcast_to(mask, scores.shape)
    weights = FORMS_OF_WEIGHTS[form](scores, mask)
    return weights * dropout_of(keywords) @ values[0] if values else weights


def dropout_of(keywords):
    """What dropout multiplies the weights by."""
    keep = keywords.get("keep")
    return 1 if keep is None else keep / (1 - keywords["dropout_p"])


def dropped(probe, *, form):
    """Attention whose dropout is done in another way."""
    query, key, value = probe.inputs
    keywords = {name: probe.keywords.get(name) for name in ("mask", "scale")}
    keep, p = probe.keywords.get("keep"), probe.keywords.get("dropout_p", 0.0)
    weights, _ = ops.attention_weights(query, key, **keywords)
    return (weights if keep is None else FORMS_OF_DROPOUT[form](weights, keep, p)) @ value


FORMS_OF_DROPOUT = {
    "what dropout keeps is not divided by 1 - p": lambda w, keep, p: w * keep,
    "the mask of dropout is inverted": lambda w, keep, p: w * ~keep / (1 - p),
    "dropout is not applied": lambda w, keep, p: w,
    "what dropout keeps is divided by p, not by 1 - p": lambda w, keep, p: w * keep / p,
    "dropout hides scores before the softmax, not weights after it": (
        lambda w, keep, p: ops.softmax(np.log(np.where(w == 0, 1, w)), where=(w != 0) & keep)[0]
    ),
    "weights are divided by their sums again after dropout": lambda w, keep, p: np.divide(
        w * keep, np.maximum((w * keep).sum(axis=-1, keepdims=True), 1e-300)
    ),
}


def dropped_scores(probe):
    """Attention whose scores go through dropout, before the softmax."""
    query, key, value = probe.inputs
    scale = probe.keywords.get("scale")
    scale = 1 / math.sqrt(query.shape[-1]) if scale is None else scale
    scores = scale * (query @ key.swapaxes(-1, -2)) * dropout_of(probe.keywords)
    return weights_of(scores, probe.keywords.get("mask")) @ value


def attention_of_values_forms(probes) -> Iterator[Form]:
    """The other forms of attention to values."""
    yield from attention_forms(probes)
    yield "is what comes if the default scale is 1/sqrt(the width of the values)", scaled_by_value
    yield "is what comes if dropout acts on the scores, not on the weights", dropped_scores
    for form in FORMS_OF_DROPOUT:
        yield f"is what comes if {form}", partial(dropped, form=form)


def added(scores, mask, hidden):
    """The softmax of scores in which a number is put where the mask hides."""
    return weights_of(scores if mask is None else np.where(mask, scores, hidden), None)


FORMS_OF_WEIGHTS = {
    "the softmax runs over the queries, not over the keys": lambda s, m: weights_of(s, m, -2),
    "the mask is inverted: True hides": lambda s, m: weights_of(s, None if m is None else ~m),
    "the mask is not applied": lambda s, m: weights_of(s, None),
    "weights are masked after the softmax, and rows no longer add up to 1": lambda s, m: (
        weights_of(s, None) * (1 if m is None else m)
    ),
    "masked scores are 0, not -inf": lambda s, m: added(s, m, 0),
    "masked scores are a large negative number, and a row that sees nothing sees all alike": (
        lambda s, m: added(s, m, -1e30)
    ),
    "masked scores are -1e9, and a row that sees nothing sees all alike": (
        lambda s, m: added(s, m, -1e9)
    ),
    "the mask is added to the scores as 0 and 1": lambda s, m: weights_of(
        s if m is None else s + m, None
    ),
    "the mask is added to the scores as 0 and -1": lambda s, m: weights_of(
        s if m is None else s - ~m, None
    ),
    "the mask is inverted: True hides, by a score of -1e9": lambda s, m: added(
        s, None if m is None else ~m, -1e9
    ),
    "the mask is inverted: 1e9 is taken off where it is True": lambda s, m: weights_of(
        s if m is None else s - 1e9 * m, None
    ),
    "the mask is transposed: it hides queries from keys": lambda s, m: weights_of(
        s, m if m is None or s.shape[-1] != s.shape[-2] else m.swapaxes(-1, -2)
    ),
    "every query sees itself and what is before it, whatever the mask": lambda s, m: weights_of(
        s, np.tril(np.ones(s.shape, bool))
    ),
    "every query sees itself and what is before it alone, beside the mask": lambda s, m: weights_of(
        s, np.tril(np.ones(s.shape, bool)) & (seen(s, m) > 0)
    ),
    "a query does not see itself": lambda s, m: weights_of(s, without_itself(s, m)),
    "1 is added to the sum that the softmax divides by": lambda s, m: (
        np.exp(s) * seen(s, m) / (1 + (np.exp(s) * seen(s, m)).sum(axis=-1, keepdims=True))
    ),
    "the softmax does not divide: exp(scores)": lambda s, m: np.exp(s) * seen(s, m),
    "there is no softmax: weights are the scores": lambda s, m: s * seen(s, m),
    "sigmoids stand in the place of the softmax": lambda s, m: seen(s, m) / (1 + np.exp(-s)),
    "the softmax runs over queries and keys together": lambda s, m: (
        np.exp(s) * seen(s, m) / (np.exp(s) * seen(s, m)).sum(axis=(-2, -1), keepdims=True)
    ),
    "the softmax runs over the batch, axis 0": lambda s, m: weights_of(s, m, 0),
    "the softmax is of minus the scores": lambda s, m: weights_of(-s, m),
}


def seen(scores, mask):
    """1 where a key is seen."""
    return np.ones(scores.shape) if mask is None else 1.0 * mask


def without_itself(scores, mask):
    """The mask without its diagonal."""
    return (seen(scores, mask) > 0) & ~np.eye(*scores.shape[-2:], dtype=bool)


OF_QUERIES_AND_KEYS = {
    "the default scale is the root of the width, not 1 over it": lambda q, k, s: by_default(
        q, k, s, q.shape[-1] ** 0.5
    ),
    "the default scale is 1/sqrt(the number of keys)": lambda q, k, s: by_default(
        q, k, s, k.shape[-2] ** -0.5
    ),
    "the default scale is 1": lambda q, k, s: by_default(q, k, s, 1.0),
    "the default scale is 1 / width, without the root": lambda q, k, s: by_default(
        q, k, s, 1 / q.shape[-1]
    ),
    "queries and keys are divided by their norms: cosines": lambda q, k, s: (
        s * (unit(q) @ unit(k).swapaxes(-1, -2))
    ),
    "queries and keys are divided by their norms, and cosines are not scaled": lambda q, k, s: (
        unit(q) @ unit(k).swapaxes(-1, -2)
    ),
    "scores are divided by the root of the number of keys": lambda q, k, s: (
        q @ k.swapaxes(-1, -2) / np.sqrt(k.shape[-2])
    ),
    "scores are divided by the scale, not multiplied by it": lambda q, k, s: (
        q @ k.swapaxes(-1, -2) / s
    ),
    "query and key both get the scale: it enters twice": lambda q, k, s: (
        s * s * (q @ k.swapaxes(-1, -2))
    ),
    "scores are minus squared distances": lambda q, k, s: (
        -s * ((q[..., :, None, :] - k[..., None, :, :]) ** 2).sum(axis=-1)
    ),
}


def by_default(query, key, scale, default):
    """Scores with this scale where none is given."""
    scale = default if abs(scale - query.shape[-1] ** -0.5) < 1e-12 else scale
    return scale * (query @ key.swapaxes(-1, -2))


def scaled_by_value(probe):
    """Attention whose default scale is of the width of the values."""
    query, key, value = probe.inputs
    scale = probe.keywords.get("scale")
    scale = value.shape[-1] ** -0.5 if scale is None else scale
    weights = weights_of(scale * (query @ key.swapaxes(-1, -2)), probe.keywords.get("mask"))
    return weights * dropout_of(probe.keywords) @ value


def unit(x):
    """Rows divided by their norms."""
    return x / np.sqrt((x * x).sum(axis=-1, keepdims=True))


def compared(probe, *, form):
    """Attention whose scores are made in another way."""
    query, key, *values = probe.inputs
    mask, scale = probe.keywords.get("mask"), probe.keywords.get("scale")
    scale = 1 / math.sqrt(query.shape[-1]) if scale is None else scale
    weights = weights_of(OF_QUERIES_AND_KEYS[form](query, key, scale), mask)
    return weights * dropout_of(probe.keywords) @ values[0] if values else weights


def attention_forms(probes) -> Iterator[Form]:
    """The other forms of attention."""
    for form in FORMS_OF_WEIGHTS:
        yield f"is what comes if {form}", partial(attention, form=form)
    for form in OF_QUERIES_AND_KEYS:
        yield f"is what comes if {form}", partial(compared, form=form)


def split_by_reshape(x, n_heads):
    """Heads taken by a reshape alone: positions and heads are mixed up."""
    *batch, length, width = x.shape
    return x.reshape(*batch, n_heads, length, width // n_heads)


def split_interleaved(x, n_heads):
    """Head h has every column h, h + H, ..."""
    *batch, length, width = x.shape
    return np.moveaxis(x.reshape(*batch, length, width // n_heads, n_heads), -1, -3)


def merge_by_reshape(heads):
    """Heads laid side by side by a reshape alone."""
    *batch, n_heads, length, width = heads.shape
    return heads.reshape(*batch, length, n_heads * width)


def merge_interleaved(heads):
    """Columns of all heads in turn."""
    *batch, n_heads, length, width = heads.shape
    return np.moveaxis(heads, -3, -1).reshape(*batch, length, n_heads * width)


def many_heads(
    probe,
    *,
    split=split_heads,
    merge=merge_heads,
    order=(0, 1, 2),
    mask=True,
    whole=False,
    projected=True,
    residual=False,
    form=None,
):
    """Multi-head attention with one thing done in another way."""
    params, *sources = probe.inputs
    keywords = dict(probe.keywords)
    n_heads, given = keywords.pop("n_heads"), keywords.pop("mask", None)
    if given is not None and mask:
        keywords["mask"] = given[..., None, :, :] if given.ndim > 2 else given
    names = ("query", "key", "value")
    heads = [
        split(ops.project(params[names[i]], x)[0], n_heads)
        for i, x in zip(order, sources, strict=True)
    ]
    if whole and keywords.get("scale") is None:
        keywords["scale"] = sources[0].shape[-1] ** -0.5
    if form is None:
        mixed, _ = ops.scaled_dot_product_attention(*heads, **keywords)
    else:
        inner = replace(probe, inputs=tuple(heads), keywords=keywords)
        mixed = form(inner)
    output = ops.project(params["output"], merge(mixed))[0] if projected else merge(mixed)
    return output + sources[0] if residual else output


MANY_HEADS = {
    "heads are split by a reshape alone, with no axes exchanged": {"split": split_by_reshape},
    "heads are merged by a reshape alone, with no axes exchanged": {"merge": merge_by_reshape},
    "heads are split and merged by a reshape alone": {
        "split": split_by_reshape,
        "merge": merge_by_reshape,
    },
    "head h takes the columns h, h + H, ... (interleaved)": {"split": split_interleaved},
    "heads are merged column by column in turn (interleaved)": {"merge": merge_interleaved},
    "heads are interleaved, split and merged": {
        "split": split_interleaved,
        "merge": merge_interleaved,
    },
    "the mask is not applied": {"mask": False},
    "the scale is 1/sqrt(D) of the whole width, not of a head": {"whole": True},
    "the output is not projected": {"projected": False},
    "the query is added to the output: a residual path": {"residual": True},
    "the projections of query and key are exchanged": {"order": (1, 0, 2)},
    "the projections of key and value are exchanged": {"order": (0, 2, 1)},
    "the projections of query and value are exchanged": {"order": (2, 1, 0)},
}


def many_heads_forms(probes) -> Iterator[Form]:
    """The other forms of multi-head attention."""
    for words, changes in MANY_HEADS.items():
        yield f"is what comes if {words}", partial(many_heads, **changes)
    for words, form in attention_of_values_forms(probes):
        yield words, partial(many_heads, form=form)
