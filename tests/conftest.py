"""What all tests share.

One thread a worker; hypothesis draws the same on every machine; what takes longest comes first.
"""

import gc
import os
from pathlib import Path

if "PYTEST_XDIST_WORKER" in os.environ:  # before NumPy is loaded, which reads it then
    os.environ |= dict.fromkeys(("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS"), "1")

import pytest
from hypothesis import settings

settings.register_profile("proofs", max_examples=40, derandomize=True, deadline=None)
settings.load_profile("proofs")

TESTS = Path(__file__).parent
LONGEST = {"test_notebooks.py", "benchmarks", "docs", "proofs", "commands"}


@pytest.hookimpl(wrapper=True)
def pytest_collection():
    """Nobody looks for garbage among what is collected: all of it stays to the end."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


def pytest_collection_modifyitems(items):
    """The longest come first: at the end, then, no worker waits for another."""
    items.sort(key=lambda item: LONGEST.isdisjoint(item.path.relative_to(TESTS).parts))
