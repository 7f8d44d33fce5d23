"""Weights between our trees and the layers of Keras, as get_weights() and set_weights() have them.

A kernel is (in, out) there and here. The functions named from_... take tensors of any backend.
"""

from collections.abc import Sequence

import numpy as np

from attention_from_scratch.interop.tensors import as_array
from attention_from_scratch.interop.torch import PARTS
from attention_from_scratch.tree import Tree


def multi_head_attention_from_keras(weights: Sequence) -> tuple[Tree, int]:
    """Params and number of heads of a keras.layers.MultiHeadAttention, from its get_weights().

    Its kernels are (D, H, D / H) on the way in and (H, D / H, D) on the way out.
    """
    arrays = [as_array(array) for array in weights]
    axes = [array.ndim for array in arrays]
    if axes != [3, 2] * 3 + [3, 1]:
        raise ValueError(
            f"weights has arrays of {axes} axes, but must have {[3, 2] * 3 + [3, 1]}: the kernel "
            "and bias of query, key, value and output (use_bias=True)"
        )
    width, n_heads, head = arrays[0].shape
    params = {}
    for name, kernel, bias in zip(
        ("query", "key", "value"), arrays[0:6:2], arrays[1:6:2], strict=True
    ):
        params[name] = {"weight": kernel.reshape(width, -1), "bias": bias.reshape(-1)}
    output = {"weight": arrays[6].reshape(n_heads * head, -1), "bias": arrays[7]}
    return params | {"output": output}, n_heads


def multi_head_attention_to_keras(params: Tree, n_heads: int) -> list[np.ndarray]:
    """What set_weights() of a keras.layers.MultiHeadAttention takes."""
    for name in ("query", "key", "value", "output"):
        if params[name] is None or params[name]["bias"] is None:
            part = name if params[name] is None else f"{name}.bias"
            raise ValueError(f"params has no {part}, which Keras' layer always has by default")
    width = params["query"]["weight"].shape[0]
    weights = []
    for name in ("query", "key", "value"):
        weights.append(params[name]["weight"].reshape(width, n_heads, -1))
        weights.append(params[name]["bias"].reshape(n_heads, -1))
    output = params["output"]
    return [*weights, output["weight"].reshape(n_heads, -1, width), output["bias"]]


# Where each gate of Keras' stands among ours: i, f, g, o in both; z, r, n for our r, z, n.
KERAS_GATES = {"rnn": (0,), "gru": (1, 0, 2), "lstm": (0, 1, 2, 3)}


def recurrent_from_keras(weights: Sequence, op: str) -> Tree:
    """Params of the op "rnn", "gru" or "lstm", from the get_weights() of Keras' layer.

    Where Keras has one bias for both products, ours of the input takes it and the other is 0.
    """
    arrays = [in_gate_order(as_array(array), op) for array in weights]
    if len(arrays) not in (2, 3):
        raise ValueError(f"weights has {len(arrays)} arrays, but must have 2, or 3 with a bias")
    biases = [None, None]
    if len(arrays) == 3:
        one = arrays[2].ndim == 1
        biases = [arrays[2], np.zeros_like(arrays[2])] if one else list(arrays[2])
    return {
        name: {"weight": weight, "bias": bias}
        for name, weight, bias in zip(PARTS, arrays[:2], biases, strict=True)
    }


def recurrent_to_keras(params: Tree, op: str) -> list[np.ndarray]:
    """What set_weights() of Keras' SimpleRNN, GRU (reset_after=True) or LSTM takes."""
    weights = [in_gate_order(params[name]["weight"], op) for name in PARTS]
    biases = [params[name]["bias"] for name in PARTS]
    if biases[0] is None:
        return weights
    bias = np.stack(biases) if op == "gru" else biases[0] + biases[1]
    return [*weights, in_gate_order(bias, op)]


def in_gate_order(array: np.ndarray, op: str) -> np.ndarray:
    """Exchange the gates along the last axis, from Keras' order to ours or from ours to Keras'."""
    if op not in KERAS_GATES:
        raise ValueError(f"op was {op!r}, but must be one of {', '.join(KERAS_GATES)}")
    gates = np.split(array, len(KERAS_GATES[op]), axis=-1)
    return np.concatenate([gates[i] for i in KERAS_GATES[op]], axis=-1)
