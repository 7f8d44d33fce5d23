import numpy as np
import pytest

from attention_from_scratch.rows import Rows, tree_sum
from attention_from_scratch.tree import in_dtype, leaves, rebuild, tree_leaves, tree_map


def tree(factor=1.0):
    return {
        "items": factor * np.ones((2, 3)),
        "blocks": [{"weight": factor * np.arange(3.0), "bias": None}, {"weight": np.zeros(1)}],
        "pair": (factor * np.ones(1), None),
    }


def test_tree_map_changes_the_leaves_and_keeps_the_shape_of_the_tree():
    doubled = tree_map(lambda leaf: 2 * leaf, tree())
    assert list(doubled) == ["items", "blocks", "pair"]
    assert doubled["items"].tolist() == [[2, 2, 2], [2, 2, 2]]
    assert doubled["blocks"][0]["weight"].tolist() == [0, 2, 4]
    assert isinstance(doubled["blocks"], list)
    assert isinstance(doubled["pair"], tuple)


def test_none_stays_none():
    assert tree_map(lambda leaf: 1 / 0, None) is None
    mapped = tree_map(lambda a, b: a + b, tree(), tree())
    assert mapped["blocks"][0]["bias"] is None
    assert mapped["pair"][1] is None


def test_tree_map_runs_over_several_trees_alike():
    mapped = tree_map(lambda a, b, c: a + 10 * b + 100 * c, tree(1.0), tree(2.0), tree(3.0))
    assert np.all(mapped["items"] == 321)
    assert mapped["blocks"][0]["weight"].tolist() == [0, 321, 642]
    assert mapped["pair"][0].tolist() == [321]


def test_a_bare_array_is_a_tree():
    assert tree_map(np.negative, np.ones(2)).tolist() == [-1, -1]
    assert [path for path, _ in tree_leaves(np.ones(2))] == [""]


def test_trees_that_are_not_alike_are_an_error():
    with pytest.raises(ValueError, match="zip"):
        tree_map(np.add, [np.ones(1), np.ones(1)], [np.ones(1)])
    with pytest.raises(ValueError, match="trees differ"):
        tree_map(np.add, {"a": np.ones(1)}, {"b": np.ones(1)})


def test_tree_leaves_are_named_by_their_paths_in_order_without_none():
    assert [path for path, _ in tree_leaves(tree())] == [
        "items",
        "blocks.0.weight",
        "blocks.1.weight",
        "pair.0",
    ]
    assert dict(tree_leaves(tree(5.0)))["blocks.0.weight"].tolist() == [0, 5, 10]
    assert list(tree_leaves(None)) == []


def test_tree_sum_adds_leaf_by_leaf_and_leaves_the_summands_alone():
    trees = [tree(1.0), tree(2.0), tree(4.0)]
    total = tree_sum(trees)
    assert np.all(total["items"] == 7)
    assert total["blocks"][0]["weight"].tolist() == [0, 7, 14]
    assert total["blocks"][0]["bias"] is None
    assert [part["items"][0, 0] for part in trees] == [1, 2, 4]


def test_tree_sum_of_one_is_a_copy():
    only = tree()
    total = tree_sum([only])
    total["items"][:] = 9
    assert np.all(only["items"] == 1)


def test_tree_sum_adds_from_the_first_to_the_last():
    parts = [{"x": np.array([x], np.float32)} for x in (1e8, 1.0, -1e8)]
    assert tree_sum(parts)["x"][0] == 0  # the 1 is lost in 1e8 before that goes away
    assert tree_sum([parts[0], parts[2], parts[1]])["x"][0] == 1


# --- gradients of a few rows

FEW = Rows(np.array([1, 4]), np.array([[1.0, 2.0], [3.0, 4.0]]), 6)
OTHERS = Rows(np.array([0, 4]), np.array([[5.0, 6.0], [7.0, 8.0]]), 6)


def test_rows_have_the_shape_and_dtype_of_what_they_stand_for():
    assert FEW.shape == FEW.dense().shape == (6, 2)
    assert FEW.dtype == np.float64
    assert len(FEW) == 6
    assert FEW.dense().tolist() == [[0, 0], [1, 2], [0, 0], [0, 0], [3, 4], [0, 0]]


@pytest.mark.parametrize("part", [slice(0, 6), slice(1, 4), slice(2, 4), slice(4, 9), slice(5, 2)])
def test_a_part_of_rows_is_that_part_of_the_array(part):
    np.testing.assert_array_equal(FEW[part].dense(), FEW.dense()[part])


def test_rows_times_a_number():
    np.testing.assert_array_equal((FEW * 0.5).dense(), FEW.dense() / 2)


def test_a_sum_of_rows_is_the_sum_of_the_arrays():
    trees = [{"table": FEW, "bias": np.ones(2)}, {"table": OTHERS, "bias": np.full(2, 3.0)}]
    total = tree_sum(trees)
    assert total["table"].ids.tolist() == [0, 1, 4]
    np.testing.assert_array_equal(total["table"].dense(), FEW.dense() + OTHERS.dense())
    assert total["bias"].tolist() == [4, 4]
    assert FEW.rows.tolist() == [[1, 2], [3, 4]]


def test_leaves_come_in_the_order_of_the_tree():
    assert [leaf.shape for leaf in leaves(tree())] == [(2, 3), (3,), (1,), (1,)]


def test_a_tree_is_rebuilt_from_its_leaves_with_the_branches_that_have_none():
    template = {"a": None, "b": {}, "c": [{"d": 1, "e": None}], "f": {"g": None}}
    assert rebuild(template, {"c.0.d": 7}) == {
        "a": None,
        "b": {},
        "c": [{"d": 7, "e": None}],
        "f": {"g": None},
    }


def test_a_tree_in_another_dtype_is_a_copy_of_the_same_form():
    before = tree()
    after = in_dtype(before, "float32")
    assert [leaf.dtype for leaf in leaves(after)] == [np.dtype("float32")] * 4
    assert [path for path, _ in tree_leaves(after)] == [path for path, _ in tree_leaves(before)]
    in_dtype(before, "float64")["items"][:] = 7
    assert before["items"].tolist() == [[1, 1, 1], [1, 1, 1]]
