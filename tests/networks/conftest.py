"""What the tests of models share: a small SASRec in float64, away from its zeros and ones."""

import numpy as np
import pytest

from attention_from_scratch.networks import sasrec
from attention_from_scratch.tree import tree_map

N_ITEMS, MAX_LEN, DIM = 7, 6, 4


@pytest.fixture(params=["pre", "paper"])
def norm(request):
    return request.param


@pytest.fixture
def params(norm):
    """Read-only parameters of two blocks, none of them at a special value."""
    rng = np.random.default_rng(3)
    sizes = {"n_items": N_ITEMS, "max_len": MAX_LEN, "dim": DIM, "n_blocks": 2}
    fresh = sasrec.init_params(rng, **sizes, norm=norm, dtype="float64")

    def noisy(leaf):
        leaf = leaf + 0.5 * rng.standard_normal(leaf.shape)
        leaf.setflags(write=False)
        return leaf

    return tree_map(noisy, fresh)


@pytest.fixture
def settings(norm):
    return {"n_heads": 2, "norm": norm}


@pytest.fixture
def ids():
    """Two events, five, none, and one that comes twice."""
    return np.array([[0, 0, 0, 3, 1], [2, 4, 4, 1, 6], [0, 0, 0, 0, 0], [0, 5, 2, 5, 7]])


@pytest.fixture
def targets():
    """Not every event has one."""
    return np.array([[0, 0, 0, 1, 5], [4, 0, 1, 6, 3], [0, 0, 0, 0, 0], [0, 2, 5, 0, 1]])
