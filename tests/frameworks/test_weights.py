"""Weights travel: loaded from a framework and back, with equal outputs."""

import keras
import numpy as np
import pytest
import torch

from attention_from_scratch import SASRec, fast, ops
from attention_from_scratch.interop import keras as keras_weights
from attention_from_scratch.interop import torch as torch_weights
from attention_from_scratch.interop.tensors import as_array
from attention_from_scratch.interop.torch_module import SASRecModule
from attention_from_scratch.networks.bidirectional import bidirectional
from attention_from_scratch.networks.transformer import BLOCKS
from attention_from_scratch.tree import tree_leaves

EPSILON = np.finfo(np.float32).eps


def normal(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def shaken(module, seed=0):
    """Parameters away from the zeros and ones that a module starts from."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter += 0.3 * torch.randn(parameter.shape, generator=generator)
    return module.eval()


def assert_close(ours, theirs, epsilons=100):
    theirs = theirs.detach().numpy() if hasattr(theirs, "detach") else np.asarray(theirs)
    assert np.abs(ours - theirs).max() <= epsilons * EPSILON * np.abs(theirs).max()


def same_state(state, module):
    expected = module.state_dict()
    assert state.keys() == expected.keys()
    for name, tensor in expected.items():
        assert torch.equal(torch.as_tensor(as_array(state[name])), tensor), name


def test_multi_head_attention_of_torch():
    module = shaken(torch.nn.MultiheadAttention(6, 3, batch_first=True))
    params = torch_weights.multi_head_attention_from_torch(module.state_dict())
    x, y = normal(2, 4, 6), normal(2, 5, 6, seed=1)
    output, _ = ops.multi_head_attention(params, x, y, y, n_heads=3)
    assert_close(output, module(*map(torch.tensor, (x, y, y)))[0])
    same_state(torch_weights.multi_head_attention_to_torch(params), module)


def test_multi_head_attention_of_torch_without_bias():
    module = shaken(torch.nn.MultiheadAttention(6, 2, bias=False, batch_first=True))
    params = torch_weights.multi_head_attention_from_torch(module.state_dict())
    x = normal(2, 4, 6)
    output, _ = ops.multi_head_attention(params, x, x, x, n_heads=2)
    assert_close(output, module(*[torch.tensor(x)] * 3)[0])
    same_state(torch_weights.multi_head_attention_to_torch(params), module)


@pytest.mark.parametrize(("kdim", "vdim"), [(None, 7), (5, None), (5, 7)])
def test_multi_head_attention_of_torch_with_keys_and_values_of_other_widths(kdim, vdim):
    module = torch.nn.MultiheadAttention(6, 3, kdim=kdim, vdim=vdim, batch_first=True)
    params = torch_weights.multi_head_attention_from_torch(shaken(module).state_dict())
    query, key, value = normal(2, 4, 6), normal(2, 5, kdim or 6), normal(2, 5, vdim or 6)
    output, _ = ops.multi_head_attention(params, query, key, value, n_heads=3)
    assert_close(output, module(*map(torch.tensor, (query, key, value)))[0])
    same_state(torch_weights.multi_head_attention_to_torch(params), module)


REFUSED = {
    "add_bias_kv": (
        torch_weights.multi_head_attention_from_torch,
        lambda: torch.nn.MultiheadAttention(6, 3, add_bias_kv=True),
        "'bias_k', 'bias_v'",
    ),
    "a decoder layer": (
        torch_weights.encoder_layer_from_torch,
        lambda: torch.nn.TransformerDecoderLayer(6, 2, 10),
        "'multihead_attn.in_proj_weight', .*",
    ),
    "bidirectional": (
        torch_weights.recurrent_from_torch,
        lambda: torch.nn.LSTM(3, 4, bidirectional=True),
        "'weight_ih_l0_reverse', 'weight_hh_l0_reverse', 'bias_ih_l0_reverse', 'bias_hh_.*'",
    ),
    "two layers": (
        torch_weights.recurrent_from_torch,
        lambda: torch.nn.GRU(3, 4, 2, bias=False),
        "'weight_ih_l1', 'weight_hh_l1'",
    ),
    "two layers, bidirectional": (
        torch_weights.bidirectional_from_torch,
        lambda: torch.nn.RNN(3, 4, 2, bias=False, bidirectional=True),
        "'weight_ih_l1', 'weight_hh_l1', 'weight_ih_l1_reverse', 'weight_hh_l1_reverse'",
    ),
    "proj_size": (
        torch_weights.recurrent_from_torch,
        lambda: torch.nn.LSTM(3, 4, proj_size=2),
        "'weight_hr_l0'",
    ),
}


@pytest.mark.parametrize(("load", "module", "names"), REFUSED.values(), ids=REFUSED)
def test_what_a_loader_of_torch_does_not_use_it_refuses_by_name(load, module, names):
    with pytest.raises(ValueError, match=f"the state dict has {names}, which .* has not"):
        load(module().state_dict())


def with_weights(layer, *inputs):
    """A Keras layer, built by a call, with random weights."""
    layer(*inputs)
    layer.set_weights([normal(*w.shape, seed=i) for i, w in enumerate(layer.get_weights())])
    return layer


def same_weights(weights, layer):
    for array, expected in zip(weights, layer.get_weights(), strict=True):
        assert np.array_equal(array, expected)


HEADS = {
    "one width": {},
    "value_dim": {"value_dim": 5},
    "output_shape": {"output_shape": 4},
    "no bias": {"use_bias": False, "value_dim": 1},
}


@pytest.mark.parametrize("settings", HEADS.values(), ids=HEADS)
@pytest.mark.parametrize("widths", [(6, 6, 6), (6, 5, 7)], ids=str)
def test_multi_head_attention_of_keras(settings, widths):
    query, value, key = (
        normal(2, n, width, seed=n) for n, width in zip((4, 5, 5), widths, strict=True)
    )
    layer = with_weights(keras.layers.MultiHeadAttention(3, 2, **settings), query, value, key)
    params, n_heads = keras_weights.multi_head_attention_from_keras(layer.get_weights())
    assert n_heads == 3
    output, _ = ops.multi_head_attention(params, query, key, value, n_heads=n_heads)
    assert_close(output, layer(query, value, key))
    same_weights(keras_weights.multi_head_attention_to_keras(params, n_heads), layer)


@pytest.mark.parametrize("norm", ["pre", "post"])
def test_transformer_encoder_layer_of_torch(norm):
    module = torch.nn.TransformerEncoderLayer(
        6, 2, dim_feedforward=10, dropout=0.0, batch_first=True, norm_first=norm == "pre"
    )
    shaken(module)
    params = torch_weights.encoder_layer_from_torch(module.state_dict())
    x, mask = normal(2, 5, 6), ops.causal_mask(5)
    output, _ = BLOCKS[norm](params, x, n_heads=2, mask=mask, eps=module.norm1.eps)
    assert_close(output, module(torch.tensor(x), src_mask=torch.tensor(~mask)))
    same_state(torch_weights.encoder_layer_to_torch(params), module)


HISTORIES = [[1, 2, 3], [4], [7, 6, 5, 4, 3, 2, 1, 2, 3], [2, 2, 5, 6, 1]]


def padded(max_len):
    rows = [([0] * max_len + history)[-max_len:] for history in HISTORIES]
    return torch.tensor(rows)


@pytest.mark.parametrize("norm", ["pre", "post"])
@pytest.mark.parametrize("mask_padding", [True, False])
def test_sasrec_from_torch_scores_what_the_module_scores(norm, mask_padding):
    module = SASRecModule(7, 8, 6, 2, 3, norm=norm, mask_padding=mask_padding)
    shaken(module)
    with torch.no_grad():
        module.item_emb.weight[0] = module.pos_emb.weight[0] = 0
    model = SASRec.from_torch(module.state_dict(), n_heads=3, norm=norm, mask_padding=mask_padding)
    with torch.no_grad():
        expected = module(padded(8)).numpy()
    assert_close(model.scores(HISTORIES)[:, 1:], expected[:, 1:])
    same_state(model.to_torch(), module)


@pytest.mark.parametrize("norm", ["pre", "post"])
def test_a_model_trained_here_serves_in_torch(norm, tmp_path):
    from safetensors.torch import load_file

    rng = np.random.default_rng(0)
    histories = [rng.integers(1, 8, rng.integers(2, 9)) for _ in range(60)]
    model = SASRec(7, 8, 6, 2, 2, norm=norm).fit(histories, epochs=3, progress=False)
    model.save(tmp_path / "model.safetensors")
    module = SASRecModule(7, 8, 6, 2, 2, norm=norm).eval()
    module.load_state_dict(load_file(tmp_path / "model.safetensors"))
    with torch.no_grad():
        expected = module(padded(8)).numpy()
    assert_close(model.scores(HISTORIES)[:, 1:], expected[:, 1:])


def test_the_layout_of_the_well_known_sasrec_loads_as_that_code_computes():
    """Its forward pass in a few lines: positions 1..L, 0 for padding, padded keys not masked."""
    module = shaken(SASRecModule(7, 8, 6, 2, 2, norm="pre", mask_padding=False))
    with torch.no_grad():
        module.item_emb.weight[0] = module.pos_emb.weight[0] = 0
        ids = padded(8)
        x = module.item_emb(ids) * 6**0.5 + module.pos_emb(torch.arange(1, 9) * (ids != 0))
        hidden = ~torch.tril(torch.ones(8, 8, dtype=torch.bool))
        for i in range(2):
            y = module.attention_layernorms[i](x)
            x = x + module.attention_layers[i](y, y, y, attn_mask=hidden)[0]
            x = x + module.forward_layers[i](module.forward_layernorms[i](x))
        expected = (module.last_layernorm(x)[:, -1] @ module.item_emb.weight.T).numpy()
    model = SASRec.from_torch(module.state_dict(), n_heads=2, norm="pre")
    assert_close(model.scores(HISTORIES)[:, 1:], expected[:, 1:])


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float64])
def test_weights_of_any_precision_load(dtype):
    state = {n: t.to(dtype) for n, t in zeroed(SASRecModule(7, 8, 6, 2, 2)).state_dict().items()}
    model = SASRec.from_torch(state, n_heads=2, norm="pre")
    name = "float64" if dtype == torch.float64 else "float32"
    assert model.config["dtype"] == name
    assert model.scores(HISTORIES).dtype == name
    model = SASRec.from_torch(state, n_heads=2, norm="pre", dtype="float64")
    assert {leaf.dtype for _, leaf in tree_leaves(model.params)} == {np.dtype("float64")}


def zeroed(module):
    with torch.no_grad():
        module.item_emb.weight[0] = module.pos_emb.weight[0] = 0
    return module


def test_what_goes_to_torch_can_be_saved_there(tmp_path):
    from safetensors.torch import load_file, save_file

    module = zeroed(shaken(SASRecModule(7, 8, 6, 1, 2)))
    state = SASRec.from_torch(module.state_dict(), n_heads=2, norm="pre").to_torch()
    save_file(state, tmp_path / "model.safetensors")
    same_state(load_file(tmp_path / "model.safetensors"), module)


@pytest.mark.parametrize("mask_padding", [True, False])
def test_the_module_takes_ids_of_any_length_up_to_its_own(mask_padding):
    module = zeroed(shaken(SASRecModule(7, 8, 6, 2, 2, mask_padding=mask_padding)))
    model = SASRec.from_torch(module.state_dict(), n_heads=2, norm="pre", mask_padding=mask_padding)
    with torch.no_grad():
        scores = module(torch.tensor([[1, 2, 3]]))
        assert module.encode(torch.tensor([[1, 2, 3]])).shape == (1, 3, 6)
    assert_close(model.scores([[1, 2, 3]])[:, 1:], scores[:, 1:])
    with pytest.raises(ValueError, match=r"ids has length 9, but must be of 1..8"):
        module(torch.ones(1, 9, dtype=int))


def test_a_table_longer_than_what_was_used_is_cut():
    module = zeroed(shaken(SASRecModule(7, 9, 6, 1, 2, mask_padding=False)))
    state = module.state_dict()
    model = SASRec.from_torch(state, n_heads=2, norm="pre", max_len=8)
    assert np.array_equal(model.params["positions"], state["pos_emb.weight"][1:9])
    assert model.max_len == 8


RECURRENT = {
    "rnn": (ops.rnn, torch.nn.RNN),
    "gru": (ops.gru, torch.nn.GRU),
    "lstm": (ops.lstm, torch.nn.LSTM),
}


@pytest.mark.parametrize("name", RECURRENT)
@pytest.mark.parametrize("bias", [True, False])
def test_recurrent_layers_of_torch(name, bias):
    op, module = RECURRENT[name]
    module = shaken(module(3, 4, bias=bias, batch_first=True))
    params = torch_weights.recurrent_from_torch(module.state_dict())
    x = normal(2, 5, 3)
    assert_close(op(params, x)[0], module(torch.tensor(x))[0])
    same_state(torch_weights.recurrent_to_torch(params), module)


def test_one_of_two_layers_of_torch_is_taken_by_its_number():
    module = shaken(torch.nn.GRU(3, 4, 2, bidirectional=True, batch_first=True))
    x = hidden = normal(2, 5, 3)
    for layer in (0, 1):
        params = torch_weights.bidirectional_from_torch(module.state_dict(), layer=layer)
        hidden, _ = bidirectional(params, hidden, layer="gru")
    assert_close(hidden, module(torch.tensor(x))[0])


REAL = np.arange(6) < np.array([4, 6, 1])[:, None]
PADDING = {
    "on the right": REAL,
    "on the left": REAL[:, ::-1],
    "anywhere": REAL[:, [5, 2, 0, 4, 1, 3]],
}


@pytest.mark.parametrize("name", RECURRENT)
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("mask", PADDING.values(), ids=PADDING)
@pytest.mark.parametrize("which", [ops, fast], ids=["plain", "fast"])
def test_both_directions_of_torch_are_those_of_packed_sequences(name, bias, mask, which):
    _, module = RECURRENT[name]
    module = shaken(module(3, 4, bias=bias, bidirectional=True, batch_first=True))
    params = torch_weights.bidirectional_from_torch(module.state_dict())
    x = normal(3, 6, 3)
    settings = {"layer": name, "mask": mask, "ops": which}
    events = [torch.tensor(row[real]) for row, real in zip(x, mask, strict=True)]
    packed, last = module(torch.nn.utils.rnn.pack_sequence(events, enforce_sorted=False))
    expected = torch.nn.utils.rnn.unpack_sequence(packed)
    output, _ = bidirectional(params, x, **settings)
    for row, real, of_events in zip(output, mask, expected, strict=True):
        assert_close(row[real], of_events)
        assert np.all(row[~real] == 0)
    last = last[0] if name == "lstm" else last
    assert_close(bidirectional(params, x, **settings, last=True)[0], torch.cat([*last], dim=-1))
    same_state(torch_weights.bidirectional_to_torch(params), module)


# name -> op, layer, what it is made with beside its sizes
OF_KERAS = {
    "rnn": ("rnn", keras.layers.SimpleRNN, {}),
    "gru": ("gru", keras.layers.GRU, {"reset_after": True}),
    "gru, reset before": ("gru", keras.layers.GRU, {"reset_after": False}),
    "lstm": ("lstm", keras.layers.LSTM, {}),
}
of_keras = pytest.mark.parametrize(("name", "layer", "made"), OF_KERAS.values(), ids=OF_KERAS)


@of_keras
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("which", [ops, fast], ids=["plain", "fast"])
def test_recurrent_layers_of_keras(name, layer, made, bias, which):
    x = normal(2, 5, 3)
    layer = with_weights(layer(4, return_sequences=True, use_bias=bias, **made), x)
    said = {} if bias else made  # a bias tells which form of the GRU it is
    params = keras_weights.recurrent_from_keras(layer.get_weights(), name, **said)
    assert_close(getattr(which, name)(params, x)[0], layer(x))
    same_weights(keras_weights.recurrent_to_keras(params, name), layer)


@of_keras
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("mask", PADDING.values(), ids=PADDING)
@pytest.mark.parametrize("last", [False, True])
def test_both_directions_of_keras(name, layer, made, bias, mask, last):
    x = normal(3, 6, 3)
    settings = {"return_sequences": not last, "zero_output_for_mask": not last, "use_bias": bias}
    layer = with_weights(keras.layers.Bidirectional(layer(4, **settings, **made)), x)
    said = {} if bias else made
    params = keras_weights.bidirectional_from_keras(layer.get_weights(), name, **said)
    output, _ = bidirectional(params, x, layer=name, mask=mask, last=last)
    assert_close(output, layer(x, mask=mask))
    same_weights(keras_weights.bidirectional_to_keras(params, name), layer)
