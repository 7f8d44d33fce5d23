"""JSON that is written whole or not at all, and that any reader takes."""

import json

import pytest

from attention_from_scratch.files import write_json


def test_json_is_read_back_and_letters_stay_letters(tmp_path):
    value = {"films": ["Amélie", "東京物語"], "n": 3, "p": 0.5, "none": None}
    write_json(tmp_path / "a.json", value)
    text = (tmp_path / "a.json").read_text(encoding="utf-8")
    assert json.loads(text) == value
    assert "Amélie" in text
    assert text.endswith("}\n")


def test_what_is_no_finite_number_is_null(tmp_path):
    write_json(tmp_path / "a.json", [{"a": float("nan"), "b": (1.5, float("-inf"))}, [1e300]])
    text = (tmp_path / "a.json").read_text(encoding="utf-8")
    assert json.loads(text) == [{"a": None, "b": [1.5, None]}, [1e300]]


def test_what_is_no_json_leaves_what_was_there(tmp_path):
    write_json(tmp_path / "a.json", [1])
    with pytest.raises(TypeError, match="not JSON serializable"):
        write_json(tmp_path / "a.json", [object()])
    assert [path.name for path in tmp_path.iterdir()] == ["a.json"]
    assert json.loads((tmp_path / "a.json").read_text(encoding="utf-8")) == [1]
