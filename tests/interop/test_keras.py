"""Weights of Keras' layers, as get_weights() has them: what they mean, in formulas."""

import numpy as np
import pytest

from attention_from_scratch import fast, ops
from attention_from_scratch.interop import keras
from attention_from_scratch.networks.bidirectional import bidirectional

each_ops = pytest.mark.parametrize("which", [ops, fast], ids=["plain", "fast"])


def normal(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape)


def weights_of(n_gates, bias=(), width=3, size=4, seed=0):
    """Kernel, recurrent kernel and, unless it is None, a bias with these axes before the gates."""
    columns = n_gates * size
    weights = [normal(width, columns, seed=seed), normal(size, columns, seed=seed + 1)]
    return weights if bias is None else [*weights, normal(*bias, columns, seed=seed + 2)]


def sigmoid(a):
    return 1 / (1 + np.exp(-a))


def gru_of_keras(weights, x, reset_after):
    """What Keras computes: gates z, r, n; r before the recurrent product or after it."""
    kernel, recurrent, *bias = weights
    of_input, of_state = np.zeros((2, kernel.shape[1]))
    if bias and reset_after:
        of_input, of_state = bias[0]
    elif bias:
        of_input = bias[0]
    h, outputs = np.zeros((len(x), len(recurrent))), []
    for t in range(x.shape[1]):
        x_z, x_r, x_n = np.split(x[:, t] @ kernel + of_input, 3, axis=-1)
        h_z, h_r, h_n = np.split(h @ recurrent + of_state, 3, axis=-1)
        z, r = sigmoid(x_z + h_z), sigmoid(x_r + h_r)
        of_n = np.split(recurrent, 3, axis=-1)[2]
        n = np.tanh(x_n + (r * h_n if reset_after else (r * h) @ of_n))
        h = z * h + (1 - z) * n
        outputs.append(h)
    return np.stack(outputs, axis=1)


FORMS = {  # the axes of the bias before the gates, what is said when loading, reset_after
    "after, by its bias": ((2,), None, True),
    "before, by its bias": ((), None, False),
    "after, said": ((2,), True, True),
    "before, said": ((), False, False),
    "after, no bias": (None, True, True),
    "before, no bias": (None, False, False),
}


@pytest.mark.parametrize(("bias", "said", "reset_after"), FORMS.values(), ids=FORMS)
@each_ops
def test_a_gru_resets_before_or_after_its_product_as_it_does_in_keras(
    bias, said, reset_after, which
):
    weights, x = weights_of(3, bias), normal(2, 5, 3, seed=9)
    params = keras.recurrent_from_keras(weights, "gru", reset_after=said)
    output, _ = which.gru(params, x)
    assert np.abs(output - gru_of_keras(weights, x, reset_after)).max() < 1e-14
    assert np.abs(output - gru_of_keras_otherwise(weights, x, reset_after)).max() > 1e-2
    back = keras.recurrent_to_keras(params, "gru")
    for array, expected in zip(back, weights, strict=True):
        assert np.array_equal(array, expected)


def gru_of_keras_otherwise(weights, x, reset_after):
    """The same numbers in the other form: what must not come out."""
    kernel, recurrent, *bias = weights
    one = [b.sum(axis=0) if reset_after else np.stack([b, 0 * b]) for b in bias]
    return gru_of_keras([kernel, recurrent, *one], x, not reset_after)


def test_the_form_of_a_gru_without_bias_must_be_said():
    weights = weights_of(3, None)
    with pytest.raises(ValueError, match=r"reset_after was None, but must be True or False"):
        keras.recurrent_from_keras(weights, "gru")
    with pytest.raises(ValueError, match=r"reset_after was None, but must be True or False"):
        keras.bidirectional_from_keras(weights * 2, "gru")


@pytest.mark.parametrize(("bias", "said"), [((), True), ((2,), False)])
def test_a_bias_that_contradicts_what_is_said_is_an_error(bias, said):
    with pytest.raises(ValueError, match=f"reset_after was {said}, but the bias .*={not said}"):
        keras.recurrent_from_keras(weights_of(3, bias), "gru", reset_after=said)


def test_reset_after_is_a_grus():
    with pytest.raises(ValueError, match="reset_after was True, but must be None for 'lstm'"):
        keras.recurrent_from_keras(weights_of(4), "lstm", reset_after=True)


WRONG = {
    "two layers": (
        weights_of(4) * 2,
        "lstm",
        "has 6 arrays, but must have 2, or 3 .*`bidirectional_",
    ),
    "gates of another op": (weights_of(4), "rnn", r"the kernel has shape \(3, 16\).*\(D, 4\)"),
    "a state of another width": (
        [normal(3, 16), normal(4, 12), normal(16)],
        "lstm",
        r"the recurrent kernel has shape \(4, 12\).*\(4, 16\)",
    ),
    "two biases of an LSTM": (
        weights_of(4, (2,)),
        "lstm",
        r"the bias has shape \(2, 16\), but must be \(16,\)",
    ),
    "three biases of a GRU": (
        weights_of(3, (3,)),
        "gru",
        r"the bias has shape \(3, 12\).*\(2, 12\)",
    ),
    "no such op": (weights_of(4), "cnn", "op was 'cnn', but must be one of rnn, gru, lstm"),
}


@pytest.mark.parametrize(("weights", "op", "message"), WRONG.values(), ids=WRONG)
def test_weights_of_another_form_are_an_error_that_names_them(weights, op, message):
    with pytest.raises(ValueError, match=message):
        keras.recurrent_from_keras(weights, op)


@pytest.mark.parametrize("op", ["rnn", "gru", "lstm"])
@pytest.mark.parametrize("bias", [True, False])
def test_both_directions_load_and_go_back(op, bias):
    n_gates = {"rnn": 1, "gru": 3, "lstm": 4}[op]
    axes = None if not bias else (2,) if op == "gru" else ()
    said = {"reset_after": True} if op == "gru" else {}
    forward, reverse = weights_of(n_gates, axes), weights_of(n_gates, axes, seed=5)
    params = keras.bidirectional_from_keras(forward + reverse, op, **said)
    x = normal(2, 5, 3, seed=9)
    output, _ = bidirectional(params, x, layer=op)
    halves = [
        getattr(ops, op)(keras.recurrent_from_keras(weights, op, **said), given)[0]
        for weights, given in ((forward, x), (reverse, x[:, ::-1]))
    ]
    assert np.array_equal(output, np.concatenate([halves[0], halves[1][:, ::-1]], axis=-1))
    back = keras.bidirectional_to_keras(params, op)
    for array, expected in zip(back, forward + reverse, strict=True):
        assert np.array_equal(array, expected)


def test_one_layer_alone_is_not_both_directions():
    with pytest.raises(ValueError, match="weights has 3 arrays, but must have 4, or 6 with biases"):
        keras.bidirectional_from_keras(weights_of(4), "lstm")


def test_a_bias_that_is_on_one_side_alone_travels():
    """Ours may have one bias where Keras has room for two, or one that is their sum."""
    params = keras.recurrent_from_keras(weights_of(4), "lstm")
    bias = params["input"]["bias"]
    for side, other in (("input", "hidden"), ("hidden", "input")):
        alone = {
            side: params[side] | {"bias": bias},
            other: params[other] | {"bias": None},
        }
        found = keras.recurrent_to_keras({n: alone[n] for n in ("input", "hidden")}, "lstm")
        assert np.array_equal(found[2], keras.recurrent_to_keras(params, "lstm")[2])


def test_parameters_that_keras_has_no_place_for_are_named():
    params = keras.recurrent_from_keras(weights_of(4), "lstm")
    with pytest.raises(ValueError, match="params has 'peephole', which a recurrent layer of Keras"):
        keras.recurrent_to_keras(params | {"peephole": params["hidden"]}, "lstm")


# -- multi-head attention --------------------------------------------------------------------------


def attention_weights(sources=(8, 8, 8), n_heads=2, key_dim=5, value_dim=7, out=8, bias=True):
    """Kernel and bias of query, key, value and output."""
    weights = []
    for n_in, head in zip(sources, (key_dim, key_dim, value_dim), strict=True):
        weights += [normal(n_in, n_heads, head), normal(n_heads, head, seed=1)]
    weights += [normal(n_heads, value_dim, out), normal(out, seed=1)]
    return weights if bias else weights[::2]


def attention_of_keras(weights, query, key, value):
    """What Keras computes, head by head."""
    if len(weights) == 4:
        weights = [w for kernel in weights for w in (kernel, 0.0)]
    w_q, b_q, w_k, b_k, w_v, b_v, w_o, b_o = weights
    q, k, v = (
        np.einsum("bld,dhk->blhk", x, w) + b
        for x, w, b in ((query, w_q, b_q), (key, w_k, b_k), (value, w_v, b_v))
    )
    scores = np.exp(np.einsum("bqhk,bthk->bhqt", q, k) / np.sqrt(q.shape[-1]))
    weights = scores / scores.sum(axis=-1, keepdims=True)
    return np.einsum("bhqt,bthv,hvd->bqd", weights, v, w_o) + b_o


SIZES = {
    "value_dim as key_dim": {"value_dim": 5},
    "value_dim of its own": {},
    "sources of three widths": {"sources": (8, 6, 4)},
    "output_shape": {"out": 3},
    "use_bias=False": {"bias": False},
    "one head": {"n_heads": 1},
}


@pytest.mark.parametrize("sizes", SIZES.values(), ids=SIZES)
@each_ops
def test_heads_of_any_width_load_and_go_back(sizes, which):
    weights = attention_weights(**sizes)
    params, n_heads = keras.multi_head_attention_from_keras(weights)
    widths = sizes.get("sources", (8, 8, 8))
    inputs = [normal(2, n, w) for n, w in zip((3, 5, 5), widths, strict=True)]
    output, _ = which.multi_head_attention(params, *inputs, n_heads=n_heads)
    assert np.abs(output - attention_of_keras(weights, *inputs)).max() < 1e-12
    back = keras.multi_head_attention_to_keras(params, n_heads)
    for array, expected in zip(back, weights, strict=True):
        assert np.array_equal(array, expected)


def changed(at, *shape):
    """Weights of which one array has another shape."""
    weights = attention_weights()
    weights[at] = normal(*shape)
    return weights


WRONG_HEADS = {
    "key_dim of the key": (
        changed(2, 8, 2, 4),
        r"kernel of key has shape \(8, 2, 4\).*\(D, 2, 5\)",
    ),
    "heads of the value": (
        changed(4, 8, 1, 7),
        r"kernel of query has shape \(8, 2, 5\).*\(D, 1, key",
    ),
    "value_dim of the output": (
        changed(6, 2, 6, 8),
        r"kernel of output .*\(2, 6, 8\).*\(2, 7, D\)",
    ),
    "bias of the key": (changed(3, 2, 4), r"bias of key has shape \(8,\), but must be \(10,\)"),
    "bias of the output": (changed(7, 9), r"bias of output has shape \(9,\), but must be \(8,\)"),
    "a gate": ([*attention_weights(), normal(8, 2, 7)], r"weights has arrays of \[.*, 1, 3\] axes"),
}


@pytest.mark.parametrize(("weights", "message"), WRONG_HEADS.values(), ids=WRONG_HEADS)
def test_heads_of_another_form_are_an_error_that_names_them(weights, message):
    with pytest.raises(ValueError, match=message):
        keras.multi_head_attention_from_keras(weights)


def test_maps_of_which_some_have_a_bias_are_an_error():
    params, n_heads = keras.multi_head_attention_from_keras(attention_weights())
    without = params | {"key": params["key"] | {"bias": None}}
    with pytest.raises(ValueError, match=r"params has no key.bias, but Keras' layer has all four"):
        keras.multi_head_attention_to_keras(without, n_heads)
    with pytest.raises(ValueError, match="params has no output, which Keras' layer always has"):
        keras.multi_head_attention_to_keras(params | {"output": None}, n_heads)
