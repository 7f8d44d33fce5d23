"""The gradients of softmax and log-softmax as sums of terms in p, d and sums over a row."""

import numpy as np

from attention_from_scratch import ops
from attention_from_scratch.verify.doctor.formulas.sums import Sum
from attention_from_scratch.verify.doctor.mistakes.shared import Probe

LEGEND = {
    "p": "the softmax",
    "d": "d_output",
    "y": "the output",
    "e": "exp(x - max(x))",
    "total": "sum(e)",
    "q": "the softmax of all entries, where or not",
    "sum": "along the axis",
}
OF_SOFTMAX = {"p d": 1.0, "p sum(p d)": -1.0}
OF_LOG_SOFTMAX = {"d": 1.0, "p sum(d)": -1.0}
OF_A_SIGMOID = {"p d": 1.0, "p^2 d": -1.0}
OF_A_TANH = {"d": 1.0, "p^2 d": -1.0}


def known(**sums) -> dict[frozenset, str]:
    """What gradient a sum is, and what it is with the other sign."""
    words = {
        frozenset({("J J d", 1.0)}): "it goes back twice (J: the right backward pass)",
        frozenset({("(J d at the last row)", 1.0)}): "only the last row gets a gradient: a loop "
        "overwrites the others (J: the right backward pass)",
        frozenset({("(J d at the first row)", 1.0)}): "only the first row gets a gradient "
        "(J: the right backward pass)",
        frozenset({("(J d but at the last row)", 1.0)}): "the last row gets no gradient "
        "(J: the right backward pass)",
        frozenset({("S J d", 1.0)}): "it goes back through a softmax as well "
        "(S: the backward pass of a softmax, J: the right one)",
    }
    for name, of_name in sums.items():
        op = name.replace("_of_each_entry", " of each entry")
        words[frozenset(of_name.items())] = f"that is the backward pass of a {op}"
        turned = frozenset((term, -number) for term, number in of_name.items())
        words[turned] = f"that is the backward pass of a {op}, with the other sign"
    return words


def terms_of(p, d, axis) -> dict[str, np.ndarray]:
    """Terms of p and d: entry by entry, and with a sum along the axis or another one."""
    within = {"p d": p * d, "d": d, "p^2 d": p * p * d, "p": p}
    around = {"p ": p, "": np.ones_like(p), "p^2 ": p * p, "(1 - p) ": 1 - p}
    terms = dict(within) | {"p^3 d": p**3 * d, "p^2": p * p, "1": np.ones_like(p)}
    for outer, factor in around.items():
        for inner, value in within.items():
            total = value.sum(axis=axis, keepdims=True)
            terms[f"{outer}sum({inner})"] = factor * total
    for outer in ("p ", "", "p^2 "):
        for inner in ("p d", "d"):
            for other in range(p.ndim):
                if other != axis % p.ndim:
                    total = within[inner].sum(axis=other, keepdims=True)
                    terms[f"{outer}sum({inner}) over axis {other}"] = around[outer] * total
            terms[f"{outer}sum({inner}) over the whole array"] = around[outer] * within[inner].sum()
    for inner in ("p d", "d"):
        terms[f"p max({inner})"] = p * within[inner].max(axis=axis, keepdims=True)
        terms[f"p sum({inner}) over the last axis"] = p * within[inner].sum(-1, keepdims=True)
    return terms


def terms_of_other_axes(x, d, axis) -> dict[str, np.ndarray]:
    """Terms with a softmax over another axis."""
    terms = {}
    for other in range(x.ndim):
        if other != axis % x.ndim:
            r, name = ops.softmax(x, axis=other)[0], f"(softmax over axis {other})"
            for inner, value in {"d": d, f"{name} d": r * d}.items():
                terms[f"{name} {inner}"] = r * value
                terms[f"{name} sum({inner})"] = r * value.sum(axis=axis, keepdims=True)
                terms[f"{name} sum({inner}) over axis {other}"] = r * value.sum(
                    axis=other, keepdims=True
                )
    return terms


def terms_of_input(x, p, d, axis, where=True) -> dict[str, np.ndarray]:
    """Terms with the input, or with exponentials that are not divided by their sum."""
    e = np.exp(x - x.max(axis=axis, keepdims=True, where=where, initial=-np.inf)) * where
    total, exp_x = e.sum(axis=axis, keepdims=True), np.exp(x) * where

    def along(value):
        return value.sum(axis=axis, keepdims=True)

    return {
        "x d": x * d,
        "x sum(x d)": x * along(x * d),
        "x sum(p d)": x * along(p * d),
        "p sum(x d)": p * along(x * d),
        "x sum(d)": x * along(d),
        "x^2 d": x * x * d,
        "x p d": x * p * d,
        "e d": e * d,
        "e sum(e d)": e * along(e * d),
        "e sum(p d)": e * along(p * d),
        "p sum(e d)": p * along(e * d),
        "e sum(d)": e * along(d),
        "sum(e d)": along(e * d),
        "e sum(p^2 d)": e * along(p * p * d),
        "d / total": d / total,
        "p d / total": p * d / total,
        "p sum(p d) / total": p * along(p * d) / total,
        "p sum(d) / total": p * along(d) / total,
        "p sum(exp(x) d)": p * along(exp_x * d),
        "exp(x) d": exp_x * d,
        "exp(x) sum(d)": exp_x * along(d),
        "exp(x) sum(exp(x) d)": exp_x * along(exp_x * d),
        "exp(x) sum(p d)": exp_x * along(p * d),
        "sqrt(p) d": np.sqrt(p) * d,
        "sqrt(p) sum(p d)": np.sqrt(p) * along(p * d),
        "sqrt(p) sum(d)": np.sqrt(p) * along(d),
    }


def softmax(probe: Probe) -> Sum:
    """p (d - sum(p d)), written out."""
    x, p, d = probe.inputs[0], np.asarray(probe.output), probe.d_output
    axis, where = probe.keywords.get("axis", -1), probe.keywords.get("where")
    terms = terms_of(p, d, axis) | terms_of_other_axes(x, d, axis)
    terms |= terms_of_input(x, p, d, axis, True if where is None else where)
    if where is not None:
        q, shown = ops.softmax(x, axis=axis)[0], np.broadcast_to(where, x.shape) * 1.0
        for inner, value in {"q d": q * d, "p d": p * d}.items():
            terms[inner] = value
            for outer, factor in {"q": q, "p": p, "where q": shown * q}.items():
                total = value.sum(axis=axis, keepdims=True)
                terms[f"{outer} sum({inner})"] = factor * total
        terms["where q d"] = shown * q * d
        terms["where sum(p d)"] = shown * (p * d).sum(axis=axis, keepdims=True)
    once = p * (d - (p * d).sum(axis=axis, keepdims=True))
    terms |= of_one_row(once, axis)
    terms["J J d"] = p * (once - (p * once).sum(axis=axis, keepdims=True))
    words = known(
        log_softmax=OF_LOG_SOFTMAX, sigmoid_of_each_entry=OF_A_SIGMOID, tanh_of_each_entry=OF_A_TANH
    )
    return Sum(OF_SOFTMAX, spread(terms, p), LEGEND, sizes_of(p, axis), words)


def log_softmax(probe: Probe) -> Sum:
    """d - p sum(d)."""
    x, y, d = probe.inputs[0], np.asarray(probe.output), probe.d_output
    axis, p = probe.keywords.get("axis", -1), np.exp(y)
    terms = terms_of(p, d, axis) | terms_of_input(x, p, d, axis) | terms_of_other_axes(x, d, axis)
    along = {"y d": y * d, "d": d, "p d": p * d}
    for inner, value in along.items():
        total = value.sum(axis=axis, keepdims=True)
        terms[f"y sum({inner})"] = y * total
        terms[f"p sum({inner})"] = p * total
    terms |= {"y d": y * d, "d / p": d / p, "y p d": y * p * d, "sum(y d)": terms["p sum(y d)"] / p}
    once = d - p * d.sum(axis=axis, keepdims=True)
    terms |= of_one_row(once, axis)
    terms["S J d"] = p * (once - (p * once).sum(axis=axis, keepdims=True))
    words = known(
        softmax=OF_SOFTMAX, sigmoid_of_each_entry=OF_A_SIGMOID, tanh_of_each_entry=OF_A_TANH
    )
    return Sum(OF_LOG_SOFTMAX, spread(terms, p), LEGEND, sizes_of(p, axis), words)


def of_one_row(gradient, axis) -> dict[str, np.ndarray]:
    """The right gradient where it is 0 but at one row, or at that row alone."""
    shape = np.delete(gradient.shape, axis % gradient.ndim)
    numbers = np.expand_dims(np.arange(int(np.prod(shape))).reshape(shape), axis)
    last = numbers == numbers.size - 1
    return {
        "(J d at the last row)": gradient * last,
        "(J d at the first row)": gradient * (numbers == 0),
        "(J d but at the last row)": gradient * ~last,
    }


def spread(terms, p) -> dict[str, np.ndarray]:
    """The terms in the shape of the gradient, a sum being the same along its axis."""
    return {name: np.broadcast_to(term, p.shape) for name, term in terms.items()}


def sizes_of(p, axis) -> dict[str, float]:
    """The lengths that a coefficient may follow."""
    return {
        "the length of the axis": p.shape[axis],
        "the number of rows": p.size / p.shape[axis],
        "the batch size": p.shape[0],
    }


SOFTMAX = {"d_x": (softmax,)}
LOG_SOFTMAX = {"d_x": (log_softmax,)}
