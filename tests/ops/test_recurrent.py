"""Recurrent layers: against the sum as the papers write it, and their gradients through time."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from attention_from_scratch import fast
from attention_from_scratch import ops as plain
from attention_from_scratch.ops import lstm, rnn
from attention_from_scratch.verify import check_gradients

SIZES = {"rnn": (1, 1), "gru": (3, 1), "lstm": (4, 2), "reset_before": (3, 1)}  # gates, states


def resetting_before(gru):
    """The gru under another name, by which its parameters have a candidate here."""

    def reset_before(params, x, initial=None, *, mask=None, last=False):
        return gru(params, x, initial, mask=mask, last=last)

    return reset_before


LAYERS = {
    f"{which} {name}": getattr(module, name, None) or resetting_before(module.gru)
    for which, module in (("plain", plain), ("fast", fast))
    for name in SIZES
}
layers = pytest.mark.parametrize("op", LAYERS.values(), ids=LAYERS)


def arrays(op, batch=2, length=5, width=3, size=4, seed=0, dtype=np.float64, bias=True):
    """(params, x, initial)."""
    rng = np.random.default_rng(seed)
    n_gates, n_states = SIZES[op.__name__]

    def normal(*shape):
        return (0.7 * rng.standard_normal(shape)).astype(dtype)

    params = {
        name: {
            "weight": normal(n, n_gates * size),
            "bias": normal(n_gates * size) if bias else None,
        }
        for name, n in (("input", width), ("hidden", size))
    }
    if op.__name__ == "reset_before":
        params = with_candidate(params, size)
    return params, normal(batch, length, width), normal(batch, n_states * size)


def with_candidate(params, size):
    """The same numbers, with those of the new state in a part of their own."""
    parts = {"hidden": np.s_[..., : 2 * size], "candidate": np.s_[..., 2 * size :]}
    return {"input": params["input"]} | {
        name: {kind: a if a is None else a[columns] for kind, a in params["hidden"].items()}
        for name, columns in parts.items()
    }


def frozen(tree):
    """All arrays read-only."""
    for value in tree.values() if isinstance(tree, dict) else tree:
        if isinstance(value, np.ndarray):
            value.setflags(write=False)
        elif value is not None:
            frozen(value)
    return tree


# -- the loop, number by number --------------------------------------------------------------------


def sigmoid(a):
    return 1 / (1 + math.exp(-a))


def step_by_hand(op, params, x, h, c):
    """One step of one user: lists of numbers in, lists out."""
    size = len(h)

    def gate(k, unit, which, source):
        weight, bias = params[which]["weight"], params[which]["bias"]
        column = k * size + unit
        total = 0.0 if bias is None else bias[column]
        for j, value in enumerate(source):
            total += value * weight[j, column]
        return total

    def both(k, unit):
        return gate(k, unit, "input", x) + gate(k, unit, "hidden", h)

    new_h, new_c = [], []
    for unit in range(size):
        if op.__name__ == "rnn":
            new_h.append(math.tanh(both(0, unit)))
        elif op.__name__ == "gru":
            r, z = sigmoid(both(0, unit)), sigmoid(both(1, unit))
            n = math.tanh(gate(2, unit, "input", x) + r * gate(2, unit, "hidden", h))
            new_h.append((1 - z) * n + z * h[unit])
        elif op.__name__ == "reset_before":
            z, reset = sigmoid(both(1, unit)), [sigmoid(both(0, j)) * h[j] for j in range(size)]
            n = math.tanh(gate(2, unit, "input", x) + gate(0, unit, "candidate", reset))
            new_h.append((1 - z) * n + z * h[unit])
        else:
            i, f, o = sigmoid(both(0, unit)), sigmoid(both(1, unit)), sigmoid(both(3, unit))
            new_c.append(f * c[unit] + i * math.tanh(both(2, unit)))
            new_h.append(o * math.tanh(new_c[-1]))
    return new_h, new_c


def by_hand(op, params, x, initial, mask=None):
    """Every user and every step by itself: outputs (B, L, H) and last states (B, H)."""
    batch, length, _ = x.shape
    size = len(params["hidden"]["weight"])
    outputs, lasts = np.zeros((batch, length, size)), np.zeros((batch, size))
    for b in range(batch):
        h, c = list(initial[b, :size]), list(initial[b, size:])
        for t in range(length):
            if mask is None or mask[b, t]:
                h, c = step_by_hand(op, params, x[b, t], h, c)
                outputs[b, t] = h
        lasts[b] = h
    return outputs, lasts


@layers
@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("bias", [True, False])
def test_it_is_the_loop_of_the_papers(op, masked, bias):
    params, x, initial = arrays(op, bias=bias)
    mask = np.random.default_rng(1).random((2, 5)) < 0.6 if masked else None
    outputs, lasts = by_hand(op, params, x, initial, mask)
    assert np.abs(op(params, x, initial, mask=mask)[0] - outputs).max() < 1e-14
    assert np.abs(op(params, x, initial, mask=mask, last=True)[0] - lasts).max() < 1e-14


# -- gradients -------------------------------------------------------------------------------------


@layers
@settings(max_examples=10)
@given(
    sizes=st.lists(st.integers(1, 4), min_size=4, max_size=4, unique=True),
    seed=st.integers(0, 99),
    last=st.booleans(),
)
def test_every_gradient_is_the_derivative(op, sizes, seed, last):
    inputs = arrays(op, *sizes, seed=seed)
    mask = np.random.default_rng(seed).random(sizes[:2]) < 0.7
    exact = {"complex step": 1e-12}  # a gradient that has nearly vanished a difference cannot see
    for keywords in ({"last": last}, {"last": last, "mask": mask}):
        check_gradients(op, *inputs, **keywords, tolerances=exact, raise_on_failure=True)


@layers
@pytest.mark.parametrize("last", [True, False])
def test_every_gradient_is_what_a_difference_measures(op, last):
    mask = np.array([[False, True, True], [True, True, True]])
    inputs = arrays(op, length=3)
    check_gradients(op, *inputs, mask=mask, last=last, raise_on_failure=True)


@layers
def test_without_bias_or_initial_state_there_is_no_gradient_of_them(op):
    params, x, _ = arrays(op, bias=False)
    output, backward = op(params, x)
    grads, d_x, d_initial = backward(np.ones_like(output))
    assert grads["input"]["bias"] is grads["hidden"]["bias"] is d_initial is None
    assert d_x.shape == x.shape
    assert check_gradients(op, params, x, None).passed


@layers
def test_the_gradient_at_every_step_is_that_of_an_addition_to_the_state(op):
    params, x, initial = arrays(op)
    output, backward = op(params, x, initial, last=True)
    d_output = np.random.default_rng(3).standard_normal(output.shape)
    steps = backward.steps(d_output)
    # From step 2 on it is a layer of its own, whose initial state is the state after step 2.
    h_and_c = initial
    for t in range(3):
        h_and_c = state_after(op, params, x[:, t : t + 1], h_and_c)
    _, back_rest = op(params, x[:, 3:], h_and_c, last=True)
    assert np.allclose(steps[:, 2], back_rest(d_output)[2], atol=1e-14)


def state_after(op, params, x, state):
    """The whole state, cell and all, by the loop."""
    size = len(params["hidden"]["weight"])
    rows = []
    for b in range(len(x)):
        h, c = step_by_hand(op, params, x[b, 0], list(state[b, :size]), list(state[b, size:]))
        rows.append([*h, *c])
    return np.array(rows)


# -- what has to hold ------------------------------------------------------------------------------


@layers
def test_no_output_moves_when_a_later_input_does(op):
    params, x, initial = arrays(op)
    moved = x.copy()
    moved[:, 3] += 1
    before, after = op(params, x, initial)[0], op(params, moved, initial)[0]
    assert np.array_equal(before[:, :3], after[:, :3])
    assert not np.array_equal(before[:, 3:], after[:, 3:])


@layers
def test_padding_is_passed_over_and_gets_exactly_no_gradient(op):
    params, x, initial = arrays(op)
    mask = np.array([[False, True, True, False, True], [True] * 5])
    output, backward = op(params, x, initial, mask=mask)
    assert (output[~mask] == 0).all()
    short, _ = op(params, x[:1, [1, 2, 4]], initial[:1])
    assert np.allclose(output[0, [1, 2, 4]], short[0], atol=1e-15)
    grads, d_x, _ = backward(np.ones_like(output))
    assert (d_x[~mask] == 0).all()
    nothing = np.zeros((2, 5), bool)
    output, backward = op(params, x, initial, mask=nothing, last=True)
    grads, d_x, d_initial = backward(np.ones_like(output))
    assert np.array_equal(output, initial[:, :4])
    assert (d_x == 0).all()
    assert (grads["hidden"]["weight"] == 0).all()
    assert (d_initial[:, :4] == 1).all()


@layers
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_dtype_in_is_dtype_out_and_nothing_is_written_to(op, dtype):
    inputs = frozen(arrays(op, dtype=dtype))
    output, backward = op(*inputs)
    d_output = np.ones_like(output)
    d_output.setflags(write=False)
    grads, d_x, d_initial = backward(d_output)
    arrays_out = [output, d_x, d_initial, *grads["input"].values(), *grads["hidden"].values()]
    assert {array.dtype for array in arrays_out} == {np.dtype(dtype)}


@layers
@pytest.mark.parametrize(("batch", "length"), [(0, 3), (2, 0), (1, 1)])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("last", [False, True])
def test_empty_and_short_sequences_keep_shapes_and_dtype(op, batch, length, dtype, last):
    params, x, initial = arrays(op, batch, length, dtype=dtype)
    output, backward = op(params, x, initial, last=last)
    d_output = np.ones_like(output)
    grads, d_x, d_initial = backward(d_output)
    steps = backward.steps(d_output)
    assert output.shape == ((batch, 4) if last else (batch, length, 4))
    assert (d_x.shape, d_initial.shape) == (x.shape, initial.shape)
    assert steps.shape == (batch, length, initial.shape[1])
    arrays_out = [output, d_x, d_initial, steps]
    for name, linear in grads.items():
        for part, gradient in linear.items():
            assert gradient.shape == params[name][part].shape
            arrays_out.append(gradient)
    assert {array.dtype for array in arrays_out} == {np.dtype(dtype)}


@layers
def test_after_no_steps_the_last_state_is_the_initial_one_and_so_is_its_gradient(op):
    params, x, initial = arrays(op, length=0)
    output, backward = op(params, x, initial, last=True)
    d_output = np.random.default_rng(3).standard_normal(output.shape)
    _, _, d_initial = backward(d_output)
    assert np.array_equal(output, initial[:, :4])
    assert np.array_equal(d_initial[:, :4], d_output)
    assert not d_initial[:, 4:].any()


@layers
@pytest.mark.parametrize("shape", [(5,), (1, 5), (2, 1)])
def test_a_mask_is_broadcast_over_users_and_steps(op, shape):
    inputs = arrays(op)
    mask = np.random.default_rng(1).random(shape) < 0.6
    output, backward = op(*inputs, mask=mask)
    wide_output, wide_backward = op(*inputs, mask=np.broadcast_to(mask, (2, 5)))
    d_output = np.random.default_rng(3).standard_normal(output.shape)
    assert np.array_equal(output, wide_output)
    assert np.array_equal(backward(d_output)[1], wide_backward(d_output)[1])


@layers
def test_large_inputs_stay_finite_in_float32(op):
    params, x, initial = arrays(op, dtype=np.float32)
    output, backward = op(params, 1e4 * x, initial)
    grads, d_x, _ = backward(np.ones_like(output))
    assert all(np.isfinite(a).all() for a in (output, d_x, grads["hidden"]["weight"]))


@layers
def test_arrays_that_do_not_fit_are_errors_that_name_them(op):
    params, x, initial = arrays(op)
    with pytest.raises(ValueError, match=r"x has shape .* must be \(batch, length, width\)"):
        op(params, x[0], initial)
    with pytest.raises(ValueError, match="params input weight has shape"):
        op(params, x[..., :2], initial)
    with pytest.raises(ValueError, match="initial has shape"):
        op(params, x, initial[:1])
    with pytest.raises(TypeError, match="mask has dtype"):
        op(params, x, initial, mask=np.ones((2, 5)))
    with pytest.raises(TypeError, match="initial has dtype float32"):
        op(params, x, initial.astype(np.float32))


@layers
def test_parameters_of_another_layer_are_an_error_that_names_their_parts(op):
    params, x, _ = arrays(op)
    with pytest.raises(ValueError, match=r"params has forward, reverse, but must have input, hidd"):
        op({"forward": params, "reverse": params}, x)
    without = {name: part for name, part in params.items() if name != "input"}
    with pytest.raises(ValueError, match=r"params has hidden.*, but must have input, hidden"):
        op(without, x)
    if op.__name__ in ("rnn", "lstm"):
        with pytest.raises(ValueError, match=r"params has input, hidden, candidate, but must"):
            op(params | {"candidate": params["hidden"]}, x)


@pytest.mark.parametrize("gru", [plain.gru, fast.gru], ids=["plain", "fast"])
def test_a_candidate_is_of_the_width_of_the_state_and_leaves_two_gates_to_hidden(gru):
    params, x, _ = arrays(plain.gru)
    apart = with_candidate(params, 4)
    with pytest.raises(ValueError, match=r"params hidden weight has shape \(4, 12\).* \(4, 8\)"):
        gru(params | {"candidate": apart["candidate"]}, x)
    with pytest.raises(ValueError, match=r"params candidate weight has shape \(4, 8\).* \(4, 4\)"):
        gru(apart | {"candidate": apart["hidden"]}, x)
    with pytest.raises(ValueError, match=r"params hidden weight has shape \(4, 8\).* \(4, 12\)"):
        gru({name: apart[name] for name in ("input", "hidden")}, x)


@pytest.mark.parametrize("gru", [plain.gru, fast.gru], ids=["plain", "fast"])
def test_the_two_forms_of_the_gru_are_one_at_the_first_step_and_differ_from_the_second_on(gru):
    params, x, _ = arrays(plain.gru, bias=False)
    after, before = gru(params, x)[0], gru(with_candidate(params, 4), x)[0]
    assert np.abs(after[:, 0] - before[:, 0]).max() < 1e-15
    assert (np.abs(after - before)[:, 1:].max(axis=(0, 2)) > 1e-3).all()


def test_the_lstm_hands_the_gradient_of_its_cell_on_where_the_rnn_loses_it():
    length = 40
    norms = {}
    for op in (rnn, lstm):
        params, x, _ = arrays(op, batch=1, length=length, seed=2)
        params["hidden"]["weight"] *= 0.3
        if op is lstm:
            params["input"]["bias"][4:8] += 9  # the forget gate stays open
        output, backward = op(params, x, last=True)
        steps = backward.steps(np.ones_like(output))
        norms[op] = np.abs(steps[0, 0]).max() / np.abs(steps[0, 30]).max()
    assert norms[rnn] < 1e-6
    assert norms[lstm] > 0.5
