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
}


def formula_of(family, visits, names, factors=True) -> list[Derived]:
    """What the wrong gradients of these names are, as far as a formula of the family says it.

    `factors` is whether it is worth saying that one is the right one times a number.
    """
    said: dict[str, list[str]] = {}
    for name in names:
        fit = simplest(FORMULAS.get(family, {}).get(name, ()), Asked(visits, name))
        if fit is not None and (factors or not fit.is_factor):
            said.setdefault(fit.words, []).append(name)
    return [Derived(tuple(arguments), words) for words, arguments in said.items()]


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
