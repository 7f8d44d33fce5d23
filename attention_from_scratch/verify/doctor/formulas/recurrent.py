"""The gradients of the parameters of a recurrent layer in parts: what each step adds to them."""

from collections.abc import Callable
from functools import cache, partial

import numpy as np

from attention_from_scratch.ops.recurrent import through_time
from attention_from_scratch.verify.doctor.formulas.choices import RIGHT, Choices
from attention_from_scratch.verify.doctor.formulas.positions import sizes_of
from attention_from_scratch.verify.doctor.mistakes.recurrent import (
    GRU,
    LSTM,
    RESET_BEFORE,
    RNN,
    Layer,
)
from attention_from_scratch.verify.doctor.mistakes.shared import Probe

WAYS = {
    "time_cut": "the gradient of a step is not carried on to the step before it",
    "forget_path_cut": "the path of the state beside the gates is wrong",
    "gate_path_cut": "what the gates send back to the state before is missing",
    "reset_gate_forgotten": "the reset gate is missing from the gradient of what it multiplies",
    "slope_wrong": "the slope of a tanh is missing",
    "transpose_missing": "the recurrent weight is not transposed on the way to the state before",
}
GATES = {3: "rzn", 4: "ifgo"}


class Steps:
    """What each step of each sequence brings: arrays (B, L, ...), one sequence after the other."""

    def __init__(self, probe: Probe, layer: Layer, n_states: int, switches: dict):
        params, x, initial = (*probe.inputs, None)[:3]
        self.x, self.layer, self.n_states, self.switches = x, layer, n_states, switches
        self.params = {name: with_bias(part) for name, part in params.items()}
        mask, self.last = probe.keywords.get("mask"), probe.keywords.get("last", False)
        mask = None if mask is None else np.broadcast_to(mask, x.shape[:2])
        rows = [None if a is None else a[b : b + 1] for b in range(len(x)) for a in (initial, mask)]
        said = [
            self.of_sequence(x[b : b + 1], *rows[2 * b : 2 * b + 2], probe.d_output[b : b + 1])
            for b in range(len(x))
        ]
        arrays = (np.array([[step[i] for step in steps] for steps in said]) for i in range(3))
        self.before, self.after, self.d_gates = arrays
        self.grads = [[step[3] for step in steps] for steps in said]

    def of_sequence(self, x, initial, mask, d_output) -> list[tuple]:
        """State before and after, gradient of the gates, and gradients, of each step."""
        size, found = len(self.params["hidden"]["weight"]), []
        right = self.layer.make_cell(**self.switches)

        def cell(params, gates, state):
            new, back = right(params, gates, state)

            def noted(d_new):
                grads, d_gates, d_state = back(d_new)
                found.append((state[0, :size], new[0, :size], d_gates[0], grads))
                return grads, d_gates, d_state

            return new, noted

        sizes = {"n_gates": self.layer.n_gates, "n_states": self.n_states}
        _, backward = through_time(cell, self.params, x, initial, mask, self.last, **sizes)
        backward(d_output)
        return found[::-1]

    def added(self, part: str, kind: str) -> np.ndarray:
        """What each step adds to a gradient."""
        if part != "input":
            return np.array([[step[part][kind] for step in steps] for steps in self.grads])
        return self.d_gates if kind == "bias" else products(self.x, self.d_gates)

    def added_of(self, values, part: str) -> np.ndarray:
        """What each step would add to a weight, had it met these values."""
        return products(values, self.added(part, "bias"))


def with_bias(part: dict) -> dict:
    """A weight and its bias, 0 where there is none."""
    bias = part["bias"]
    return part | {"bias": np.zeros(part["weight"].shape[1]) if bias is None else bias}


def products(values, d_gates) -> np.ndarray:
    """The outer product at each step."""
    return values[..., :, None] * d_gates[..., None, :]


def shifted(values, by: int) -> np.ndarray:
    """The values of another step, 0 where there is none."""
    moved = np.roll(values, by, axis=1)
    moved[:, :by] = 0
    return moved


def values_of(part: str) -> dict[str, Callable]:
    """What a weight may be multiplied by in the place of what it met."""
    if part == "input":
        return {
            "the x of the step before stands in the place of x": lambda s: shifted(s.x, 1),
            "x is taken in the reverse order": lambda s: s.x[:, ::-1],
        }
    options = {
        "the state after the step stands in the place of the state before it": lambda s: s.after,
        "the state of one more step before stands in the place of the state before": (
            lambda s: shifted(s.before, 1)
        ),
    }
    if part == "candidate":
        options["the state stands in the place of r times the state"] = lambda s: s.before
    return options


def options_of(n: int, what: str) -> dict[str, np.ndarray]:
    """The weights of steps, or of sequences, in a sum over all."""
    at, of = np.arange(n), "the gradient"
    return {
        RIGHT: np.ones(n),
        f"{of} is that of the first {what} alone: the others are overwritten, not added up": (
            1.0 * (at == 0)
        ),
        f"{of} is that of the last {what} alone: the others are overwritten, not added up": (
            1.0 * (at == n - 1)
        ),
        f"the first {what} is missing from {of}": 1.0 * (at > 0),
        f"the last {what} is missing from {of}": 1.0 * (at < n - 1),
        f"{of} is a mean over {what}s, not a sum": np.ones(n) / n,
    }


def gates_of(n_gates: int, total: int) -> dict[str, np.ndarray]:
    """What may be wrong in the columns of one gate."""
    names = GATES.get(total, "")[:n_gates]
    options = {RIGHT: np.ones(n_gates)}
    for i, name in enumerate(names):
        one = np.arange(n_gates) == i
        options[f"the columns of the gate {name} are 0"] = 1.0 - one
        options[f"the columns of the gate {name} have the other sign"] = 1.0 - 2 * one
    return options


def of_parameter(layer_of, n_states: int, part: str, kind: str, probe: Probe) -> Choices:
    """The gradient of one parameter, a sum over the steps of all sequences."""
    layer, name = layer_of(probe.inputs[0]), f"d_params.{part}.{kind}"
    if probe.inputs[0].get(part, {}).get(kind) is None:
        raise ValueError(f"this layer has no {name}")
    steps = cache(lambda i: Steps(probe, layer, n_states, dict(ways[i][1])))
    ways = [("", {}), *layer.switches]
    n_gates = sum(layer.n_gates.values()) if part == "input" else layer.n_gates[part]
    batch, length = probe.inputs[1].shape[:2]

    def gradient(way, met, walked, sequences, gates):
        share = sequences[:, None] * walked
        columns = np.tensordot(share, met(steps(way)), 2)
        return columns * np.repeat(gates, columns.shape[-1] // n_gates)

    values = values_of(part) if kind == "weight" else {}
    parts = {
        "way": {WAYS.get(mistake, RIGHT): i for i, (mistake, _) in reversed([*enumerate(ways)])},
        "met": {RIGHT: lambda s: s.added(part, kind)}
        | {words: partial(met_instead, part, of) for words, of in values.items()},
        "walked": options_of(length, "step"),
        "sequences": options_of(batch, "sequence"),
        "gates": gates_of(n_gates, sum(layer.n_gates.values())),
    }
    return Choices(parts, gradient, FORMULA, sizes_of((batch, length)))


FORMULA = (
    "a bias gets the sum over steps and sequences of d_gates, a weight that of "
    "(what it met)^T d_gates"
)


def met_instead(part: str, values: Callable, steps: Steps) -> np.ndarray:
    """What each step would add to the weight of a part, had it met these values."""
    return steps.added_of(values(steps), part)


def formulas_of(layer_of, n_states: int, names: tuple[str, ...]) -> dict[str, tuple]:
    """The formulas of all parameters of a layer."""
    return {
        f"d_params.{part}.{kind}": (partial(of_parameter, layer_of, n_states, part, kind),)
        for part in names
        for kind in ("weight", "bias")
    }


def layer_of_gru(params) -> Layer:
    """The GRU that resets before its product, where it has a candidate; else the usual one."""
    return RESET_BEFORE if "candidate" in params else GRU


RECURRENT = {
    "rnn": formulas_of(lambda params: RNN, 1, ("input", "hidden")),
    "gru": formulas_of(layer_of_gru, 1, ("input", "hidden", "candidate")),
    "lstm": formulas_of(lambda params: LSTM, 2, ("input", "hidden")),
}
