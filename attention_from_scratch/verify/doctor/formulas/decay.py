"""The gradient of a parameter with the parameter itself in it, as of a weight decay mixed in."""

from collections.abc import Callable

import numpy as np

from attention_from_scratch.verify.doctor.formulas.sums import Sum
from attention_from_scratch.verify.doctor.mistakes.shared import Probe

PLACES = {"weight": 1, "bias": 2}  # among the inputs of a linear map, a lookup, a layer norm


def with_decay(parameter: str, sizes: Callable) -> Callable:
    """The formula of the gradient of a weight or bias, as a sum with that itself beside."""

    def formula(probe: Probe) -> Sum:
        d, value = probe.right[f"d_{parameter}"], probe.inputs[PLACES[parameter]]
        terms = {
            "d": d,
            parameter: value,
            f"sign({parameter})": np.sign(value),
            f"{parameter}^2": value * value,
            f"{parameter} d": value * d,
            "1": np.ones_like(d),
        }
        legend = {"d": f"the right d_{parameter}", parameter: "as of a weight decay"}
        return Sum({"d": 1.0}, terms, legend, sizes(probe))

    return formula
