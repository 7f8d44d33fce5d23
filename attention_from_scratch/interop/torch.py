"""Weights between our trees and the state dicts of PyTorch.

`weight` of a linear map is (in, out) here and (out, in) there; a mask and the rest of the meaning
travel with the model, not with the weights. All functions take and give NumPy arrays; the ones
named from_... take PyTorch tensors as well.
"""

from collections.abc import Mapping

import numpy as np

from attention_from_scratch.interop.tensors import as_array
from attention_from_scratch.tree import Tree


def linear_from_torch(state: Mapping, prefix: str, n_in="in", n_out="out") -> Tree:
    """A linear map from a torch.nn.Linear, or from a convolution of width 1, (out, in, 1)."""
    name = f"{prefix}.weight"
    convolution = name in state and np.ndim(state[name]) == 3
    weight = take(state, name, n_out, n_in, *[1] * convolution)
    return {
        "weight": np.ascontiguousarray(weight.reshape(weight.shape[:2]).T),
        "bias": take_bias(state, f"{prefix}.bias", len(weight)),
    }


def linear_to_torch(params: Tree, prefix: str) -> dict:
    """The inverse of `linear_from_torch`."""
    state = {f"{prefix}.weight": np.ascontiguousarray(params["weight"].T)}
    return state if params["bias"] is None else state | {f"{prefix}.bias": params["bias"]}


def norm_from_torch(state: Mapping, prefix: str, width="D") -> Tree:
    """Parameters of a layer norm from a torch.nn.LayerNorm."""
    return {name: take(state, f"{prefix}.{name}", width) for name in ("weight", "bias")}


def norm_to_torch(params: Tree, prefix: str) -> dict:
    """The inverse of `norm_from_torch`."""
    return {f"{prefix}.{name}": params[name] for name in ("weight", "bias")}


def multi_head_attention_from_torch(state: Mapping, prefix: str = "", width="D") -> Tree:
    """Parameters of multi-head attention from a torch.nn.MultiheadAttention.

    Its query, key and value must have one width: its in_proj_weight is then their three matrices,
    transposed, one above the other.
    """
    output = linear_from_torch(state, f"{prefix}out_proj", width, width)
    width = len(output["weight"])
    weights = np.split(take(state, f"{prefix}in_proj_weight", 3 * width, width), 3)
    bias = take_bias(state, f"{prefix}in_proj_bias", 3 * width)
    biases = [None] * 3 if bias is None else np.split(bias, 3)
    params = {
        name: {"weight": np.ascontiguousarray(weight.T), "bias": b}
        for name, weight, b in zip(("query", "key", "value"), weights, biases, strict=True)
    }
    return params | {"output": output}


def multi_head_attention_to_torch(params: Tree, prefix: str = "") -> dict:
    """The inverse of `multi_head_attention_from_torch`."""
    if params["output"] is None:
        raise ValueError("params has no output projection, which torch's layer always has")
    maps = [params[name] for name in ("query", "key", "value")]
    weight = np.concatenate([linear["weight"].T for linear in maps])  # in column order, as `.T` is
    state = {f"{prefix}in_proj_weight": np.ascontiguousarray(weight)}
    n_biases = sum(linear["bias"] is not None for linear in maps)
    if n_biases not in (0, 3):
        raise ValueError(
            f"params has {n_biases} biases on query, key and value, but must have 0 or 3"
        )
    if n_biases:
        state[f"{prefix}in_proj_bias"] = np.concatenate([linear["bias"] for linear in maps])
    return state | linear_to_torch(params["output"], f"{prefix}out_proj")


PARTS = {"input": "ih", "hidden": "hh"}


def recurrent_from_torch(state: Mapping, layer: int = 0) -> Tree:
    """Parameters of `rnn`, `gru` or `lstm` from one layer of PyTorch's, in one direction."""
    params = {}
    for name, part in PARTS.items():
        weight = take(state, f"weight_{part}_l{layer}", "gates", "in")
        params[name] = {
            "weight": np.ascontiguousarray(weight.T),
            "bias": take_bias(state, f"bias_{part}_l{layer}", len(weight)),
        }
    return params


def recurrent_to_torch(params: Tree, layer: int = 0) -> dict:
    """The inverse of `recurrent_from_torch`."""
    state = {}
    for kind in ("weight", "bias"):
        for name, part in PARTS.items():
            if params[name][kind] is not None:
                state[f"{kind}_{part}_l{layer}"] = np.ascontiguousarray(params[name][kind].T)
    return state


def encoder_layer_from_torch(state: Mapping, prefix: str = "") -> Tree:
    """Block parameters of a torch.nn.TransformerEncoderLayer (activation relu).

    For `pre_norm_block` if it was made with norm_first=True, else for `post_norm_block`.
    """
    return {
        "attention_norm": norm_from_torch(state, f"{prefix}norm1"),
        "attention": multi_head_attention_from_torch(state, f"{prefix}self_attn."),
        "feed_forward_norm": norm_from_torch(state, f"{prefix}norm2"),
        "feed_forward": {
            "up": linear_from_torch(state, f"{prefix}linear1"),
            "down": linear_from_torch(state, f"{prefix}linear2"),
        },
    }


def encoder_layer_to_torch(params: Tree, prefix: str = "") -> dict:
    """The inverse of `encoder_layer_from_torch`."""
    return {
        **norm_to_torch(params["attention_norm"], f"{prefix}norm1"),
        **multi_head_attention_to_torch(params["attention"], f"{prefix}self_attn."),
        **norm_to_torch(params["feed_forward_norm"], f"{prefix}norm2"),
        **linear_to_torch(params["feed_forward"]["up"], f"{prefix}linear1"),
        **linear_to_torch(params["feed_forward"]["down"], f"{prefix}linear2"),
    }


def sasrec_from_torch(state: Mapping, max_len: int | None = None) -> Tree:
    """Parameters of `sasrec` from the state dict of pmixer/SASRec.pytorch.

    Its positions are 1..L, with a row 0 for padding that is left out here. That code may make more
    positions than it uses: with `max_len` only the first so many are taken.

    Raises
    ------
    ValueError
        For an entry that is missing, surplus or of the wrong shape; and where the row for padding
        is not zero, as it is always zero here.
    """
    items = take(state, "item_emb.weight", "V + 1", "D")
    width = items.shape[1]
    positions = take(state, "pos_emb.weight", "L + 1", width)
    for name, table in (("item_emb", items), ("pos_emb", positions)):
        if table[:1].any():
            raise ValueError(
                f"{name}.weight[0], the row for padding, is not zero, but padding is always zero "
                "here: set it to 0, if the code it comes from does not add it"
            )
    if max_len is not None and not 1 <= max_len < len(positions):
        raise ValueError(
            f"max_len was {max_len}, but pos_emb.weight has positions 1..{len(positions) - 1}"
        )
    count = len({name.split(".")[1] for name in state if name.startswith("attention_layers.")})
    blocks = [
        {
            "attention_norm": norm_from_torch(state, f"attention_layernorms.{i}", width),
            "attention": multi_head_attention_from_torch(state, f"attention_layers.{i}.", width),
            "feed_forward_norm": norm_from_torch(state, f"forward_layernorms.{i}", width),
            "feed_forward": {
                "up": linear_from_torch(state, f"forward_layers.{i}.conv1", width, width),
                "down": linear_from_torch(state, f"forward_layers.{i}.conv2", width, width),
            },
        }
        for i in range(count or 1)
    ]
    params = {
        "items": items,
        "positions": positions[1:][:max_len],
        "blocks": blocks,
        "norm": norm_from_torch(state, "last_layernorm", width),
    }
    known = sasrec_to_torch(params)
    surplus = [name for name in state if name not in known]
    if surplus:
        raise ValueError(f"the state dict has {surplus[0]!r}, which this layout has not")
    return params


def sasrec_to_torch(params: Tree) -> dict:
    """The state dict of pmixer/SASRec.pytorch; the rows for padding are zeros, as there."""
    items = params["items"].copy()
    items[0] = 0
    positions = np.concatenate([np.zeros_like(params["positions"][:1]), params["positions"]])
    state = {"item_emb.weight": items, "pos_emb.weight": positions}
    for i, block in enumerate(params["blocks"]):
        state |= norm_to_torch(block["attention_norm"], f"attention_layernorms.{i}")
        state |= multi_head_attention_to_torch(block["attention"], f"attention_layers.{i}.")
        state |= norm_to_torch(block["feed_forward_norm"], f"forward_layernorms.{i}")
        for name, conv in (("up", "conv1"), ("down", "conv2")):
            linear = linear_to_torch(block["feed_forward"][name], f"forward_layers.{i}.{conv}")
            linear[f"forward_layers.{i}.{conv}.weight"] = linear[
                f"forward_layers.{i}.{conv}.weight"
            ][..., None]
            state |= linear
    return state | norm_to_torch(params["norm"], "last_layernorm")


def take(state: Mapping, name: str, *shape: int | str) -> np.ndarray:
    """An entry of a state dict, or an error that says what is there.

    It must have the given shape, in which a word stands for any size.
    """
    if name not in state:
        there = ", ".join(list(state)[:5])
        raise ValueError(
            f"the state dict has no {name!r}; it has {len(state)} entries: {there} ..."
        )
    array = as_array(state[name])
    fits = [isinstance(n, str) or n == size for n, size in zip(shape, array.shape, strict=False)]
    if array.ndim != len(shape) or not all(fits):
        wanted = ", ".join(map(str, shape)) + "," * (len(shape) == 1)
        raise ValueError(f"{name} has shape {array.shape}, but must be ({wanted})")
    return array


def take_bias(state: Mapping, name: str, width: int) -> np.ndarray | None:
    """A bias in a state dict, which must have this width; None where there is none."""
    return take(state, name, width) if state.get(name) is not None else None
