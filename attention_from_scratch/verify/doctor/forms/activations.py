"""Other forms of activations: other functions by the same name, and cheaper ones."""

import math
from collections.abc import Iterator
from functools import partial

import numpy as np

from attention_from_scratch import ops
from attention_from_scratch.verify.doctor.forms.form import Form


def s(x):
    """The logistic function."""
    return ops.sigmoid(x)[0]


def normal(x):
    """How much of a normal distribution lies below x: gelu(x) / x, and 1/2 at 0."""
    return np.divide(ops.gelu(x)[0], x, out=np.full_like(x, 0.5), where=x != 0)


ROOT = math.sqrt(2 / math.pi)


def tanh_form(x, root=ROOT, cubic=0.044715):
    """The tanh form of gelu with other numbers."""
    return x * (1 + np.tanh(root * (x + cubic * x**3))) / 2


RELU = {
    **{
        f"it leaks: {slope:g} x where x is negative": lambda x, a=slope: np.where(x > 0, x, a * x)
        for slope in (0.001, 0.01, 0.02, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 1 / 3, 0.5)
    },
    "it is an elu: exp(x) - 1 where x is negative": lambda x: np.where(x > 0, x, np.expm1(x)),
    "it is a softplus: log(1 + exp(x))": lambda x: np.log1p(np.exp(x)),
    "it is a relu6, cut off at 6": lambda x: np.clip(x, 0, 6),
    "it is cut off at 1": lambda x: np.clip(x, 0, 1),
    "it is |x|": np.abs,
    "it is min(x, 0), the other side": lambda x: np.minimum(x, 0),
    "it is 1 where x is positive, the slope": lambda x: 1.0 * (x > 0),
    "it is squared": lambda x: np.maximum(x, 0) ** 2,
    "it is a gelu": lambda x: ops.gelu(x)[0],
    "it is a silu, x sigmoid(x)": lambda x: x * s(x),
}
SIGMOID = {
    "it is a hard sigmoid, x / 6 + 1/2 between 0 and 1": lambda x: np.clip(x / 6 + 0.5, 0, 1),
    "it is a hard sigmoid, x / 5 + 1/2 between 0 and 1": lambda x: np.clip(x / 5 + 0.5, 0, 1),
    "it is sigmoid(-x), exp(x) in the place of exp(-x)": lambda x: s(-x),
    "it is (1 + tanh(x)) / 2: the half of x is missing inside": lambda x: (1 + np.tanh(x)) / 2,
    "it is tanh(x / 2): not moved to between 0 and 1": lambda x: np.tanh(x / 2),
    "it is a silu, x sigmoid(x)": lambda x: x * s(x),
    "it is the logarithm of the sigmoid": lambda x: np.log(s(x)),
    "it is s (1 - s), the slope": lambda x: s(x) * (1 - s(x)),
    "it is a normal distribution, (1 + erf(x / sqrt 2)) / 2": normal,
    "it is exp(x)": np.exp,
}
TANH = {
    "it is a hard tanh, x between -1 and 1": lambda x: np.clip(x, -1, 1),
    "it is tanh(x / 2): a 2 is missing inside": lambda x: np.tanh(x / 2),
    "it is tanh(2 x): a 2 too many inside": lambda x: np.tanh(2 * x),
    "it is a softsign, x / (1 + |x|)": lambda x: x / (1 + np.abs(x)),
    "it is LeCun's 1.7159 tanh(2 x / 3)": lambda x: 1.7159 * np.tanh(2 * x / 3),
    "it is 1 - tanh(x)^2, the slope": lambda x: 1 - np.tanh(x) ** 2,
    "it is the arc tangent": np.arctan,
    "it is the inverse, artanh": np.arctanh,
    "it is sinh(x)": np.sinh,
}
GELU = {
    "it is the quick form, x sigmoid(1.702 x)": lambda x: x * s(1.702 * x),
    "it is the quick form with 1.7, x sigmoid(1.7 x)": lambda x: x * s(1.7 * x),
    "it is a silu, x sigmoid(x)": lambda x: x * s(x),
    "it is the exact form": lambda x: ops.gelu(x)[0],
    "it is the tanh form": lambda x: ops.gelu(x, approximate="tanh")[0],
    "the root of 2 is missing: x (1 + erf(x)) / 2": lambda x: x * normal(math.sqrt(2) * x),
    "the half is missing: x (1 + erf(x / sqrt 2))": lambda x: 2 * x * normal(x),
    "the factor x is missing: (1 + erf(x / sqrt 2)) / 2": normal,
    "it is x times the normal density": lambda x: x * np.exp(-x * x / 2) / math.sqrt(2 * math.pi),
    "it is the tanh form without its cubic term": partial(tanh_form, cubic=0.0),
    "it is the tanh form with 1 in the place of sqrt(2 / pi)": partial(tanh_form, root=1.0),
    "it is the tanh form with sqrt(2) / pi": partial(tanh_form, root=math.sqrt(2) / math.pi),
    "it is the tanh form with 2 / pi, without the root": partial(tanh_form, root=2 / math.pi),
    "it is the tanh form with 1/sqrt(2 pi)": partial(tanh_form, root=1 / math.sqrt(2 * math.pi)),
    "it is the tanh form, half of it missing": lambda x: 2 * tanh_form(x),
    "it is the tanh form with numbers of six digits, 0.7978845608": partial(
        tanh_form, root=0.7978845608
    ),
    "it is the tanh form with 0.797885": partial(tanh_form, root=0.797885),
    "it is the tanh form with 0.7978": partial(tanh_form, root=0.7978),
    "it is the tanh form with 0.79788": partial(tanh_form, root=0.79788),
    "it is the tanh form with 0.0447": partial(tanh_form, cubic=0.0447),
    "it is the tanh form with 0.045": partial(tanh_form, cubic=0.045),
    "it is a relu": lambda x: np.maximum(x, 0),
    "it is x tanh(softplus(x)), a mish": lambda x: x * np.tanh(np.log1p(np.exp(x))),
}
DROPOUT = {
    "what is kept is not divided by 1 - p": lambda x, keep, p: x * keep,
    "the mask is inverted: what it keeps is dropped": lambda x, keep, p: x * ~keep / (1 - p),
    "the mask is inverted, and what is left is divided by p": lambda x, keep, p: x * ~keep / p,
    "nothing is dropped": lambda x, keep, p: x,
    "nothing is dropped, and all is multiplied by 1 - p, as when it is not training": (
        lambda x, keep, p: x * (1 - p)
    ),
    "what is kept is divided by p": lambda x, keep, p: x * keep / p,
    "what is kept is multiplied by 1 - p": lambda x, keep, p: x * keep * (1 - p),
    "all is divided by 1 - p, and nothing is dropped": lambda x, keep, p: x / (1 - p),
    "what is kept is divided by the share of what was kept": lambda x, keep, p: (
        x * keep / keep.mean()
    ),
    "whole rows are dropped, by the first entry of their mask": lambda x, keep, p: (
        x * keep[..., :1] / (1 - p)
    ),
}


def of_entries(function, probe):
    """An activation that is another function."""
    return function(probe.inputs[0])


def of_gelu(function, which, probe):
    """A gelu that is another function where this form is asked for."""
    asked = probe.keywords.get("approximate", "none")
    return function(probe.inputs[0]) if which in ("", asked) else probe.output


def of_dropout(function, probe):
    """A dropout that is another, where there is a mask."""
    keep = probe.keywords.get("keep")
    return probe.output if keep is None else function(probe.inputs[0], keep, probe.keywords["p"])


def forms_of(functions, _) -> Iterator[Form]:
    """Other functions by the same name."""
    for words, function in functions.items():
        yield f"is what comes if {words}", partial(of_entries, function)


def gelu_forms(_) -> Iterator[Form]:
    """Other functions in one form of gelu, or in both."""
    for words, function in GELU.items():
        for which, where in (("", ""), ("none", "none"), ("tanh", "tanh")):
            place = f" where `approximate={where!r}`" if where else ""
            yield f"is what comes if {words}{place}", partial(of_gelu, function, which)


def dropout_forms(_) -> Iterator[Form]:
    """Other ways to drop."""
    for words, function in DROPOUT.items():
        yield f"is what comes if {words}", partial(of_dropout, function)
