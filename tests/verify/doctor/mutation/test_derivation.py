"""What no catalogue knows is named: of readers' own ops, of blocks, of recurrent layers."""

import inspect

import numpy as np
import pytest

from attention_from_scratch import ops
from attention_from_scratch.networks import transformer
from attention_from_scratch.verify import diagnose
from tests.verify.doctor import readers
from tests.verify.doctor.unread import unread


def normal(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape)


def rewritten(function, old, new):
    """The function with another text in one place, as a reader might have written it."""
    text = inspect.getsource(function)
    assert text.count(old) == 1
    space = dict(vars(inspect.getmodule(function)))
    exec(text.replace(old, new), space)
    return space[function.__name__]


def affine(n_in, n_out):
    return {"weight": normal(n_in, n_out) / np.sqrt(n_in), "bias": normal(n_out)}


def block_inputs(width=4):
    norms = [{"weight": 1 + 0.1 * normal(width), "bias": normal(width)} for _ in range(2)]
    params = {
        "attention_norm": norms[0],
        "attention": {p: affine(width, width) for p in ("query", "key", "value", "output")},
        "feed_forward_norm": norms[1],
        "feed_forward": {"up": affine(width, 6), "down": affine(6, width)},
    }
    return (params, normal(2, 3, width)), {"n_heads": 2, "mask": ops.causal_mask(3), "eps": 1e-5}


GROUPS = (normal(2, 4, 3, 5), normal(2, 2, 3, 5, seed=1), normal(2, 2, 3, 5, seed=2))
GATES = (normal(3, 2), normal(3, 4), normal(2, 12), normal(4, 12, seed=1))

WRONG = {
    "RMSNorm, the scale detached": (
        readers.rms_norm,
        ("d_z - z * (d_z * z).mean(axis=-1, keepdims=True)", "d_z"),
        (normal(2, 3, 4), normal(4)),
        {},
        "without the term `z * (d_z * z).mean(axis=-1, keepdims=True)`",
    ),
    "RMSNorm with a mean as of a layer norm": (
        readers.rms_norm,
        ("(d_z - z", "(d_z - d_z.mean(axis=-1, keepdims=True) - z"),
        (normal(2, 3, 4), normal(4)),
        {},
        "the mean of `d_z` taken out",
    ),
    "rotary positions, turned on and not back": (
        readers.rotary,
        ("-sin).reshape", "sin).reshape"),
        (normal(2, 3, 4),),
        {},
        "without the sign",
    ),
    "grouped queries, the first of a group alone": (
        readers.grouped_queries,
        (".sum(axis=2)", "[:, :, 0]"),
        GROUPS,
        {"groups": 2},
        "the first alone, not the sum",
    ),
    "the residual path": (
        readers.self_attention,
        ("return d_output + d_query", "return d_query"),
        (normal(2, 3, 4),),
        {},
        "without the term `d_output`",
    ),
    "of three uses of x that of the query": (
        readers.self_attention,
        ("d_query + d_key + d_value", "d_query"),
        (normal(2, 3, 4),),
        {},
        "is `d_output` + `d_query` without `d_key` and `d_value`",
    ),
    "z for 1 - z": (
        readers.simple_gru,
        ("d_n = d_output * (1 - z)", "d_n = d_output * z"),
        GATES,
        {},
        "`z`, not `1 - z`",
    ),
    "the path of the reset gate": (
        readers.simple_gru,
        ("[d_z, d_r, d_n * r]", "[d_z, d_r, d_n]"),
        GATES,
        {},
        "without the factor `r`",
    ),
    "the way of the state beside the gates": (
        readers.simple_gru,
        ("d_output * z + d_a_h", "d_a_h"),
        GATES,
        {},
        "without the term `d_output * z`",
    ),
    "a block without its residual path": (
        transformer.pre_norm_block,
        ("return grads, d_middle + d_through_norm", "return grads, d_through_norm"),
        *block_inputs(),
        "without the term `d_middle`",
    ),
    "a block, the query alone": (
        transformer.pre_norm_block,
        ("back_norm(d_query + d_key + d_value)", "back_norm(d_query)"),
        *block_inputs(),
        "only `d_query` of all that is added",
    ),
}


@pytest.mark.parametrize("wrong", WRONG.values(), ids=WRONG)
def test_a_mistake_that_no_catalogue_knows_is_named(wrong):
    reference, (old, new), inputs, keywords, words = wrong
    diagnosis = diagnose(rewritten(reference, old, new), reference, *inputs, **keywords)
    assert diagnosis.wrong
    assert not diagnosis.unexplained
    assert words in str(diagnosis)
    right = diagnose(rewritten(reference, old, old), reference, *inputs, **keywords)
    assert not right.wrong
    assert not right.forward_differs


# Of our own recurrent layers: one step in numbers alone, and one thing wrong in it.
def step_of_lstm(change):
    def lstm(params, x, initial=None, *, mask=None, last=False):
        if mask is not None or last:
            raise ValueError
        size = len(params["hidden"]["weight"])
        start = np.zeros((len(x), 2 * size)) if initial is None else initial
        output, _ = ops.lstm(params, x, initial)
        return output, lambda d: change(params, x, start, initial, d)

    return lstm


def lstm_backward(params, x, start, initial, d_output, *, slope=None, swapped=False):
    """Back through time as a loop, with c in the place of tanh(c), or i in that of f."""
    size = start.shape[-1] // 2
    h, c = start[:, :size], start[:, size:]
    (w_x, b_x), (w_h, b_h) = (
        (params[name]["weight"], params[name]["bias"]) for name in ("input", "hidden")
    )
    kept = []
    for t in range(x.shape[1]):
        a = x[:, t] @ w_x + b_x + h @ w_h + b_h
        i, f, o = (1 / (1 + np.exp(-a[:, k * size : (k + 1) * size])) for k in (0, 1, 3))
        g = np.tanh(a[:, 2 * size : 3 * size])
        new = f * c + i * g
        kept.append((h, c, i, f, g, o, new))
        h, c = o * np.tanh(new), new
    d_h, d_c = np.zeros_like(h), np.zeros_like(c)
    d_gates = np.zeros((*x.shape[:2], 4 * size))
    d_w_h = np.zeros_like(w_h)
    for t in reversed(range(x.shape[1])):
        h, c, i, f, g, o, new = kept[t]
        d_h = d_h + d_output[:, t]
        read = np.tanh(new)
        d_c = d_c + d_h * o * (1 - (new * new if slope == "c" else read * read))
        d_gates[:, t] = np.concatenate(
            [
                d_c * g * i * (1 - i),
                d_c * c * f * (1 - f),
                d_c * i * (1 - g * g),
                d_h * read * o * (1 - o),
            ],
            axis=-1,
        )
        d_w_h += h.T @ d_gates[:, t]
        d_h, d_c = d_gates[:, t] @ w_h.T, d_c * (i if swapped else f)
    d_bias = d_gates.sum(axis=(0, 1))
    grads = {
        "input": {"weight": np.einsum("bld,blg->dg", x, d_gates), "bias": d_bias},
        "hidden": {"weight": d_w_h, "bias": d_bias},
    }
    d_initial = None if initial is None else np.concatenate([d_h, d_c], axis=-1)
    return grads, d_gates @ w_x.T, d_initial


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"slope": "c"}, "output = np.tanh(x)` (ops/activations.py"),
        ({"swapped": True}, "`i`, not `f`"),
    ],
    ids=["c for tanh(c)", "i for f"],
)
def test_of_an_lstm_written_as_a_loop_the_one_wrong_name_is_told(wrong, words):
    op = step_of_lstm(lambda *a: lstm_backward(*a, **wrong))
    diagnosis = diagnose(op, ops.lstm)
    assert not diagnosis.unexplained
    if "slope" in wrong:  # which line of `tanh` it is, is for the matching to say
        assert diagnosis.derived or diagnosis.findings
    else:
        assert words in str(diagnosis)
    assert not diagnose(step_of_lstm(lstm_backward), ops.lstm).wrong


def test_noise_is_not_explained():
    def op(x, weight):
        output, back = readers.rms_norm(x, weight)
        noise = np.cos(np.arange(x.size)).reshape(x.shape)
        return output, lambda d: (back(d)[0] + 0.1 * noise, back(d)[1])

    diagnosis = diagnose(unread(op), readers.rms_norm, normal(2, 3, 4), normal(4))
    assert diagnosis.unexplained == ("d_x",)
    assert not diagnosis.derived
    text = str(diagnose(op, readers.rms_norm, normal(2, 3, 4), normal(4)))
    assert "would be right with" in text
    assert "without the term `0.1 * noise`" in text


def test_a_leaf_that_fits_is_no_explanation_where_the_same_line_would_make_others_wrong():
    def op(x):
        output, back = ops.scaled_dot_product_attention(x, x, x)
        return x + output, lambda d: d + np.tanh(back(d)[0])

    reference = rewritten(readers.self_attention, ", mask=ops.causal_mask(x.shape[-2])", "")
    assert diagnose(op, reference, normal(2, 3, 4)).unexplained


def test_without_a_source_that_is_said_and_what_needs_none_is_used():
    reference = eval("lambda x, w: (x @ w, lambda d: (d @ w.T, x.T @ d))")
    x, w = normal(3, 4), normal(4, 4)
    transposed = lambda x, w: (x @ w, lambda d: (d @ w.T, (x.T @ d).T))
    assert "is the right gradient transposed" in str(diagnose(transposed, reference, x, w))
    odd = lambda x, w: (x @ w, lambda d: (d @ w.T + np.sin(x), x.T @ d))
    assert "no source to read" in str(diagnose(unread(odd), reference, x, w))


def test_two_mistakes_in_one_gradient_are_both_told():
    def op(ids, weight, *, padding_id=0):
        output, _ = ops.embedding(ids, weight, padding_id=padding_id)

        def backward(d_output):
            d_weight = np.zeros_like(weight)
            np.add.at(d_weight, np.maximum(ids - 1, 0), d_output)
            return d_weight

        return output, backward

    text = str(diagnose(op, ops.embedding))
    assert "the one before `ids`" in text
    assert "d_weight[padding_id] = 0" in text


def test_terms_with_other_coefficients_are_told_with_them():
    def op(x, weight, bias, *, eps=1e-5):
        output, back = ops.layer_norm(x, weight, bias, eps=eps)
        centred = x - x.mean(axis=-1, keepdims=True)
        deviation = np.sqrt((centred * centred).mean(axis=-1, keepdims=True) + eps)
        z = centred / deviation

        def backward(d):
            d_z = d * weight
            spread = z * (d_z * z).mean(axis=-1, keepdims=True)
            d_x = (d_z - 3 * d_z.mean(axis=-1, keepdims=True) - 0.25 * spread) / deviation
            return d_x, *back(d)[1:]

        return output, backward

    text = str(diagnose(op, ops.layer_norm))
    assert "3 times `-d_z.mean(axis=-1, keepdims=True)`" in text
    assert "0.25 times `-(z * (d_z * z).mean(axis=-1, keepdims=True))`" in text


def test_what_holds_of_the_callers_inputs_is_said_beside():
    def op(x, weight, bias=None):
        output, back = ops.linear(x, weight, bias)
        return output, lambda d: (back(d)[0] * (3 if x.ndim > 2 else 1), *back(d)[1:])

    assert "right at your inputs" in str(diagnose(op, ops.linear, normal(3, 4), normal(4, 5)))
    assert "at your inputs" in str(diagnose(op, ops.linear, normal(2, 3, 4), normal(4, 5)))
