"""Both directions of a recurrent layer: each against the layer alone, padding, and the gradient."""

import numpy as np
import pytest

from attention_from_scratch import fast, ops
from attention_from_scratch.networks.bidirectional import bidirectional
from attention_from_scratch.tree import tree_leaves, tree_map
from attention_from_scratch.verify import check_gradients

N_GATES = {"rnn": 1, "gru": 3, "lstm": 4}
layers = pytest.mark.parametrize("layer", N_GATES)
each_ops = pytest.mark.parametrize("which", [ops, fast], ids=["plain", "fast"])

PADDING = {
    "on the left": [[0, 0, 1, 1, 1], [0, 1, 1, 1, 1]],
    "on the right": [[1, 1, 1, 0, 0], [1, 0, 0, 0, 0]],
    "anywhere": [[0, 1, 0, 1, 0], [1, 1, 0, 0, 1]],
    "none at all": [[1, 1, 1, 1, 1], [1, 1, 1, 1, 1]],
    "nothing else": [[0, 0, 0, 0, 0], [1, 1, 1, 1, 1]],
}
padding = pytest.mark.parametrize("real", PADDING.values(), ids=PADDING)


def inputs(layer, dtype=np.float64):
    """Read-only (params, x), of sizes that all differ."""
    rng, columns = np.random.default_rng(0), N_GATES[layer] * 4

    def normal(*shape):
        array = (0.7 * rng.standard_normal(shape)).astype(dtype)
        array.setflags(write=False)
        return array

    params = {
        direction: {
            part: {"weight": normal(n_in, columns), "bias": normal(columns)}
            for part, n_in in (("input", 3), ("hidden", 4))
        }
        for direction in ("forward", "reverse")
    }
    return params, normal(2, 5, 3)


@layers
@each_ops
@padding
def test_padding_changes_nothing_wherever_it_stands(layer, which, real):
    params, x = inputs(layer)
    mask = np.array(real, bool)
    output, _ = bidirectional(params, x, layer=layer, mask=mask, ops=which)
    last, _ = bidirectional(params, x, layer=layer, mask=mask, last=True, ops=which)
    assert np.all(output[~mask] == 0)
    run = getattr(ops, layer)
    for user in range(2):
        events = x[user, mask[user]][None]  # as if there were no padding
        forward, _ = run(params["forward"], events)
        reverse, _ = run(params["reverse"], events[:, ::-1])
        expected = np.concatenate([forward, reverse[:, ::-1]], axis=-1)[0]
        assert np.allclose(output[user, mask[user]], expected, rtol=0, atol=1e-14)
        end, _ = run(params["forward"], events, last=True)
        start, _ = run(params["reverse"], events[:, ::-1], last=True)
        ends = np.concatenate([end, start], axis=-1)[0]
        assert np.allclose(last[user], ends, rtol=0, atol=1e-14)


@layers
@each_ops
@pytest.mark.parametrize("last", [False, True])
@padding
def test_every_gradient_is_the_derivative(layer, which, last, real):
    settings = {"layer": layer, "mask": np.array(real, bool), "last": last, "ops": which}
    report = check_gradients(bidirectional, *inputs(layer), **settings)
    assert report.passed, report


@layers
def test_without_a_mask_all_is_real(layer):
    output, backward = bidirectional(*inputs(layer), layer=layer)
    whole, back_whole = bidirectional(*inputs(layer), layer=layer, mask=np.ones((2, 5), bool))
    assert np.array_equal(output, whole)
    tree_map(np.testing.assert_array_equal, backward(output), back_whole(output))
    assert check_gradients(bidirectional, *inputs(layer), layer=layer).passed


@layers
@pytest.mark.parametrize("shape", [(), (5,), (1, 5), (2, 1)], ids=str)
def test_a_mask_may_be_one_for_all(layer, shape):
    mask = np.asarray(np.random.default_rng(0).random(shape) < 0.5)
    output, _ = bidirectional(*inputs(layer), layer=layer, mask=mask)
    whole = np.broadcast_to(mask, (2, 5))
    assert np.array_equal(output, bidirectional(*inputs(layer), layer=layer, mask=whole)[0])


@layers
def test_each_half_of_the_output_sees_its_own_side_of_the_sequence(layer):
    params, x = inputs(layer)
    moved = x.copy()
    moved[:, 2] += 1
    before, after = (bidirectional(params, a, layer=layer)[0] for a in (x, moved))
    same = (before == after).all(axis=0)
    assert same[:, :4].all(axis=1).tolist() == [True, True, False, False, False]
    assert same[:, 4:].all(axis=1).tolist() == [False, False, False, True, True]


@layers
@each_ops
def test_the_gradients_are_a_tree_like_the_parameters_in_their_dtype(layer, which):
    params, x = inputs(layer, np.float32)
    output, backward = bidirectional(params, x, layer=layer, ops=which)
    grads, d_x = backward(output)
    tree_map(
        lambda leaf, gradient: np.testing.assert_equal(gradient.shape, leaf.shape), params, grads
    )
    assert {leaf.dtype for _, leaf in tree_leaves([output, grads, d_x])} == {np.dtype(np.float32)}


def test_a_gru_of_either_form_goes_both_ways():
    params, x = inputs("gru")
    before = {
        direction: {
            "input": layer["input"],
            "hidden": {kind: a[..., :8] for kind, a in layer["hidden"].items()},
            "candidate": {kind: a[..., 8:] for kind, a in layer["hidden"].items()},
        }
        for direction, layer in params.items()
    }
    assert check_gradients(bidirectional, before, x, layer="gru").passed
    mixed = {"forward": params["forward"], "reverse": before["reverse"]}
    assert check_gradients(bidirectional, mixed, x, layer="gru").passed


def test_what_does_not_fit_is_named():
    params, x = inputs("lstm")
    with pytest.raises(ValueError, match="layer was 'cnn', but must be one of rnn, gru, lstm"):
        bidirectional(params, x, layer="cnn")
    with pytest.raises(ValueError, match="params has input, hidden, but must have forward, revers"):
        bidirectional(params["forward"], x, layer="lstm")
    with pytest.raises(
        ValueError, match=r"mask has shape \(5, 2\), but must broadcast to \(2, 5\)"
    ):
        bidirectional(params, x, layer="lstm", mask=np.ones((5, 2), bool))
    with pytest.raises(ValueError, match="d_output has shape"):
        bidirectional(params, x, layer="lstm")[1](x)
