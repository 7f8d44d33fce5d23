"""Other forms of softmax, layer norm, linear maps and lookups."""

from collections.abc import Iterator
from functools import partial

import numpy as np

from attention_from_scratch import ops
from attention_from_scratch.verify.doctor.forms.form import Form


def share(e, axis):
    """Each entry over the sum of all."""
    return e / e.sum(axis=axis, keepdims=True)


def largest(x, axis):
    """The largest entry, which a softmax takes off."""
    return x.max(axis=axis, keepdims=True)


SOFTMAX = {
    "it does not divide by the sum: exp(x)": lambda x, axis: np.exp(x),
    "it does not divide by the sum: exp(x - max)": lambda x, axis: np.exp(x - largest(x, axis)),
    "1 is added to the sum of exp(x)": lambda x, axis: (
        np.exp(x) / (1 + np.exp(x).sum(axis=axis, keepdims=True))
    ),
    "it divides by the largest exp(x), not by the sum": lambda x, axis: (
        np.exp(x) / largest(np.exp(x), axis)
    ),
    "it has powers of 2, not of e": lambda x, axis: share(2.0**x, axis),
    "it is of minus x": lambda x, axis: share(np.exp(-x), axis),
    "it divides by the norm of exp(x)": lambda x, axis: (
        np.exp(x) / np.sqrt((np.exp(x) ** 2).sum(axis=axis, keepdims=True))
    ),
    "there is no exp: x over the sum of x": share,
    "sigmoids are divided by their sum": lambda x, axis: share(ops.sigmoid(x)[0], axis),
    "it runs over the whole array": lambda x, axis: share(np.exp(x), None),
    "it runs over the last axis, whatever axis is asked for": lambda x, axis: share(np.exp(x), -1),
    "it runs over axis 0": lambda x, axis: share(np.exp(x), 0),
    "it runs over axis 1": lambda x, axis: share(np.exp(x), min(1, x.ndim - 1)),
    "it runs over the last axis but one": lambda x, axis: share(np.exp(x), max(-2, -x.ndim)),
    **{
        f"{small:g} is added to the sum": lambda x, axis, e=small: (
            np.exp(x - largest(x, axis))
            / (np.exp(x - largest(x, axis)).sum(axis=axis, keepdims=True) + e)
        )
        for small in (1e-12, 1e-10, 1e-9, 1e-8, 1e-7, 1e-6, 1e-5)
    },
}
LOG_SOFTMAX = {
    "it is x - max: the logarithm of the sum is missing": lambda x, axis: x - largest(x, axis),
    "the maximum is not taken off again: x - log sum exp(x - max)": lambda x, axis: (
        x - np.log(np.exp(x - largest(x, axis)).sum(axis=axis, keepdims=True))
    ),
    "it is x - sum exp(x): the logarithm is missing": lambda x, axis: (
        x - np.exp(x).sum(axis=axis, keepdims=True)
    ),
    "it is x - log(mean of exp(x))": lambda x, axis: (
        x - np.log(np.exp(x).mean(axis=axis, keepdims=True))
    ),
    "it has the other sign": lambda x, axis: -np.log(share(np.exp(x), axis)),
    "it is the logarithm to the base 2": lambda x, axis: np.log2(share(np.exp(x), axis)),
    "it is the logarithm to the base 10": lambda x, axis: np.log10(share(np.exp(x), axis)),
    "it is the logarithm of a sigmoid": lambda x, axis: np.log(ops.sigmoid(x)[0]),
    "it runs over the whole array": lambda x, axis: np.log(share(np.exp(x), None)),
    "it runs over axis 0": lambda x, axis: np.log(share(np.exp(x), 0)),
    **{
        f"{small:g} is added to the softmax inside the logarithm": lambda x, axis, e=small: np.log(
            share(np.exp(x), axis) + e
        )
        for small in (1e-15, 1e-12, 1e-10, 1e-9, 1e-8, 1e-7, 1e-6, 1e-5)
    },
}


def of_rows(function, probe):
    """A softmax that is another function; where entries are left out, of those that are not."""
    x, axis, where = probe.inputs[0], probe.keywords.get("axis", -1), probe.keywords.get("where")
    if where is None:
        return function(x, axis)
    with np.errstate(all="ignore"):
        hidden = np.where(where, x, -np.inf)
        return np.where(where, function(hidden, axis), 0)


def of_left_out(function, probe):
    """A softmax that does something else with the entries that are left out."""
    x, axis, where = probe.inputs[0], probe.keywords.get("axis", -1), probe.keywords.get("where")
    return probe.output if where is None else function(x, axis, where)


LEFT_OUT = {
    "entries that are left out are not: `where` is not used": lambda x, axis, where: share(
        np.exp(x), axis
    ),
    "entries are left out after the softmax, and rows no longer add up to 1": (
        lambda x, axis, where: share(np.exp(x), axis) * where
    ),
    "entries that are left out are 0 before the softmax, not -inf": lambda x, axis, where: share(
        np.exp(x * where), axis
    ),
    "`where` is inverted: True leaves out": lambda x, axis, where: ops.softmax(
        x, axis=axis, where=~where
    )[0],
}


def softmax_forms(_) -> Iterator[Form]:
    """The other forms of a softmax."""
    for words, function in SOFTMAX.items():
        yield f"is what comes if {words}", partial(of_rows, function)
    for words, function in LEFT_OUT.items():
        yield f"is what comes if {words}", partial(of_left_out, function)


def log_softmax_forms(_) -> Iterator[Form]:
    """The other forms of a log-softmax."""
    for words, function in LOG_SOFTMAX.items():
        yield f"is what comes if {words}", partial(of_rows, function)


def normed(
    probe, *, axes=(-1,), ddof=0, eps="inside", centred=True, scaled=True, more=0.0, spread=None
):
    """Layer norm with one thing done in another way."""
    x, weight, bias = (*probe.inputs, None, None)[:3]
    small = probe.keywords.get("eps", 1e-5)
    axes = tuple({axis % x.ndim for axis in axes if -x.ndim <= axis < x.ndim}) if axes else None
    off = x - x.mean(axis=axes, keepdims=True)
    count = x.size if axes is None else np.prod([x.shape[axis] for axis in axes])
    base = x if centred is False else off
    variance = (base * base).sum(axis=axes, keepdims=True) / max(count - ddof, 1)
    deviation = {
        "inside": np.sqrt(variance + small),
        "outside": np.sqrt(variance) + small,
        "none": np.sqrt(variance),
        "square": np.sqrt(variance + small * small),
        "variance": variance + small,
        "largest": np.maximum(np.sqrt(variance), small),
    }[eps]
    if spread is not None:
        deviation = spread(off, axes) + small
    z = (base if centred in (True, False) else x) / (deviation if scaled else 1.0)
    z = z if weight is None else z * (weight + more)
    return z if bias is None else z + bias


LAYER_NORM = {
    "eps is added to the deviation, outside the root": {"eps": "outside"},
    "there is no eps": {"eps": "none"},
    "eps is squared inside the root": {"eps": "square"},
    "it divides by the variance, not by its root": {"eps": "variance"},
    "the deviation is at least eps, and eps is not added": {"eps": "largest"},
    "the variance is the unbiased one, over D - 1": {"ddof": 1},
    "the variance is over D - 1, and eps is outside the root": {"ddof": 1, "eps": "outside"},
    "the variance is over D - 1, and there is no eps": {"ddof": 1, "eps": "none"},
    "nothing is taken off: it is the norm by the root of the mean square": {"centred": False},
    "the mean is taken off, but nothing is divided by": {"scaled": False},
    "x is divided by its deviation, but its mean is not taken off": {"centred": None},
    "1 is added to the weight": {"more": 1.0},
    "mean and variance run over the batch, axis 0": {"axes": (0,)},
    "mean and variance run over axis 1": {"axes": (1,)},
    "mean and variance run over the whole array": {"axes": ()},
    "mean and variance run over all but the batch": {"axes": (-1, -2)},
    "mean and variance run over all but the last axis, as in a batch norm": {"axes": (0, -2)},
    "it divides by the mean of |x - mean|": {
        "spread": lambda off, axes: np.abs(off).mean(axis=axes, keepdims=True)
    },
    "it divides by the largest |x - mean|": {
        "spread": lambda off, axes: np.abs(off).max(axis=axes, keepdims=True)
    },
    "it divides by the norm of x - mean, which is sqrt(D) too much": {
        "spread": lambda off, axes: np.sqrt((off * off).sum(axis=axes, keepdims=True))
    },
}


def layer_norm_forms(_) -> Iterator[Form]:
    """The other forms of layer norm."""
    for words, changes in LAYER_NORM.items():
        yield f"is what comes if {words}", partial(normed, **changes)
    words = "the bias is added before the weight multiplies: (z + bias) weight"
    yield f"is what comes if {words}", bias_first


def bias_first(probe):
    """Layer norm whose bias is multiplied by the weight."""
    x, weight, bias = probe.inputs
    z = ops.layer_norm(x, None, None, eps=probe.keywords.get("eps", 1e-5))[0]
    return (z + (0 if bias is None else bias)) * (1 if weight is None else weight)


def turned(weight):
    """A square weight transposed; any other as it is."""
    return weight.T if weight.shape[0] == weight.shape[1] else weight


LINEAR = {
    "the weight is transposed (where it is square)": lambda x, w, b: x @ turned(w) + b,
    "the bias is taken off, not added": lambda x, w, b: x @ w - b,
    "a relu follows": lambda x, w, b: np.maximum(x @ w + b, 0),
    "x is added: a residual path (where the widths are the same)": lambda x, w, b: (
        x @ w + b + (x if w.shape[0] == w.shape[1] else 0)
    ),
    "it is divided by the root of the width of x": lambda x, w, b: x @ w / len(w) ** 0.5 + b,
    "the bias is multiplied by the weight: (x + b) W": lambda x, w, b: (
        (x + b) @ w if w.shape[0] == w.shape[1] else x @ w + b
    ),
}


def of_map(function, probe):
    """A linear map that is another."""
    x, weight, bias = (*probe.inputs, None)[:3]
    return function(x, weight, 0 if bias is None else bias)


def linear_forms(_) -> Iterator[Form]:
    """The other forms of a linear map."""
    for words, function in LINEAR.items():
        yield f"is what comes if {words}", partial(of_map, function)


def rows_of(ids, weight, padding_id):
    """The rows of ids, zeros at padding."""
    rows = weight[ids]
    return rows if padding_id is None else np.where((ids == padding_id)[..., None], 0, rows)


def unit(rows):
    """Rows divided by their norms; zeros stay."""
    norms = np.sqrt((rows * rows).sum(axis=-1, keepdims=True))
    return rows / np.where(norms == 0, 1, norms)


EMBEDDING = {
    "padding is not 0: its row of the table stands there": lambda i, w, p: w[i],
    "rows are multiplied by sqrt(D)": lambda i, w, p: rows_of(i, w, p) * w.shape[1] ** 0.5,
    "rows are multiplied by sqrt(D), and padding is not 0": lambda i, w, p: (
        w[i] * w.shape[1] ** 0.5
    ),
    "rows are divided by sqrt(D)": lambda i, w, p: rows_of(i, w, p) / w.shape[1] ** 0.5,
    "ids are taken one too low: the row before": lambda i, w, p: rows_of_others(i, w, p, -1),
    "ids are taken one too high: the row after": lambda i, w, p: rows_of_others(i, w, p, 1),
    "ids are taken one too low, and padding is not 0": lambda i, w, p: w[i - 1],
    "id 0 is padding, whatever padding_id is": lambda i, w, p: rows_of(i, w, 0),
    "the last id is padding": lambda i, w, p: rows_of(i, w, len(w) - 1),
    "rows are divided by their norms": lambda i, w, p: unit(rows_of(i, w, p)),
    "positions are counted as padding where the row of id 0 belongs": lambda i, w, p: (
        rows_of(i, w, p) * (i != 0)[..., None]
    ),
    "the row of the padding is 1, not 0": lambda i, w, p: (
        w[i] if p is None else np.where((i == p)[..., None], 1, w[i])
    ),
}


def rows_of_others(ids, weight, padding_id, by):
    """The rows of other ids, zeros at padding."""
    rows = weight[(ids + by) % len(weight)]
    return rows if padding_id is None else np.where((ids == padding_id)[..., None], 0, rows)


def of_lookup(function, probe):
    """A lookup that is another."""
    ids, weight = probe.inputs
    return function(np.asarray(ids), weight, probe.keywords.get("padding_id", 0))


def embedding_forms(_) -> Iterator[Form]:
    """The other forms of a lookup."""
    for words, function in EMBEDDING.items():
        yield f"is what comes if {words}", partial(of_lookup, function)
