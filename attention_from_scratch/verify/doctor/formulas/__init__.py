"""Wrong gradients as formulas in the names of a textbook: `1 - y` where `1 - y^2` belongs.

A known mistake has a name, but may leave open what is wrong, or meet another one. Here the right
gradient is written down in named parts, and it is asked which others in their place give what the
op says:

- `sums`: a gradient is a sum of terms; which terms, with which coefficients, is fitted;
- `choices`: a gradient is a function of parts, each of which may be taken wrongly; one wrong
  choice is tried, then two, and a factor with them;
- `numbers`: coefficients in words, such as 1/n;
- a file for each op family has its terms or parts.
"""

from attention_from_scratch.verify.doctor.diagnosis import Derived
from attention_from_scratch.verify.doctor.formulas.activations import (
    RELU,
    SIGMOID,
    TANH,
    slope_of_any,
)
from attention_from_scratch.verify.doctor.formulas.asked import Asked, Fit
from attention_from_scratch.verify.doctor.formulas.attention import ATTENTION, WEIGHTS
from attention_from_scratch.verify.doctor.formulas.binary import BINARY_CROSS_ENTROPY
from attention_from_scratch.verify.doctor.formulas.dropout import DROPOUT
from attention_from_scratch.verify.doctor.formulas.embedding import EMBEDDING
from attention_from_scratch.verify.doctor.formulas.gelu import GELU
from attention_from_scratch.verify.doctor.formulas.layer_norm import LAYER_NORM
from attention_from_scratch.verify.doctor.formulas.linear import LINEAR
from attention_from_scratch.verify.doctor.formulas.losses import (
    CROSS_ENTROPY,
    LINEAR_CROSS_ENTROPY,
)
from attention_from_scratch.verify.doctor.formulas.recurrent import RECURRENT
from attention_from_scratch.verify.doctor.formulas.softmax import LOG_SOFTMAX, SOFTMAX

# By the name of an op of `ops`, and of a gradient: functions of a probe that give its formula.
FORMULAS = {
    "softmax": SOFTMAX,
    "log_softmax": LOG_SOFTMAX,
    "relu": RELU,
    "sigmoid": SIGMOID,
    "tanh": TANH,
    "gelu": GELU,
    "layer_norm": LAYER_NORM,
    "dropout": DROPOUT,
    "linear": LINEAR,
    "embedding": EMBEDDING,
    "cross_entropy": CROSS_ENTROPY,
    "linear_cross_entropy": LINEAR_CROSS_ENTROPY,
    "binary_cross_entropy_with_logits": BINARY_CROSS_ENTROPY,
    "attention_weights": WEIGHTS,
    "scaled_dot_product_attention": ATTENTION,
    **RECURRENT,
}

MOST_SETTINGS = 3  # of calls that are told apart


def formula_of(family, visits, names, factors=True) -> list[Derived]:
    """What the wrong gradients of these names are, as far as a formula of the family says it.

    `factors` is whether it is worth saying that one is the right one times a number.
    """
    said: dict[str, list[str]] = {}
    for name in names:
        formulas = FORMULAS.get(family, {}).get(name, ())
        fit = simplest(formulas, Asked(visits, name)) or by_settings(formulas, visits, name)
        if fit is not None and (factors or not fit.is_factor):
            said.setdefault(fit.words, []).append(name)
    return [Derived(tuple(arguments), words) for words, arguments in said.items()]


def by_settings(formulas, visits, name) -> Fit | None:
    """The fits at calls with the same settings, where those with others have others."""
    calls: dict[str, list] = {}
    for visit in visits:
        if name in visit.probe.right:
            calls.setdefault(in_words(visit.probe.keywords), []).append(visit)
    wrong = {
        words: Asked(those, name)
        for words, those in calls.items()
        if not all(visit.right_at(name) for visit in those)
    }
    fits = {}
    for words, asked in wrong.items() if 1 < len(wrong) <= MOST_SETTINGS else ():
        fit = simplest(formulas, asked)
        if fit is None or "times" in fit.words:  # a number is too easily found at a call or two
            return None
        fits[words] = fit
    if len({fit.words for fit in fits.values()}) < 2:
        return None
    told = "; ".join(f"where {words}: {fit.words}" for words, fit in fits.items())
    return Fit(told, sum(fit.changes for fit in fits.values()))


def in_words(keywords) -> str:
    """The settings of a call, of arrays only whether they are given."""
    given = {k: v for k, v in keywords.items() if v is not None}
    told = [
        f"`{k}={v!r}`" if isinstance(v, str) else f"`{k}` is given"
        for k, v in sorted(given.items())
    ]
    return " and ".join(told) or "nothing is set"


def slope_of_own(family, visits, names) -> list[Derived]:
    """What the wrong slope of a reader's own op of entries is."""
    fits = {} if family else {n: Asked(visits, n) for n in names}
    fits = {n: simplest((slope_of_any,), asked) for n, asked in fits.items()}
    return [Derived((n,), fit.words) for n, fit in fits.items() if fit is not None]


def simplest(formulas, asked: Asked) -> Fit | None:
    """The fit of the formula that has the fewest changes, if any fits."""
    if not asked.can_be_told:
        return None
    fits = [fit for formula in formulas if (fit := asked.fit(formula)) is not None]
    return min(fits, key=lambda fit: (fit.is_factor, fit.changes), default=None)
