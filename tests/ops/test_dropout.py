"""dropout: a product with a constant that leaves the mean where it was."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from attention_from_scratch import fast
from attention_from_scratch.verify import check_gradients

SIZES = st.lists(st.integers(1, 6), min_size=1, max_size=3, unique=True)


@given(SIZES, st.integers(0, 99), st.sampled_from([0.0, 0.2, 0.5]))
def test_what_is_kept_is_divided_by_the_chance_to_be_kept(ops, sizes, seed, p):
    rng = np.random.default_rng(seed)
    x, keep = rng.standard_normal(sizes), rng.random(sizes) < 0.6
    output, backward = ops.dropout(x, p=p, keep=keep)
    for found, of in [(output, x), (backward(x), x)]:
        for entry in np.ndindex(x.shape):
            expected = of[entry] / (1 - p) if keep[entry] else 0
            assert abs(found[entry] - expected) < 1e-15 * abs(of[entry]) * 4
            assert keep[entry] or found[entry] == 0


def test_a_mask_of_the_fast_ops_keeps_what_it_keeps_written_out(ops):
    x = np.random.default_rng(0).standard_normal((2, 5, 5))
    results = []
    for keep in (fast.causal_mask(5), np.asarray(fast.causal_mask(5))):
        output, backward = ops.dropout(x, p=0.3, keep=keep)
        results.append((output, backward(x)))
    np.testing.assert_array_equal(*results)
    assert np.all((results[0][0] != 0) == np.tri(5))


@given(SIZES, st.integers(0, 99))
def test_gradients(ops, sizes, seed):
    rng = np.random.default_rng(seed)
    x, keep = rng.standard_normal(sizes), rng.random(sizes[-1:]) < 0.6  # one draw for all rows
    check_gradients(ops.dropout, x, p=0.3, keep=keep, raise_on_failure=True)


def test_backward_drops_what_forward_dropped(ops):
    x = np.ones((20, 30))
    output, backward = ops.dropout(x, p=0.5, rng=np.random.default_rng(0))
    assert 0 < (output == 0).sum() < x.size
    assert np.all(backward(x) == output)
    check_gradients(
        lambda x: ops.dropout(x, p=0.5, rng=np.random.default_rng(0)), x[:4], raise_on_failure=True
    )


@pytest.mark.parametrize("p", [0.1, 0.5, 0.9])
def test_the_mean_stays_and_a_share_p_is_dropped(ops, p):
    x = np.ones(100_000)
    output, _ = ops.dropout(x, p=p, rng=np.random.default_rng(0))
    five_sigma = 5 * np.sqrt(p * (1 - p) / x.size)
    assert abs((output == 0).mean() - p) < five_sigma
    assert abs(output.mean() - 1) < five_sigma / (1 - p)


def test_a_generator_in_the_same_state_drops_the_same(ops):
    x = np.ones((4, 5))
    first, second, other = (
        ops.dropout(x, p=0.5, rng=np.random.default_rng(seed))[0] for seed in (1, 1, 2)
    )
    assert np.all(first == second)
    assert np.any(first != other)


def test_both_dtypes_drop_the_same(ops):
    single, double = (
        ops.dropout(np.ones((4, 5), dtype), p=0.5, rng=np.random.default_rng(1))[0]
        for dtype in (np.float32, np.float64)
    )
    assert np.all(single == double)


@pytest.mark.parametrize("noise", [{"p": 0.5}, {"p": 0.0, "rng": np.random.default_rng(0)}])
def test_evaluation_changes_nothing(ops, noise):
    x = np.arange(6.0)
    output, backward = ops.dropout(x, **noise)
    assert np.all(output == x)
    assert np.all(backward(x) == x)


@pytest.mark.parametrize("p", [-0.1, 1.0, 1.5, np.nan])
def test_a_p_that_is_no_share_is_named(ops, p):
    with pytest.raises(ValueError, match=f"p was {p}, but must be at least 0 and below 1"):
        ops.dropout(np.ones(3), p=p)


def test_a_keep_that_is_not_boolean_or_does_not_fit_is_named(ops):
    with pytest.raises(TypeError, match="keep has dtype float64"):
        ops.dropout(np.ones(3), p=0.5, keep=np.ones(3))
    with pytest.raises(ValueError, match=r"keep has shape \(2,\), but must broadcast to \(3,\)"):
        ops.dropout(np.ones(3), p=0.5, keep=np.ones(2, bool))
