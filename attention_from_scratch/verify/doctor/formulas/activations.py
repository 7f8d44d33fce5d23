"""The slopes of relu, sigmoid and tanh as sums of functions of the input x and the output y."""

import numpy as np

from attention_from_scratch import ops
from attention_from_scratch.verify.doctor.formulas.masks import mask
from attention_from_scratch.verify.doctor.formulas.sums import Sum
from attention_from_scratch.verify.doctor.mistakes.shared import Probe

LEGEND = {"x": "the input", "y": "the output", "d": "d_output", "s": "the right slope"}
SIGMOID_OF_OUTPUT = {"y": 1.0, "y^2": -1.0}
TANH_OF_OUTPUT = {"1": 1.0, "y^2": -1.0}
KNOWN = {
    "the slope of a sigmoid, y (1 - y)": {"y": 1.0, "y^2": -1.0},
    "the slope of a tanh, 1 - y^2": {"1": 1.0, "y^2": -1.0},
    "the slope of a sigmoid, y (1 - y), with the input x in the place of the output y": {
        "x": 1.0,
        "x^2": -1.0,
    },
    "the slope of a tanh, 1 - y^2, with the input x in the place of the output y": {
        "1": 1.0,
        "x^2": -1.0,
    },
    "the slope of a sigmoid of y: it is taken at the output, not at the input": {
        "sigmoid'(y)": 1.0
    },
    "the slope of a tanh of y: it is taken at the output, not at the input": {"tanh'(y)": 1.0},
    "the slope of a sigmoid at the input x": {"sigmoid'(x)": 1.0},
    "the slope of a tanh at the input x": {"tanh'(x)": 1.0},
    "d_output is masked by its own sign, not by that of x": {"[d > 0]": 1.0},
    "d_output is masked by its own sign as well as by that of x": {"[x > 0] [d > 0]": 1.0},
    "d_output passes unchanged, as if the op were the identity": {"1": 1.0},
    "it passes where x is negative, and only there: the mask is inverted": {"[x <= 0]": 1.0},
    "it is multiplied by the output, not by the slope": {"y": 1.0},
    "it is multiplied by the input, not by the slope": {"x": 1.0},
    "it passes at x = 0 too: >= where > belongs": {"[x >= 0]": 1.0},
    "the slope is squared: it is applied twice": {"s^2": 1.0},
    "the slope is applied three times": {"s^3": 1.0},
    "it is divided by the slope, not multiplied": {"1/s": 1.0},
    "the slope is multiplied by the output y as well": {"y s": 1.0},
    "the slope is multiplied by the input x as well": {"x s": 1.0},
    "d_output is squared": {"d s": 1.0},
    "the slope is that of softplus, the sigmoid itself": {"sigmoid(x)": 1.0},
    "it is 0 where x is negative, as of a relu": {"[x > 0] s": 1.0},
    "that is (1 - y)^2": {"1": 1.0, "y": -2.0, "y^2": 1.0},
    "that is (1 + y)^2": {"1": 1.0, "y": 2.0, "y^2": 1.0},
}


def slopes_of(x, y, d) -> dict[str, np.ndarray]:
    """What a slope may be made of, the usual first."""
    return plain_slopes(x, y, d) | functions_of(x, y) | masks_of(x, d) | without_d(x, y, d)


def plain_slopes(x, y, d) -> dict[str, np.ndarray]:
    """Masks by a sign, and powers of the input and the output."""
    on = (x > 0) * 1.0
    return {
        "[x > 0]": on,
        "[x <= 0]": 1 - on,
        "1": np.ones_like(x),
        "y": y,
        "y^2": y * y,
        "|y|": np.abs(y),
        "|x|": np.abs(x),
        "[x >= 0]": (x >= 0) * 1.0,
        "[d > 0]": (d > 0) * 1.0,
        "[x > 0] [d > 0]": on * (d > 0),
        "sign(x)": np.sign(x),
        "x": x,
        "x^2": x * x,
        "x y": x * y,
        "x^2 y": x * x * y,
        "x y^2": x * y * y,
        "y^3": y**3,
        "y^4": y**4,
        "x^3": x**3,
        "1/y": 1 / y,
        "1/x": 1 / x,
    }


def functions_of(x, y) -> dict[str, np.ndarray]:
    """Functions of the input and of the output, and slopes of them."""
    s, t, s_of_y, t_of_y = ops.sigmoid(x)[0], np.tanh(x), ops.sigmoid(y)[0], np.tanh(y)
    return {
        "sigmoid'(x)": s * (1 - s),
        "tanh'(x)": 1 - t * t,
        "sigmoid'(y)": slope_at(ops.sigmoid, y),
        "tanh'(y)": slope_at(ops.tanh, y),
        "sigmoid(x)": s,
        "sigmoid(x)^2": s * s,
        "tanh(x)": t,
        "tanh(x)^2": t * t,
        "sigmoid(y)": s_of_y,
        "sigmoid(y)^2": s_of_y * s_of_y,
        "tanh(y)": t_of_y,
        "tanh(y)^2": t_of_y * t_of_y,
        "y sigmoid(y)": y * s_of_y,
        "y tanh(y)": y * t_of_y,
        "exp(x)": np.exp(x),
        "exp(-x)": np.exp(-x),
        "exp(y)": np.exp(y),
        "exp(-y)": np.exp(-y),
        "log(y)": np.log(np.abs(y)),
        "[x <= 0] exp(x)": (x <= 0) * np.exp(np.minimum(x, 0)),
        "exp(-x^2)": np.exp(-x * x),
        "1/(1 + x^2)": 1 / (1 + x * x),
        "1/cosh(x)": 1 / np.cosh(x),
        "1/cosh(y)^2": 1 / np.cosh(y) ** 2,
        "sqrt(1 - y^2)": np.sqrt(np.maximum(1 - y * y, 0)),
        "tanh'(2 x)": 1 - np.tanh(2 * x) ** 2,
        "tanh'(x / 2)": 1 - np.tanh(x / 2) ** 2,
        "tanh(2 x)": np.tanh(2 * x),
        "tanh(x / 2)": np.tanh(x / 2),
        "tanh(x^2)": np.tanh(x * x),
    }


def masks_of(x, d) -> dict[str, np.ndarray]:
    """Masks between bounds, and functions of d_output."""
    bounds = {f"[|x| < {bound}]": (np.abs(x) < bound) * 1.0 for bound in (1, 2, 2.5, 3)}
    return bounds | {
        "[x < 1]": (x < 1) * 1.0,
        "[0 < x < 1]": ((x > 0) & (x < 1)) * 1.0,
        "[0 < x < 6]": ((x > 0) & (x < 6)) * 1.0,
        "d": d,
        "tanh(d)^2": np.tanh(d) ** 2,
    }


def without_d(x, y, d) -> dict[str, np.ndarray]:
    """What d_output does not multiply, written as divided by it."""
    return {
        "x / d": x / d,
        "y / d": y / d,
        "y^2 / d": y * y / d,
        "|d|/d": np.sign(d),
        "1/d": 1 / d,
    }


def slope_at(op, value) -> np.ndarray:
    """The slope of an op at a value."""
    return op(value)[1](np.ones_like(value))


def slope_of(right: dict, name: str, at_input: str):
    """The formula of an op of entries with this slope, made of its output."""

    def formula(probe: Probe) -> Sum:
        x, y, d = probe.inputs[0], np.asarray(probe.output), probe.d_output
        slopes = slopes_of(x, y, d)
        s = sum(number * slopes[term] for term, number in right.items())
        also = {"s^2": s * s, "1/s": 1 / s, "x s": x * s, "y s": y * s, "d s": d * s, "s/y": s / y}
        also |= {
            "[x > 0] s": (x > 0) * s,
            "[|x| < 1] s": (np.abs(x) < 1) * s,
            "s^3": s**3,
            "s / d": s / d,
            "sqrt(s)": np.sqrt(np.maximum(s, 0)),
        }
        terms = {term: d * slope for term, slope in (slopes | also).items()}
        sizes = {"the batch size": len(x), "the length of the last axis": x.shape[-1]}
        return Sum(right, terms, LEGEND, sizes, known_but(right, at_input), common="d")

    formula.__name__ = name
    return formula


def slope_of_any(probe: Probe) -> Sum:
    """The slope of a reader's own op of entries, whatever it is."""
    x = next(v for v in probe.inputs if isinstance(v, np.ndarray) and v.dtype.kind == "f")
    (right,) = probe.right.values()
    y, d = np.asarray(probe.output), probe.d_output
    if not x.shape == y.shape == right.shape or not x.ndim:
        raise ValueError("no op of entries")
    s = right / d
    slopes = {"s": s, **slopes_of(x, y, d)}
    slopes |= {
        "s^2": s * s,
        "1/s": 1 / s,
        "x s": x * s,
        "y s": y * s,
        "d s": d * s,
        "y s^2": y * s * s,
    }
    terms = {name: d * slope for name, slope in slopes.items()}
    return Sum({"s": 1.0}, terms, LEGEND, known=known_but({"s": 1.0}, "none"), common="d")


def known_but(right: dict, at_input: str) -> dict[frozenset, str]:
    """Words for slopes of other functions; what is the right slope at x needs none."""
    words = KNOWN | MORE.get(at_input, {})
    wrong = {w: terms for w, terms in words.items() if at_input not in terms and terms != right}
    return {frozenset(terms.items()): w for w, terms in wrong.items()}


# Words for slopes of one op, by the term that is its own slope.
MORE = {
    "sigmoid'(x)": {
        "that is 1 - y: the factor y is missing": {"s/y": 1.0},
        "that is y: the factor 1 - y is missing": {"y": 1.0},
    },
    "tanh'(x)": {
        "`y` stands in the place of `y^2`, the square is missing": {"1": 1.0, "y": -1.0},
        "1/cosh(x) stands in the place of 1/cosh(x)^2: the square is missing": {"1/cosh(x)": 1.0},
        "the root of the slope is taken": {"sqrt(s)": 1.0},
    },
}


RELU = {"d_x": (slope_of({"[x > 0]": 1.0}, "relu", "none"), mask)}
SIGMOID = {"d_x": (slope_of(SIGMOID_OF_OUTPUT, "sigmoid", "sigmoid'(x)"),)}
TANH = {"d_x": (slope_of(TANH_OF_OUTPUT, "tanh", "tanh'(x)"),)}
