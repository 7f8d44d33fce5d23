"""Attention in blocks is attention, whatever the mask, and does no more than it has to."""

import numpy as np
import pytest

from attention_from_scratch import fast, ops
from attention_from_scratch.fast import blocks
from attention_from_scratch.fast.dropout import Dropout
from attention_from_scratch.verify import check_gradients
from tests.fast.comparing import WAYS, assert_with, drawn, each_dtype


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("length", [1, 5, 16, 33])
@pytest.mark.parametrize("dropout_p", [0, 0.3])
@each_dtype
@pytest.mark.usefixtures("shifts", "exponentials")
def test_attention_in_blocks_is_attention(way, length, dropout_p, dtype, monkeypatch):
    monkeypatch.setattr(blocks, "BLOCKS", (8, 8))
    inputs = drawn((2, 3, length, 4), (2, 3, length, 4), (2, 3, length, 6), dtype=dtype)
    keep = np.random.default_rng(2).random((2, 3, length, length)) >= dropout_p
    masks = {of: WAYS[way](of, length) for of in (ops, fast)}
    masks[ops] = ops.attention.over_heads(masks[ops]) if masks[ops] is not None else None
    masks[fast] = None if masks[fast] is None else masks[fast].over_heads()
    noise = {"dropout_p": dropout_p, "keep": keep} if dropout_p else {}
    plain, quick = ops.scaled_dot_product_attention, fast.scaled_dot_product_attention
    keywords = {plain: {"mask": masks[ops]} | noise, quick: {"mask": masks[fast]} | noise}
    output, _ = quick(*inputs, **keywords[quick])
    assert np.isfinite(output).all()
    assert_with(plain, quick, inputs, keywords, dtype)


@each_dtype
def test_queries_from_elsewhere_may_be_of_another_number(dtype, monkeypatch):
    monkeypatch.setattr(blocks, "BLOCKS", (4, 4))
    inputs = drawn((2, 11, 3), (2, 6, 3), (2, 6, 5), dtype=dtype)
    real = np.array([[[1, 0, 1, 1, 0, 1]], [[0, 0, 0, 0, 0, 0]]], bool)
    plain, quick = ops.scaled_dot_product_attention, fast.scaled_dot_product_attention
    keywords = {
        plain: {"mask": real, "scale": 2.0},
        quick: {"mask": fast.Mask(real), "scale": 2.0},
    }
    output, _ = quick(*inputs, **keywords[quick])
    assert np.all(output[1] == 0)  # who may attend to nothing
    assert_with(plain, quick, inputs, keywords, dtype)


@pytest.mark.parametrize("dropout_p", [0, 0.3])
def test_what_waits_is_what_would_be_made_again(dropout_p, monkeypatch):
    monkeypatch.setattr(blocks, "BLOCKS", (4, 4))
    inputs = drawn(*[(2, 9, 3)] * 3)
    found = []
    for most in (9, 8):
        monkeypatch.setattr(blocks, "WAITING", most)
        settings = {"dropout_p": dropout_p, "rng": np.random.default_rng(0)}
        _, backward = fast.scaled_dot_product_attention(
            *inputs, mask=fast.causal_mask(9), **settings
        )
        found += [backward(inputs[0]), backward(inputs[0])]
    for gradients in found[1:]:
        for one, other in zip(found[0], gradients, strict=True):
            assert np.array_equal(one, other)


@pytest.mark.parametrize("n_heads", [1, 2])
@each_dtype
def test_many_heads_are_those_of_the_plain_op(n_heads, dtype):
    names = ("query", "key", "value", "output")
    arrays = drawn(*[(4, 4), (4,)] * 4, (2, 9, 4), dtype=dtype)
    params = {
        name: {"weight": arrays[2 * i], "bias": arrays[2 * i + 1]} for i, name in enumerate(names)
    }
    x = arrays[-1]
    plain, quick = ops.multi_head_attention, fast.multi_head_attention
    keywords = {
        plain: {"n_heads": n_heads, "mask": WAYS["causal and padding"](ops, 9)},
        quick: {"n_heads": n_heads, "mask": WAYS["causal and padding"](fast, 9)},
    }
    assert_with(plain, quick, (params, x, x, x), keywords, dtype)


def test_attention_in_blocks_never_holds_all_scores(monkeypatch):
    import tracemalloc

    peaks = []
    for length in (1024, 4096):
        inputs = drawn(*[(length, 8)] * 3, dtype=np.float32)
        tracemalloc.start()
        output, backward = fast.scaled_dot_product_attention(*inputs, mask=fast.causal_mask(length))
        backward(output)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 5 * peaks[0]  # four times the length: sixteen times the scores


def test_a_window_is_all_that_is_computed(monkeypatch):
    widths = []
    real_exp = np.exp

    def exp(x, **settings):
        widths.append(x.shape[-1])
        return real_exp(x, **settings)

    monkeypatch.setattr(blocks.np, "exp", exp)
    inputs = drawn(*[(512, 4)] * 3)
    mask = fast.causal_mask(512) & fast.local_mask(512, 10)
    _, backward = fast.scaled_dot_product_attention(*inputs, mask=mask)
    backward(inputs[2])
    assert max(widths) <= blocks.block_size(512) + 9


def test_any_number_of_threads_gives_the_same_bits():
    from concurrent.futures import ThreadPoolExecutor

    inputs = drawn(*[(2, 300, 4)] * 3, dtype=np.float32)
    found = []
    for workers in (1, 3):
        drops = Dropout(0.5, np.random.default_rng(0), None, np.float32)
        with ThreadPoolExecutor(workers) as pool:
            output, backward = blocks.attention_in_blocks(
                *inputs, fast.causal_mask(300), 0.5, drops, over=pool.map, n_groups=8
            )
            found.append([output, *backward(output)])
    for one, other in zip(*found, strict=True):
        assert np.array_equal(one, other)


@pytest.mark.parametrize(
    "shape", [(9,), (1, 9), (9, 1), (9, 9), (2, 1, 9), (2, 9, 9), (2, 9, 1)], ids=str
)
@pytest.mark.parametrize("band", [False, True])
@each_dtype
@pytest.mark.usefixtures("shifts", "exponentials")
def test_an_array_of_booleans_is_a_mask_with_and_without_a_band(shape, band, dtype, monkeypatch):
    monkeypatch.setattr(blocks, "BLOCKS", (4, 4))
    inputs = drawn(*[(2, 9, 3)] * 3, dtype=dtype)
    array = np.random.default_rng(0).random(shape) < 0.4
    plain, quick = ops.scaled_dot_product_attention, fast.scaled_dot_product_attention
    keywords = {
        plain: {"mask": array & ops.causal_mask(9) if band else array},
        quick: {"mask": array & fast.causal_mask(9) if band else array},
    }
    assert_with(plain, quick, inputs, keywords, dtype)


def test_keys_that_an_array_hides_from_a_block_are_not_looked_at(monkeypatch):
    widths = []
    real_exp = np.exp

    def exp(x, **settings):
        widths.append(x.shape[-1])
        return real_exp(x, **settings)

    monkeypatch.setattr(blocks.np, "exp", exp)
    inputs = drawn(*[(512, 4)] * 3)
    fast.scaled_dot_product_attention(*inputs, mask=ops.causal_mask(512) & ops.local_mask(512, 10))
    assert max(widths) <= blocks.block_size(512) + 9


def test_a_mask_or_keep_that_does_not_fit_is_the_error_of_the_plain_op():
    x, *_ = drawn((3, 2))
    for mask in (
        np.ones((3, 3)),
        [[True] * 3] * 3,
        np.ones((2, 3), bool),
        np.ones((2, 3, 3), bool),
    ):
        messages = []
        for of in (ops, fast):
            with pytest.raises((TypeError, ValueError), match="mask has") as caught:
                of.scaled_dot_product_attention(x, x, x, mask=mask)
            messages.append(str(caught.value))
        assert messages[0] == messages[1]
    with pytest.raises(
        ValueError, match=r"mask has shape \(3, 3\), but must broadcast to \(3, 2\)"
    ):
        fast.scaled_dot_product_attention(x, x[:2], x[:2], mask=fast.causal_mask(3))


@pytest.mark.parametrize("way", [way for way in WAYS if way != "none"])
def test_a_plain_op_takes_a_mask_of_the_fast_ones(way):
    names = ("query", "key", "value", "output")
    arrays = drawn(*[(4, 4), (4,)] * 4, (2, 5, 4))
    params = {
        name: {"weight": arrays[2 * i], "bias": arrays[2 * i + 1]} for i, name in enumerate(names)
    }
    x = arrays[-1]
    calls = [
        lambda of, mask: of.attention_weights(x, x, mask=mask),
        lambda of, mask: of.scaled_dot_product_attention(x, x, x, mask=mask),
        lambda of, mask: of.multi_head_attention(params, x, x, x, n_heads=2, mask=mask),
        lambda of, mask: of.multi_head_attention_weights(params, x, x, n_heads=2, mask=mask),
        lambda of, mask: of.softmax(np.broadcast_to(x[:, :, :1], (2, 5, 5)), where=mask),
    ]
    for call in calls:
        expected, _ = call(ops, WAYS[way](ops, 5))
        assert np.array_equal(call(ops, WAYS[way](fast, 5))[0], expected)
        for mask in (WAYS[way](fast, 5), WAYS[way](ops, 5)):
            np.testing.assert_allclose(call(fast, mask)[0], expected, rtol=0, atol=1e-14)


@pytest.mark.parametrize("dropout_p", [0, 0.3])
@pytest.mark.usefixtures("shifts", "exponentials")
def test_a_query_that_sees_one_key_takes_its_value_and_sends_nothing_to_the_scores(dropout_p):
    inputs = drawn((2, 5, 3), (2, 5, 3), (2, 5, 4))
    keep = np.random.default_rng(2).random((2, 5, 5)) >= dropout_p
    for mask in (fast.local_mask(5, 1), np.eye(5, dtype=bool)):
        output, backward = fast.scaled_dot_product_attention(
            *inputs, mask=mask, dropout_p=dropout_p, keep=keep
        )
        kept = keep[:, np.arange(5), np.arange(5)][..., None]
        np.testing.assert_allclose(output, inputs[2] * kept / (1 - dropout_p), rtol=1e-15)
        d_query, d_key, d_value = backward(output)
        assert np.all(d_query == 0)
        assert np.all(d_key == 0)
        np.testing.assert_allclose(d_value, output * kept / (1 - dropout_p), rtol=1e-15)


def test_a_mask_for_dropout_may_be_the_same_for_all_queries():
    inputs = drawn(*[(2, 7, 3)] * 3)
    keep = np.array([1, 0, 1, 1, 0, 1, 1], bool)
    noise = {"dropout_p": 0.4, "keep": keep}
    ops_ = ops.scaled_dot_product_attention, fast.scaled_dot_product_attention
    assert_with(*ops_, inputs, dict.fromkeys(ops_, noise), np.float64)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.usefixtures("shifts")
def test_the_gradients_of_attention_in_blocks_are_its_derivatives(way, monkeypatch):
    monkeypatch.setattr(blocks, "BLOCKS", (4, 4))
    inputs = drawn(*[(2, 9, 3)] * 3)
    keep = np.random.default_rng(3).random((2, 9, 9)) > 0.2
    mask = WAYS[way](fast, 9)
    report = check_gradients(
        fast.scaled_dot_product_attention, *inputs, mask=mask, dropout_p=0.2, keep=keep
    )
    assert report.passed, report


@pytest.mark.parametrize("n_queries", [0, 1, 63, 64, 65, 200, 1000, 5000])
def test_blocks_are_about_as_large_and_cover_all_queries(n_queries):
    least, most = blocks.BLOCKS
    size = blocks.block_size(n_queries)
    assert 1 <= size <= most
    n_blocks = -(-n_queries // size)
    assert n_blocks == 0 or n_queries - (n_blocks - 1) * size > size - n_blocks
    assert n_queries <= least or size > least / 2


def test_what_is_no_number_stays_none_where_a_query_sees_one_key():
    rng = np.random.default_rng(0)
    query, key, value = rng.standard_normal((3, 4, 2))
    query[0] = np.nan
    for op in (ops.scaled_dot_product_attention, fast.scaled_dot_product_attention):
        output, _ = op(query, key, value, mask=ops.causal_mask(4))
        assert np.isnan(output[0]).all()
        assert np.isfinite(output[1:]).all()
