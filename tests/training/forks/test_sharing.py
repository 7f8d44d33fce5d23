"""Arrays laid end to end and gradients put in slots: what goes in comes out."""

import numpy as np
import pytest

from attention_from_scratch import rows
from attention_from_scratch.rows import Rows
from attention_from_scratch.training.forks.layout import Layout
from attention_from_scratch.training.forks.sharing import Slot
from attention_from_scratch.tree import tree_leaves

TREE = {
    "weight": np.arange(6.0).reshape(2, 3),
    "bias": np.arange(3.0),
    "table": np.arange(40.0).reshape(20, 2),
    "more": [{"weight": np.ones((2, 2)), "bias": None}, np.array(7.0), np.zeros((0, 4))],
    "single": np.ones(2, np.float32),
}


@pytest.fixture
def layout(monkeypatch):
    monkeypatch.setattr(rows, "LARGE", 10)
    return Layout(TREE)


def test_small_matrices_and_vectors_lie_end_to_end_and_large_ones_by_themselves(layout):
    arrays = layout.lay(TREE)
    assert [array.shape for array in arrays] == [(10, 1), (4,), (20, 2), (2,)]
    assert [array.dtype for array in arrays] == [float, float, float, np.float32]
    back = layout.tree(arrays)
    assert back["more"][0]["bias"] is None
    for (name, leaf), (_, given) in zip(tree_leaves(back), tree_leaves(TREE), strict=True):
        np.testing.assert_array_equal(leaf, given, err_msg=name)
        assert leaf.shape == given.shape


def test_the_leaves_of_a_layout_are_views(layout):
    arrays = layout.lay(TREE)
    for _, leaf in tree_leaves(layout.tree(arrays)):
        leaf[...] = 5
    assert all((array == 5).all() for array in arrays)
    assert TREE["weight"][0, 1] == 1


def test_a_slot_gives_back_what_was_put_last(layout):
    slot = Slot(layout)

    def dense(arrays):
        return layout.tree([a.dense() if isinstance(a, Rows) else a for a in arrays])

    rows = Rows(np.array([1, 3]), np.ones((2, 2)), 20)
    for table in (rows, TREE["table"], Rows(np.array([0]), np.full((1, 2), 5.0), 20)):
        slot.put(TREE | {"table": table})
        found = slot.get()
        assert isinstance(found[2], Rows) == isinstance(table, Rows)
        expected = table.dense() if isinstance(table, Rows) else table
        np.testing.assert_array_equal(dense(found)["table"], expected)
        np.testing.assert_array_equal(dense(found)["weight"], TREE["weight"])


def test_rows_of_a_small_array_are_an_error(layout):
    rows = Rows(np.array([1]), np.full((1, 3), 2.0), 2)
    with pytest.raises(ValueError, match=r"of shape \(2, 3\) came as Rows, but .* a large array"):
        Slot(layout).put(TREE | {"weight": rows})
