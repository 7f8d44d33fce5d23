"""Files and layouts of others, without their packages."""

import json

import numpy as np
import pytest

from attention_from_scratch import SASRec
from attention_from_scratch.files import FORMAT
from attention_from_scratch.interop import keras, torch

HISTORIES = [[1, 2, 3], [4], [3, 3, 1, 2, 4, 1, 2], []]


def trained(**settings):
    rng = np.random.default_rng(0)
    histories = [rng.integers(1, 5, rng.integers(2, 8)) for _ in range(20)]
    return SASRec(4, 6, 4, 1, 2, **settings).fit(histories, epochs=1, progress=False)


@pytest.mark.parametrize("norm", ["pre", "post"])
@pytest.mark.parametrize("mask_padding", [True, False])
def test_a_state_dict_makes_the_round_trip(norm, mask_padding):
    model = trained(norm=norm, mask_padding=mask_padding)
    state = model.to_torch()
    again = SASRec.from_torch(state, n_heads=2, norm=norm, mask_padding=mask_padding)
    assert np.array_equal(again.scores(HISTORIES[:3]), model.scores(HISTORIES[:3]))
    assert state["forward_layers.0.conv1.weight"].shape == (4, 4, 1)
    assert not state["item_emb.weight"][0].any()


@pytest.mark.parametrize("norm", ["pre", "post"])
def test_safetensors_make_the_round_trip(norm, tmp_path):
    model = trained(norm=norm)
    model.save(tmp_path / "model.safetensors")
    again = SASRec.load(tmp_path / "model.safetensors")
    assert np.array_equal(again.scores(HISTORIES), model.scores(HISTORIES))
    assert again.config == model.config
    assert again.history == model.history


@pytest.mark.parametrize(
    ("setting", "value"), [("norm", "paper"), ("count_from", "start"), ("output_projection", False)]
)
def test_what_has_no_layout_in_torch_is_an_error_that_names_it(setting, value, tmp_path):
    model = trained(**{setting: value})
    with pytest.raises(ValueError, match=f'{setting} was "?{value}'):
        model.to_torch()
    with pytest.raises(ValueError, match=f'{setting} was "?{value}'):
        model.save(tmp_path / "model.safetensors")


def test_a_state_dict_that_lacks_an_entry_is_an_error_that_names_it():
    state = trained().to_torch()
    del state["last_layernorm.bias"]
    with pytest.raises(ValueError, match=r"no 'last_layernorm.bias'"):
        SASRec.from_torch(state, n_heads=2, norm="pre")


CHANGES = {
    "a surplus entry": ({"extra.weight": np.ones(2)}, "has 'extra.weight', which this layout"),
    "items of one axis": ({"item_emb.weight": np.zeros(5)}, r"item_emb.weight has shape \(5,\)"),
    "an item for padding": (
        {"item_emb.weight": np.ones((5, 4))},
        r"item_emb.weight\[0\].* not zero",
    ),
    "a position for padding": ({"pos_emb.weight": np.ones((7, 4))}, r"pos_emb.weight\[0\]"),
    "positions of another width": (
        {"pos_emb.weight": np.zeros((7, 3))},
        r"pos_emb.weight has shape \(7, 3\), but must be \(L \+ 1, 4\)",
    ),
    "a convolution of width 3": (
        {"forward_layers.0.conv1.weight": np.ones((4, 4, 3))},
        r"conv1.weight has shape \(4, 4, 3\), but must be \(4, 4, 1\)",
    ),
    "an in_proj of 11 rows": (
        {"attention_layers.0.in_proj_weight": np.ones((11, 4))},
        r"in_proj_weight has shape \(11, 4\), but must be \(12, 4\)",
    ),
    "a norm of another width": (
        {"last_layernorm.weight": np.ones(3)},
        r"last_layernorm.weight has shape \(3,\), but must be \(4,\)",
    ),
}


@pytest.mark.parametrize(("change", "message"), CHANGES.values(), ids=CHANGES)
def test_a_state_dict_of_another_form_is_an_error_that_names_the_entry(change, message):
    state = trained().to_torch() | change
    with pytest.raises(ValueError, match=message):
        SASRec.from_torch(state, n_heads=2, norm="pre")


def test_norm_and_max_len_must_be_of_the_state_dict():
    state = trained().to_torch()
    with pytest.raises(ValueError, match='norm was "paper"'):
        SASRec.from_torch(state, n_heads=2, norm="paper")
    for max_len in (0, 7):
        with pytest.raises(ValueError, match=rf"max_len was {max_len}, but pos_emb"):
            SASRec.from_torch(state, n_heads=2, norm="pre", max_len=max_len)
    model = SASRec.from_torch(state, n_heads=2, norm="pre", max_len=4)
    assert np.array_equal(model.params["positions"], state["pos_emb.weight"][1:5])


def test_maps_without_what_the_other_layout_needs_are_errors():
    attention = trained().params["blocks"][0]["attention"]
    without = attention | {"key": attention["key"] | {"bias": None}}
    with pytest.raises(ValueError, match="params has 2 biases"):
        torch.multi_head_attention_to_torch(without)
    with pytest.raises(ValueError, match=r"params has no key.bias"):
        keras.multi_head_attention_to_keras(without, 2)
    with pytest.raises(ValueError, match="weights has arrays of"):
        keras.multi_head_attention_from_keras([np.ones((4, 2, 2))] * 8)


METADATA = {
    "no JSON": "{",
    "a list": "[]",
    "no config": "{}",
    "a setting that is not": '{"config": {"colour": 1}}',
    "a size that is not": '{"config": {"n_items": 0}}',
}


@pytest.mark.parametrize("metadata", METADATA.values(), ids=METADATA)
def test_settings_that_somebody_edited_are_an_error_that_names_the_file(metadata, tmp_path):
    refused(tmp_path, metadata)


DESCRIPTIONS = {
    "too few counts": ({"item_counts": [1, 2]}, "is not .*: item_counts must be 5 integers"),
    "no counts": ({"item_counts": None}, "is not .*: item_counts must be 5 integers"),
    "a part that is missing": ({"history": ...}, "lacks a part of a model saved here: 'history'"),
    "a part that is not": ({"colour": 1}, "is not .*: its description has 'colour', which a model"),
}


@pytest.mark.parametrize(("change", "message"), DESCRIPTIONS.values(), ids=DESCRIPTIONS)
def test_settings_that_do_not_fit_the_weights_are_an_error(change, message, tmp_path):
    model = trained()
    description = {"format": FORMAT, "config": model.config, "history": [], "best_epoch": 0}
    description |= {"item_counts": model.item_counts.tolist()} | change
    description = {name: value for name, value in description.items() if value is not ...}
    refused(tmp_path, json.dumps(description), message)


def refused(tmp_path, metadata, message="(is not|lacks)"):
    import safetensors.numpy

    path = tmp_path / "edited.safetensors"
    state = {name: np.ascontiguousarray(array) for name, array in trained().to_torch().items()}
    safetensors.numpy.save_file(state, path, {"attention_from_scratch": metadata})
    with pytest.raises(ValueError, match=rf"edited.safetensors {message}"):
        SASRec.load(path)


def test_the_suffix_may_be_in_capitals(tmp_path):
    model = trained()
    model.save(tmp_path / "MODEL.SAFETENSORS")
    again = SASRec.load(tmp_path / "MODEL.SAFETENSORS")
    assert np.array_equal(again.scores(HISTORIES), model.scores(HISTORIES))


def test_weights_without_settings_say_how_to_load_them(tmp_path):
    import safetensors.numpy

    path = tmp_path / "elsewhere.safetensors"
    safetensors.numpy.save_file({"x": np.ones(2)}, path)
    with pytest.raises(ValueError, match="from_torch"):
        SASRec.load(path)
    path.write_bytes(b"garbage")
    with pytest.raises(ValueError, match="is not a safetensors file"):
        SASRec.load(path)


def test_where_padding_is_attended_to_the_amount_of_it_does_not_depend_on_the_others():
    model = trained(mask_padding=False)
    alone = model.scores([HISTORIES[0]])[0]
    assert np.allclose(model.scores(HISTORIES[:3])[0], alone, atol=1e-6)
