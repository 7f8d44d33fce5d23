"""`verify`: every gradient."""

import json
from types import SimpleNamespace

import numpy as np
import pytest


@pytest.mark.parametrize("name", ["softmax", "paper_block"])
def test_verify_of_one_op_passes(name, call):
    result = call("verify", "--op", name)
    assert result.status == 0
    assert name in result.out
    assert "cases passed" in result.out
    assert "FAILED" not in result.out


def test_verify_in_float32_uses_the_complex_step_alone(call):
    result = call("verify", "--op", "layer_norm", "--dtype", "float32")
    assert result.status == 0
    assert "4 of 4 cases passed" in result.out


def test_verify_finds_a_planted_wrong_gradient(monkeypatch, call):
    from attention_from_scratch import ops

    def relu(x):
        output, _ = right(x)
        return output, lambda d_output: d_output  # as if it were the identity

    right = ops.relu
    monkeypatch.setattr(ops, "relu", relu)
    result = call("verify", "--op", "relu")
    assert result.status == 1
    assert "FAILED" in result.out
    assert "0 of 2 cases passed" in result.out
    assert "some gradients are wrong" in result.err
    assert "<- wrong" in result.err


def test_verify_writes_json_that_any_reader_takes_even_when_rows_failed(
    monkeypatch, tmp_path, call
):
    from attention_from_scratch import ops

    def relu(x):
        return right(x)[0], lambda d_output: d_output * np.nan

    right = ops.relu
    monkeypatch.setattr(ops, "relu", relu)
    result = call("verify", "--op", "relu", "--json", tmp_path / "rows.json")
    assert result.status == 1
    text = (tmp_path / "rows.json").read_text()
    assert "NaN" not in text
    assert "Infinity" not in text
    assert [record["passed"] for record in json.loads(text)] == [False, False]
    assert json.loads(text)[0]["errors"]["complex step"] is None


@pytest.fixture
def framework(monkeypatch):
    """Our own ops in the place of a framework's."""
    from attention_from_scratch import ops
    from attention_from_scratch.proofs import checks

    module = SimpleNamespace(
        __name__="verify.frameworks.torch",
        VERSION="torch 0",
        CANNOT={},
        REMARKS={},
        CALLS={name: getattr(ops, name) for name in ("relu", "softmax")},
        as_op=lambda op: op,
    )
    monkeypatch.setattr(checks, "load", lambda name: module)
    monkeypatch.setattr(checks, "calls_of", lambda module: module.CALLS)
    return module


def test_verify_against_a_framework(framework, call):
    result = call("verify", "--framework", "torch", "--op", "softmax")
    assert (result.status, result.err) == (0, "")
    assert "8 of 8 rows passed" in result.out


def test_an_op_that_a_framework_has_not_is_not_compared(framework, call):
    result = call("verify", "--framework", "torch", "--op", "gelu")
    assert result.status == 0
    assert "not compared: no entry in this framework's table" in result.out


def test_a_gradient_of_the_wrong_form_is_a_row_that_failed(framework, tmp_path, call):
    framework.CALLS["relu"] = lambda x: (np.maximum(x, 0), lambda d_output: d_output.sum())
    result = call("verify", "--framework", "torch", "--op", "relu", "--json", tmp_path / "r.json")
    assert result.status == 1
    assert "the gradient of x (torch)" in result.err
    assert json.loads((tmp_path / "r.json").read_text())[0]["error"] is None


# --- mistakes


MISTAKES = {
    "an unknown op": (lambda s, tmp: ["verify", "--op", "hardmax"], "--op was 'hardmax'"),
    "an unknown op with a framework": (
        lambda s, tmp: ["verify", "--framework", "torch", "--op", "hardmax"],
        "--op was 'hardmax'",
    ),
    "verify --json into a folder that is not there": (
        lambda s, tmp: ["verify", "--op", "relu", "--json", tmp / "none" / "rows.json"],
        "but there is no folder",
    ),
    "verify --json onto a folder": (
        lambda s, tmp: ["verify", "--op", "relu", "--json", tmp],
        "but must be a file, not a folder",
    ),
    "verify --npz with a framework": (
        lambda s, tmp: [
            *("verify", "--op", "relu", "--npz", tmp / "a.npz", "--framework", "torch")
        ],
        "--npz goes without --framework",
    ),
    "verify --npz with a dtype": (
        lambda s, tmp: ["verify", "--op", "relu", "--npz", tmp / "a.npz", "--dtype", "float32"],
        "--npz goes without --dtype",
    ),
    "verify --npz without an op": (
        lambda s, tmp: ["verify", "--npz", tmp / "a.npz"],
        "--npz needs --op",
    ),
    "verify --npz of a file that is not there": (
        lambda s, tmp: ["verify", "--op", "relu", "--npz", tmp / "a.npz"],
        "a.npz: No such file",
    ),
    "an unknown dtype": (lambda s, tmp: ["verify", "--dtype", "half"], "invalid choice: 'half'"),
}


@pytest.mark.parametrize(("arguments", "message"), MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_is_status_2_and_one_clear_line(
    shelf, tmp_path, costs_one_line, arguments, message
):
    costs_one_line(arguments(shelf, tmp_path), message)
