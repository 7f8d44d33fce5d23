"""Weights travel: loaded from a framework and back, with equal outputs."""

import keras
import numpy as np
import pytest
import torch

from attention_from_scratch import SASRec, ops
from attention_from_scratch.interop import keras as keras_weights
from attention_from_scratch.interop import torch as torch_weights
from attention_from_scratch.interop.tensors import as_array
from attention_from_scratch.interop.torch_module import SASRecModule
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


def test_multi_head_attention_of_keras():
    layer = keras.layers.MultiHeadAttention(3, 2)
    x, y = normal(2, 4, 6), normal(2, 5, 6, seed=1)
    layer(x, y)
    layer.set_weights([normal(*w.shape, seed=i) for i, w in enumerate(layer.get_weights())])
    params, n_heads = keras_weights.multi_head_attention_from_keras(layer.get_weights())
    assert n_heads == 3
    output, _ = ops.multi_head_attention(params, x, y, y, n_heads=n_heads)
    assert_close(output, layer(x, y))
    back = keras_weights.multi_head_attention_to_keras(params, n_heads)
    for array, expected in zip(back, layer.get_weights(), strict=True):
        assert np.array_equal(array, expected)


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
    "rnn": (ops.rnn, torch.nn.RNN, keras.layers.SimpleRNN),
    "gru": (ops.gru, torch.nn.GRU, keras.layers.GRU),
    "lstm": (ops.lstm, torch.nn.LSTM, keras.layers.LSTM),
}


@pytest.mark.parametrize("name", RECURRENT)
@pytest.mark.parametrize("bias", [True, False])
def test_recurrent_layers_of_torch(name, bias):
    op, module, _ = RECURRENT[name]
    module = shaken(module(3, 4, bias=bias, batch_first=True))
    params = torch_weights.recurrent_from_torch(module.state_dict())
    x = normal(2, 5, 3)
    assert_close(op(params, x)[0], module(torch.tensor(x))[0])
    same_state(torch_weights.recurrent_to_torch(params), module)


@pytest.mark.parametrize("name", RECURRENT)
@pytest.mark.parametrize("bias", [True, False])
def test_recurrent_layers_of_keras(name, bias):
    op, _, layer = RECURRENT[name]
    layer = layer(4, return_sequences=True, use_bias=bias)
    x = normal(2, 5, 3)
    layer(x)
    layer.set_weights([normal(*w.shape, seed=i) for i, w in enumerate(layer.get_weights())])
    params = keras_weights.recurrent_from_keras(layer.get_weights(), name)
    assert_close(op(params, x)[0], layer(x))
    back = keras_weights.recurrent_to_keras(params, name)
    for array, expected in zip(back, layer.get_weights(), strict=True):
        assert np.array_equal(array, expected)
