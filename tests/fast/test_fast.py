"""Each fast op is its plain form: same contract, same numbers to rounding, at every shape."""

import inspect

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from attention_from_scratch import fast, ops
from attention_from_scratch.fast import blocks, exponential
from attention_from_scratch.fast import losses as fast_losses
from attention_from_scratch.fast.dropout import Dropout
from attention_from_scratch.fast.embedding import sums_by_id
from attention_from_scratch.fast.linear import by_row
from attention_from_scratch.networks import sasrec
from attention_from_scratch.tree import tree_leaves, tree_map
from attention_from_scratch.verify import check_gradients

FASTER = {name for name in ops.__all__ if getattr(fast, name, None) is not getattr(ops, name)}
MASKS = {"causal_mask", "local_mask", "padding_mask"}
RECURRENT = {"gru": (3, 1), "lstm": (4, 2)}  # gates, states
EPSILONS = 32


def drawn(*shapes, dtype=np.float64, seed=0):
    """Read-only standard normal arrays."""
    rng = np.random.default_rng(seed)
    arrays = [rng.standard_normal(shape).astype(dtype) for shape in shapes]
    for array in arrays:
        array.setflags(write=False)
    return arrays


def assert_same(plain, quick, inputs, dtype=np.float64, **keywords):
    """Outputs and all gradients, to some epsilons of the largest entry of all.

    Some gradients are 0 by cancellation, such as that of the key's bias: no scale of their own.
    """
    results = []
    for op in (plain, quick):
        output, backward = op(*inputs, **keywords.get(op, {}))
        rng = np.random.default_rng(1)
        d_output = np.asarray(rng.standard_normal(np.shape(output)), dtype)
        gradients = backward(d_output)
        results.append([output, *tree_leaves_of(gradients)])
    bound = EPSILONS * np.finfo(dtype).eps * max(np.abs(a).max(initial=0) for a in results[0])
    for expected, found in zip(*results, strict=True):
        assert found.dtype == expected.dtype
        assert found.shape == expected.shape
        assert np.all(np.abs(found - expected) <= bound)


def tree_leaves_of(gradients):
    """The arrays of what a backward pass returns."""
    gradients = gradients if isinstance(gradients, tuple) else (gradients,)
    return [leaf for _, leaf in tree_leaves(list(gradients))]


each_dtype = pytest.mark.parametrize("dtype", [np.float64, np.float32])


@pytest.fixture(params=[exponential.LARGEST, -1], ids=["moderate", "shifted"])
def shifts(request, monkeypatch):
    """Scores as they are, and less the largest of their row."""
    monkeypatch.setattr(exponential, "LARGEST", request.param)


@pytest.fixture(params=[blocks.WAITING, 0], ids=["waiting", "made again"])
def exponentials(request, monkeypatch):
    """Those of attention's forward pass wait for the backward pass, or it makes them again."""
    monkeypatch.setattr(blocks, "WAITING", request.param)


def test_fast_has_the_names_of_the_ops_and_a_mask_of_its_own():
    assert set(fast.__all__) - {"Mask"} == set(ops.__all__)


@pytest.mark.parametrize("name", ops.__all__)
def test_a_fast_op_has_the_signature_of_the_plain_one(name):
    def signature(op):
        parameters = inspect.signature(op).parameters.values()
        return [(p.name, p.kind, p.default) for p in parameters]

    assert signature(getattr(fast, name)) == signature(getattr(ops, name))


def test_what_is_faster_is_what_this_file_tests():
    small = {"dropout", "embedding", "layer_norm", "linear", "project", "relu"}
    large = {"linear_cross_entropy", "multi_head_attention", "scaled_dot_product_attention"}
    assert MASKS | small | large | set(RECURRENT) == FASTER


# --- masks

WAYS = {
    "none": lambda of, n: None,
    "causal": lambda of, n: of.causal_mask(n),
    "local": lambda of, n: of.local_mask(n, 3),
    "itself": lambda of, n: of.local_mask(n, 1),
    "causal and local": lambda of, n: of.causal_mask(n) & of.local_mask(n, 4),
    "padding": lambda of, n: of.padding_mask(padded(n)),
    "causal and padding": lambda of, n: of.causal_mask(n) & of.padding_mask(padded(n)),
    "all": lambda of, n: of.causal_mask(n) & of.local_mask(n, 2) & of.padding_mask(padded(n)),
}


def padded(n):
    """Ids of two users: the first has padding before, all but one; the second none at all."""
    ids = np.ones((2, n), int)
    ids[0, : n - 1] = 0
    return ids


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


def test_a_band_without_a_length_is_an_error():
    with pytest.raises(ValueError, match="length was None"):
        fast.Mask(after=0)


def test_a_window_of_nothing_is_an_error():
    with pytest.raises(ValueError, match="window was 0"):
        fast.local_mask(5, 0)


# --- attention


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


def assert_with(plain, quick, inputs, keywords, dtype):
    """`assert_same` with keywords for each op."""
    assert_same(
        lambda *x: plain(*x, **keywords[plain]),
        lambda *x: quick(*x, **keywords[quick]),
        inputs,
        dtype,
    )


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
                *(*inputs, fast.causal_mask(300), 0.5, drops),
                **{"over": pool.map, "n_groups": 8},
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


def test_a_mask_that_does_not_fit_is_the_error_of_the_plain_op():
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


# --- exponentials without a shift


@each_dtype
def test_scores_that_exp_cannot_take_are_shifted(dtype):
    x, weight, *inputs = drawn((6, 4), (4, 5), *[(2, 9, 4)] * 3, dtype=dtype)
    big = [np.array(30 * array) for array in inputs[:2]]
    assert not exponential.moderate(*big)
    with np.errstate(over="raise", invalid="raise", divide="raise"):
        found, backward = fast.scaled_dot_product_attention(*big, inputs[2])
        gradients = backward(inputs[2])
        loss, _ = fast.linear_cross_entropy(100 * x, weight, np.zeros(6, int))
    expected, _ = ops.scaled_dot_product_attention(*big, inputs[2])
    np.testing.assert_allclose(found, expected, rtol=0, atol=EPSILONS * np.finfo(dtype).eps)
    assert all(np.isfinite(gradient).all() for gradient in gradients)
    assert loss == pytest.approx(ops.linear_cross_entropy(100 * x, weight, np.zeros(6, int))[0])


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("size", [1e-8, 1, 1e8])
def test_scores_at_the_border_leave_room_for_sums_and_gradients(sign, size):
    """In float32 against float64, whatever the size of values and gradients."""
    root = np.sqrt(0.999 * exponential.LARGEST)
    query, key = np.full((4, 1), sign * root), root * np.array([[1], [0.9], [1], [0.8]])
    value, d_output, weight = drawn((4, 3), (4, 3), (1, 4))
    weight = np.where(weight > 0, root, 0.9 * root)
    value, d_output = size * value, d_output / size**2
    assert exponential.moderate(query, key)
    assert exponential.moderate(query, weight.T)
    results = []
    for dtype in (np.float32, np.float64):
        arrays = [array.astype(dtype) for array in (query, key, value, d_output, weight)]
        with np.errstate(over="raise", invalid="raise", divide="raise"):
            output, backward = fast.scaled_dot_product_attention(*arrays[:3], scale=1)
            loss, loss_backward = fast.linear_cross_entropy(arrays[0], arrays[4], np.arange(4))
            results.append([output, *backward(arrays[3]), loss, *loss_backward(dtype(size))])
    for place, (found, expected) in enumerate(zip(*results, strict=True)):
        assert found.dtype == np.float32
        epsilons = 3000 if place == 1 else 200  # of d_query most is cancelled
        bound = epsilons * np.finfo(np.float32).eps * np.abs(expected).max()
        assert np.all(np.abs(found - expected) <= bound)


def test_dropout_of_complex_attention_goes_backwards_too():
    inputs = [array + 1e-20j for array in drawn(*[(5, 3)] * 3)]
    keep = np.random.default_rng(0).random((5, 5)) > 0.3
    gradients = []
    for op in (ops.scaled_dot_product_attention, fast.scaled_dot_product_attention):
        output, backward = op(*inputs, dropout_p=0.3, keep=keep)
        gradients.append(backward(output))
    for expected, found in zip(*gradients, strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-12)


@given(st.integers(0, 2**32 - 1), st.floats(-2, 4))
def test_moderate_scores_are_at_most_the_largest(seed, size):
    queries, keys = drawn((3, 5), (4, 5), seed=seed)
    queries = 10**size * queries
    if exponential.moderate(queries, keys):
        assert np.abs(queries @ keys.T).max() <= exponential.LARGEST * (1 + 1e-12)
    else:
        assert size > 0


@pytest.mark.parametrize("entry", [np.inf, -np.inf, np.nan, 1e30])
def test_what_is_no_number_is_not_moderate(entry):
    queries, keys = np.ones((2, 3), np.float32), np.ones((2, 3), np.float32)
    queries[1, 1] = entry
    assert not exponential.moderate(queries, keys)
    assert exponential.moderate(queries[:0], keys)


# --- the catalogue


@pytest.mark.parametrize("rows", [1, 3, 4, 9])
@pytest.mark.parametrize("reduction", ["mean", "sum"])
@pytest.mark.parametrize("weighted", [False, True])
@each_dtype
@pytest.mark.usefixtures("shifts")
def test_the_catalogue_in_chunks_is_the_catalogue(rows, reduction, weighted, dtype, monkeypatch):
    monkeypatch.setattr(fast_losses, "CHUNK", 4)
    x, weight, shares = drawn((rows, 2, 3), (3, 7), (rows, 2), dtype=dtype)
    targets = np.random.default_rng(1).integers(7, size=(rows, 2))
    keywords = {"reduction": reduction}
    if weighted:
        keywords["position_weights"] = np.where(shares > 1, 0, np.abs(shares))
    quick = dict.fromkeys((ops.linear_cross_entropy, fast.linear_cross_entropy), keywords)
    inputs = (x, weight, targets)
    assert_with(*quick, inputs, quick, dtype)


@pytest.mark.usefixtures("shifts")
def test_the_gradients_of_the_catalogue_in_chunks_are_its_derivatives(monkeypatch):
    monkeypatch.setattr(fast_losses, "CHUNK", 4)
    x, weight = drawn((5, 2, 3), (3, 7))
    targets = np.random.default_rng(1).integers(7, size=(5, 2))
    report = check_gradients(fast.linear_cross_entropy, x, weight, targets)
    assert report.passed, report


def test_a_catalogue_without_positions_costs_nothing():
    x, weight = drawn((0, 3), (3, 7))
    loss, backward = fast.linear_cross_entropy(x, weight, np.zeros(0, int))
    d_x, d_weight = backward()
    assert loss == 0
    assert d_x.shape == (0, 3)
    assert np.all(d_weight == 0)


def test_a_position_without_weight_may_be_infinite():
    x, weight = (array.copy() for array in drawn((4, 3), (3, 7)))
    shares, targets = np.array([0.5, 0, 0.5, 0]), np.array([1, 2, 3, 4])
    loss, backward = fast.linear_cross_entropy(x, weight, targets, position_weights=shares)
    gradients = backward()
    x[1] = np.inf
    x[3] = np.nan
    again, backward = fast.linear_cross_entropy(x, weight, targets, position_weights=shares)
    assert again == loss
    for one, other in zip(gradients, backward(), strict=True):
        assert np.array_equal(one, other)
    assert np.all(gradients[0][[1, 3]] == 0)


def test_targets_that_are_no_column_are_an_error():
    x, weight = drawn((2, 3), (3, 7))
    with pytest.raises(ValueError, match="targets holds 7"):
        fast.linear_cross_entropy(x, weight, np.array([0, 7]))


# --- the small ones

SHAPES = [(5,), (3, 5), (2, 3, 5), (0, 5), (2, 0, 5)]


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@each_dtype
def test_the_small_ops_are_the_plain_ones(shape, dtype):
    x, weight, bias, scale, shift = drawn(shape, (5, 4), (4,), (5,), (5,), dtype=dtype)
    assert_same(ops.linear, fast.linear, (x, weight, bias), dtype)
    assert_same(ops.linear, fast.linear, (x, weight, None), dtype)
    assert_same(ops.layer_norm, fast.layer_norm, (x, scale, shift), dtype)
    assert_same(ops.layer_norm, fast.layer_norm, (x, None, None), dtype)
    assert_same(ops.relu, fast.relu, (x,), dtype)


@pytest.mark.parametrize("n_rows", [0, 1, 3, 8, 20, 48])
def test_rows_that_are_taken_together_are_the_rows(n_rows):
    matrix, row = drawn((n_rows, 3), (3,))
    assert np.array_equal(by_row(np.multiply, matrix, row), matrix * row)
    output = matrix.copy()
    by_row(np.add, output, row, out=output)
    assert np.array_equal(output, matrix + row)


@pytest.mark.parametrize("rounds", [1, 2, 3, 32])
@pytest.mark.parametrize("ids", [[4], [2, 2, 2, 2, 2], [3, 1, 3, 3, 0, 1, 3, 3, 5]], ids=str)
@pytest.mark.parametrize("left_out", [None, 3, 4])
def test_rows_of_an_id_are_summed_however_many_there_are(ids, rounds, left_out):
    (rows,) = drawn((len(ids), 2))
    items, sums = sums_by_id(np.array(ids, np.uint8), rows, left_out=left_out, rounds=rounds)
    assert sorted(items) == sorted(set(ids) - {left_out})
    for item, found in zip(items, sums, strict=True):
        np.testing.assert_allclose(found, rows[np.array(ids) == item].sum(axis=0), rtol=1e-14)


@settings(max_examples=50)
@given(st.lists(st.integers(0, 5), max_size=12), st.sampled_from([0, 3, None]))
def test_a_table_collects_what_belongs_to_each_row(ids, padding_id):
    (weight,) = drawn((6, 3))
    ids = np.array(ids, int).reshape(-1, 1) if len(ids) % 2 else np.array(ids, int)

    def of(op):
        return lambda weight: op(ids, weight, padding_id=padding_id)

    assert_same(of(ops.embedding), of(fast.embedding), (weight,))


@pytest.mark.parametrize(("n_ids", "shape"), [(0, (3, 0)), (2, (3, 0)), (0, (3, 2))])
def test_a_table_without_columns_or_of_nothing_asked_for_has_its_gradient(n_ids, shape):
    output, backward = fast.embedding(np.ones(n_ids, int), np.ones(shape))
    assert backward(output).shape == shape


@pytest.mark.parametrize(
    ("op", "shapes"),
    [
        (fast.linear, [(2, 3, 5), (5, 4), (4,)]),
        (fast.layer_norm, [(2, 3, 5), (5,), (5,)]),
        (fast.relu, [(2, 3)]),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_the_gradients_of_the_small_ops_are_their_derivatives(op, shapes):
    report = check_gradients(op, *drawn(*shapes))
    assert report.passed, report


# --- recurrent layers


def recurrent_inputs(op, dtype=np.float64, bias=True, batch=3, length=6):
    """Parameters, events and a first state."""
    n_gates, n_states = RECURRENT[op]
    shapes = (2, n_gates * 4), (n_gates * 4,), (4, n_gates * 4), (n_gates * 4,)
    w_x, b_x, w_h, b_h = drawn(*shapes, dtype=dtype)
    params = {
        "input": {"weight": w_x, "bias": b_x if bias else None},
        "hidden": {"weight": w_h, "bias": b_h if bias else None},
    }
    x, initial = drawn((batch, length, 2), (batch, n_states * 4), dtype=dtype, seed=1)
    return params, x, initial


STEPS = np.array([[0, 0, 1, 1, 0, 1], [1, 1, 1, 1, 1, 1], [0, 0, 0, 0, 0, 0]], bool)


@pytest.mark.parametrize("op", RECURRENT)
@pytest.mark.parametrize("last", [False, True])
@pytest.mark.parametrize("mask", [None, STEPS, STEPS[[1, 1, 1]]], ids=["none", "some", "all"])
@pytest.mark.parametrize("whole", [False, True], ids=["bare", "with bias and initial"])
@each_dtype
def test_a_recurrent_layer_in_time_major_arrays_is_the_layer(op, last, mask, whole, dtype):
    params, x, initial = recurrent_inputs(op, dtype, bias=whole)
    inputs = (params, x, initial) if whole else (params, x)

    def of(which):
        return lambda *inputs: getattr(which, op)(*inputs, mask=mask, last=last)

    assert_same(of(ops), of(fast), inputs, dtype)
    (output, backward), (_, plain) = of(fast)(*inputs), of(ops)(*inputs)
    assert np.array_equal(backward.steps(output), plain.steps(output))


@pytest.mark.parametrize("op", RECURRENT)
def test_what_is_done_to_the_output_of_a_recurrent_layer_does_not_reach_its_gradients(op):
    inputs = recurrent_inputs(op)
    (output, backward), (_, untouched) = getattr(fast, op)(*inputs), getattr(fast, op)(*inputs)
    d_output = np.ones_like(output)
    output *= 0
    tree_map(np.testing.assert_array_equal, backward(d_output), untouched(d_output))


@pytest.mark.parametrize("op", RECURRENT)
def test_where_there_is_no_event_not_even_nan_comes_back_into_a_recurrent_layer(op):
    inputs = recurrent_inputs(op)
    output, backward = getattr(fast, op)(*inputs, mask=STEPS)
    expected = backward(np.where(STEPS[..., None], 1.0, 0.0) + np.zeros_like(output))
    found = backward(np.where(STEPS[..., None], 1.0, np.nan) + np.zeros_like(output))
    tree_map(np.testing.assert_array_equal, found, expected)


@pytest.mark.parametrize("op", RECURRENT)
@pytest.mark.parametrize(
    "mask", [STEPS[0], STEPS[:1], STEPS[:, 5:]], ids=["(L,)", "(1, L)", "(B, 1)"]
)
def test_a_mask_of_a_recurrent_layer_is_broadcast_over_users_and_steps(op, mask):
    inputs = recurrent_inputs(op)

    def of(which):
        return lambda *inputs: getattr(which, op)(*inputs, mask=mask)

    assert_same(of(ops), of(fast), inputs, np.float64)


@pytest.mark.parametrize("op", RECURRENT)
@pytest.mark.parametrize("which", [ops, fast], ids=["plain", "fast"])
def test_a_recurrent_bias_of_a_wrong_shape_is_an_error_that_names_it(op, which):
    params, x, _ = recurrent_inputs(op)
    params["hidden"]["bias"] = params["hidden"]["bias"].reshape(-1, 1)
    with pytest.raises(ValueError, match="params hidden bias has shape"):
        getattr(which, op)(params, x)


@pytest.mark.parametrize("op", RECURRENT)
@pytest.mark.parametrize(("batch", "length"), [(0, 3), (3, 0)])
def test_a_recurrent_layer_of_nothing_sends_nothing_back(op, batch, length):
    params, x, initial = recurrent_inputs(op, batch=batch, length=length)
    output, backward = getattr(fast, op)(params, x, initial)
    grads, d_x, d_initial = backward(output)
    assert d_x.shape == x.shape
    assert d_initial.shape == initial.shape
    assert all(np.all(leaf == 0) for _, leaf in tree_leaves(grads))


@pytest.mark.parametrize("op", RECURRENT)
def test_a_recurrent_layer_without_units_has_gradients_without_numbers(op):
    part = {"weight": np.zeros((2, 0)), "bias": np.zeros(0)}
    params = {"input": part, "hidden": part | {"weight": np.zeros((0, 0))}}
    output, backward = getattr(fast, op)(params, np.ones((3, 5, 2)))
    grads, d_x, _ = backward(output)
    tree_map(np.testing.assert_array_equal, grads, params)
    assert np.array_equal(d_x, np.zeros((3, 5, 2)))


@pytest.mark.parametrize("op", RECURRENT)
def test_the_gradients_of_a_recurrent_layer_in_time_major_arrays_are_its_derivatives(op):
    report = check_gradients(getattr(fast, op), *recurrent_inputs(op), mask=STEPS)
    assert report.passed, report


# --- dropout


@pytest.mark.parametrize("p", [0.001, 0.2, 0.5, 0.999])
def test_dropout_keeps_the_mean_at_the_rate_that_it_really_has(p):
    x = np.ones((400, 1000), np.float32)
    y, backward = fast.dropout(x, p=p, rng=np.random.default_rng(0))
    n = min(max(round(256 * p), 1), 255)
    kept = y != 0
    assert np.all(y[kept] == np.float32(256 / (256 - n)))
    deviation = np.sqrt((n / 256) * (1 - n / 256) / y.size)
    assert abs((1 - kept.mean()) - n / 256) < 5 * deviation
    assert np.array_equal(backward(x), y)  # the same draw


def test_dropout_with_a_mask_is_the_plain_op_and_without_rng_nothing():
    (x,) = drawn((4, 5))
    keep = np.random.default_rng(0).random((4, 5)) > 0.3
    y, _ = fast.dropout(x, p=0.3, keep=keep)
    assert np.array_equal(y, ops.dropout(x, p=0.3, keep=keep)[0])
    assert fast.dropout(x, p=0.3)[0] is x
    assert fast.dropout(x, p=0, rng=np.random.default_rng(0))[0] is x
    with pytest.raises(ValueError, match="p was 1"):
        fast.dropout(x, p=1)


def test_parts_of_a_draw_come_again_the_same_and_differ_from_each_other():
    drops = Dropout(0.5, np.random.default_rng(0), None, np.float32)
    first, again = (drops.kept(..., (64, 64), part=3) for _ in range(2))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, drops.kept(..., (64, 64), part=4))
    other = Dropout(0.5, np.random.default_rng(1), None, np.float32)
    assert not np.array_equal(first, other.kept(..., (64, 64), part=3))


# --- a whole model


@pytest.mark.parametrize("norm", ["pre", "post", "paper"])
@pytest.mark.parametrize("mask_padding", [True, False])
@pytest.mark.parametrize("n_blocks", [1, 3])
@pytest.mark.parametrize("count_from", ["end", "start"])
def test_scores_of_the_last_position_alone_are_the_scores(norm, mask_padding, n_blocks, count_from):
    rng = np.random.default_rng(0)
    sizes = {"n_items": 9, "max_len": 80, "dim": 6, "n_blocks": n_blocks, "norm": norm}
    params = sasrec.init_params(rng, **sizes, dtype="float64")
    ids = rng.integers(1, 10, (3, 70))
    ids[0, :68] = ids[1, :3] = 0
    settings = {"n_heads": 2, "norm": norm, "mask_padding": mask_padding, "count_from": count_from}
    hidden, _ = sasrec.encode(params, ids, **settings)
    expected = hidden[:, -1] @ params["items"].T
    for which in (ops, fast):
        found = sasrec.next_item_scores(params, ids, ops=which, **settings)
        np.testing.assert_allclose(found[:, 1:], expected[:, 1:], rtol=0, atol=1e-14)
        assert np.all(found[:, 0] == -np.inf)


@pytest.mark.parametrize("norm", ["pre", "post", "paper"])
@pytest.mark.parametrize("loss", ["catalogue", "sampled"])
def test_a_model_of_fast_ops_is_the_model(norm, loss):
    rng = np.random.default_rng(0)
    sizes = {"n_items": 9, "max_len": 80, "dim": 6, "n_blocks": 2, "norm": norm}
    params = sasrec.init_params(rng, **sizes, dtype="float64")
    ids, targets = rng.integers(1, 10, (2, 3, 70))
    ids[0, :68] = targets[0, :68] = 0
    ids[1, :3] = targets[1, :3] = 0
    inputs = [ids, targets] + ([rng.integers(1, 10, (3, 70, 2))] if loss == "sampled" else [])
    of = {"catalogue": sasrec.catalogue_loss, "sampled": sasrec.sampled_loss}[loss]

    def with_ops(which):
        return lambda params: of(params, *inputs, n_heads=2, norm=norm, ops=which)

    assert_same(with_ops(ops), with_ops(fast), (params,))
