"""State dicts of PyTorch: what they mean, in formulas, and that no entry is left out."""

import numpy as np
import pytest

from attention_from_scratch import ops
from attention_from_scratch.interop import torch
from attention_from_scratch.networks.bidirectional import bidirectional
from attention_from_scratch.tree import tree_leaves


def normal(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape)


def attention_state(width=8, kdim=None, vdim=None):
    """The state of a MultiheadAttention, with entries for each map where widths differ."""
    state = {"in_proj_weight": normal(3 * width, width)}
    if kdim or vdim:
        widths = zip("qkv", (width, kdim or width, vdim or width), strict=True)
        state = {f"{name}_proj_weight": normal(width, n_in) for name, n_in in widths}
    state["in_proj_bias"] = normal(3 * width, seed=1)
    return state | {"out_proj.weight": normal(width, width), "out_proj.bias": normal(width)}


def recurrent_state(n_gates=4, width=3, size=4, layer=0, reverse=False):
    """The state of one layer of an RNN, a GRU or an LSTM, in one direction or both."""
    rows, state = n_gates * size, {}
    for seed, end in enumerate(["", "_reverse"][: 1 + reverse]):
        state |= {
            f"weight_ih_l{layer}{end}": normal(rows, width, seed=seed),
            f"weight_hh_l{layer}{end}": normal(rows, size, seed=seed + 2),
            f"bias_ih_l{layer}{end}": normal(rows, seed=seed + 4),
            f"bias_hh_l{layer}{end}": normal(rows, seed=seed + 6),
        }
    return state


def encoder_state(width=4):
    state = {f"self_attn.{name}": array for name, array in attention_state(width).items()}
    for name, shape in (("linear1", (6, width)), ("linear2", (width, 6))):
        state |= {f"{name}.weight": normal(*shape), f"{name}.bias": normal(shape[0])}
    for name in ("norm1", "norm2"):
        state |= {f"{name}.weight": normal(width), f"{name}.bias": normal(width)}
    return state


LINEAR = {"up.weight": normal(4, 3), "up.bias": normal(4)}
NORM = {"norm.weight": normal(4), "norm.bias": normal(4)}

# (loader, state dict, an entry that it has no place for, what that is in PyTorch)
SURPLUS = {
    "add_bias_kv": (torch.multi_head_attention_from_torch, attention_state(), "bias_k"),
    "a second norm": (torch.encoder_layer_from_torch, encoder_state(), "norm3.weight"),
    "a decoder layer": (
        torch.encoder_layer_from_torch,
        encoder_state(),
        "multihead_attn.in_proj_weight",
    ),
    "add_bias_kv inside": (torch.encoder_layer_from_torch, encoder_state(), "self_attn.bias_v"),
    "the other direction": (torch.recurrent_from_torch, recurrent_state(), "weight_ih_l0_reverse"),
    "another layer": (torch.recurrent_from_torch, recurrent_state(), "weight_ih_l1"),
    "proj_size": (torch.recurrent_from_torch, recurrent_state(), "weight_hr_l0"),
    "another layer, both directions": (
        torch.bidirectional_from_torch,
        recurrent_state(reverse=True),
        "bias_hh_l1_reverse",
    ),
    "proj_size, both directions": (
        torch.bidirectional_from_torch,
        recurrent_state(reverse=True),
        "weight_hr_l0_reverse",
    ),
    "weight_norm": (lambda s: torch.linear_from_torch(s, "up"), LINEAR, "up.weight_g"),
    "a batch norm": (lambda s: torch.norm_from_torch(s, "norm"), NORM, "norm.running_mean"),
}


@pytest.mark.parametrize(("load", "state", "name"), SURPLUS.values(), ids=SURPLUS)
def test_an_entry_that_is_not_used_is_an_error_that_names_it(load, state, name):
    load(state)
    with pytest.raises(ValueError, match=f"the state dict has '{name}', which .* has not"):
        load(state | {name: normal(2)})


def test_all_entries_that_are_not_used_are_named_up_to_five():
    state = recurrent_state() | {f"weight_ih_l{i}": normal(2) for i in range(1, 5)}
    with pytest.raises(
        ValueError, match=r"'weight_ih_l1', 'weight_ih_l2', .*'weight_ih_l4', which"
    ):
        torch.recurrent_from_torch(state)
    with pytest.raises(ValueError, match=r"'weight_ih_l5', ..., which"):
        torch.recurrent_from_torch(state | {f"weight_ih_l{i}": normal(2) for i in (5, 6)})


def test_entries_outside_the_prefix_are_not_the_loaders():
    state = {f"block.{name}": array for name, array in attention_state().items()}
    alone = torch.multi_head_attention_from_torch(attention_state())
    found = torch.multi_head_attention_from_torch(state | {"head": normal(2)}, "block.")
    assert same(found, alone)
    assert same(torch.linear_from_torch(LINEAR | NORM, "up"), torch.linear_from_torch(LINEAR, "up"))


def same(tree, other):
    pairs = zip(tree_leaves(tree), tree_leaves(other), strict=True)
    return all(path == of and np.array_equal(a, b) for (path, a), (of, b) in pairs)


def test_an_entry_that_is_none_is_no_entry():
    state = attention_state() | {"bias_k": None, "in_proj_bias": None}
    params = torch.multi_head_attention_from_torch(state)
    assert params["query"]["bias"] is None


def test_what_add_bias_kv_adds_would_change_the_result():
    """The entries that are refused are one more key and value, which all queries see."""
    state, x = attention_state(), normal(1, 5, 8, seed=9)
    params = torch.multi_head_attention_from_torch(state)
    maps = params["query"], params["key"], params["value"]
    q, k, v = (x @ linear["weight"] + linear["bias"] for linear in maps)
    own = ops.multi_head_attention(params, x, x, x, n_heads=1)[0]

    def attend(k, v):
        return ops.linear(ops.scaled_dot_product_attention(q, k, v)[0], **params["output"])[0]

    assert np.allclose(own, attend(k, v), rtol=0, atol=1e-12)
    more = [np.concatenate([a, normal(1, 1, 8, seed=s)], axis=1) for s, a in enumerate((k, v))]
    assert np.abs(own - attend(*more)).max() > 0.01


@pytest.mark.parametrize(("kdim", "vdim"), [(None, None), (5, None), (None, 7), (5, 7)])
def test_keys_and_values_may_have_widths_of_their_own(kdim, vdim):
    state = attention_state(kdim=kdim, vdim=vdim)
    params = torch.multi_head_attention_from_torch(state)
    shapes = [params[name]["weight"].shape for name in ("query", "key", "value")]
    assert shapes == [(8, 8), (kdim or 8, 8), (vdim or 8, 8)]
    back = torch.multi_head_attention_to_torch(params)
    assert back.keys() == state.keys()
    assert all(np.array_equal(back[name], state[name]) for name in state)
    query, key, value = normal(2, 3, 8), normal(2, 5, kdim or 8), normal(2, 5, vdim or 8)
    assert ops.multi_head_attention(params, query, key, value, n_heads=2)[0].shape == (2, 3, 8)


@pytest.mark.parametrize(("op", "n_gates"), [("rnn", 1), ("gru", 3), ("lstm", 4)])
def test_both_directions_load_and_go_back(op, n_gates):
    state, x = recurrent_state(n_gates, reverse=True), normal(2, 5, 3, seed=9)
    params = torch.bidirectional_from_torch(state)
    output, _ = bidirectional(params, x, layer=op)
    assert output.shape == (2, 5, 8)
    forward = {name: a for name, a in state.items() if not name.endswith("_reverse")}
    alone, _ = getattr(ops, op)(torch.recurrent_from_torch(forward), x)
    assert np.array_equal(output[..., :4], alone)
    back = torch.bidirectional_to_torch(params)
    assert back.keys() == state.keys()
    assert all(np.array_equal(back[name], state[name]) for name in state)


def test_one_of_several_layers_is_taken_by_its_number():
    first, second = recurrent_state(), recurrent_state(width=4, layer=1)
    alone = torch.recurrent_from_torch(recurrent_state(width=4))
    assert same(torch.recurrent_from_torch(first | second, layer=1), alone)
    assert same(
        torch.recurrent_from_torch(first | second, layer=0), torch.recurrent_from_torch(first)
    )
    with pytest.raises(ValueError, match="has no 'weight_ih_l2'"):
        torch.recurrent_from_torch(first | second, layer=2)
    reverse = {"weight_ih_l1_reverse": normal(2)}
    with pytest.raises(ValueError, match="has 'weight_ih_l1_reverse'"):
        torch.recurrent_from_torch(first | second | reverse, layer=1)
    assert same(
        torch.recurrent_from_torch(first | second | reverse, layer=0),
        torch.recurrent_from_torch(first),
    )


def test_a_direction_that_is_missing_is_named():
    with pytest.raises(ValueError, match="has no 'weight_ih_l0_reverse'"):
        torch.bidirectional_from_torch(recurrent_state())


def test_parameters_that_pytorch_has_no_place_for_are_named():
    params = torch.recurrent_from_torch(recurrent_state(3))
    with pytest.raises(ValueError, match="params has 'candidate', which a recurrent layer of PyTo"):
        torch.recurrent_to_torch(params | {"candidate": params["hidden"]})
    encoder = torch.encoder_layer_from_torch(encoder_state())
    with pytest.raises(ValueError, match="params has 'memory_norm', which an encoder layer of PyT"):
        torch.encoder_layer_to_torch(encoder | {"memory_norm": encoder["attention_norm"]})
    attention = torch.multi_head_attention_from_torch(attention_state())
    wide = attention | {"value": {"weight": normal(8, 14), "bias": normal(14)}}
    with pytest.raises(ValueError, match=r"params value weight has shape \(8, 14\).* \(8, 8\)"):
        torch.multi_head_attention_to_torch(wide)
