"""Masks that are told: what a block sees by them, and that they are those of the plain ops."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from attention_from_scratch import fast, ops
from tests.fast.comparing import WAYS, padded


@pytest.mark.parametrize("way", [way for way in WAYS if way != "none"])
@pytest.mark.parametrize("length", [1, 2, 7])
def test_a_mask_written_out_is_that_of_the_plain_op(way, length):
    found, expected = WAYS[way](fast, length), WAYS[way](ops, length)
    assert (found.shape, found.ndim, found.dtype) == (expected.shape, expected.ndim, expected.dtype)
    assert np.array_equal(np.asarray(found), expected)
    assert np.array_equal(found[..., :1], expected[..., :1])


@given(st.integers(1, 40), st.data())
def test_a_block_looks_at_all_keys_that_it_may_see_and_hides_the_others(length, data):
    before, after = (data.draw(st.none() | st.integers(0, 12)) for _ in range(2))
    start = data.draw(st.integers(0, length - 1))
    stop = data.draw(st.integers(start + 1, length))
    mask = fast.Mask(length=length, before=before, after=after)
    keys = mask.keys(start, stop, length)
    assert np.array_equal(looked_at(mask, start, stop, length), np.asarray(mask)[start:stop])
    if before is not None and after is not None:
        assert keys.stop - keys.start <= stop - start + before + after


def looked_at(mask, start, stop, length):
    """What a block of queries sees of all keys, as its mask tells it."""
    keys = mask.keys(start, stop, length)
    seen = np.zeros((*mask.shape[:-2], stop - start, length), bool)
    seen[..., keys] = True
    for which, part in mask.parts(start, stop, keys):
        seen[..., keys][..., which] &= part
    return seen


MASK_SHAPES = [(), (5,), (1, 5), (5, 1), (5, 5), (2, 1, 5), (2, 5, 5), (2, 1, 1), (3, 2, 5, 5)]


@pytest.mark.parametrize("shape", MASK_SHAPES, ids=str)
@pytest.mark.parametrize("way", WAYS)
def test_a_block_sees_of_an_array_and_a_band_what_both_allow(shape, way):
    array = np.random.default_rng(0).random(shape) < 0.5
    mask, expected = array & (WAYS[way](fast, 5) or fast.Mask()), array
    if way != "none":
        expected = array & WAYS[way](ops, 5)
    assert np.array_equal(np.asarray(mask), expected)
    expected = np.broadcast_to(expected, np.broadcast_shapes(expected.shape, (5, 5)))
    told = mask.over_keys(5)
    for start, stop in ((0, 2), (2, 5), (4, 5)):
        found = looked_at(told, start, stop, 5)
        assert np.array_equal(
            np.broadcast_to(found, (*expected.shape[:-2], stop - start, 5)),
            expected[..., start:stop, :],
        )
    counts = np.broadcast_to(told.n_seen(5, 5), expected.shape[:-1])
    assert np.array_equal(counts, expected.sum(axis=-1))


@pytest.mark.parametrize("shape", MASK_SHAPES, ids=str)
def test_masks_and_arrays_combine_on_either_side(shape):
    array = np.random.default_rng(0).random(shape) < 0.5
    for way in ("causal", "causal and padding"):
        mask, plain = WAYS[way](fast, 5), WAYS[way](ops, 5)
        for found in (mask & array, array & mask):
            assert isinstance(found, fast.Mask)
            assert found.shape == (plain & array).shape
            assert np.array_equal(np.asarray(found), plain & array)
    assert np.array_equal(np.asarray(mask & array.tolist()), plain & array)


@pytest.mark.parametrize("other", [np.ones((3, 3)), np.ones((3, 3), int), [[0.5]]], ids=str)
def test_a_mask_combined_with_what_is_not_boolean_is_an_error(other):
    with pytest.raises(TypeError, match=r"mask has dtype (float|int)64, but must be bool"):
        fast.causal_mask(3) & other
    with pytest.raises(TypeError, match=r"mask has dtype (float|int)64, but must be bool"):
        other & fast.causal_mask(3)


def test_masks_that_do_not_fit_together_are_an_error_as_arrays_are():
    for of in (ops, fast):
        with pytest.raises(ValueError, match=r"\(3,\s?3\).*\(4,\s?4\)"):
            of.causal_mask(3) & of.local_mask(4, 2)
        with pytest.raises(ValueError, match="shape"):
            of.causal_mask(3) & of.padding_mask(padded(4))
        for one in (of.causal_mask(1), of.local_mask(1, 1)):  # stretched, it hides nothing
            assert np.array_equal(np.asarray(one & of.causal_mask(4)), ops.causal_mask(4))
            assert np.array_equal(
                np.asarray(one & of.padding_mask(padded(4))), ops.padding_mask(padded(4))
            )


def test_a_block_that_sees_nothing_looks_at_nothing():
    array = np.zeros((2, 6, 6), bool)
    array[1, 4, 2:5] = True
    for mask in (fast.Mask(array), fast.causal_mask(6) & array):
        assert mask.keys(0, 3, 6) == slice(0, 0)
        assert mask.keys(3, 6, 6) == slice(2, 5)


def test_a_band_without_a_length_is_an_error():
    with pytest.raises(ValueError, match="length was None"):
        fast.Mask(after=0)


def test_a_window_of_nothing_is_an_error():
    with pytest.raises(ValueError, match="window was 0"):
        fast.local_mask(5, 0)
