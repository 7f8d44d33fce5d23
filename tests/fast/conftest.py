"""The two ways that attention in blocks takes at each of two turns."""

import pytest

from attention_from_scratch.fast import blocks, exponential


@pytest.fixture(params=[exponential.LARGEST, -1], ids=["moderate", "shifted"])
def shifts(request, monkeypatch):
    """Scores as they are, and less the largest of their row."""
    monkeypatch.setattr(exponential, "LARGEST", request.param)


@pytest.fixture(params=[blocks.WAITING, 0], ids=["waiting", "made again"])
def exponentials(request, monkeypatch):
    """Those of attention's forward pass wait for the backward pass, or it makes them again."""
    monkeypatch.setattr(blocks, "WAITING", request.param)
