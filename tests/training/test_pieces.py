"""Parts of an update: all of it, in order, and enough at a time."""

import numpy as np
import pytest

from attention_from_scratch.training import pieces


@pytest.mark.parametrize("sizes", [[], [3], [0], [0, 3], [3, 0], [20, 1, 2, 20, 7, 7, 7], [1] * 40])
def test_groups_hold_the_pieces_in_order_and_enough_of_them(sizes, monkeypatch):
    monkeypatch.setattr(pieces, "PIECE", 16)
    groups = pieces.in_groups([(np.zeros(size), np.zeros(size)) for size in sizes])
    assert [piece[1].size for group in groups for piece in group] == sizes
    total = [sum(piece[1].size for piece in group) for group in groups]
    for group, size in zip(groups, total, strict=True):
        assert size <= 16 or len(group) == 1
    for group, size in zip(groups[1:], total, strict=False):
        assert size + group[0][1].size > 16  # there was no room for the next one


def test_arrays_of_different_dtypes_are_never_one():
    of = {"f": np.zeros(2, np.float32), "d": np.zeros(2)}
    given = [[of[dtype] for dtype in dtypes] for dtypes in ("ff", "ff", "fd", "dd", "ff")]
    assert [len(group) for group in pieces.in_groups(given)] == [2, 1, 1, 1]


@pytest.mark.parametrize("piece", [2**17, 16, 1])
def test_what_is_moved_in_pieces_is_what_is_moved_whole(piece, monkeypatch):
    monkeypatch.setattr(pieces, "PIECE", piece)
    rng = np.random.default_rng(0)
    shapes = [(9, 5), (3,), (), (2, 2), (0, 4)]
    grads = [rng.normal(size=shape) for shape in shapes]
    moved = [rng.normal(size=shape) for shape in shapes]
    expected = [array - 0.5 * grad for array, grad in zip(moved, grads, strict=True)]

    def move(grad, array):
        array -= 0.5 * grad

    pieces.in_pieces(move, grads, (moved,), map)
    for found, array in zip(moved, expected, strict=True):
        np.testing.assert_array_equal(found, array)


def test_branches_are_matched_by_their_names_whatever_their_order():
    params = {"a": np.zeros(2), "b": np.zeros(2)}
    grads = {"b": np.full(2, 5.0), "a": np.full(2, 3.0)}

    def move(grad, array):
        array += grad

    pieces.in_pieces(move, grads, (params,), map)
    assert params["a"].tolist() == [3, 3]
    assert params["b"].tolist() == [5, 5]
