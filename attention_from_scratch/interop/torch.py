"""Weights between our trees and the state dicts of PyTorch.

`weight` of a linear map is (in, out) here and (out, in) there; a mask and the rest of the meaning
travel with the model, not with the weights. All functions take and give NumPy arrays; the ones
named from_... take PyTorch tensors as well. What they do not take they refuse by name: all entries
of the state dict that are there, or all that begin with the prefix.
"""

from collections.abc import Mapping

import numpy as np

from attention_from_scratch.interop.entries import of_shape, refuse_surplus, take, take_bias, under
from attention_from_scratch.tree import Tree

STATE = "the state dict"
PROJECTIONS = {"query": "q_proj_weight", "key": "k_proj_weight", "value": "v_proj_weight"}
PARTS = {"input": "ih", "hidden": "hh"}
ENCODER_LAYER = ("attention_norm", "attention", "feed_forward_norm", "feed_forward")


def linear_from_torch(state: Mapping, prefix: str, n_in="in", n_out="out") -> Tree:
    """A linear map from a torch.nn.Linear, or from a convolution of width 1, (out, in, 1)."""
    name = f"{prefix}.weight"
    convolution = name in state and np.ndim(state[name]) == 3
    weight = take(state, name, n_out, n_in, *[1] * convolution)
    params = {
        "weight": np.ascontiguousarray(weight.reshape(weight.shape[:2]).T),
        "bias": take_bias(state, f"{prefix}.bias", len(weight)),
    }
    refuse_surplus(STATE, under(state, f"{prefix}."), linear_to_torch(params, prefix))
    return params


def linear_to_torch(params: Tree, prefix: str) -> dict:
    """The inverse of `linear_from_torch`."""
    state = {f"{prefix}.weight": np.ascontiguousarray(params["weight"].T)}
    return state if params["bias"] is None else state | {f"{prefix}.bias": params["bias"]}


def norm_from_torch(state: Mapping, prefix: str, width="D") -> Tree:
    """Parameters of a layer norm from a torch.nn.LayerNorm."""
    params = {name: take(state, f"{prefix}.{name}", width) for name in ("weight", "bias")}
    refuse_surplus(STATE, under(state, f"{prefix}."), norm_to_torch(params, prefix))
    return params


def norm_to_torch(params: Tree, prefix: str) -> dict:
    """The inverse of `norm_from_torch`."""
    return {f"{prefix}.{name}": params[name] for name in ("weight", "bias")}


def multi_head_attention_from_torch(state: Mapping, prefix: str = "", width="D") -> Tree:
    """Parameters of multi-head attention from a torch.nn.MultiheadAttention.

    Its in_proj_weight is the matrices of query, key and value, transposed, one above the other;
    where keys or values have a width of their own (kdim, vdim) they are three entries.
    """
    output = linear_from_torch(state, f"{prefix}out_proj", width, width)
    width = len(output["weight"])
    if f"{prefix}q_proj_weight" in state:
        widths = zip(PROJECTIONS.values(), (width, "kdim", "vdim"), strict=True)
        weights = [take(state, prefix + name, width, n_in) for name, n_in in widths]
    else:
        weights = np.split(take(state, f"{prefix}in_proj_weight", 3 * width, width), 3)
    bias = take_bias(state, f"{prefix}in_proj_bias", 3 * width)
    biases = [None] * 3 if bias is None else np.split(bias, 3)
    params = {
        name: {"weight": np.ascontiguousarray(weight.T), "bias": b}
        for name, weight, b in zip(PROJECTIONS, weights, biases, strict=True)
    }
    params["output"] = output
    refuse_surplus(STATE, under(state, prefix), multi_head_attention_to_torch(params, prefix))
    return params


def multi_head_attention_to_torch(params: Tree, prefix: str = "") -> dict:
    """The inverse of `multi_head_attention_from_torch`."""
    if params["output"] is None:
        raise ValueError("params has no output projection, which torch's layer always has")
    maps = {name: params[name] for name in PROJECTIONS}
    width = len(maps["query"]["weight"])
    for name, linear in (maps | {"output": params["output"]}).items():
        rows = len(linear["weight"]) if name in ("key", "value") else width  # kdim, vdim
        of_shape(f"params {name} weight", linear["weight"], rows, width)
    n_biases = sum(linear["bias"] is not None for linear in maps.values())
    if n_biases not in (0, 3):
        raise ValueError(
            f"params has {n_biases} biases on query, key and value, but must have 0 or 3"
        )
    weights = {PROJECTIONS[name]: linear["weight"].T for name, linear in maps.items()}
    if all(weight.shape == (width, width) for weight in weights.values()):
        weights = {"in_proj_weight": np.concatenate(list(weights.values()))}
    state = {prefix + name: np.ascontiguousarray(weight) for name, weight in weights.items()}
    if n_biases:
        biases = [linear["bias"] for linear in maps.values()]
        state[f"{prefix}in_proj_bias"] = np.concatenate(biases)
    return state | linear_to_torch(params["output"], f"{prefix}out_proj")


def recurrent_from_torch(state: Mapping, layer: int | None = None) -> Tree:
    """Parameters of `rnn`, `gru` or `lstm` from a layer of PyTorch's, in one direction.

    What else a layer does (the nonlinearity of its RNN, dropout) its weights do not tell.

    Parameters
    ----------
    state : the state dict of a torch.nn.RNN, GRU or LSTM
        One made with bidirectional=True is for `bidirectional_from_torch`.
    layer : int or None
        Which one of several, whose others are left alone. None: the only one.
    """
    params = direction_from_torch(state, f"l{layer or 0}")
    known = recurrent_to_torch(params, layer or 0)
    refuse_surplus(STATE, of_layer(state, layer), known, "one layer in one direction")
    return params


def recurrent_to_torch(params: Tree, layer: int = 0) -> dict:
    """The inverse of `recurrent_from_torch`."""
    return direction_to_torch(params, f"l{layer}")


def bidirectional_from_torch(state: Mapping, layer: int | None = None) -> Tree:
    """Parameters of `networks.bidirectional` from a layer made with bidirectional=True.

    Parameters are those of `recurrent_from_torch`.

    Returns
    -------
    {"forward", "reverse": as of `recurrent_from_torch`}
    """
    suffixes = directions(layer or 0)
    params = {name: direction_from_torch(state, suffix) for name, suffix in suffixes.items()}
    known = bidirectional_to_torch(params, layer or 0)
    refuse_surplus(STATE, of_layer(state, layer), known, "one layer in both directions")
    return params


def bidirectional_to_torch(params: Tree, layer: int = 0) -> dict:
    """The inverse of `bidirectional_from_torch`."""
    forward, reverse = (direction_to_torch(params[n], s) for n, s in directions(layer).items())
    return forward | reverse


def directions(layer: int) -> dict[str, str]:
    """How the names of a layer's entries end, for each direction."""
    return {"forward": f"l{layer}", "reverse": f"l{layer}_reverse"}


def of_layer(state: Mapping, layer: int | None) -> Mapping:
    """The entries of one layer, in both directions; all for None."""
    if layer is None:
        return state
    return {name: state[name] for name in state if name.endswith(tuple(directions(layer).values()))}


def direction_from_torch(state: Mapping, suffix: str) -> Tree:
    """The parameters in the entries whose names end so."""
    params = {}
    for name, part in PARTS.items():
        weight = take(state, f"weight_{part}_{suffix}", "gates", "in")
        params[name] = {
            "weight": np.ascontiguousarray(weight.T),
            "bias": take_bias(state, f"bias_{part}_{suffix}", len(weight)),
        }
    return params


def direction_to_torch(params: Tree, suffix: str) -> dict:
    """The inverse of `direction_from_torch`."""
    refuse_surplus("params", params, PARTS, "a recurrent layer of PyTorch")
    state = {}
    for kind in ("weight", "bias"):
        for name, part in PARTS.items():
            if params[name][kind] is not None:
                state[f"{kind}_{part}_{suffix}"] = np.ascontiguousarray(params[name][kind].T)
    return state


def encoder_layer_from_torch(state: Mapping, prefix: str = "") -> Tree:
    """Block parameters of a torch.nn.TransformerEncoderLayer (activation relu).

    For `pre_norm_block` if it was made with norm_first=True, else for `post_norm_block`.
    """
    params = {
        "attention_norm": norm_from_torch(state, f"{prefix}norm1"),
        "attention": multi_head_attention_from_torch(state, f"{prefix}self_attn."),
        "feed_forward_norm": norm_from_torch(state, f"{prefix}norm2"),
        "feed_forward": {
            "up": linear_from_torch(state, f"{prefix}linear1"),
            "down": linear_from_torch(state, f"{prefix}linear2"),
        },
    }
    refuse_surplus(STATE, under(state, prefix), encoder_layer_to_torch(params, prefix))
    return params


def encoder_layer_to_torch(params: Tree, prefix: str = "") -> dict:
    """The inverse of `encoder_layer_from_torch`."""
    refuse_surplus("params", params, ENCODER_LAYER, "an encoder layer of PyTorch")
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
    refuse_surplus(STATE, state, sasrec_to_torch(params))
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
