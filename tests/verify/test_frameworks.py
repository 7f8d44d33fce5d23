"""A framework from outside of the package is asked for by its name."""

from types import SimpleNamespace

import numpy as np
import pytest

from attention_from_scratch.verify import as_op, check_gradients, frameworks


def as_op_of_squares(function):
    return lambda x: (function(x), lambda d_output: 2 * x * d_output)


MODULE = SimpleNamespace(
    VERSION="squares 1.0",
    as_op=as_op_of_squares,
    CALLS={},
    constant=lambda array, like: array,
    transpose=np.transpose,
    CANNOT={},
    REMARKS={},
)


@pytest.fixture(autouse=True)
def tables_as_they_were(monkeypatch):
    monkeypatch.setattr(frameworks, "FRAMEWORKS", dict(frameworks.FRAMEWORKS))
    monkeypatch.setattr(frameworks, "ADDED", {})


def test_an_added_framework_is_found_by_name():
    frameworks.add("squares", MODULE)
    assert frameworks.load("squares") is MODULE
    assert check_gradients(as_op(np.square, "squares"), np.array([0.3, -2.0])).passed


def test_one_that_another_package_declares_is_loaded_when_asked_for(monkeypatch):
    point = SimpleNamespace(load=lambda: MODULE)
    found = lambda group, name: [point] if name == "squares" else []
    monkeypatch.setattr(frameworks, "entry_points", found)
    assert frameworks.load("squares") is MODULE
    assert frameworks.load("squares") is MODULE


def test_what_cannot_be_added_is_named():
    with pytest.raises(ValueError, match="name was 'torch', but must not be one of torch"):
        frameworks.add("torch", MODULE)
    with pytest.raises(ValueError, match="module has no VERSION, as_op"):
        frameworks.add("squares", SimpleNamespace())
    with pytest.raises(ValueError, match="framework was 'cubes', but must be one of torch"):
        frameworks.load("cubes")
