"""Weights between our trees and the layers of Keras, as get_weights() and set_weights() have them.

A kernel is (in, out) there and here. The functions named from_... take tensors of any backend. What
the weights do not tell (activations, `merge_mode`, `go_backwards`) has to be what Keras has unless
told otherwise, or be said.
"""

from collections.abc import Sequence

import numpy as np

from attention_from_scratch.interop.entries import of_shape, refuse_surplus
from attention_from_scratch.interop.tensors import as_array
from attention_from_scratch.tree import Tree

MAPS = ("query", "key", "value", "output")
OF_STATE = ("hidden", "candidate")


def multi_head_attention_from_keras(weights: Sequence) -> tuple[Tree, int]:
    """Params and number of heads of a keras.layers.MultiHeadAttention, from its get_weights().

    Its kernels are (D, H, key_dim) on the way in, (D, H, value_dim) for the value, and
    (H, value_dim, D) on the way out.
    """
    arrays = [as_array(array) for array in weights]
    axes = [array.ndim for array in arrays]
    if axes not in ([3, 2] * 3 + [3, 1], [3] * 4):
        raise ValueError(
            f"weights has arrays of {axes} axes, but must have {[3, 2] * 3 + [3, 1]}: the kernel "
            "and bias of query, key, value and output; or, without biases, [3, 3, 3, 3]"
        )
    kernels, biases = (arrays, [None] * 4) if len(arrays) == 4 else (arrays[::2], arrays[1::2])
    query, key, value, output = kernels
    n_heads, value_dim = value.shape[1:]
    of_shape("the kernel of query", query, "D", n_heads, "key_dim")
    of_shape("the kernel of key", key, "D", *query.shape[1:])
    of_shape("the kernel of output", output, n_heads, value_dim, "D")
    rows = (len(query), len(key), len(value), n_heads * value_dim)
    params = {}
    for name, kernel, bias, n_in in zip(MAPS, kernels, biases, rows, strict=True):
        weight = kernel.reshape(n_in, -1)
        if bias is not None:
            bias = of_shape(f"the bias of {name}", bias.reshape(-1), weight.shape[1])
        params[name] = {"weight": weight, "bias": bias}
    return params, n_heads


def multi_head_attention_to_keras(params: Tree, n_heads: int) -> list[np.ndarray]:
    """What set_weights() of a keras.layers.MultiHeadAttention takes."""
    if params["output"] is None:
        raise ValueError("params has no output, which Keras' layer always has")
    without = [name for name in MAPS if params[name]["bias"] is None]
    if len(without) not in (0, 4):
        raise ValueError(f"params has no {without[0]}.bias, but Keras' layer has all four or none")
    weights = []
    for name in MAPS:
        weight, bias = params[name]["weight"], params[name]["bias"]
        n_in, n_out = weight.shape
        if name == "output":
            weights += [weight.reshape(n_heads, -1, n_out), bias]
        else:
            weights += [
                weight.reshape(n_in, n_heads, -1),
                None if bias is None else bias.reshape(n_heads, -1),
            ]
    return [array for array in weights if array is not None]


# Where each gate of Keras' stands among ours: i, f, g, o in both; z, r, n for our r, z, n.
KERAS_GATES = {"rnn": (0,), "gru": (1, 0, 2), "lstm": (0, 1, 2, 3)}


def recurrent_from_keras(weights: Sequence, op: str, *, reset_after: bool | None = None) -> Tree:
    """Params of the op "rnn", "gru" or "lstm", from the get_weights() of Keras' layer.

    Where Keras has one bias for both products, ours of the input takes it and the other is 0.

    Parameters
    ----------
    weights : kernel, recurrent kernel and, unless use_bias=False, bias
    op : str
    reset_after : bool or None
        What a GRU was made with. Its bias tells, so None will do, unless it has none: then nothing
        in its weights does, and it must be said.

    Returns
    -------
    Tree
        Of a GRU made with reset_after=False with a "candidate", by which `gru` knows it.
    """
    arrays = [as_array(array) for array in weights]
    if len(arrays) not in (2, 3):
        raise ValueError(
            f"weights has {len(arrays)} arrays, but must have 2, or 3 with a bias; "
            "`bidirectional_from_keras` takes those of a Bidirectional"
        )
    n_gates, size = n_gates_of(op), len(arrays[1])
    of_shape("the kernel", arrays[0], "D", n_gates * size)
    of_shape("the recurrent kernel", arrays[1], size, n_gates * size)
    after = resets_after(arrays, op, reset_after)
    biases = [None, None]
    if len(arrays) == 3:
        two = op == "gru" and after
        bias = of_shape("the bias", arrays[2], *[2] * two, n_gates * size)
        biases = bias if two else [bias, np.zeros_like(bias)]
    params = {
        name: {"weight": in_gate_order(kernel, op), "bias": in_gate_order(bias, op)}
        for name, kernel, bias in zip(("input", "hidden"), arrays[:2], biases, strict=True)
    }
    return params if after else with_candidate(params)


def resets_after(arrays: list[np.ndarray], op: str, said: bool | None) -> bool:
    """Whether a layer resets after its product: what is said, if its bias does not contradict."""
    if op != "gru":
        if said is not None:
            raise ValueError(f"reset_after was {said}, but must be None for {op!r}: it is a GRU's")
        return True
    if len(arrays) == 2:
        if said is None:
            raise ValueError(
                "reset_after was None, but must be True or False, as the layer was made: a GRU "
                "without a bias has the same weights either way"
            )
        return said
    told = arrays[2].ndim != 1
    if said not in (None, told):
        raise ValueError(
            f"reset_after was {said}, but the bias has shape {arrays[2].shape}, which is that of "
            f"reset_after={told}"
        )
    return told


def with_candidate(params: Tree) -> Tree:
    """The params of a GRU with W_hn, the last third of "hidden", as a part of its own."""
    hidden = params["hidden"]
    size = len(hidden["weight"])
    parts = {"hidden": slice(2 * size), "candidate": slice(2 * size, None)}
    return {"input": params["input"]} | {
        name: {kind: None if a is None else a[..., columns] for kind, a in hidden.items()}
        for name, columns in parts.items()
    }


def recurrent_to_keras(params: Tree, op: str) -> list[np.ndarray]:
    """What set_weights() of Keras' SimpleRNN, GRU or LSTM takes.

    A GRU with a "candidate" is one of reset_after=False.
    """
    refuse_surplus("params", params, ("input", *OF_STATE), "a recurrent layer of Keras")
    of_state = [params[name] for name in OF_STATE if name in params]
    weight = np.concatenate([part["weight"] for part in of_state], axis=-1)
    weights = [in_gate_order(params["input"]["weight"], op), in_gate_order(weight, op)]
    if all(part["bias"] is None for part in params.values()):
        return weights
    biases = [bias_of([params["input"]]), bias_of(of_state)]
    two = op == "gru" and "candidate" not in params
    return [*weights, in_gate_order(np.stack(biases) if two else sum(biases), op)]


def bias_of(parts: list[Tree]) -> np.ndarray:
    """The biases of linear maps side by side, zeros where there is none."""
    return np.concatenate(
        [
            np.zeros_like(part["weight"][0]) if part["bias"] is None else part["bias"]
            for part in parts
        ]
    )


def bidirectional_from_keras(
    weights: Sequence, op: str, *, reset_after: bool | None = None
) -> Tree:
    """Params of `networks.bidirectional`, from the get_weights() of Keras' Bidirectional.

    It lays both directions side by side, which is `merge_mode="concat"`.

    Parameters
    ----------
    weights : those of both layers, one after the other
    op, reset_after
        As in `recurrent_from_keras`.

    Returns
    -------
    {"forward", "reverse": as of `recurrent_from_keras`}
    """
    weights = list(weights)
    if len(weights) not in (4, 6):
        raise ValueError(
            f"weights has {len(weights)} arrays, but must have 4, or 6 with biases: those of both "
            "layers"
        )
    half = len(weights) // 2
    layers = {"forward": weights[:half], "reverse": weights[half:]}
    return {
        name: recurrent_from_keras(layer, op, reset_after=reset_after)
        for name, layer in layers.items()
    }


def bidirectional_to_keras(params: Tree, op: str) -> list[np.ndarray]:
    """What set_weights() of Keras' Bidirectional takes."""
    return [a for name in ("forward", "reverse") for a in recurrent_to_keras(params[name], op)]


def in_gate_order(array: np.ndarray | None, op: str) -> np.ndarray | None:
    """Exchange the gates along the last axis, from Keras' order to ours or from ours to Keras'."""
    if array is None:
        return None
    gates = np.split(array, n_gates_of(op), axis=-1)
    return np.concatenate([gates[i] for i in KERAS_GATES[op]], axis=-1)


def n_gates_of(op: str) -> int:
    """How many gates an op has."""
    if op not in KERAS_GATES:
        raise ValueError(f"op was {op!r}, but must be one of {', '.join(KERAS_GATES)}")
    return len(KERAS_GATES[op])
