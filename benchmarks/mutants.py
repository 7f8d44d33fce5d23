"""Wrong backward passes, each a few lines, and what is wrong with each: the doctor's examination.

A mutant has the signature and the forward pass of an op, and one mistake on the way back, of the
kinds that people make, in the many shapes that people give them: loops, einsum, a scaled query, a
fancy index that adds only once. The decorator `wrong` puts what stands below it into the catalogue.
`correct_ops` are right in unfamiliar ways; `unknown_mutants` are wrong in ways that have no name.

A mutant that fits only some shapes (a forgotten transpose wants a square matrix) raises or returns
a gradient of another shape elsewhere, as its author's code would.
"""

import inspect
import math
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from attention_from_scratch import ops
from attention_from_scratch.ops import recurrent
from attention_from_scratch.ops.attention import merge_heads, over_heads, split_heads, transpose
from attention_from_scratch.ops.contract import unbroadcast
from attention_from_scratch.ops.linear import project
from attention_from_scratch.ops.losses import reduction_weights


@dataclass(frozen=True)
class Mutant:
    """An op to be examined, what it should have been, and what is wrong with it.

    Attributes
    ----------
    op : the op under examination
    reference : the right one
    mistake : a key of `verify.mistakes.EXPLANATIONS`; or "none" (it is right), or "unknown" (it is
        wrong, without a name)
    inputs, keywords : at which it is handed in
    half : "first" or "second"
        The first half may be looked at while the doctor learns; the second is its examination, and
        takes in what readers got wrong since.
    """

    op: Callable
    reference: Callable
    mistake: str
    inputs: tuple = ()
    keywords: dict = field(default_factory=dict)
    half: str = "first"

    @property
    def name(self):
        """The op's own name."""
        return self.op.__name__


def catalogue(seed: int = 0) -> list[Mutant]:
    """All mutants, at inputs that depend on the seed and the name alone."""
    return [entry(seed) for entry in WRONG]


def correct_ops(seed: int = 0) -> list[Mutant]:
    """Right ops, written differently: no doctor may accuse them."""
    return [entry(seed) for entry in CORRECT]


def unknown_mutants(seed: int = 0) -> list[Mutant]:
    """Wrong ops whose mistake has no name: the doctor must say that it does not know."""
    return [entry(seed) for entry in UNKNOWN]


WRONG, CORRECT, UNKNOWN = [], [], []


def wrong(reference, mistake, half, case=None):
    """Enter the op below into the catalogue. `case` makes inputs, keywords from a generator."""
    return enter(WRONG, reference, mistake, half, case)


def correct(reference, case=None):
    """Enter the op below among the right ones."""
    return enter(CORRECT, reference, "none", "first", case)


def unknown(reference, case=None):
    """Enter the op below among those without a name for their mistake."""
    return enter(UNKNOWN, reference, "unknown", "first", case)


def enter(shelf, reference, mistake, half, case):
    """The decorator behind the three: a shelf holds functions from a seed to a Mutant."""

    def decorate(op):
        op.__signature__ = inspect.signature(reference)

        def entry(seed):
            rng = np.random.default_rng([seed, *op.__name__.encode()])
            inputs, keywords = (case or CASES[reference])(rng)
            return Mutant(op, reference, mistake, inputs, keywords, half)

        shelf.append(entry)
        return op

    return decorate


# Inputs, as a person has them at hand: a case takes a generator to (inputs, keywords).


def normal(*shapes, **keywords):
    """Arrays of these shapes, of standard normal numbers."""
    return lambda rng: (tuple(rng.standard_normal(shape) for shape in shapes), keywords)


def lookup(ids, shape, **keywords):
    """These ids and a table of this shape."""
    return lambda rng: ((np.array(ids), rng.standard_normal(shape)), keywords)


def classes(targets, n_classes, **keywords):
    """Logits over so many classes for these targets."""
    targets = np.array(targets)
    return lambda rng: ((rng.standard_normal((*targets.shape, n_classes)), targets), keywords)


def table_of(targets, width, n_classes, **keywords):
    """Vectors of this width, and a table of so many classes, for these targets."""
    targets = np.array(targets)

    def case(rng):
        x, weight = (
            rng.standard_normal((*targets.shape, width)),
            rng.standard_normal((width, n_classes)),
        )
        return (x, weight, targets), keywords

    return case


def clicks(*shape, **keywords):
    """Logits of this shape and targets that are 0 or 1, at least one of each."""

    def case(rng):
        targets = rng.random(shape).round()
        targets.flat[:2] = 0, 1
        return (rng.standard_normal(shape), targets), keywords

    return case


def heads(shape, n_heads, others=None, **keywords):
    """Weights and biases of four projections; a query, and as many keys and values as others."""

    def case(rng):
        width = shape[-1]
        params = {
            part: {
                "weight": rng.standard_normal((width, width)) / math.sqrt(width),
                "bias": rng.standard_normal(width),
            }
            for part in ("query", "key", "value", "output")
        }
        query = rng.standard_normal(shape)
        key, value = (rng.standard_normal(others or shape) for _ in "kv")
        return (params, query, key, value), {"n_heads": n_heads, **keywords}

    return case


def sequence(n_gates, n_states, batch=2, length=4, width=3, size=2):
    """Weights and biases of a recurrent layer, a sequence and an initial state."""

    def case(rng):
        params = {
            name: {
                "weight": rng.standard_normal((n, n_gates * size)),
                "bias": rng.standard_normal(n_gates * size),
            }
            for name, n in (("input", width), ("hidden", size))
        }
        x = rng.standard_normal((batch, length, width))
        return (params, x, rng.standard_normal((batch, n_states * size))), {}

    return case


def with_corners(rng):
    """Whole numbers, many of them 0."""
    return (rng.standard_normal((4, 6)).round(),), {}


def pattern(*shape):
    """A mask without a pattern that anything shares, most of it True."""
    return (np.arange(math.prod(shape)) * 7 % 10 > 2).reshape(shape)


SENTENCES = [[1, 2, 2, 4, 0], [3, 1, 2, 0, 0]]
NEXT_ITEMS = [[1, 5, 2, 0], [3, 0, 0, 0], [4, 4, 1, 2]]

CASES = {
    ops.linear: normal((2, 5, 3), (3, 4), (4,)),
    ops.embedding: lookup(SENTENCES, (6, 3)),
    ops.relu: normal((3, 4)),
    ops.gelu: normal((3, 4)),
    ops.sigmoid: normal((3, 4)),
    ops.tanh: normal((3, 4)),
    ops.softmax: normal((3, 5)),
    ops.log_softmax: normal((3, 5)),
    ops.layer_norm: normal((2, 3, 6), (6,), (6,)),
    ops.dropout: normal((4, 5), p=0.2, keep=pattern(4, 5)),
    ops.attention_weights: normal((2, 3, 4), (2, 5, 4)),
    ops.scaled_dot_product_attention: normal((2, 3, 4), (2, 5, 4), (2, 5, 6)),
    ops.multi_head_attention: heads((2, 4, 6), 2),
    ops.cross_entropy: classes(NEXT_ITEMS, 6),
    ops.linear_cross_entropy: table_of(NEXT_ITEMS, 5, 6),
    ops.binary_cross_entropy_with_logits: clicks(3, 4),
    ops.rnn: sequence(1, 1),
    ops.gru: sequence(3, 1),
    ops.lstm: sequence(4, 2),
}

# A softmax backwards, a product backwards, and wrong parts set into right surroundings.


def rows(x):
    """(..., D) -> (N, D)."""
    return x.reshape(-1, x.shape[-1])


def back_softmax(p, d_p):
    """The right one: p * (d_p - sum(d_p * p))."""
    return p * (d_p - (d_p * p).sum(axis=-1, keepdims=True))


def back_scores(d_scores, query, key):
    """From scores Q K^T to d_query, d_key."""
    d_query, d_key = d_scores @ key, transpose(d_scores) @ query
    return unbroadcast(d_query, query.shape), unbroadcast(d_key, key.shape)


def scale_of(query, scale):
    """The scale of the forward pass."""
    return 1 / math.sqrt(query.shape[-1]) if scale is None else scale


def attention_over(
    weights_op, query, key, value, *, mask=None, scale=None, dropout_p=0.0, rng=None, keep=None
):
    """`scaled_dot_product_attention` with another op for its weights, all else right."""
    weights, back_weights = weights_op(query, key, mask=mask, scale=scale)
    kept, back_dropout = ops.dropout(weights, p=dropout_p, rng=rng, keep=keep)

    def backward(d_output):
        d_kept = unbroadcast(d_output @ transpose(value), kept.shape)
        d_value = unbroadcast(transpose(kept) @ d_output, value.shape)
        return *back_weights(back_dropout(d_kept)), d_value

    return kept @ value, backward


def heads_over(
    params,
    query,
    key,
    value,
    *,
    n_heads,
    mask=None,
    attention=ops.scaled_dot_product_attention,
    split_back=split_heads,
    merge_back=merge_heads,
    project_output=project,
    **options,
):
    """`multi_head_attention` in which a part can be exchanged, all else right."""
    inputs = {"query": query, "key": key, "value": value}
    projected = {part: project(params[part], x) for part, x in inputs.items()}
    split = [split_heads(y, n_heads) for y, _ in projected.values()]
    attended, back_attention = attention(*split, mask=over_heads(mask), **options)
    output, back_output = project_output(params["output"], merge_heads(attended))

    def backward(d_output):
        d_output_params, d_merged = back_output(d_output)
        d_heads = back_attention(split_back(d_merged, n_heads))
        grads, d_inputs = {}, []
        for (part, (_, back)), d_part in zip(projected.items(), d_heads, strict=True):
            grads[part], d_input = back(merge_back(d_part))
            d_inputs.append(d_input)
        return {**grads, "output": d_output_params}, *d_inputs

    return output, backward


# linear


@wrong(ops.linear, "transpose_missing", "first", normal((2, 3, 4), (4, 4), (4,)))
def linear_square_weight(x, weight, bias=None):
    """d_output @ weight: with a square weight nothing complains."""
    output, back = ops.linear(x, weight, bias)

    def backward(d_output):
        _, d_weight, d_bias = back(d_output)
        return d_output @ weight, d_weight, d_bias

    return output, backward


@wrong(ops.linear, "transpose_missing", "second", normal((5, 3), (3, 3), (3,)))
def linear_weight_out_in(x, weight, bias=None):
    """d_weight comes as (out, in), the other way round."""
    output, back = ops.linear(x, weight, bias)

    def backward(d_output):
        d_x, _, d_bias = back(d_output)
        return d_x, rows(d_output).T @ rows(x), d_bias

    return output, backward


@wrong(ops.linear, "bias_not_summed", "first")
def linear_bias_everywhere(x, weight, bias=None):
    """The derivative of y + b by b is 1, so d_bias is d_output."""
    output, back = ops.linear(x, weight, bias)

    def backward(d_output):
        d_x, d_weight, _ = back(d_output)
        return d_x, d_weight, None if bias is None else d_output

    return output, backward


@wrong(ops.linear, "bias_not_summed", "second")
def linear_bias_over_batch(x, weight, bias=None):
    """Summed over the batch, as in a course without sequences, but not over the length."""
    output, back = ops.linear(x, weight, bias)

    def backward(d_output):
        d_x, d_weight, _ = back(d_output)
        return d_x, d_weight, None if bias is None else d_output.sum(axis=0)

    return output, backward


@wrong(ops.linear, "bias_not_summed", "first", normal((7, 2), (2, 4), (4,)))
def linear_bias_of_last(x, weight, bias=None):
    """A loop over rows that adds up d_weight and assigns d_bias."""

    def backward(d_output):
        d_x, d_weight, d_bias = np.zeros_like(x), np.zeros_like(weight), None
        for row in np.ndindex(x.shape[:-1]):
            d_x[row] = weight @ d_output[row]
            d_weight += np.outer(x[row], d_output[row])
            d_bias = None if bias is None else d_output[row]
        return d_x, d_weight, d_bias

    return ops.linear(x, weight, bias)[0], backward


@wrong(ops.linear, "constant_factor", "first", normal((3, 4), (4, 2), (2,)))
def linear_batch_mean(x, weight, bias=None):
    """The parameters' gradients are averaged over the batch, which the loss has done already."""
    output, back = ops.linear(x, weight, bias)

    def backward(d_output):
        d_x, d_weight, d_bias = back(d_output)
        return d_x, d_weight / len(x), None if bias is None else d_bias / len(x)

    return output, backward


@wrong(ops.linear, "wrong_sign", "second")
def linear_downhill(x, weight, bias=None):
    """Returns the direction of descent."""
    output, back = ops.linear(x, weight, bias)
    return output, lambda d_output: back(-d_output)


# embedding


@wrong(ops.embedding, "overwrites_repeats", "first")
def embedding_assigns(ids, weight, *, padding_id=0):
    """d_weight[ids] = d_output."""

    def backward(d_output):
        d_weight = np.zeros_like(weight)
        d_weight[ids] = d_output
        if padding_id is not None:
            d_weight[padding_id] = 0
        return d_weight

    return ops.embedding(ids, weight, padding_id=padding_id)[0], backward


@wrong(ops.embedding, "overwrites_repeats", "second", lookup([3, 1, 3, 3, 2], (4, 2)))
def embedding_adds_once(ids, weight, *, padding_id=0):
    """+= on a fancy index reads, adds and writes back: of repeated ids the last write stays."""

    def backward(d_output):
        d_weight = np.zeros_like(weight)
        d_weight[ids] += d_output
        if padding_id is not None:
            d_weight[padding_id] = 0
        return d_weight

    return ops.embedding(ids, weight, padding_id=padding_id)[0], backward


@wrong(ops.embedding, "overwrites_repeats", "first")
def embedding_first_seen(ids, weight, *, padding_id=0):
    """np.unique gives one index for every id: that of its first position."""

    def backward(d_output):
        seen, index = np.unique(ids, return_index=True)
        d_weight = np.zeros_like(weight)
        d_weight[seen] = rows(d_output)[index]
        if padding_id is not None:
            d_weight[padding_id] = 0
        return d_weight

    return ops.embedding(ids, weight, padding_id=padding_id)[0], backward


@wrong(ops.embedding, "padding_gets_gradient", "first")
def embedding_padding_learns(ids, weight, *, padding_id=0):
    """The padding is hidden in the forward pass only."""

    def backward(d_output):
        one_hot = np.eye(len(weight), dtype=weight.dtype)[ids]
        return rows(one_hot).T @ rows(d_output)

    return ops.embedding(ids, weight, padding_id=padding_id)[0], backward


@wrong(ops.embedding, "padding_gets_gradient", "second")
def embedding_zero_is_false(ids, weight, *, padding_id=0):
    """`if padding_id:` is false for padding_id 0."""

    def backward(d_output):
        d_weight = np.zeros_like(weight)
        np.add.at(d_weight, ids, d_output)
        if padding_id:
            d_weight[padding_id] = 0
        return d_weight

    return ops.embedding(ids, weight, padding_id=padding_id)[0], backward


@wrong(ops.embedding, "padding_gets_gradient", "first", lookup(SENTENCES, (6, 3), padding_id=4))
def embedding_padding_is_zero(ids, weight, *, padding_id=0):
    """Right where padding is 0, and only there."""
    _, back = ops.embedding(ids, weight, padding_id=0 if padding_id == 0 else None)
    return ops.embedding(ids, weight, padding_id=padding_id)[0], back


@wrong(ops.embedding, "constant_factor", "second")
def embedding_batch_mean(ids, weight, *, padding_id=0):
    """Averaged over the batch."""
    output, back = ops.embedding(ids, weight, padding_id=padding_id)
    return output, lambda d_output: back(d_output) / len(ids)


@wrong(ops.embedding, "zero_gradient", "second")
def embedding_adds_to_a_copy(ids, weight, *, padding_id=0):
    """A fancy index copies, so the sums go to a table that nobody returns."""

    def backward(d_output):
        d_weight = np.zeros_like(weight)
        np.add.at(d_weight[:].copy(), ids, d_output)
        return d_weight

    return ops.embedding(ids, weight, padding_id=padding_id)[0], backward


# activations


@wrong(ops.relu, "d_output_ignored", "second")
def relu_slope_only(x):
    """The derivative of the function, not of the loss through it."""
    return ops.relu(x)[0], lambda d_output: (x > 0).astype(x.dtype)


@wrong(ops.relu, "relu_leaks", "first")
def relu_passes_all(x):
    """As if it were the identity."""
    return np.maximum(x, 0), lambda d_output: d_output


@wrong(ops.relu, "relu_leaks", "second")
def relu_not_negative(x):
    """The output is nowhere negative, so this mask lets everything through."""
    output, _ = ops.relu(x)
    return output, lambda d_output: d_output * (output >= 0)


@wrong(ops.relu, "relu_leaks", "first")
def relu_leaky(x):
    """The slope of the leaky relu."""
    return ops.relu(x)[0], lambda d_output: np.where(x > 0, d_output, 0.01 * d_output)


@wrong(ops.relu, "relu_leaks", "second", with_corners)
def relu_open_corner(x):
    """>= in place of >: it shows at an input of exactly 0."""
    return ops.relu(x)[0], lambda d_output: d_output * (x >= 0)


@wrong(ops.sigmoid, "slope_wrong", "first")
def sigmoid_as_slope(x):
    """The slope of softplus."""
    s, _ = ops.sigmoid(x)
    return s, lambda d_output: d_output * s


@wrong(ops.sigmoid, "slope_wrong", "second")
def sigmoid_slope_at_input(x):
    """s (1 - s) with x in the place of s, as from code that names both `x`."""
    return ops.sigmoid(x)[0], lambda d_output: d_output * x * (1 - x)


@wrong(ops.sigmoid, "slope_wrong", "first")
def sigmoid_of_sigmoid(x):
    """The slope, taken at the output."""
    s, _ = ops.sigmoid(x)
    return s, ops.sigmoid(s)[1]


@wrong(ops.sigmoid, "constant_factor", "first")
def sigmoid_doubled(x):
    """Twice what it should be."""
    s, _ = ops.sigmoid(x)
    return s, lambda d_output: 2 * d_output * s * (1 - s)


@wrong(ops.tanh, "slope_wrong", "second")
def tanh_not_squared(x):
    """1 - t."""
    t = np.tanh(x)
    return t, lambda d_output: d_output * (1 - t)


@wrong(ops.tanh, "slope_wrong", "first")
def tanh_like_sigmoid(x):
    """t (1 - t), the form of the sigmoid's slope."""
    t = np.tanh(x)
    return t, lambda d_output: d_output * t * (1 - t)


@wrong(ops.tanh, "slope_wrong", "second")
def tanh_input_squared(x):
    """1 - x^2."""
    return np.tanh(x), lambda d_output: d_output * (1 - x**2)


@wrong(ops.tanh, "wrong_sign", "first")
def tanh_reversed(x):
    """t^2 - 1."""
    t = np.tanh(x)
    return t, lambda d_output: d_output * (t * t - 1)


@wrong(ops.gelu, "gelu_forms_mixed", "first")
def gelu_back_tanh(x, *, approximate="none"):
    """Whatever the forward pass, the tanh form backward."""
    return ops.gelu(x, approximate=approximate)[0], ops.gelu(x, approximate="tanh")[1]


@wrong(ops.gelu, "gelu_forms_mixed", "second", normal((2, 3, 4), approximate="tanh"))
def gelu_back_exact(x, *, approximate="none"):
    """Whatever the forward pass, the exact form backward."""

    def backward(d_output):
        cdf = np.array([0.5 * (1 + math.erf(v / math.sqrt(2))) for v in x.ravel()], x.dtype)
        cdf = cdf.reshape(x.shape)
        return d_output * (cdf + x * np.exp(-(x**2) / 2) / math.sqrt(2 * math.pi))

    return ops.gelu(x, approximate=approximate)[0], backward


@wrong(ops.gelu, "gelu_forms_mixed", "second", normal((5, 4)))
def gelu_back_copied(x, *, approximate="none"):
    """The derivative of the tanh form as it goes round, with six digits of its constants."""

    def backward(d_output):
        u = 0.0356774 * x**3 + 0.797885 * x
        slope = 0.5 * np.tanh(u) + (0.0535161 * x**3 + 0.398942 * x) / np.cosh(u) ** 2 + 0.5
        return d_output * slope

    return ops.gelu(x, approximate=approximate)[0], backward


@wrong(ops.gelu, "slope_wrong", "second")
def gelu_silu_slope(x, *, approximate="none"):
    """The slope of x * sigmoid(x)."""
    s, _ = ops.sigmoid(x)
    return ops.gelu(x, approximate=approximate)[0], lambda d: d * s * (1 + x * (1 - s))


@wrong(ops.gelu, "slope_wrong", "first")
def gelu_relu_slope(x, *, approximate="none"):
    """The slope of the relu that was there before."""
    return ops.gelu(x, approximate=approximate)[0], lambda d_output: np.where(x > 0, d_output, 0)


# softmax


@wrong(ops.softmax, "softmax_elementwise", "first")
def softmax_like_sigmoid(x, *, axis=-1, where=None):
    """p (1 - p) d."""
    p, _ = ops.softmax(x, axis=axis, where=where)
    return p, lambda d_p: d_p * p * (1 - p)


@wrong(ops.softmax, "softmax_row_sum_missing", "first")
def softmax_p_times_d(x, *, axis=-1, where=None):
    """Exp is its own derivative; the denominator is taken for a constant."""
    p, _ = ops.softmax(x, axis=axis, where=where)
    return p, lambda d_p: p * d_p


@wrong(ops.softmax, "sum_wrong_axis", "first", normal((4, 4)))
def softmax_column_sums(x, *, axis=-1, where=None):
    """keepdims makes the sum over columns fit as well."""
    p, _ = ops.softmax(x, axis=axis, where=where)
    return p, lambda d_p: p * (d_p - np.sum(d_p * p, axis=0, keepdims=True))


@wrong(ops.softmax, "sum_wrong_axis", "second", normal((5, 3), axis=0))
def softmax_last_axis_only(x, *, axis=-1, where=None):
    """The backward pass does not know of `axis`."""
    p, _ = ops.softmax(x, axis=axis, where=where)
    return p, lambda d_p: back_softmax(p, d_p)


@wrong(ops.softmax, "sum_wrong_axis", "second", normal((2, 3, 4)))
def softmax_total_sum(x, *, axis=-1, where=None):
    """np.vdot: the sum over everything."""
    p, _ = ops.softmax(x, axis=axis, where=where)
    return p, lambda d_p: p * (d_p - np.vdot(d_p, p))


@wrong(ops.softmax, "mask_ignored", "second", normal((4, 5), where=pattern(4, 5)))
def softmax_sees_all(x, *, axis=-1, where=None):
    """Goes back through the softmax of all entries."""
    return ops.softmax(x, axis=axis, where=where)[0], ops.softmax(x, axis=axis)[1]


@wrong(ops.softmax, "softmax_p_missing", "second")
def softmax_factor_on_d_only(x, *, axis=-1, where=None):
    """p d - sum(p d)."""
    p, _ = ops.softmax(x, axis=axis, where=where)
    return p, lambda d_p: p * d_p - (p * d_p).sum(axis=axis, keepdims=True)


@wrong(ops.softmax, "softmax_elementwise", "second")
def softmax_like_sigmoid_reversed(x, *, axis=-1, where=None):
    """Two mistakes in one gradient: p (p - 1)."""
    p, _ = ops.softmax(x, axis=axis, where=where)
    return p, lambda d_p: d_p * p * (p - 1)


@wrong(ops.softmax, "wrong_sign", "second")
def softmax_reversed(x, *, axis=-1, where=None):
    """Sum minus d in place of d minus sum."""
    p, _ = ops.softmax(x, axis=axis, where=where)
    return p, lambda d_p: p * ((d_p * p).sum(axis=axis, keepdims=True) - d_p)


@wrong(ops.log_softmax, "softmax_row_sum_missing", "second")
def log_softmax_identity(x, *, axis=-1):
    """The normaliser is taken for a constant, so the gradient is d_output."""
    return ops.log_softmax(x, axis=axis)[0], lambda d_output: +d_output


@wrong(ops.log_softmax, "softmax_p_missing", "second")
def log_softmax_minus_sum(x, *, axis=-1):
    """d - sum(d): the sum is not shared out by p."""
    output, _ = ops.log_softmax(x, axis=axis)
    return output, lambda d_output: d_output - d_output.sum(axis=axis, keepdims=True)


@wrong(ops.log_softmax, "softmax_elementwise", "second")
def log_softmax_diagonal(x, *, axis=-1):
    """(1 - p) d: the slope of log p_i by its own x_i."""
    output, _ = ops.log_softmax(x, axis=axis)
    return output, lambda d_output: d_output * (1 - np.exp(output))


@wrong(ops.log_softmax, "sum_wrong_axis", "first", normal((2, 3, 4)))
def log_softmax_batch_sum(x, *, axis=-1):
    """The sum runs over the first axis."""
    output, _ = ops.log_softmax(x, axis=axis)
    return output, lambda d_output: d_output - np.exp(output) * d_output.sum(axis=0)


# layer_norm


def normalised(x, eps, ddof=0):
    """z and the deviation it was divided by."""
    deviation = np.sqrt(x.var(axis=-1, keepdims=True, ddof=ddof) + eps)
    return (x - x.mean(axis=-1, keepdims=True)) / deviation, deviation


def times(d_output, weight):
    """d_z."""
    return d_output if weight is None else d_output * weight


@wrong(ops.layer_norm, "norm_mean_missing", "first")
def norm_without_mean(x, weight, bias, *, eps=1e-5):
    """d_z - z mean(d_z z)."""
    output, back = ops.layer_norm(x, weight, bias, eps=eps)
    z, deviation = normalised(x, eps)

    def backward(d_output):
        d_z = times(d_output, weight)
        d_x = (d_z - z * (d_z * z).mean(axis=-1, keepdims=True)) / deviation
        return d_x, *back(d_output)[1:]

    return output, backward


@wrong(ops.layer_norm, "norm_mean_missing", "second")
def norm_step_without_mean(x, weight, bias, *, eps=1e-5):
    """Step by step through the variance, as in the batch norm paper, but not through the mean."""
    output, back = ops.layer_norm(x, weight, bias, eps=eps)
    width, centred = x.shape[-1], x - x.mean(axis=-1, keepdims=True)
    variance = x.var(axis=-1, keepdims=True) + eps

    def backward(d_output):
        d_z = times(d_output, weight)
        d_variance = (d_z * centred * -0.5 * variance**-1.5).sum(axis=-1, keepdims=True)
        d_x = d_z * variance**-0.5 + d_variance * 2 * centred / width
        return d_x, *back(d_output)[1:]

    return output, backward


@wrong(ops.layer_norm, "norm_variance_missing", "second")
def norm_without_variance(x, weight, bias, *, eps=1e-5):
    """d_z - mean(d_z), divided by the deviation as by a constant."""
    output, back = ops.layer_norm(x, weight, bias, eps=eps)
    _, deviation = normalised(x, eps)

    def backward(d_output):
        d_z = times(d_output, weight)
        return (d_z - d_z.mean(axis=-1, keepdims=True)) / deviation, *back(d_output)[1:]

    return output, backward


@wrong(ops.layer_norm, "norm_variance_missing", "first", normal((4, 5), (5,), (5,)))
def norm_centring_matrix(x, weight, bias, *, eps=1e-5):
    """Only the matrix I - 1/D that centres, row by row."""
    output, back = ops.layer_norm(x, weight, bias, eps=eps)
    centring = np.eye(x.shape[-1], dtype=x.dtype) - 1 / x.shape[-1]

    def backward(d_output):
        d_x = np.empty_like(x)
        for row in np.ndindex(x.shape[:-1]):
            d_x[row] = centring @ times(d_output[row], weight) / math.sqrt(x[row].var() + eps)
        return d_x, *back(d_output)[1:]

    return output, backward


@wrong(ops.layer_norm, "norm_unbiased", "first")
def norm_unbiased_deviation(x, weight, bias, *, eps=1e-5):
    """Divides by the deviation with D - 1, z being right."""
    output, back = ops.layer_norm(x, weight, bias, eps=eps)
    z, _ = normalised(x, eps)
    _, deviation = normalised(x, eps, ddof=1)

    def backward(d_output):
        d_z = times(d_output, weight)
        d_x = d_z - d_z.mean(axis=-1, keepdims=True) - z * (d_z * z).mean(axis=-1, keepdims=True)
        return d_x / deviation, *back(d_output)[1:]

    return output, backward


@wrong(ops.layer_norm, "norm_unbiased", "second")
def norm_unbiased_means(x, weight, bias, *, eps=1e-5):
    """Both means of the gradient have D - 1."""
    output, back = ops.layer_norm(x, weight, bias, eps=eps)
    z, deviation = normalised(x, eps)

    def backward(d_output):
        d_z = times(d_output, weight)
        sums = d_z.sum(axis=-1, keepdims=True) + z * (d_z * z).sum(axis=-1, keepdims=True)
        return (d_z - sums / (x.shape[-1] - 1)) / deviation, *back(d_output)[1:]

    return output, backward


@wrong(ops.layer_norm, "norm_unbiased", "first", normal((3, 4), (4,), (4,)))
def norm_unbiased_again(x, weight, bias, *, eps=1e-5):
    """Normalises again with D - 1 and goes back from there; d_weight is touched, too."""
    z, deviation = normalised(x, eps, ddof=1)

    def backward(d_output):
        d_z = times(d_output, weight)
        d_x = d_z - d_z.mean(axis=-1, keepdims=True) - z * (d_z * z).mean(axis=-1, keepdims=True)
        over = tuple(range(x.ndim - 1))
        d_weight = None if weight is None else (d_output * z).sum(axis=over)
        return d_x / deviation, d_weight, None if bias is None else d_output.sum(axis=over)

    return ops.layer_norm(x, weight, bias, eps=eps)[0], backward


@wrong(ops.layer_norm, "sum_wrong_axis", "first", normal((5, 4), (4,), (4,)))
def norm_batch_means(x, weight, bias, *, eps=1e-5):
    """The means of the gradient run over the batch, as in batch norm."""
    output, back = ops.layer_norm(x, weight, bias, eps=eps)
    z, deviation = normalised(x, eps)

    def backward(d_output):
        d_z = times(d_output, weight)
        return (d_z - d_z.mean(0) - z * (d_z * z).mean(0)) / deviation, *back(d_output)[1:]

    return output, backward


@wrong(ops.layer_norm, "sum_wrong_axis", "second")
def norm_length_means(x, weight, bias, *, eps=1e-5):
    """Over the length: axis=1, which was the last one while there were two."""
    output, back = ops.layer_norm(x, weight, bias, eps=eps)
    z, deviation = normalised(x, eps)

    def backward(d_output):
        d_z = times(d_output, weight)
        d_x = d_z - d_z.mean(axis=1, keepdims=True) - z * (d_z * z).mean(axis=1, keepdims=True)
        return d_x / deviation, *back(d_output)[1:]

    return output, backward


@wrong(ops.layer_norm, "bias_not_summed", "second")
def norm_bias_over_batch(x, weight, bias, *, eps=1e-5):
    """d_bias is (L, D)."""
    output, back = ops.layer_norm(x, weight, bias, eps=eps)

    def backward(d_output):
        d_x, d_weight, d_bias = back(d_output)
        return d_x, d_weight, None if d_bias is None else d_output.sum(axis=0)

    return output, backward


@wrong(ops.layer_norm, "bias_not_summed", "first")
def norm_bias_of_first(x, weight, bias, *, eps=1e-5):
    """d_bias is the gradient of the first position."""
    output, back = ops.layer_norm(x, weight, bias, eps=eps)

    def backward(d_output):
        d_x, d_weight, d_bias = back(d_output)
        return d_x, d_weight, None if d_bias is None else rows(d_output)[0]

    return output, backward


@wrong(ops.layer_norm, "constant_factor", "second")
def norm_times_width(x, weight, bias, *, eps=1e-5):
    """(D d_z - sum - z sum) / (D s) without the D below."""
    output, back = ops.layer_norm(x, weight, bias, eps=eps)
    z, deviation = normalised(x, eps)

    def backward(d_output):
        d_z = times(d_output, weight)
        sums = d_z.sum(axis=-1, keepdims=True) + z * (d_z * z).sum(axis=-1, keepdims=True)
        return (x.shape[-1] * d_z - sums) / deviation, *back(d_output)[1:]

    return output, backward


@wrong(ops.layer_norm, "norm_statistics_detached", "second")
def norm_of_constants(x, weight, bias, *, eps=1e-5):
    """Mean and deviation are taken for constants."""
    output, back = ops.layer_norm(x, weight, bias, eps=eps)
    _, deviation = normalised(x, eps)
    return output, lambda d: (times(d, weight) / deviation, *back(d)[1:])


@wrong(ops.layer_norm, "norm_weight_forgotten", "second")
def norm_without_weight(x, weight, bias, *, eps=1e-5):
    """d_z is d_output."""
    output, back = ops.layer_norm(x, weight, bias, eps=eps)
    _, back_plain = ops.layer_norm(x, None, None, eps=eps)
    return output, lambda d: (back_plain(d)[0], *back(d)[1:])


@wrong(ops.layer_norm, "norm_weight_of_other_input", "second")
def norm_weight_of_x(x, weight, bias, *, eps=1e-5):
    """As for a linear map: the input times d_output."""
    output, back = ops.layer_norm(x, weight, bias, eps=eps)

    def backward(d_output):
        d_x, _, d_bias = back(d_output)
        return d_x, None if weight is None else rows(d_output * x).sum(axis=0), d_bias

    return output, backward


@wrong(ops.layer_norm, "norm_weight_of_other_input", "second")
def norm_weight_of_output(x, weight, bias, *, eps=1e-5):
    """The output was kept where z should have been."""
    output, back = ops.layer_norm(x, weight, bias, eps=eps)

    def backward(d_output):
        d_x, _, d_bias = back(d_output)
        return d_x, None if weight is None else rows(d_output * output).sum(axis=0), d_bias

    return output, backward


@wrong(ops.layer_norm, "weight_bias_swapped", "second")
def norm_bias_first(x, weight, bias, *, eps=1e-5):
    """(d_x, d_beta, d_gamma), as in another course."""
    output, back = ops.layer_norm(x, weight, bias, eps=eps)

    def backward(d_output):
        d_x, d_weight, d_bias = back(d_output)
        return d_x, d_bias, d_weight

    return output, backward


# dropout


@wrong(ops.dropout, "dropout_inverted", "second")
def dropout_drops_the_kept(x, *, p, rng=None, keep=None):
    """`keep` is read as `dropped`."""
    output, back = ops.dropout(x, p=p, rng=rng, keep=keep)
    return output, back if keep is None else lambda d_output: d_output * ~keep / (1 - p)


@wrong(ops.dropout, "dropout_not_applied", "first")
def dropout_passes_all(x, *, p, rng=None, keep=None):
    """Noise has no gradient, so d_output goes through."""
    return ops.dropout(x, p=p, rng=rng, keep=keep)[0], lambda d_output: d_output


@wrong(ops.dropout, "dropout_not_applied", "second", normal((3, 6), p=0.3, keep=pattern(3, 6)))
def dropout_rescales_all(x, *, p, rng=None, keep=None):
    """Divides by 1 - p everywhere."""
    output, _ = ops.dropout(x, p=p, rng=rng, keep=keep)
    drops = keep is not None or rng is not None
    return output, lambda d_output: d_output / (1 - p) if drops else d_output


@wrong(ops.dropout, "dropout_not_rescaled", "first")
def dropout_where_alive(x, *, p, rng=None, keep=None):
    """Passes the gradient wherever something came out."""
    output, _ = ops.dropout(x, p=p, rng=rng, keep=keep)
    return output, lambda d_output: np.where(output == 0, 0, d_output)


@wrong(ops.dropout, "dropout_not_rescaled", "second", normal((3, 4), p=0.5, keep=pattern(3, 4)))
def dropout_mask_only(x, *, p, rng=None, keep=None):
    """Remembers the mask and forgets the factor."""
    factor, _ = ops.dropout(np.ones_like(x), p=p, rng=rng, keep=keep)
    return x * factor, lambda d_output: d_output * (factor > 0)


# attention_weights


@wrong(ops.attention_weights, "scale_missing", "first")
def weights_unscaled(query, key, *, mask=None, scale=None):
    """From d_scores straight to query and key."""
    p, _ = ops.attention_weights(query, key, mask=mask, scale=scale)
    return p, lambda d_p: back_scores(back_softmax(p, d_p), query, key)


@wrong(ops.attention_weights, "scale_twice", "first")
def weights_scaled_again(query, key, *, mask=None, scale=None):
    """Scales d_scores, and then both gradients."""
    p, _ = ops.attention_weights(query, key, mask=mask, scale=scale)
    scale = scale_of(query, scale)

    def backward(d_p):
        d_query, d_key = back_scores(scale * back_softmax(p, d_p), query, key)
        return scale * d_query, scale * d_key

    return p, backward


@wrong(ops.attention_weights, "scale_twice", "second", normal((3, 5), (4, 5)))
def weights_divided_by_width(query, key, *, mask=None, scale=None):
    """Divides by d where it should be sqrt(d)."""
    p, _ = ops.attention_weights(query, key, mask=mask, scale=scale)
    squared = 1 / query.shape[-1] if scale is None else scale**2

    def backward(d_p):
        d_scores = p * d_p - p * np.einsum("...ij,...ij->...i", p, d_p)[..., None]
        return back_scores(d_scores * squared, query, key)

    return p, backward


@wrong(ops.attention_weights, "scale_on_query_only", "first")
def weights_scaled_query(query, key, *, mask=None, scale=None):
    """Q was scaled before the product; d_key is made with the Q before."""
    scale = scale_of(query, scale)
    p, back = ops.softmax(scale * query @ transpose(key), where=mask)

    def backward(d_p):
        d_query, d_key = back_scores(back(d_p), query, key)
        return scale * d_query, d_key

    return p, backward


@wrong(ops.attention_weights, "scale_on_key_only", "second")
def weights_scaled_query_lost(query, key, *, mask=None, scale=None):
    """Q was scaled before the product; d_key gets the scaled Q, d_query is that of the scaled Q."""
    scaled = query * scale_of(query, scale)
    p, back = ops.softmax(scaled @ transpose(key), where=mask)
    return p, lambda d_p: back_scores(back(d_p), scaled, key)


@wrong(ops.attention_weights, "query_key_swapped", "first", normal((2, 4, 3), (2, 4, 3)))
def weights_key_first(query, key, *, mask=None, scale=None):
    """Returned as (d_key, d_query)."""
    p, back = ops.attention_weights(query, key, mask=mask, scale=scale)
    return p, lambda d_p: back(d_p)[::-1]


@wrong(ops.attention_weights, "transpose_missing", "first", normal((2, 4, 3), (2, 4, 3)))
def weights_key_untransposed(query, key, *, mask=None, scale=None):
    """d_scores @ query for d_key."""
    p, back = ops.attention_weights(query, key, mask=mask, scale=scale)

    def backward(d_p):
        d_scores = scale_of(query, scale) * back_softmax(p, d_p)
        return back(d_p)[0], unbroadcast(d_scores @ query, key.shape)

    return p, backward


@wrong(ops.attention_weights, "softmax_elementwise", "first")
def weights_elementwise(query, key, *, mask=None, scale=None):
    """The Jacobian of each row, but its diagonal only."""
    p, _ = ops.attention_weights(query, key, mask=mask, scale=scale)

    def backward(d_p):
        jacobian = np.eye(p.shape[-1], dtype=p.dtype) * (p * (1 - p))[..., None, :]
        d_scores = np.einsum("...jk,...k->...j", jacobian, d_p)
        return back_scores(scale_of(query, scale) * d_scores, query, key)

    return p, backward


@wrong(ops.attention_weights, "softmax_row_sum_missing", "first")
def weights_p_times_d(query, key, *, mask=None, scale=None):
    """Weights times gradient, without the sum over the row."""
    p, _ = ops.attention_weights(query, key, mask=mask, scale=scale)
    return p, lambda d_p: back_scores(scale_of(query, scale) * p * d_p, query, key)


@wrong(ops.attention_weights, "sum_wrong_axis", "second", normal((2, 4, 3), (2, 4, 3)))
def weights_query_sums(query, key, *, mask=None, scale=None):
    """The softmax's sum runs over the queries."""
    p, _ = ops.attention_weights(query, key, mask=mask, scale=scale)

    def backward(d_p):
        d_scores = p * (d_p - (p * d_p).sum(axis=-2, keepdims=True))
        return back_scores(scale_of(query, scale) * d_scores, query, key)

    return p, backward


SEEN = {"mask": ops.causal_mask(4)}


@wrong(ops.attention_weights, "mask_ignored", "first", normal((2, 4, 3), (2, 4, 3), **SEEN))
def weights_unmasked(query, key, *, mask=None, scale=None):
    """Goes back through the weights without the mask."""
    _, back = ops.attention_weights(query, key, scale=scale)
    return ops.attention_weights(query, key, mask=mask, scale=scale)[0], back


@wrong(ops.attention_weights, "broadcast_not_summed", "first", normal((2, 3, 4), (5, 4)))
def weights_shared_keys(query, key, *, mask=None, scale=None):
    """Keys that the batch shares get a gradient for each of the batch."""
    p, _ = ops.attention_weights(query, key, mask=mask, scale=scale)

    def backward(d_p):
        d_scores = scale_of(query, scale) * back_softmax(p, d_p)
        return d_scores @ key, np.einsum("...ij,...id->...jd", d_scores, query)

    return p, backward


def first_slice(d_x, shape):
    """Make it fit by taking the first of what should be added up."""
    d_x = d_x[(0,) * (d_x.ndim - len(shape))]
    return d_x[tuple(slice(n) for n in shape)]


@wrong(ops.attention_weights, "broadcast_not_summed", "second", normal((3, 2, 4), (1, 5, 4)))
def weights_first_keys(query, key, *, mask=None, scale=None):
    """Of the gradients for shared keys the first is kept."""
    p, _ = ops.attention_weights(query, key, mask=mask, scale=scale)

    def backward(d_p):
        d_scores = scale_of(query, scale) * back_softmax(p, d_p)
        d_query, d_key = d_scores @ key, transpose(d_scores) @ query
        return first_slice(d_query, query.shape), first_slice(d_key, key.shape)

    return p, backward


# scaled_dot_product_attention


@wrong(ops.scaled_dot_product_attention, "scale_missing", "second")
def attention_unscaled(query, key, value, **options):
    """The scale is divided out again, by an author who derived the gradient of softmax(Q K^T) V."""
    output, back = ops.scaled_dot_product_attention(query, key, value, **options)

    def backward(d_output):
        d_query, d_key, d_value = back(d_output)
        scale = scale_of(query, options.get("scale"))
        return d_query / scale, d_key / scale, d_value

    return output, backward


@wrong(ops.scaled_dot_product_attention, "scale_twice", "second")
def attention_scaled_again(query, key, value, **options):
    """Its weights carry the scale back twice."""
    return attention_over(weights_divided_by_width, query, key, value, **options)


@wrong(ops.scaled_dot_product_attention, "scale_on_query_only", "second")
def attention_key_unscaled(
    query, key, value, *, mask=None, scale=None, dropout_p=0.0, rng=None, keep=None
):
    """The einsum of d_query has the scale, that of d_key lacks it."""
    weights, back_weights = ops.softmax(
        scale_of(query, scale) * np.einsum("...id,...jd->...ij", query, key), where=mask
    )
    kept, back_dropout = ops.dropout(weights, p=dropout_p, rng=rng, keep=keep)

    def backward(d_output):
        d_kept = unbroadcast(np.einsum("...iv,...jv->...ij", d_output, value), kept.shape)
        d_scores = back_weights(back_dropout(d_kept))
        d_query = np.einsum("...ij,...jd->...id", d_scores, key) * scale_of(query, scale)
        d_key = np.einsum("...ij,...id->...jd", d_scores, query)
        d_value = np.einsum("...ij,...iv->...jv", kept, d_output)
        grads = zip((d_query, d_key, d_value), (query, key, value), strict=True)
        return tuple(unbroadcast(d_x, x.shape) for d_x, x in grads)

    return kept @ value, backward


@wrong(ops.scaled_dot_product_attention, "scale_on_key_only", "first")
def attention_query_unscaled(query, key, value, **options):
    """d_query is made from scores before the scale."""
    return attention_over(weights_scaled_query_lost, query, key, value, **options)


@wrong(
    ops.scaled_dot_product_attention,
    "query_key_swapped",
    "second",
    normal((5, 3), (5, 3), (5, 3), mask=ops.causal_mask(5)),
)
def attention_key_first(query, key, value, **options):
    """d_key, d_query, d_value: alphabetically."""
    output, back = ops.scaled_dot_product_attention(query, key, value, **options)

    def backward(d_output):
        d_query, d_key, d_value = back(d_output)
        return d_key, d_query, d_value

    return output, backward


SQUARE = normal((2, 4, 3), (2, 4, 3), (2, 4, 5))


@wrong(ops.scaled_dot_product_attention, "transpose_missing", "second", SQUARE)
def attention_value_untransposed(
    query, key, value, *, mask=None, scale=None, dropout_p=0.0, rng=None, keep=None
):
    """d_value = A d_output."""
    weights, back_weights = ops.attention_weights(query, key, mask=mask, scale=scale)
    kept, back_dropout = ops.dropout(weights, p=dropout_p, rng=rng, keep=keep)

    def backward(d_output):
        d_value = np.einsum("...ji,...iv->...jv", kept, d_output)
        d_kept = unbroadcast(d_output @ transpose(value), kept.shape)
        return *back_weights(back_dropout(d_kept)), unbroadcast(d_value, value.shape)

    return kept @ value, backward


@wrong(
    ops.scaled_dot_product_attention,
    "transpose_missing",
    "first",
    normal((2, 3, 4), (2, 5, 4), (2, 5, 5)),
)
def attention_values_as_they_are(
    query, key, value, *, mask=None, scale=None, dropout_p=0.0, rng=None, keep=None
):
    """d_A = d_output V, where there are as many values as they are wide."""
    weights, back_weights = ops.attention_weights(query, key, mask=mask, scale=scale)
    kept, back_dropout = ops.dropout(weights, p=dropout_p, rng=rng, keep=keep)

    def backward(d_output):
        d_kept = unbroadcast(d_output @ value, kept.shape)
        d_value = unbroadcast(transpose(kept) @ d_output, value.shape)
        return *back_weights(back_dropout(d_kept)), d_value

    return kept @ value, backward


@wrong(ops.scaled_dot_product_attention, "value_not_weighted", "first", SQUARE)
def attention_value_passes(query, key, value, **options):
    """d_value = d_output."""
    output, back = ops.scaled_dot_product_attention(query, key, value, **options)
    return output, lambda d_output: (*back(d_output)[:2], unbroadcast(d_output, value.shape))


@wrong(ops.scaled_dot_product_attention, "value_not_weighted", "second")
def attention_value_sums(query, key, value, **options):
    """Every value gets the sum of d_output over all queries."""
    output, back = ops.scaled_dot_product_attention(query, key, value, **options)

    def backward(d_output):
        d_query, d_key, d_value = back(d_output)
        total = d_output.sum(axis=-2, keepdims=True).repeat(value.shape[-2], axis=-2)
        return d_query, d_key, unbroadcast(total, d_value.shape)

    return output, backward


@wrong(ops.scaled_dot_product_attention, "softmax_elementwise", "second", SQUARE)
def attention_elementwise(query, key, value, **options):
    """Its weights go back through p (1 - p)."""
    return attention_over(weights_elementwise, query, key, value, **options)


@wrong(ops.scaled_dot_product_attention, "softmax_row_sum_missing", "second")
def attention_row_by_row(
    query, key, value, *, mask=None, scale=None, dropout_p=0.0, rng=None, keep=None
):
    """A loop over the queries, in which the mean under the weights is left out."""
    weights, _ = ops.attention_weights(query, key, mask=mask, scale=scale)
    kept, back_dropout = ops.dropout(weights, p=dropout_p, rng=rng, keep=keep)

    def backward(d_output):
        d_weights = back_dropout(unbroadcast(d_output @ transpose(value), kept.shape))
        d_scores = np.empty_like(weights)
        for i in range(weights.shape[-2]):
            d_scores[..., i, :] = weights[..., i, :] * d_weights[..., i, :]
        d_query, d_key = back_scores(scale_of(query, scale) * d_scores, query, key)
        return d_query, d_key, unbroadcast(transpose(kept) @ d_output, value.shape)

    return kept @ value, backward


def weights_half_masked(query, key, *, mask=None, scale=None):
    """The mean under the masked weights, times the weights without the mask."""
    p, _ = ops.attention_weights(query, key, mask=mask, scale=scale)
    everywhere, _ = ops.attention_weights(query, key, scale=scale)

    def backward(d_p):
        d_scores = everywhere * (d_p - (d_p * p).sum(axis=-1, keepdims=True))
        return back_scores(scale_of(query, scale) * d_scores, query, key)

    return p, backward


@wrong(
    ops.scaled_dot_product_attention,
    "mask_ignored",
    "second",
    normal((2, 4, 3), (2, 5, 3), (2, 5, 2), mask=pattern(2, 4, 5)),
)
def attention_half_masked(query, key, value, **options):
    """Only the mean of its softmax has seen the mask."""
    return attention_over(weights_half_masked, query, key, value, **options)


DROPPED = normal((2, 3, 4), (2, 5, 4), (2, 5, 6), dropout_p=0.3, keep=pattern(2, 3, 5))


def attention_dropped(query, key, value, back_dropout, kept_for_value, options):
    """Attention whose dropout goes back by `back_dropout(d_kept, factor)`."""
    noise = {name: options.get(name) for name in ("rng", "keep")}
    rest = {name: options.get(name) for name in ("mask", "scale")}
    weights, back_weights = ops.attention_weights(query, key, **rest)
    factor, _ = ops.dropout(np.ones_like(weights), p=options.get("dropout_p", 0.0), **noise)
    kept = weights * factor

    def backward(d_output):
        d_kept = unbroadcast(d_output @ transpose(value), kept.shape)
        d_value = transpose(kept if kept_for_value else weights) @ d_output
        return *back_weights(back_dropout(d_kept, factor)), unbroadcast(d_value, value.shape)

    return kept @ value, backward


@wrong(ops.scaled_dot_product_attention, "dropout_not_applied", "first", DROPPED)
def attention_dropout_skipped(query, key, value, **options):
    """From d_kept to the softmax, past the dropout."""
    return attention_dropped(query, key, value, lambda d, _: d, True, options)


@wrong(ops.scaled_dot_product_attention, "dropout_not_applied", "second", DROPPED)
def attention_value_undropped(query, key, value, **options):
    """d_value with the weights from before the dropout."""
    return attention_dropped(query, key, value, lambda d, factor: d * factor, False, options)


@wrong(ops.scaled_dot_product_attention, "dropout_not_rescaled", "first", DROPPED)
def attention_dropout_unscaled(query, key, value, **options):
    """The mask on the weights' gradient, without its factor."""
    return attention_dropped(query, key, value, lambda d, factor: d * (factor > 0), True, options)


@wrong(
    ops.scaled_dot_product_attention,
    "broadcast_not_summed",
    "first",
    normal((3, 2, 4), (3, 5, 4), (5, 4)),
)
def attention_shared_values(query, key, value, **options):
    """Values that the batch shares get the gradient of the first of the batch."""
    output, back = ops.scaled_dot_product_attention(query, key, value, **options)
    weights, _ = ops.scaled_dot_product_attention(  # attending to one-hot values shows the weights
        query, key, np.eye(key.shape[-2], dtype=key.dtype), **options
    )

    def backward(d_output):
        d_value = first_slice(transpose(weights) @ d_output, value.shape)
        return *back(d_output)[:2], d_value

    return output, backward


@wrong(
    ops.scaled_dot_product_attention,
    "broadcast_not_summed",
    "second",
    normal((3, 4), (2, 5, 4), (2, 5, 3)),
)
def attention_shared_query(
    query, key, value, *, mask=None, scale=None, dropout_p=0.0, rng=None, keep=None
):
    """A learned query that the whole batch asks gets a gradient for each of the batch."""
    scaled = scale_of(query, scale) * query
    weights, back_weights = ops.softmax(scaled @ transpose(key), where=mask)
    kept, back_dropout = ops.dropout(weights, p=dropout_p, rng=rng, keep=keep)

    def backward(d_output):
        d_scores = back_weights(back_dropout(d_output @ transpose(value)))
        d_query = scale_of(query, scale) * (d_scores @ key)
        return d_query, transpose(d_scores) @ scaled, transpose(kept) @ d_output

    return kept @ value, backward


# multi_head_attention


@wrong(ops.scaled_dot_product_attention, "key_value_swapped", "second", SQUARE)
def attention_value_first(query, key, value, **options):
    """(d_query, d_value, d_key)."""
    output, back = ops.scaled_dot_product_attention(query, key, value, **options)

    def backward(d_output):
        d_query, d_key, d_value = back(d_output)
        return d_query, d_value, d_key

    return output, backward


@wrong(ops.scaled_dot_product_attention, "zero_gradient", "second")
def attention_of_constant_weights(query, key, value, **options):
    """The weights are detached: query and key learn nothing."""
    output, back = ops.scaled_dot_product_attention(query, key, value, **options)
    return output, lambda d: (np.zeros_like(query), np.zeros_like(key), back(d)[2])


@wrong(ops.multi_head_attention, "key_value_swapped", "second")
def heads_value_first(params, query, key, value, **options):
    """The gradients of the inputs, but not of the projections, in another order."""
    output, back = ops.multi_head_attention(params, query, key, value, **options)

    def backward(d_output):
        grads, d_query, d_key, d_value = back(d_output)
        return grads, d_query, d_value, d_key

    return output, backward


def attention_of_all_heads(query, key, value, **options):
    """`scaled_dot_product_attention` of heads that scales by the width of all backward."""
    output, back = ops.scaled_dot_product_attention(query, key, value, **options)
    root = math.sqrt(query.shape[-3])

    def backward(d_output):
        d_query, d_key, d_value = back(d_output)
        return d_query / root, d_key / root, d_value

    return output, backward


@wrong(ops.multi_head_attention, "scale_of_all_heads", "second")
def heads_scaled_by_width(params, query, key, value, **options):
    """1/sqrt(D) backward, 1/sqrt(D / H) forward."""
    return heads_over(params, query, key, value, attention=attention_of_all_heads, **options)


@wrong(ops.multi_head_attention, "scale_missing", "first", heads((2, 3, 6), 2, (2, 5, 6)))
def heads_unscaled(params, query, key, value, **options):
    """Its heads lack the scale backward."""
    return heads_over(params, query, key, value, attention=attention_unscaled, **options)


@wrong(ops.multi_head_attention, "scale_twice", "first")
def heads_scaled_again(params, query, key, value, **options):
    """Its heads scale twice backward."""
    return heads_over(params, query, key, value, attention=attention_scaled_again, **options)


@wrong(ops.multi_head_attention, "scale_on_query_only", "second")
def heads_key_unscaled(params, query, key, value, **options):
    """Its heads scale only the query's gradient."""
    return heads_over(params, query, key, value, attention=attention_key_unscaled, **options)


@wrong(ops.multi_head_attention, "query_key_swapped", "second")
def heads_key_first(params, query, key, value, **options):
    """Both pairs change places: the inputs' gradients and those of the projections."""
    output, back = ops.multi_head_attention(params, query, key, value, **options)

    def backward(d_output):
        grads, d_query, d_key, d_value = back(d_output)
        return {**grads, "query": grads["key"], "key": grads["query"]}, d_key, d_query, d_value

    return output, backward


@wrong(ops.multi_head_attention, "heads_wrong_order", "first")
def heads_split_by_reshape(params, query, key, value, **options):
    """(B, L, D) reshaped to (B, H, L, D / H) at once: shapes fit, entries do not."""

    def split(d_merged, n_heads):
        *batch, length, width = d_merged.shape
        return d_merged.reshape(*batch, n_heads, length, width // n_heads)

    return heads_over(params, query, key, value, split_back=split, **options)


@wrong(ops.multi_head_attention, "heads_wrong_order", "second")
def heads_merged_by_reshape(params, query, key, value, **options):
    """(B, H, L, D / H) reshaped to (B, L, D) without moving the head axis back."""

    def merge(d_heads):
        *batch, n_heads, length, width = d_heads.shape
        return d_heads.reshape(*batch, length, n_heads * width)

    return heads_over(params, query, key, value, merge_back=merge, **options)


@wrong(ops.multi_head_attention, "heads_wrong_order", "first", heads((2, 3, 6), 3))
def heads_reversed(params, query, key, value, **options):
    """The last head first, as from a list that was popped."""

    def merge(d_heads):
        return np.concatenate(
            [d_heads[..., h, :, :] for h in reversed(range(d_heads.shape[-3]))], axis=-1
        )

    return heads_over(params, query, key, value, merge_back=merge, **options)


@wrong(ops.multi_head_attention, "heads_wrong_order", "second", heads((3, 8), 2))
def heads_interleaved(params, query, key, value, **options):
    """Every H-th column to a head, not D / H columns side by side."""

    def split(d_merged, n_heads):
        return np.stack([d_merged[..., h::n_heads] for h in range(n_heads)], axis=-3)

    return heads_over(params, query, key, value, split_back=split, **options)


@wrong(ops.multi_head_attention, "transpose_missing", "second", heads((2, 5, 4), 2))
def heads_output_untransposed(params, query, key, value, **options):
    """d_output @ W_o; W_o is always square."""

    def project_output(output_params, x):
        if output_params is None:
            return project(None, x)
        output, back = project(output_params, x)
        return output, lambda d_output: (back(d_output)[0], d_output @ output_params["weight"])

    return heads_over(params, query, key, value, project_output=project_output, **options)


@wrong(ops.multi_head_attention, "mask_ignored", "first", heads((2, 4, 6), 2, **SEEN))
def heads_unmasked(params, query, key, value, **options):
    """Its heads go back through the weights without the mask."""

    def attention(*inputs, **options):
        return attention_over(weights_unmasked, *inputs, **options)

    return heads_over(params, query, key, value, attention=attention, **options)


@wrong(ops.multi_head_attention, "softmax_row_sum_missing", "first")
def heads_row_by_row(params, query, key, value, **options):
    """Its heads leave out the softmax's sum."""
    return heads_over(params, query, key, value, attention=attention_row_by_row, **options)


@wrong(ops.multi_head_attention, "bias_not_summed", "second")
def heads_bias_of_last(params, query, key, value, **options):
    """The bias of the output layer learns from the last position alone."""
    output, back = ops.multi_head_attention(params, query, key, value, **options)

    def backward(d_output):
        grads, *d_inputs = back(d_output)
        if grads["output"] is not None and grads["output"]["bias"] is not None:
            grads = {**grads, "output": {**grads["output"], "bias": rows(d_output)[-1]}}
        return grads, *d_inputs

    return output, backward


@wrong(ops.multi_head_attention, "value_not_weighted", "second")
def heads_value_passes(params, query, key, value, **options):
    """Its heads hand d_output to the values as it is."""
    return heads_over(params, query, key, value, attention=attention_value_passes, **options)


@wrong(
    ops.multi_head_attention,
    "dropout_not_rescaled",
    "second",
    heads((3, 4), 2, dropout_p=0.25, keep=pattern(2, 3, 3)),
)
def heads_dropout_unscaled(params, query, key, value, **options):
    """Its heads apply the dropout mask without the factor."""
    return heads_over(params, query, key, value, attention=attention_dropout_unscaled, **options)


@wrong(ops.multi_head_attention, "constant_factor", "second", heads((2, 4, 6), 3))
def heads_averaged(params, query, key, value, *, n_heads, **options):
    """Divides by the number of heads, as if the heads were averaged."""
    output, back = ops.multi_head_attention(params, query, key, value, n_heads=n_heads, **options)
    return output, lambda d_output: back(d_output / n_heads)


# losses


def summed(loss, logits, targets, options):
    """The gradient of the sum, where that of the mean was asked for."""
    return loss(logits, targets, **{**options, "reduction": "sum"})[1]


def takes_mean(options):
    """Whether it is a mean that the caller wants."""
    return options.get("reduction", "mean") == "mean"


@wrong(ops.cross_entropy, "not_divided", "first")
def entropy_sum(logits, targets, **options):
    """The mean forward, the sum backward."""
    loss, _ = ops.cross_entropy(logits, targets, **options)
    return loss, summed(ops.cross_entropy, logits, targets, options)


@wrong(ops.cross_entropy, "not_divided", "second", classes([2, 0, 1], 3))
def entropy_textbook(
    logits,
    targets,
    *,
    ignore_index=None,
    position_weights=None,
    label_smoothing=0.0,
    reduction="mean",
):
    """p - q of the textbook, which has one position."""
    settings = {"ignore_index": ignore_index, "position_weights": position_weights}
    settings |= {"label_smoothing": label_smoothing, "reduction": reduction}
    weights = reduction_weights(targets != ignore_index, position_weights, "sum", logits)

    def backward(d_output=1.0):
        p, _ = ops.softmax(logits)
        d_logits = np.zeros_like(logits)
        for at in np.ndindex(weights.shape):
            if weights[at] == 0:
                continue
            q = np.full_like(p[at], label_smoothing / len(p[at]))
            q[targets[at]] += 1 - label_smoothing
            d_logits[at] = d_output * weights[at] * (p[at] - q)
        return d_logits

    return ops.cross_entropy(logits, targets, **settings)[0], backward


@wrong(ops.linear_cross_entropy, "not_divided", "second")
def catalogue_sum(x, weight, targets, **options):
    """The mean forward, the sum backward, through the table as well."""
    loss, _ = ops.linear_cross_entropy(x, weight, targets, **options)
    if takes_mean(options):
        options = options | {"reduction": "sum"}
    return loss, ops.linear_cross_entropy(x, weight, targets, **options)[1]


@wrong(ops.linear_cross_entropy, "d_output_ignored", "second")
def catalogue_in_one_sweep(x, weight, targets, **options):
    """The gradient is made with the loss, and d_output comes too late."""
    loss, back = ops.linear_cross_entropy(x, weight, targets, **options)
    gradients = back()
    return loss, lambda d_output=1.0: gradients


@wrong(ops.cross_entropy, "d_output_ignored", "second")
def entropy_starts_at_one(logits, targets, **options):
    """A loss comes last, so its d_output is taken to be 1."""
    loss, back = ops.cross_entropy(logits, targets, **options)
    return loss, lambda d_output=1.0: back()


@wrong(ops.cross_entropy, "softmax_twice", "second")
def entropy_through_softmax_again(logits, targets, **options):
    """p - q, and then back through the softmax as well."""
    loss, back = ops.cross_entropy(logits, targets, **options)
    _, back_of_p = ops.softmax(logits)
    return loss, lambda d_output=1.0: back_of_p(back(d_output))


@wrong(ops.cross_entropy, "only_target", "second")
def entropy_of_the_target(logits, targets, **options):
    """Only the logit that the loss picks gets a gradient."""
    loss, back = ops.cross_entropy(logits, targets, **options)
    picked = targets[..., None] == np.arange(logits.shape[-1])
    return loss, lambda d_output=1.0: back(d_output) * picked


@wrong(
    ops.cross_entropy,
    "position_weights_ignored",
    "second",
    classes(NEXT_ITEMS, 6, position_weights=np.linspace(0.5, 2, 12).reshape(3, 4)),
)
def entropy_unweighted(logits, targets, *, position_weights=None, **options):
    """All positions count alike backward."""
    loss, _ = ops.cross_entropy(logits, targets, position_weights=position_weights, **options)
    return loss, ops.cross_entropy(logits, targets, **options)[1]


@wrong(
    ops.binary_cross_entropy_with_logits,
    "position_weights_ignored",
    "second",
    clicks(3, 4, position_weights=np.linspace(0.5, 2, 12).reshape(3, 4)),
)
def binary_unweighted(logits, targets, *, position_weights=None, **options):
    """The same for yes and no."""
    binary = ops.binary_cross_entropy_with_logits
    loss, _ = binary(logits, targets, position_weights=position_weights, **options)
    return loss, binary(logits, targets, **options)[1]


@wrong(ops.cross_entropy, "divided_by_batch", "first")
def entropy_batch_mean(logits, targets, **options):
    """Divides by B, not by B L."""
    loss, _ = ops.cross_entropy(logits, targets, **options)
    back = summed(ops.cross_entropy, logits, targets, options)
    count = len(logits) if takes_mean(options) else 1
    return loss, lambda d_output=1.0: back(d_output) / count


@wrong(ops.cross_entropy, "divided_by_batch", "second", classes(NEXT_ITEMS, 6, ignore_index=0))
def entropy_sequence_by_sequence(logits, targets, **options):
    """Sums over each sequence, averages over sequences."""
    loss, _ = ops.cross_entropy(logits, targets, **options)
    options = dict(options)
    every = options.pop("position_weights", None)
    count = len(logits) if takes_mean(options) else 1

    def backward(d_output=1.0):
        d_logits = np.empty_like(logits)
        for i in range(len(logits)):
            chosen = {} if every is None else {"position_weights": every[i]}
            back = summed(ops.cross_entropy, logits[i], targets[i], {**options, **chosen})
            d_logits[i] = back(d_output / count)
        return d_logits

    return loss, backward


IGNORING = classes(NEXT_ITEMS, 6, ignore_index=0)


@wrong(ops.cross_entropy, "counts_ignored", "first", IGNORING)
def entropy_divides_by_all(logits, targets, **options):
    """Ignored positions get no gradient, but are in the divisor."""
    loss, _ = ops.cross_entropy(logits, targets, **options)
    back = summed(ops.cross_entropy, logits, targets, options)
    count = targets.size if takes_mean(options) else 1
    return loss, lambda d_output=1.0: back(d_output) / count


@wrong(ops.cross_entropy, "counts_ignored", "second", IGNORING)
def entropy_ignored_learn(logits, targets, *, ignore_index=None, **options):
    """The divisor is right, but ignored positions learn to predict the ignored id."""
    loss, back = ops.cross_entropy(logits, targets, ignore_index=ignore_index, **options)
    counted, p = targets != ignore_index, ops.softmax(logits)[0]
    one_hot = targets[..., None] == np.arange(logits.shape[-1])
    weights = reduction_weights(
        counted, options.get("position_weights"), options.get("reduction", "mean"), logits
    )
    weight_of_ignored = np.where(counted, 0, weights.max())[..., None]
    return loss, lambda d_output=1.0: back(d_output) + d_output * weight_of_ignored * (p - one_hot)


@wrong(
    ops.cross_entropy,
    "counts_ignored",
    "first",
    classes([4, -100, 2, -100, 0], 5, ignore_index=-100),
)
def entropy_ignored_flattened(logits, targets, *, ignore_index=None, **options):
    """Ignored positions have no one-hot, but their p stays; and they are in the divisor."""
    loss, _ = ops.cross_entropy(logits, targets, ignore_index=ignore_index, **options)
    counted = targets != ignore_index
    valid = np.where(counted, targets, 0)
    _, back = ops.cross_entropy(logits, valid, **options)
    p, _ = ops.softmax(logits)
    share = 1 / targets.size if takes_mean(options) else 1

    def backward(d_output=1.0):
        return np.where(counted[..., None], back(d_output), d_output * share * p)

    return loss, backward


@wrong(ops.cross_entropy, "wrong_sign", "first")
def entropy_adds_one_hot(logits, targets, **options):
    """p + q."""
    loss, back = ops.cross_entropy(logits, targets, **options)
    weights = reduction_weights(
        targets != options.get("ignore_index"),
        options.get("position_weights"),
        options.get("reduction", "mean"),
        logits,
    )
    twice_p = 2 * weights[..., None] * ops.softmax(logits)[0]
    return loss, lambda d_output=1.0: d_output * twice_p - back(d_output)  # 2 p - (p - q)


@wrong(ops.cross_entropy, "smoothing_ignored", "first", classes(NEXT_ITEMS, 6, label_smoothing=0.1))
def entropy_sharp(logits, targets, *, label_smoothing=0.0, **options):
    """Goes back to the one-hot target."""
    loss, _ = ops.cross_entropy(logits, targets, label_smoothing=label_smoothing, **options)
    return loss, ops.cross_entropy(logits, targets, **options)[1]


@wrong(
    ops.cross_entropy,
    "smoothing_ignored",
    "second",
    classes([[1, 2, 0], [3, 0, 0]], 4, label_smoothing=0.2, ignore_index=0),
)
def entropy_subtracts_one(
    logits,
    targets,
    *,
    ignore_index=None,
    position_weights=None,
    label_smoothing=0.0,
    reduction="mean",
):
    """p[target] -= 1, the line that everybody knows."""
    loss, _ = ops.cross_entropy(
        logits,
        targets,
        ignore_index=ignore_index,
        position_weights=position_weights,
        label_smoothing=label_smoothing,
        reduction=reduction,
    )
    weights = reduction_weights(targets != ignore_index, position_weights, reduction, logits)

    def backward(d_output=1.0):
        p = rows(ops.softmax(logits)[0])
        p[np.arange(len(p)), np.where(weights > 0, targets, 0).ravel()] -= 1
        return d_output * weights[..., None] * p.reshape(logits.shape)

    return loss, backward


@wrong(ops.binary_cross_entropy_with_logits, "not_divided", "first")
def binary_sum(logits, targets, **options):
    """The sum backward."""
    loss, _ = ops.binary_cross_entropy_with_logits(logits, targets, **options)
    return loss, summed(ops.binary_cross_entropy_with_logits, logits, targets, options)


@wrong(ops.binary_cross_entropy_with_logits, "divided_by_batch", "second", clicks(2, 3, 4))
def binary_batch_mean(logits, targets, **options):
    """Divides by the first axis of three."""
    loss, _ = ops.binary_cross_entropy_with_logits(logits, targets, **options)
    back = summed(ops.binary_cross_entropy_with_logits, logits, targets, options)
    count = len(logits) if takes_mean(options) else 1
    return loss, lambda d_output=1.0: back(d_output / count)


@wrong(
    ops.binary_cross_entropy_with_logits,
    "counts_ignored",
    "second",
    clicks(3, 4, position_weights=pattern(3, 4).astype(float)),
)
def binary_divides_by_all(logits, targets, **options):
    """Entries of weight 0 get no gradient, but are in the divisor."""
    loss, _ = ops.binary_cross_entropy_with_logits(logits, targets, **options)
    back = summed(ops.binary_cross_entropy_with_logits, logits, targets, options)
    count = logits.size if takes_mean(options) else 1
    return loss, lambda d_output=1.0: back(d_output / count)


@wrong(ops.binary_cross_entropy_with_logits, "wrong_sign", "second")
def binary_truth_minus_prediction(logits, targets, **options):
    """t - s in place of s - t; d_targets is right."""
    loss, back = ops.binary_cross_entropy_with_logits(logits, targets, **options)

    def backward(d_output=1.0):
        d_logits, d_targets = back(d_output)
        return -d_logits, d_targets

    return loss, backward


@wrong(ops.binary_cross_entropy_with_logits, "wrong_sign", "first")
def binary_adds_targets(logits, targets, **options):
    """s + t."""
    loss, back = ops.binary_cross_entropy_with_logits(logits, targets, **options)
    _, back_of_sum = ops.binary_cross_entropy_with_logits(logits, -targets, **options)
    return loss, lambda d_output=1.0: (back_of_sum(d_output)[0], back(d_output)[1])


@wrong(ops.binary_cross_entropy_with_logits, "constant_factor", "first")
def binary_halved(logits, targets, **options):
    """Half of it, as of a mean over positives and negatives."""
    loss, back = ops.binary_cross_entropy_with_logits(logits, targets, **options)
    return loss, lambda d_output=1.0: tuple(0.5 * d for d in back(d_output))


# Recurrent layers: cells of ours with something taken from what they send back.


def altered(cell, change, params, x, initial, options, n_gates, n_states):
    """A layer of a cell whose (d_weight, d_bias, d_gates, d_state) go through `change`."""

    def wrong_cell(weight, bias, gates, state):
        output, back = cell(weight, bias, gates, state)
        return output, lambda d_output: change(*back(d_output))

    settings = {"mask": None, "last": False} | options
    return recurrent.through_time(
        wrong_cell, params, x, initial, **settings, n_gates=n_gates, n_states=n_states
    )


def exchanged(array, order):
    """The gates along the last axis in another order."""
    parts = np.split(array, len(order), axis=-1)
    return np.concatenate([parts[i] for i in order], axis=-1)


@wrong(ops.rnn, "time_cut", "second")
def rnn_of_single_steps(params, x, initial=None, **options):
    """Every step for itself."""

    def change(d_weight, d_bias, d_gates, d_state):
        return d_weight, d_bias, d_gates, np.zeros_like(d_state)

    return altered(recurrent.rnn_cell, change, params, x, initial, options, 1, 1)


@wrong(ops.lstm, "time_cut", "second")
def lstm_of_single_steps(params, x, initial=None, **options):
    """Every step for itself."""

    def change(d_weight, d_bias, d_gates, d_state):
        return d_weight, d_bias, d_gates, 0 * d_state

    return altered(recurrent.lstm_cell, change, params, x, initial, options, 4, 2)


@wrong(ops.lstm, "forget_path_cut", "second")
def lstm_without_cell_path(params, x, initial=None, **options):
    """The cell's gradient stops at its step."""

    def change(d_weight, d_bias, d_gates, d_state):
        d_hidden, d_cell = np.split(d_state, 2, axis=-1)
        return d_weight, d_bias, d_gates, np.concatenate([d_hidden, 0 * d_cell], axis=-1)

    return altered(recurrent.lstm_cell, change, params, x, initial, options, 4, 2)


@wrong(ops.lstm, "gate_path_cut", "second")
def lstm_without_gate_path(params, x, initial=None, **options):
    """What the gates send to the hidden state before is lost."""

    def change(d_weight, d_bias, d_gates, d_state):
        d_hidden, d_cell = np.split(d_state, 2, axis=-1)
        return d_weight, d_bias, d_gates, np.concatenate([0 * d_hidden, d_cell], axis=-1)

    return altered(recurrent.lstm_cell, change, params, x, initial, options, 4, 2)


@wrong(ops.lstm, "gates_wrong_order", "second")
def lstm_of_other_gates(params, x, initial=None, **options):
    """Parameters' gradients in the order i, f, o, g."""
    output, back = ops.lstm(params, x, initial, **options)

    def backward(d_output):
        grads, *others = back(d_output)
        grads = {
            name: {part: exchanged(d, (0, 1, 3, 2)) for part, d in linear.items()}
            for name, linear in grads.items()
        }
        return grads, *others

    return output, backward


@wrong(ops.gru, "gates_wrong_order", "second")
def gru_of_keras_gates(params, x, initial=None, **options):
    """Parameters' gradients in the order z, r, n."""
    output, back = ops.gru(params, x, initial, **options)

    def backward(d_output):
        grads, *others = back(d_output)
        for linear in grads.values():
            for part, d in linear.items():
                linear[part] = exchanged(d, (1, 0, 2))
        return grads, *others

    return output, backward


def gru_by_hand(params, x, initial, options, keep=True, reset=True):
    """A GRU of this file, which can leave out z on the way back, or r."""

    def cell(weight, bias, gates, state):
        products, back_linear = ops.linear(state, weight, bias)
        (x_r, x_z, x_n), (h_r, h_z, h_n) = (np.split(a, 3, axis=-1) for a in (gates, products))
        r, back_r = ops.sigmoid(x_r + h_r)
        z, back_z = ops.sigmoid(x_z + h_z)
        n, back_n = ops.tanh(x_n + r * h_n)

        def backward(d_new):
            d_n = back_n(d_new * (1 - z))
            d_r, d_z = back_r(d_n * h_n), back_z(d_new * (state - n))
            d_products = np.concatenate([d_r, d_z, d_n * r if reset else d_n], axis=-1)
            d_state, d_weight, d_bias = back_linear(d_products)
            d_state = d_state + d_new * z if keep else d_state
            return d_weight, d_bias, np.concatenate([d_r, d_z, d_n], axis=-1), d_state

        return n + z * (state - n), backward

    settings = {"mask": None, "last": False} | options
    return recurrent.through_time(cell, params, x, initial, **settings, n_gates=3, n_states=1)


@wrong(ops.gru, "forget_path_cut", "second")
def gru_without_state_path(params, x, initial=None, **options):
    """d_h lacks z d_h'."""
    return gru_by_hand(params, x, initial, options, keep=False)


@wrong(ops.gru, "reset_gate_forgotten", "second")
def gru_without_reset(params, x, initial=None, **options):
    """d_n goes back to h W_hn whole."""
    return gru_by_hand(params, x, initial, options, reset=False)


@wrong(ops.rnn, "slope_wrong", "second")
def rnn_without_slope(params, x, initial=None, **options):
    """The tanh is taken for the identity."""

    def cell(weight, bias, gates, state):
        product, back_linear = ops.linear(state, weight, bias)

        def backward(d_new):
            d_state, d_weight, d_bias = back_linear(d_new)
            return d_weight, d_bias, d_new, d_state

        return np.tanh(gates + product), backward

    settings = {"mask": None, "last": False} | options
    return recurrent.through_time(cell, params, x, initial, **settings, n_gates=1, n_states=1)


@wrong(ops.rnn, "bias_not_summed", "second")
def rnn_of_last_bias(params, x, initial=None, **options):
    """The recurrent bias gets the gradient of the last step alone."""
    output, back = ops.rnn(params, x, initial, **options)
    mask = options.get("mask")
    last = ops.rnn(params, x, initial, mask=mask)[0][:, -1]
    here = np.ones((len(x), 1)) if mask is None else mask[:, -1:]

    def backward(d_output):
        grads, *others = back(d_output)
        d_last = back.steps(d_output)[:, -1] * here
        grads["hidden"]["bias"] = (d_last * (1 - last * last)).sum(axis=0)
        return grads, *others

    return output, backward


@correct(ops.gru)
def gru_in_other_words(params, x, initial=None, **options):
    """n + z (h - n)."""
    return gru_by_hand(params, x, initial, options)


@correct(ops.lstm)
def lstm_from_the_first_step_on(params, x, initial=None, **options):
    """The same layer, handed on."""
    output, back = ops.lstm(params, x, initial, **options)
    return output, lambda d_output: back(np.array(d_output))


# Right, in unfamiliar ways; or right at the call, with another default.


@correct(ops.embedding, lookup([1, 2], (4, 3)))
def embedding_without_padding(ids, weight, *, padding_id=0):
    """Knows no padding, and meets none."""
    return ops.embedding(ids, weight, padding_id=None)


@correct(ops.layer_norm, normal((2, 3, 6), (6,), (6,), eps=1e-5))
def norm_of_another_default(x, weight, bias, *, eps=1e-3):
    """eps as in Keras, if the caller says nothing."""
    return ops.layer_norm(x, weight, bias, eps=eps)


@correct(ops.gelu, normal((3, 4), approximate="tanh"))
def gelu_of_another_default(x, *, approximate="tanh"):
    """The tanh form as in JAX, if the caller says nothing."""
    return ops.gelu(x, approximate=approximate)


@correct(ops.linear)
def linear_by_einsum(x, weight, bias=None):
    """All three gradients as the sums that they are."""

    def backward(d_output):
        d_x = np.einsum("...o,io->...i", d_output, weight)
        d_weight = np.einsum("ni,no->io", rows(x), rows(d_output))
        return d_x, d_weight, None if bias is None else np.einsum("no->o", rows(d_output))

    return ops.linear(x, weight, bias)[0], backward


@correct(ops.linear, normal((3, 3, 3), (3, 3), (3,)))
def linear_as_homogeneous(x, weight, bias=None):
    """The bias is one more row of the weight, met by a column of ones."""
    ones = np.ones_like(x[..., :1])

    def backward(d_output):
        d_both = rows(np.concatenate([x, ones], axis=-1)).T @ rows(d_output)
        d_x = (weight @ d_output[..., None])[..., 0]
        return d_x, d_both[:-1], None if bias is None else d_both[-1]

    return ops.linear(x, weight, bias)[0], backward


@correct(ops.embedding)
def embedding_by_one_hot(ids, weight, *, padding_id=0):
    """A product with a one-hot matrix from which the padding's column is struck."""
    one_hot = (np.asarray(ids)[..., None] == np.arange(len(weight))).astype(weight.dtype)
    if padding_id is not None:
        one_hot[..., padding_id] = 0
    return one_hot @ weight, lambda d_output: np.tensordot(
        one_hot, d_output, axes=(tuple(range(np.ndim(ids))),) * 2
    )


@correct(ops.embedding, lookup([3, 1, 3, 3, 0], (5, 2)))
def embedding_row_by_row(ids, weight, *, padding_id=0):
    """For each row the sum over its positions."""

    def backward(d_output):
        rows = [d_output[ids == v].sum(axis=0) * (v != padding_id) for v in range(len(weight))]
        return np.stack(rows)

    return ops.embedding(ids, weight, padding_id=padding_id)[0], backward


@correct(ops.relu, with_corners)
def relu_by_heaviside(x):
    """Times the step, 0 at the corner."""
    return np.maximum(x, 0), lambda d_output: d_output * np.heaviside(x, 0)


@correct(ops.sigmoid)
def sigmoid_by_tanh(x):
    """s = (1 + tanh(x / 2)) / 2, so its slope is (1 - tanh^2) / 4."""
    t = np.tanh(x / 2)
    return (1 + t) / 2, lambda d_output: d_output * (1 - t * t) / 4


@correct(ops.tanh)
def tanh_by_cosh(x):
    """1 / cosh^2."""
    return np.tanh(x), lambda d_output: d_output / np.cosh(x) ** 2


@correct(ops.gelu)
def gelu_entry_by_entry(x, *, approximate="none"):
    """The exact form with math.erf; the tanh form as x s(2u)."""

    def slope(v):
        if approximate == "none":
            density = math.exp(-v * v / 2) / math.sqrt(2 * math.pi)
            return (1 + math.erf(v / math.sqrt(2))) / 2 + v * density
        c = math.sqrt(8 / math.pi)
        s = 1 / (1 + math.exp(-c * (v + 0.044715 * v**3)))
        return s + v * s * (1 - s) * c * (1 + 0.134145 * v**2)

    def backward(d_output):
        return d_output * np.array([slope(v) for v in x.ravel()], x.dtype).reshape(x.shape)

    return ops.gelu(x, approximate=approximate)[0], backward


@correct(ops.softmax)
def softmax_by_jacobian(x, *, axis=-1, where=None):
    """The whole matrix diag(p) - p p^T of every row."""
    output, _ = ops.softmax(x, axis=axis, where=where)
    p = np.moveaxis(output, axis, -1)

    def backward(d_p):
        column, row = p[..., :, None], p[..., None, :]
        jacobian = np.eye(p.shape[-1], dtype=p.dtype) * column - column * row
        return np.moveaxis((jacobian @ np.moveaxis(d_p, axis, -1)[..., None])[..., 0], -1, axis)

    return output, backward


@correct(ops.log_softmax, normal((4, 3), axis=0))
def log_softmax_through_p(x, *, axis=-1):
    """Through log and softmax one after the other: d_p = d_y / p."""
    p, back = ops.softmax(x, axis=axis)
    return ops.log_softmax(x, axis=axis)[0], lambda d_output: back(d_output / p)


@correct(ops.layer_norm)
def norm_step_by_step(x, weight, bias, *, eps=1e-5):
    """Through variance and mean in turn, with sums and inverse powers."""
    width, centred = x.shape[-1], x - x.mean(axis=-1, keepdims=True)
    variance = (centred**2).sum(axis=-1, keepdims=True) / width + eps

    def backward(d_output):
        d_z = times(d_output, weight)
        d_variance = -0.5 * (d_z * centred).sum(axis=-1, keepdims=True) * variance**-1.5
        d_centred = d_z * variance**-0.5 + d_variance * 2 / width * centred
        d_x = d_centred - d_centred.sum(axis=-1, keepdims=True) / width
        d_y, z = rows(d_output), rows(centred * variance**-0.5)
        d_weight = None if weight is None else np.einsum("nd,nd->d", d_y, z)
        return d_x, d_weight, None if bias is None else np.ones(len(d_y), x.dtype) @ d_y

    return ops.layer_norm(x, weight, bias, eps=eps)[0], backward


@correct(ops.layer_norm, normal((4, 4), (4,), (4,)))
def norm_by_jacobian(x, weight, bias, *, eps=1e-5):
    """The matrix (I - 1/D - z z^T / D) / s of every position."""
    output, back = ops.layer_norm(x, weight, bias, eps=eps)
    z, deviation = normalised(x, eps)
    width = x.shape[-1]
    centring = np.eye(width, dtype=x.dtype) - 1 / width
    jacobian = (centring - z[..., :, None] * z[..., None, :] / width) / deviation[..., None]

    def backward(d_output):
        d_z = times(d_output, weight)
        return np.einsum("...i,...ij->...j", d_z, jacobian), *back(d_output)[1:]

    return output, backward


@correct(ops.dropout)
def dropout_by_where(x, *, p, rng=None, keep=None):
    """Chooses instead of multiplying."""
    factor, _ = ops.dropout(np.ones_like(x), p=p, rng=rng, keep=keep)
    return x * factor, lambda d_output: np.where(factor == 0, 0, d_output * factor.max(initial=0))


@correct(ops.attention_weights, normal((2, 4, 4), (2, 4, 4), mask=ops.causal_mask(4)))
def weights_of_scaled_query(query, key, *, mask=None, scale=None):
    """Q is scaled before the product: d_key takes the scaled Q, d_query the scale at the end."""
    scale = scale_of(query, scale)
    scaled = scale * query
    p, back = ops.softmax(scaled @ transpose(key), where=mask)

    def backward(d_p):
        d_scaled, d_key = back_scores(back(d_p), scaled, key)
        return scale * d_scaled, d_key

    return p, backward


@correct(ops.attention_weights, normal((2, 3, 4), (5, 4)))
def weights_by_split_scale(query, key, *, mask=None, scale=None):
    """The square root of the scale on each side."""
    root = math.sqrt(scale_of(query, scale))
    left, right = root * query, root * key
    p, back = ops.softmax(np.einsum("...id,...jd->...ij", left, right), where=mask)

    def backward(d_p):
        d_left, d_right = back_scores(back(d_p), left, right)
        return root * d_left, root * d_right

    return p, backward


@correct(ops.scaled_dot_product_attention, SQUARE)
def attention_by_output(
    query, key, value, *, mask=None, scale=None, dropout_p=0.0, rng=None, keep=None
):
    """FlashAttention's backward: the mean under the weights is d_output . output."""
    weights, _ = ops.attention_weights(query, key, mask=mask, scale=scale)
    factor, _ = ops.dropout(np.ones_like(weights), p=dropout_p, rng=rng, keep=keep)
    kept = weights * factor
    output = kept @ value

    def backward(d_output):
        d_weights = (d_output @ transpose(value)) * factor
        mean = np.einsum("...iv,...iv->...i", d_output, output)[..., None]
        d_scores = scale_of(query, scale) * weights * (d_weights - mean)
        d_query, d_key = back_scores(d_scores, query, key)
        return d_query, d_key, unbroadcast(transpose(kept) @ d_output, value.shape)

    return output, backward


@correct(ops.scaled_dot_product_attention, DROPPED)
def attention_query_by_query(
    query, key, value, *, mask=None, scale=None, dropout_p=0.0, rng=None, keep=None
):
    """One query at a time, adding up what it sends back to keys and values."""
    weights, _ = ops.attention_weights(query, key, mask=mask, scale=scale)
    factor, _ = ops.dropout(np.ones_like(weights), p=dropout_p, rng=rng, keep=keep)
    scale = scale_of(query, scale)
    output = (weights * factor) @ value

    def backward(d_output):
        d_query, d_key, d_value = 0 * output[..., :1] * query[..., :1, :], 0, 0
        for i in range(query.shape[-2]):
            p, f, d_y = weights[..., i, :], factor[..., i, :], d_output[..., i, :]
            d_p = np.einsum("...v,...jv->...j", d_y, value) * f
            d_s = scale * p * (d_p - (p * d_p).sum(-1, keepdims=True))
            d_query[..., i, :] = np.einsum("...j,...jd->...d", d_s, key)
            d_key = d_key + np.einsum("...j,...d->...jd", d_s, query[..., i, :])
            d_value = d_value + (p * f)[..., None] * d_y[..., None, :]
        grads = zip((d_query, d_key, d_value), (query, key, value), strict=True)
        return tuple(unbroadcast(d_x, x.shape) for d_x, x in grads)

    return output, backward


@correct(ops.multi_head_attention)
def heads_by_columns(params, query, key, value, *, n_heads, mask=None, keep=None, **options):
    """One head after the other, each in its columns."""
    (q, back_q), (k, back_k), (v, back_v) = (
        project(params[part], x) for part, x in (("query", query), ("key", key), ("value", value))
    )
    each = [
        ops.scaled_dot_product_attention(
            *(np.split(x, n_heads, axis=-1)[h] for x in (q, k, v)),
            mask=mask,
            keep=keep if keep is None or keep.ndim < 3 else keep[..., h % keep.shape[-3], :, :],
            **options,
        )
        for h in range(n_heads)
    ]
    output, back_output = project(params["output"], np.concatenate([y for y, _ in each], axis=-1))

    def backward(d_output):
        d_output_params, d_merged = back_output(d_output)
        parts = zip(each, np.split(d_merged, n_heads, axis=-1), strict=True)
        d_heads = zip(*(back(d_head) for (_, back), d_head in parts), strict=True)
        d_q, d_k, d_v = (np.concatenate(d, axis=-1) for d in d_heads)
        (g_q, d_query), (g_k, d_key), (g_v, d_value) = back_q(d_q), back_k(d_k), back_v(d_v)
        grads = {"query": g_q, "key": g_k, "value": g_v, "output": d_output_params}
        return grads, d_query, d_key, d_value

    return output, backward


@correct(ops.cross_entropy, classes(NEXT_ITEMS, 6, ignore_index=0, label_smoothing=0.1))
def entropy_through_log_softmax(
    logits,
    targets,
    *,
    ignore_index=None,
    position_weights=None,
    label_smoothing=0.0,
    reduction="mean",
):
    """-sum(q log p), and back through the log_softmax."""
    log_p, back = ops.log_softmax(logits)
    weights = reduction_weights(targets != ignore_index, position_weights, reduction, logits)
    one_hot = (targets[..., None] == np.arange(logits.shape[-1])).astype(logits.dtype)
    q = (1 - label_smoothing) * one_hot + label_smoothing / logits.shape[-1]
    q = q * weights[..., None]
    return -(q * log_p).sum(), lambda d_output=1.0: back(-d_output * q)


@correct(ops.binary_cross_entropy_with_logits)
def binary_through_two_classes(logits, targets, *, position_weights=None, reduction="mean"):
    """A cross entropy over the two classes 0 and x."""
    log_p, back = ops.log_softmax(np.stack([0 * logits, logits], axis=-1))
    weights = reduction_weights(np.ones(logits.shape, bool), position_weights, reduction, logits)
    truth = weights[..., None] * np.stack([1 - targets, targets], axis=-1)

    def backward(d_output=1.0):
        d_targets = d_output * weights * (log_p[..., 0] - log_p[..., 1])
        return back(-d_output * truth)[..., 1], d_targets

    return -(truth * log_p).sum(), backward


# Wrong, without a name.


@unknown(ops.layer_norm)
def norm_with_noise(x, weight, bias, *, eps=1e-5):
    """A little noise on d_x, the same at every call."""
    output, back = ops.layer_norm(x, weight, bias, eps=eps)
    noise = 0.05 * np.random.default_rng(5).standard_normal(x.shape).astype(x.dtype)

    def backward(d_output):
        d_x, *d_params = back(d_output)
        return d_x + noise * np.abs(d_x).max(), *d_params

    return output, backward


@unknown(ops.linear)
def linear_with_tanh(x, weight, bias=None):
    """The gradient passes through a tanh, as for a clipping."""
    output, back = ops.linear(x, weight, bias)
    return output, lambda d_output: back(np.tanh(d_output))


@unknown(ops.softmax, normal((3, 4)))
def softmax_shifted(x, *, axis=-1, where=None):
    """Every entry gets the gradient of its neighbour."""
    output, back = ops.softmax(x, axis=axis, where=where)
    return output, lambda d_output: np.roll(back(d_output), 1, axis=axis)


@unknown(ops.embedding)
def embedding_mean_of_repeats(ids, weight, *, padding_id=0):
    """Divides each row by how often its id occurs."""
    output, back = ops.embedding(ids, weight, padding_id=padding_id)
    counts = np.bincount(np.ravel(ids), minlength=len(weight)).clip(1).astype(weight.dtype)
    return output, lambda d_output: back(d_output) / counts[:, None]
