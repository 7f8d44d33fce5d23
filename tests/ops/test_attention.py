"""Attention: the weighted mean as the paper writes it, its symmetries, its zeros, its gradients."""

import math
import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from attention_from_scratch import fast
from attention_from_scratch.verify import check_gradients

SEEDS = st.integers(0, 99)


def attention_loop(query, key, value, mask=None, scale=None):
    """(weights, output) of one sequence: softmax(scale * Q K^T), then the mean of the values."""
    (n_queries, width), n_keys = query.shape, len(key)
    scale = 1 / math.sqrt(width) if scale is None else scale
    weights, output = np.zeros((n_queries, n_keys)), np.zeros((n_queries, value.shape[1]))
    for i in range(n_queries):
        seen = [j for j in range(n_keys) if mask is None or mask[i, j]]
        scores = {j: scale * sum(query[i, d] * key[j, d] for d in range(width)) for j in seen}
        total = sum(math.exp(score) for score in scores.values())
        for j in seen:
            weights[i, j] = math.exp(scores[j]) / total
            for d in range(value.shape[1]):
                output[i, d] += weights[i, j] * value[j, d]
    return weights, output


def multi_head_loop(params, query, key, value, n_heads, mask=None, scale=None):
    """(weights, output) of one sequence: each head on its own columns of the projections."""

    def project(name, x):
        if params[name] is None:
            return x
        weight, bias = params[name]["weight"], params[name]["bias"]
        return np.array(
            [
                [
                    sum(x[i, d] * weight[d, e] for d in range(len(weight)))
                    + (0 if bias is None else bias[e])
                    for e in range(weight.shape[1])
                ]
                for i in range(len(x))
            ]
        )

    projected = project("query", query), project("key", key), project("value", value)
    weights, heads = [], []
    for of_head in zip(*(np.split(p, n_heads, axis=1) for p in projected), strict=True):
        head_weights, head = attention_loop(*of_head, mask, scale)
        weights.append(head_weights)
        heads.append(head)
    return np.array(weights), project("output", np.concatenate(heads, axis=1))


# Leading axes of query, key and value, out of b and n: none, the same, or broadcast.
LEADS = [
    lambda b, n: ((), (), ()),
    lambda b, n: ((b,), (b,), (b,)),
    lambda b, n: ((n, b), (n, b), (n, b)),
    lambda b, n: ((b, 1), (n,), (b, n)),
    lambda b, n: ((1,), (b,), ()),
    lambda b, n: ((), (), (b,)),
]

# Along directions that move all entries of an argument at once: many examples, entry by entry, are
# what takes the time, and the cases of `verify` are checked so (tests/fast, and `make proofs`).
ALONG = {"projections": 2, "raise_on_failure": True}


@st.composite
def cases(draw):
    """Query, key, value and a mask under which about one query in four sees nothing."""
    b, n, n_queries, n_keys, width, value_width = draw(
        st.lists(st.integers(1, 6), min_size=6, max_size=6, unique=True).filter(
            lambda sizes: sizes[0] * sizes[1] <= 6
        )
    )
    leads = draw(st.sampled_from(LEADS))(b, n)
    rng = np.random.default_rng(draw(SEEDS))
    query = rng.standard_normal((*leads[0], n_queries, width))
    key = rng.standard_normal((*leads[1], n_keys, width))
    value = rng.standard_normal((*leads[2], n_keys, value_width))
    mask_lead = draw(st.sampled_from([(), np.broadcast_shapes(*leads[:2])]))
    mask = rng.random((*mask_lead, n_queries, n_keys)) < 0.6
    mask &= rng.random((*mask_lead, n_queries, 1)) < 0.75
    return query, key, value, draw(st.sampled_from([None, mask]))


def sequence(*sizes, n=3, seed=0):
    """Draw n random arrays of one shape."""
    return np.random.default_rng(seed).standard_normal((n, *sizes))


# -- one head ------------------------------------------------------------------------------------


@given(cases(), st.sampled_from([None, 0.0, 0.3, -2.0]))
def test_output_is_the_weighted_mean_of_the_paper(ops, case, scale):
    query, key, value, mask = case
    weights, _ = ops.attention_weights(query, key, mask=mask, scale=scale)
    output, _ = ops.scaled_dot_product_attention(query, key, value, mask=mask, scale=scale)

    lead = np.broadcast_shapes(query.shape[:-2], key.shape[:-2], value.shape[:-2])
    assert weights.shape[:-2] == np.broadcast_shapes(query.shape[:-2], key.shape[:-2])
    assert output.shape == (*lead, query.shape[-2], value.shape[-1])
    everything = (weights, output, query, key, value, np.True_ if mask is None else mask)
    cores = (*(a.shape[-2:] for a in everything[:5]), weights.shape[-2:])
    weights, output, query, key, value, mask = (
        np.broadcast_to(a, (*lead, *core)) for a, core in zip(everything, cores, strict=True)
    )
    for b in np.ndindex(lead):
        expected = attention_loop(query[b], key[b], value[b], mask[b], scale)
        np.testing.assert_allclose(weights[b], expected[0], atol=1e-13)
        np.testing.assert_allclose(output[b], expected[1], atol=1e-13)
        assert np.all(weights[b][~mask[b]] == 0)  # whatever the scale: masking comes after it


@given(cases())
def test_gradients(ops, case):
    query, key, value, mask = case
    check_gradients(ops.attention_weights, query, key, mask=mask, **ALONG)
    check_gradients(
        ops.scaled_dot_product_attention, query, key, value, mask=mask, scale=0.7, **ALONG
    )


@given(cases())
def test_gradients_through_dropout(ops, case):
    query, key, value, mask = case
    keep = np.random.default_rng(0).random((query.shape[-2], key.shape[-2])) < 0.6
    noise = {"dropout_p": 0.4, "keep": keep}
    attention = ops.scaled_dot_product_attention
    check_gradients(attention, query, key, value, mask=mask, **noise, **ALONG)


@pytest.mark.parametrize("lead", [(2, 3), (1, 3), ()], ids=str)
def test_dropout_takes_a_mask_of_the_fast_ops(ops, lead):
    rng = np.random.default_rng(0)
    x, key = rng.standard_normal((2, 3, 5, 4)), rng.standard_normal((*lead, 5, 4))
    for band in (fast.causal_mask(5), fast.causal_mask(5) & (rng.random((3, 5, 5)) < 0.8)):
        results = []
        for keep in (band, np.asarray(band)):
            output, backward = ops.scaled_dot_product_attention(
                x, key, key, mask=band, dropout_p=0.3, keep=keep
            )
            results.append([output, *backward(output)])
        for found, expected in zip(*results, strict=True):
            np.testing.assert_array_equal(found, expected)


@given(cases())
def test_rows_of_weights_sum_to_one(ops, case):
    query, key, _, mask = case
    sums = ops.attention_weights(query, key, mask=mask)[0].sum(axis=-1)
    sees_something = True if mask is None else mask.any(axis=-1)
    np.testing.assert_allclose(sums, np.broadcast_to(sees_something, sums.shape), rtol=1e-14)


@given(cases())
def test_a_constant_added_to_a_row_of_logits_changes_nothing(ops, case):
    query, key, value, mask = case
    shift = np.arange(1.0, 1 + key.shape[-1])  # adds scale * q_i . shift to every logit of row i
    output, _ = ops.scaled_dot_product_attention(query, key, value, mask=mask)
    moved, _ = ops.scaled_dot_product_attention(query, key + shift, value, mask=mask)
    np.testing.assert_allclose(moved, output, atol=1e-12)


def test_the_default_scale_keeps_the_variance_of_the_scores_at_one(ops):
    query, key = sequence(300, 64, n=2)
    scores = np.log(ops.attention_weights(query, key)[0])  # up to a constant for each row
    assert 0.9 < (scores - scores.mean(axis=-1, keepdims=True)).var() < 1.1


@pytest.mark.parametrize("length", [1, 2, 5])
def test_no_output_moves_when_a_later_input_does(ops, assert_same, length):
    query, key, value = sequence(2, length, 3)
    mask = ops.causal_mask(length)
    output, _ = ops.scaled_dot_product_attention(query, key, value, mask=mask)
    for t in range(length):
        later = (np.arange(length) > t)[:, None]
        inputs = (np.where(later, a + 9, a) for a in (query, key, value))
        moved, _ = ops.scaled_dot_product_attention(*inputs, mask=mask)
        assert_same(moved[:, : t + 1], output[:, : t + 1])
        assert np.all(moved[:, t + 1 :] != output[:, t + 1 :])


@pytest.mark.parametrize("length", [1, 2, 5])
def test_no_gradient_goes_from_an_output_to_a_later_input(ops, length):
    inputs = sequence(2, length, 3)
    _, backward = ops.scaled_dot_product_attention(*inputs, mask=ops.causal_mask(length))
    for t in range(length):
        d_output = np.zeros((2, length, 3))
        d_output[:, t] = 1 + np.arange(3)
        d_query, d_key, d_value = backward(d_output)
        assert np.all(np.delete(d_query, t, axis=1) == 0)
        assert np.all(d_key[:, t + 1 :] == 0)
        assert np.all(d_value[:, t + 1 :] == 0)
        assert np.all(d_value[:, : t + 1] != 0)


@given(st.integers(1, 6), SEEDS)
def test_global_attention_permutes_with_its_positions(ops, length, seed):
    query, key, value = sequence(2, length, 3, seed=seed)
    order = np.random.default_rng(seed).permutation(length)
    output, backward = ops.scaled_dot_product_attention(query, key, value)
    permuted = [a[:, order] for a in (query, key, value)]
    moved, back_moved = ops.scaled_dot_product_attention(*permuted)
    np.testing.assert_allclose(moved, output[:, order], atol=1e-13)
    for d_moved, d_input in zip(back_moved(value[:, order]), backward(value), strict=True):
        np.testing.assert_allclose(d_moved, d_input[:, order], atol=1e-13)


def test_the_order_of_what_is_attended_to_does_not_matter(ops):
    query, (key, value) = sequence(2, 4, 3)[0], sequence(2, 5, 3, n=2, seed=1)
    order = [3, 0, 4, 1, 2]
    output, _ = ops.scaled_dot_product_attention(query, key, value)
    moved, _ = ops.scaled_dot_product_attention(query, key[:, order], value[:, order])
    np.testing.assert_allclose(moved, output, atol=1e-14)


def test_a_hidden_position_has_no_say_and_no_gradient(ops, assert_same):
    query, key, value = sequence(2, 5, 3)
    ids = np.array([[0, 0, 6, 7, 8], [5, 0, 7, 0, 9]])
    mask, padding = ops.padding_mask(ids), ids == 0
    output, backward = ops.scaled_dot_product_attention(query, key, value, mask=mask)
    key[padding], value[padding] = 77, -88
    moved, _ = ops.scaled_dot_product_attention(query, key, value, mask=mask)
    assert_same(moved, output)
    _, d_key, d_value = backward(query)
    assert np.all(d_key[padding] == 0)
    assert np.all(d_value[padding] == 0)
    assert np.all(d_key[~padding] != 0)
    assert np.all(d_value[~padding] != 0)


def test_a_query_with_nothing_to_attend_to_is_zero_and_sends_nothing_back(ops):
    query, key, value = sequence(2, 4, 3)
    mask = np.ones((2, 4, 4), bool)
    mask[0, 1] = mask[1, 3] = False
    blind = ~mask.any(axis=-1)
    output, backward = ops.scaled_dot_product_attention(query, key, value, mask=mask)
    assert np.all(output[blind] == 0)
    assert np.all(output[~blind] != 0)
    assert np.all(backward(np.ones(output.shape) + value)[0][blind] == 0)
    d_blind = np.where(blind[..., None], query, 0)  # a loss that looks at the blind queries only
    for d_input in backward(d_blind):
        assert np.all(d_input == 0)


def test_a_sequence_of_length_zero_leaves_nothing_to_attend_to(ops):
    query, (key, value) = sequence(2, 4, 3)[0], np.zeros((2, 2, 0, 3))
    output, backward = ops.scaled_dot_product_attention(query, key, value)
    assert output.shape == (2, 4, 3)
    assert np.all(output == 0)
    d_query, d_key, d_value = backward(output + 1)
    assert np.all(d_query == 0)
    assert d_key.shape == d_value.shape == (2, 0, 3)


def test_a_sequence_of_length_one_takes_its_only_value(ops):
    query, key, value = sequence(2, 1, 3)
    output, backward = ops.scaled_dot_product_attention(query, key, value)
    assert np.all(output == value)
    d_query, d_key, d_value = backward(query)
    assert np.all(d_query == 0)
    assert np.all(d_key == 0)
    assert np.all(d_value == query)


def test_dropout_is_on_the_weights(ops):
    query, key, value = sequence(2, 5, 3)
    keep = np.random.default_rng(1).random((2, 5, 5)) < 0.5
    output, _ = ops.scaled_dot_product_attention(query, key, value, dropout_p=0.2, keep=keep)
    weights, _ = ops.attention_weights(query, key)
    np.testing.assert_allclose(output, (weights * keep / 0.8) @ value, atol=1e-14)

    def noisy(seed):
        rng = np.random.default_rng(seed)
        return ops.scaled_dot_product_attention(query, key, value, dropout_p=0.5, rng=rng)[0]

    assert np.all(noisy(1) == noisy(1))
    assert np.any(noisy(1) != noisy(2))


@pytest.mark.parametrize(
    ("changed", "error", "message"),
    [
        ({"mask": np.ones((4, 5))}, TypeError, "mask has dtype float64, but must be bool"),
        ({"mask": np.ones((5, 4), bool)}, ValueError, r"mask has shape \(5, 4\).*\(2, 4, 5\)"),
        ({"mask": np.ones((9, 2, 4, 5), bool)}, ValueError, r"mask has shape \(9, 2, 4, 5\)"),
        ({"key": np.ones((2, 5, 7))}, ValueError, r"key has shape .* 3 long, as query is"),
        ({"query": np.ones(3)}, ValueError, r"query has shape \(3,\).*\(..., length, width\)"),
        ({"value": np.ones((2, 4, 6))}, ValueError, "value has 4 positions .* but key has 5"),
    ],
)
def test_what_does_not_fit_is_named(ops, changed, error, message):
    inputs = {"query": np.ones((2, 4, 3)), "key": np.ones((2, 5, 3)), "value": np.ones((2, 5, 6))}
    with pytest.raises(error, match=message):
        ops.scaled_dot_product_attention(**inputs | changed)


# -- many heads ----------------------------------------------------------------------------------


def draw_params(rng, width, *, bias=True, output=True):
    def linear_params():
        weight = rng.standard_normal((width, width)) / math.sqrt(width)
        return {"weight": weight, "bias": rng.standard_normal(width) if bias else None}

    params = {name: linear_params() for name in ("query", "key", "value", "output")}
    return params if output else params | {"output": None}


@st.composite
def multi_head_cases(draw):
    """(params, query, key, value, n_heads, mask), the masks in each shape that broadcasts."""
    sizes = st.lists(st.integers(1, 5), min_size=3, max_size=3, unique=True)
    batch, n_queries, n_keys = draw(sizes)
    n_heads, head_width = draw(st.sampled_from([(1, 2), (2, 1), (2, 3), (3, 2), (1, 1), (3, 1)]))
    rng = np.random.default_rng(draw(SEEDS))
    has_bias, has_output = draw(st.booleans()), draw(st.booleans())
    params = draw_params(rng, n_heads * head_width, bias=has_bias, output=has_output)
    query = rng.standard_normal((batch, n_queries, n_heads * head_width))
    key, value = rng.standard_normal((2, batch, n_keys, n_heads * head_width))
    mask_shapes = [(batch, 1, n_keys), (n_queries, n_keys), (batch, n_queries, n_keys), (n_keys,)]
    shape = draw(st.sampled_from([None, *mask_shapes]))
    mask = None if shape is None else rng.random(shape) < 0.5
    return params, query, key, value, n_heads, mask


@given(multi_head_cases(), st.sampled_from([None, 0.3]))
def test_every_head_is_the_loop_over_its_own_columns(ops, case, scale):
    params, query, key, value, n_heads, mask = case
    keywords = {"n_heads": n_heads, "mask": mask, "scale": scale}
    output, _ = ops.multi_head_attention(params, query, key, value, **keywords)
    weights, _ = ops.multi_head_attention_weights(params, query, key, **keywords)
    batch, n_queries, _ = output.shape
    assert output.shape == query.shape
    assert weights.shape == (batch, n_heads, n_queries, key.shape[1])
    mask = np.broadcast_to(True if mask is None else mask, (batch, n_queries, key.shape[1]))
    for b in range(batch):
        expected = multi_head_loop(params, query[b], key[b], value[b], n_heads, mask[b], scale)
        np.testing.assert_allclose(weights[b], expected[0], atol=1e-13)
        np.testing.assert_allclose(output[b], expected[1], atol=1e-13)


@given(multi_head_cases())
def test_multi_head_gradients(ops, case):
    params, query, key, value, n_heads, mask = case
    keywords = {"n_heads": n_heads, "mask": mask, **ALONG}
    check_gradients(ops.multi_head_attention, params, query, key, value, **keywords)
    seen = {name: params[name] for name in ("query", "key")}
    check_gradients(ops.multi_head_attention_weights, seen, query, key, **keywords)


@pytest.mark.parametrize("lead", [(), (2, 3)])
def test_multi_head_gradients_without_and_with_two_leading_axes(ops, lead):
    rng = np.random.default_rng(1)
    params, (query, key, value) = draw_params(rng, 4), rng.standard_normal((3, *lead, 5, 4))
    keywords = {"mask": ops.causal_mask(5), "dropout_p": 0.3, "keep": rng.random((5, 5)) < 0.7}
    settings = {"n_heads": 2, "projections": 3, "raise_on_failure": True}
    check_gradients(ops.multi_head_attention, params, query, key, value, **settings, **keywords)


def test_self_attention_adds_up_its_three_gradients(ops):
    def self_attention(params, x):
        output, backward = ops.multi_head_attention(
            params, x, x, x, n_heads=2, mask=ops.causal_mask(5)
        )

        def backward_self(d_output):
            grads, d_query, d_key, d_value = backward(d_output)
            return grads, d_query + d_key + d_value

        return output, backward_self

    rng = np.random.default_rng(1)
    x = rng.standard_normal((3, 5, 4))
    check_gradients(self_attention, draw_params(rng, 4), x, raise_on_failure=True)


def test_dropout_is_on_the_weights_of_every_head(ops):
    rng = np.random.default_rng(0)
    params = draw_params(rng, 4, bias=False, output=False)
    query, key, value = rng.standard_normal((3, 2, 5, 4))
    keep = rng.random((2, 2, 5, 5)) < 0.5
    noise = {"dropout_p": 0.2, "keep": keep}
    output, _ = ops.multi_head_attention(params, query, key, value, n_heads=2, **noise)
    weights, _ = ops.multi_head_attention_weights(params, query, key, n_heads=2)
    kept, projected = weights * keep / 0.8, value @ params["value"]["weight"]
    np.testing.assert_allclose(output[..., :2], kept[:, 0] @ projected[..., :2], atol=1e-14)
    np.testing.assert_allclose(output[..., 2:], kept[:, 1] @ projected[..., 2:], atol=1e-14)

    def noisy(seed):
        noise = {"dropout_p": 0.5, "rng": np.random.default_rng(seed)}
        return ops.multi_head_attention(params, query, key, value, n_heads=2, **noise)[0]

    assert np.all(noisy(1) == noisy(1))
    assert np.any(noisy(1) != noisy(2))


def test_a_permutation_of_the_heads_changes_nothing(ops):
    rng = np.random.default_rng(0)
    params, (query, key, value) = draw_params(rng, 6), rng.standard_normal((3, 2, 4, 6))
    heads = [2, 0, 1]
    columns = np.arange(6).reshape(3, 2)[heads].ravel()
    permuted = {
        name: {"weight": params[name]["weight"][:, columns], "bias": params[name]["bias"][columns]}
        for name in ("query", "key", "value")
    }
    permuted["output"] = params["output"] | {"weight": params["output"]["weight"][columns]}
    output, _ = ops.multi_head_attention(params, query, key, value, n_heads=3)
    moved, _ = ops.multi_head_attention(permuted, query, key, value, n_heads=3)
    np.testing.assert_allclose(moved, output, atol=1e-13)
    weights, _ = ops.multi_head_attention_weights(params, query, key, n_heads=3)
    moved_weights, _ = ops.multi_head_attention_weights(permuted, query, key, n_heads=3)
    np.testing.assert_allclose(moved_weights, weights[:, heads], atol=1e-13)


def test_no_head_lets_a_later_input_through(ops, assert_same):
    rng = np.random.default_rng(0)
    params, x = draw_params(rng, 4), rng.standard_normal((2, 5, 4))
    later = x.copy()
    later[:, 3:] += 9
    output, moved = (
        ops.multi_head_attention(params, a, a, a, n_heads=2, mask=ops.causal_mask(5))[0]
        for a in (x, later)
    )
    assert_same(moved[:, :3], output[:, :3])
    assert np.all(moved[:, 3:] != output[:, 3:])


def test_a_fully_masked_row_is_exactly_zero_in_every_head(ops):
    rng = np.random.default_rng(0)
    params, x = draw_params(rng, 4, output=False), rng.standard_normal((2, 3, 4))
    ids = np.array([[0, 0, 5], [0, 0, 0]])
    mask = ops.padding_mask(ids) & ops.causal_mask(3)  # the first queries see padding only
    blind = ~np.asarray(mask).any(axis=-1)
    output, backward = ops.multi_head_attention(params, x, x, x, n_heads=2, mask=mask)
    weights, _ = ops.multi_head_attention_weights(params, x, x, n_heads=2, mask=mask)
    assert np.all(output[blind] == 0)
    assert np.all(output[~blind] != 0)
    assert np.all(weights.swapaxes(1, 2)[blind] == 0)
    _, d_query, d_key, d_value = backward(x)
    assert np.all(d_query[blind] == 0)
    for d_seen in (d_key, d_value):
        assert np.all(d_seen[ids == 0] == 0)
    grads, *d_inputs = backward(np.where(blind[..., None], x, 0))
    for d_input in (*d_inputs, *(grads[name]["weight"] for name in ("query", "key", "value"))):
        assert np.all(d_input == 0)


@pytest.mark.parametrize("mask", [np.ones((2, 1, 3)), np.ones((3, 3)), [[True] * 3] * 3])
def test_a_mask_over_heads_that_is_not_boolean_is_named(ops, mask):
    rng = np.random.default_rng(0)
    params, x = draw_params(rng, 4), rng.standard_normal((2, 3, 4))
    with pytest.raises(TypeError, match=r"mask has dtype (float64|list), but must be bool"):
        ops.multi_head_attention(params, x, x, x, n_heads=2, mask=mask)


@pytest.mark.parametrize("shape", [(2, 1, 3, 3), (2, 2, 3, 3), (1, 1, 3, 3), (3, 3, 3), (2, 4, 3)])
def test_a_mask_that_does_not_fit_before_the_head_axis_is_named_as_it_was_given(ops, shape):
    rng = np.random.default_rng(0)
    params, x = draw_params(rng, 4), rng.standard_normal((2, 3, 4))
    settings = {"n_heads": 2, "mask": np.ones(shape, bool)}
    message = f"mask has shape {shape}, but must broadcast to (2, 3, 3): "
    message = re.escape(message + "(..., L_query, L_key), without the head axis")
    with pytest.raises(ValueError, match=message):
        ops.multi_head_attention(params, x, x, x, **settings)
    with pytest.raises(ValueError, match=message):
        ops.multi_head_attention_weights(params, x, x, **settings)


def test_a_mask_of_one_row_for_all_queries_or_users_needs_no_head_axis(ops, assert_same):
    rng = np.random.default_rng(0)
    params, x = draw_params(rng, 4), rng.standard_normal((2, 3, 4))
    seen = np.array([True, False, True])
    whole = np.broadcast_to(seen, (2, 3, 3))
    expected, _ = ops.multi_head_attention(params, x, x, x, n_heads=2, mask=whole)
    for mask in (seen, seen[None], seen[None, None], whole[:, :1], whole[:1]):
        found, _ = ops.multi_head_attention(params, x, x, x, n_heads=2, mask=mask)
        assert_same(found, expected)


def test_query_and_key_without_a_position_axis_are_named(ops):
    rng = np.random.default_rng(0)
    params, x = draw_params(rng, 4), rng.standard_normal((3, 4))
    with pytest.raises(
        ValueError, match=r"query has shape \(4,\), but must be \(..., length, widt"
    ):
        ops.multi_head_attention(params, x[0], x, x, n_heads=2)
    with pytest.raises(
        ValueError, match=r"key has shape \(4,\), but must be \(..., length, width\)"
    ):
        ops.multi_head_attention(params, x, x[0], x[0], n_heads=2)


def test_queries_keys_and_values_may_differ_in_width_before_and_after_their_maps(ops):
    rng = np.random.default_rng(0)
    shapes = {"query": (6, 4), "key": (5, 4), "value": (7, 8), "output": (8, 3)}
    params = {
        name: {"weight": rng.standard_normal(shape), "bias": rng.standard_normal(shape[1])}
        for name, shape in shapes.items()
    }
    query, key, value = (rng.standard_normal(s) for s in ((2, 3, 6), (2, 5, 5), (2, 5, 7)))
    output, _ = ops.multi_head_attention(params, query, key, value, n_heads=2)
    expected = np.stack(
        [
            multi_head_loop(params, *sources, n_heads=2)[1]
            for sources in zip(query, key, value, strict=True)
        ]
    )
    np.testing.assert_allclose(output, expected, atol=1e-13)


@pytest.mark.parametrize("n_heads", [0, -2, 3])
def test_a_number_of_heads_that_does_not_divide_the_width_is_named(ops, n_heads):
    rng = np.random.default_rng(0)
    params, x = draw_params(rng, 4), rng.standard_normal((2, 3, 4))
    with pytest.raises(ValueError, match=f"n_heads was {n_heads}, but must divide the width 4"):
        ops.multi_head_attention(params, x, x, x, n_heads=n_heads)
