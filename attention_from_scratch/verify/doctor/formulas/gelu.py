"""The slope of gelu, P + x P', in parts: the share P, the slope of P, and their constants."""

import math

import numpy as np

from attention_from_scratch import ops
from attention_from_scratch.verify.doctor.formulas.choices import RIGHT, Choices
from attention_from_scratch.verify.doctor.formulas.sums import Sum
from attention_from_scratch.verify.doctor.mistakes.shared import Probe

C, A = math.sqrt(2 / math.pi), 0.044715
EXACT = "P + x P', P = (1 + erf(x / sqrt 2)) / 2, P' = exp(-x^2 / 2) / sqrt(2 pi)"
WITH_TANH = (
    "P + x P', P = (1 + t) / 2, P' = (1 - t^2) u' / 2, t = tanh(u), u = c (x + a x^3), "
    "u' = c (1 + 3 a x^2)"
)


def gelu(probe: Probe) -> Choices:
    """The slope of the form that was asked for; parts of the other form are idle."""
    x, y, d = probe.inputs[0], np.asarray(probe.output), probe.d_output
    form = probe.keywords.get("approximate", "none")
    share = share_of(form)

    def gradient(at, kept, first, factor, sign, half, square, inner, constant, bell, root):
        v = at(x, y)
        p = share(v)
        if form == "none":
            slope = root * bell(v) / math.sqrt(2 * math.pi)
        else:
            u = C * (v + A * v**3)
            slope = half * square(np.tanh(u), u) * constant * inner(v) / 2
        return d * kept(x) * (first(p, v) + sign * factor(v, y) * slope)

    return Choices(COMMON | OF_TANH | OF_ERF, gradient, EXACT if form == "none" else WITH_TANH)


def share_of(form):
    """P as a function."""
    if form == "none":
        return lambda v: ops.erfc(-v / math.sqrt(2)) / 2
    return lambda v: (1 + np.tanh(C * (v + A * v**3))) / 2


COMMON = {
    "at": {
        RIGHT: lambda x, y: x,
        "the slope is taken at the output y, not at the input x": lambda x, y: y,
        "the slope is taken at -x": lambda x, y: -x,
        "the slope is taken at |x|": lambda x, y: np.abs(x),
    },
    "kept": {
        RIGHT: lambda x: 1.0,
        "it is 0 where x is negative, as of a relu": lambda x: (x > 0) * 1.0,
        "it is 0 where x is positive": lambda x: (x < 0) * 1.0,
    },
    "first": {
        RIGHT: lambda p, v: p,
        "the term P is missing": lambda p, v: 0.0,
        "the term P has the factor 2 (its 1/2 is missing)": lambda p, v: 2 * p,
        "the term P is halved": lambda p, v: p / 2,
        "1 - P stands in the place of P": lambda p, v: 1 - p,
        "1 stands in the place of P": lambda p, v: 1.0,
        "1/2 stands in the place of P": lambda p, v: 0.5,
        "x P, the output, stands in the place of P": lambda p, v: v * p,
        "2 P - 1 (the erf or tanh itself) stands in the place of P": lambda p, v: 2 * p - 1,
        "P - 1/2 stands in the place of P (the 1 of 1 + erf or 1 + tanh is missing)": (
            lambda p, v: p - 0.5
        ),
        "P^2 stands in the place of P": lambda p, v: p * p,
        "the term P has the other sign": lambda p, v: -p,
    },
    "factor": {
        RIGHT: lambda v, y: v,
        "the factor x of the term x P' is missing": lambda v, y: 1.0,
        "the term x P' is missing": lambda v, y: 0.0,
        "the factor x of the term x P' is squared": lambda v, y: v * v,
        "y stands in the place of x in the term x P'": lambda v, y: y,
        "|x| stands in the place of x in the term x P'": lambda v, y: np.abs(v),
    },
    "sign": {
        RIGHT: 1.0,
        "the term x P' has the other sign": -1.0,
    },
}


OF_TANH = {
    "half": {
        RIGHT: 1.0,
        "the 1/2 of the term x P' is missing": 2.0,
        "the term x P' has 1/4 where 1/2 belongs": 0.5,
    },
    "square": {
        RIGHT: lambda t, u: 1 - t * t,
        "1 - t stands in the place of 1 - t^2: the square is missing": lambda t, u: 1 - t,
        "t^2 stands in the place of 1 - t^2": lambda t, u: t * t,
        "1 + t^2 stands in the place of 1 - t^2: a sign": lambda t, u: 1 + t * t,
        "t (1 - t), the slope of a sigmoid, stands in the place of 1 - t^2": lambda t, u: (
            t * (1 - t)
        ),
        "1 - u^2 stands in the place of 1 - t^2: u, not tanh(u)": lambda t, u: 1 - u * u,
        "1/cosh(u) stands in the place of 1/cosh(u)^2: the square is missing": (
            lambda t, u: 1 / np.cosh(u)
        ),
        "the slope of tanh, 1 - t^2, is missing": lambda t, u: np.ones_like(t),
        "t stands in the place of 1 - t^2": lambda t, u: t,
        "(1 - t^2)^2 stands in the place of 1 - t^2": lambda t, u: (1 - t * t) ** 2,
    },
    "inner": {
        RIGHT: lambda v: 1 + 3 * A * v * v,
        "the 3 of d(x^3) is missing from u' = c (1 + 3 a x^2)": lambda v: 1 + A * v * v,
        "the cubic term is missing from u' = c (1 + 3 a x^2)": lambda v: np.ones_like(v),
        "u' has 2 a x^2 where 3 a x^2 belongs": lambda v: 1 + 2 * A * v * v,
        "u' has 3 a x where 3 a x^2 belongs: the square is missing": lambda v: 1 + 3 * A * v,
        "u' has 3 a x^3 where 3 a x^2 belongs": lambda v: 1 + 3 * A * v**3,
        "u' has a x^3 where 3 a x^2 belongs: the cube is not differentiated": (
            lambda v: 1 + A * v**3
        ),
        "u' has x + a x^3, u itself, where 1 + 3 a x^2 belongs": lambda v: v + A * v**3,
        "u' has 3 x^2 where 3 a x^2 belongs: a is missing": lambda v: 1 + 3 * v * v,
        "u' lacks the 1 of 1 + 3 a x^2": lambda v: 3 * A * v * v,
        "u' has 1 - 3 a x^2: a sign": lambda v: 1 - 3 * A * v * v,
        "u' has 6 a x where 3 a x^2 belongs": lambda v: 1 + 6 * A * v,
        "u' has x + 3 a x^2 where 1 + 3 a x^2 belongs": lambda v: v + 3 * A * v * v,
    },
    "constant": {
        RIGHT: C,
        "the factor c = sqrt(2 / pi) of u' is missing": 1.0,
        "the factor c = sqrt(2 / pi) of u' is squared, 2 / pi": C * C,
        "sqrt(pi / 2) stands in the place of c = sqrt(2 / pi)": 1 / C,
        "1/sqrt(2 pi) stands in the place of c = sqrt(2 / pi)": 1 / math.sqrt(2 * math.pi),
        "1/sqrt(pi) stands in the place of c = sqrt(2 / pi)": 1 / math.sqrt(math.pi),
    },
}

OF_ERF = {
    "bell": {
        RIGHT: lambda v: np.exp(-v * v / 2),
        "exp(-x^2) stands in the place of exp(-x^2 / 2)": lambda v: np.exp(-v * v),
        "exp(x^2 / 2) stands in the place of exp(-x^2 / 2): a sign": lambda v: np.exp(v * v / 2),
        "exp(-x / 2) stands in the place of exp(-x^2 / 2): the square is missing": (
            lambda v: np.exp(-v / 2)
        ),
        "exp(-x) stands in the place of exp(-x^2 / 2)": lambda v: np.exp(-v),
        "exp(-x^2 / 4) stands in the place of exp(-x^2 / 2)": lambda v: np.exp(-v * v / 4),
        "exp(-x^2 / 2) is missing": lambda v: np.ones_like(v),
        "x exp(-x^2 / 2) stands in the place of exp(-x^2 / 2)": lambda v: v * np.exp(-v * v / 2),
    },
    "root": {
        RIGHT: 1.0,
        "P' is sqrt(2) times too large: a 1/sqrt(2) is missing (the slope of x / sqrt(2), or the "
        "2 in 1/sqrt(2 pi))": math.sqrt(2),
        "P' is sqrt(2) times too small: it has a 1/sqrt(2) too many": math.sqrt(0.5),
        "P' is twice too large: its 1/2 is missing": 2.0,
        "P' is halved": 0.5,
        "P' is 2 sqrt(2) times too large: its 1/2 and the 1/sqrt(2) of x / sqrt(2) are missing": (
            2 * math.sqrt(2)
        ),
        "the factor 1/sqrt(2 pi) of P' is missing": math.sqrt(2 * math.pi),
        "P' has 1/(2 pi) where 1/sqrt(2 pi) belongs: the root is missing": (
            1 / math.sqrt(2 * math.pi)
        ),
        "P' has sqrt(2 pi) where 1/sqrt(2 pi) belongs": 2 * math.pi,
        "the factor 2/sqrt(pi) of the slope of erf is missing": math.sqrt(math.pi) / 2,
        "P' has 2/pi where 2/sqrt(pi) belongs: the root is missing": 1 / math.sqrt(math.pi),
    },
}


LEGEND = {"d": "d_output", "y": "the output"}
OF_EXACT = {"P": "(1 + erf(x / sqrt 2)) / 2", "P'": "exp(-x^2 / 2) / sqrt(2 pi)"}
OF_WITH_TANH = {
    "P": "(1 + t) / 2",
    "P'": "(1 - t^2) c (1 + 3 a x^2) / 2",
    "S": "(1 - t^2) c / 2",
    "t": "tanh(c (x + a x^3))",
    "c": "sqrt(2 / pi)",
    "a": "0.044715",
}


def terms_of(x, y, p, slope) -> dict[str, np.ndarray]:
    """What the slope of either form may be made of."""
    s = ops.sigmoid(x)[0]
    quick = ops.sigmoid(1.702 * x)[0]
    return {
        "P": p,
        "x P'": x * slope,
        "P'": slope,
        "x^2 P'": x * x * slope,
        "x^3 P'": x**3 * slope,
        "y P'": y * slope,
        "P P'": p * slope,
        "x P P'": x * p * slope,
        "P^2": p * p,
        "x P^2": x * p * p,
        "1": np.ones_like(x),
        "x": x,
        "y": y,
        "sigmoid(1.702 x)": quick,
        "1.702 x sigmoid'(1.702 x)": 1.702 * x * quick * (1 - quick),
        "sigmoid(x)": s,
        "x sigmoid'(x)": x * s * (1 - s),
        "[x > 0]": (x > 0) * 1.0,
        "tanh(x)": np.tanh(x),
        "x exp(-x^2 / 2)": x * np.exp(-x * x / 2),
        "x exp(-x^2)": x * np.exp(-x * x),
    }


def slope_of_either(probe: Probe) -> Sum:
    """The slope of the form that was asked for as a sum of terms."""
    x, y, d = probe.inputs[0], np.asarray(probe.output), probe.d_output
    form = probe.keywords.get("approximate", "none")
    p, slope = share_of(form)(x), np.exp(-x * x / 2) / math.sqrt(2 * math.pi)
    if form == "tanh":
        slope = 2 * p * (1 - p) * C * (1 + 3 * A * x * x)
    terms = {name: d * term for name, term in terms_of(x, y, p, slope).items()}
    legend = LEGEND | (OF_EXACT if form == "none" else OF_WITH_TANH)
    return Sum({"P": 1.0, "x P'": 1.0}, terms, legend, common="d")


def slope_with_tanh(probe: Probe) -> Sum:
    """The slope of the form with tanh as a sum of terms, that of the cubic by itself."""
    x, y, d = probe.inputs[0], np.asarray(probe.output), probe.d_output
    if probe.keywords.get("approximate", "none") != "tanh":
        raise ValueError("the other form")
    t = np.tanh(C * (x + A * x**3))
    half = (1 - t * t) * C / 2
    of_cubic = half * 3 * A * x * x
    terms = {"P": (1 + t) / 2, "x S": x * half, "x S 3 a x^2": x * of_cubic}
    terms |= terms_of(x, y, (1 + t) / 2, half + of_cubic)
    terms |= {
        "S": half,
        "x^2 S": x * x * half,
        "x t": x * t,
        "t": t,
        "t^2": t * t,
        "x t^2": x * t * t,
    }
    terms = {name: d * term for name, term in terms.items()}
    right = {"P": 1.0, "x S": 1.0, "x S 3 a x^2": 1.0}
    return Sum(right, terms, LEGEND | OF_WITH_TANH, common="d")


GELU = {"d_x": (gelu, slope_of_either, slope_with_tanh)}
