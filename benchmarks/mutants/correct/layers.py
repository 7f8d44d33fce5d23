"""Layers that are right in unfamiliar ways; or right at the call, with another default."""

import math

import numpy as np

from attention_from_scratch import ops
from benchmarks.mutants.cases import lookup, normal, with_corners
from benchmarks.mutants.layer_norm import normalised, times
from benchmarks.mutants.parts import rows
from benchmarks.mutants.recurrent import gru_by_hand
from benchmarks.mutants.shelves import correct


@correct(ops.gru)
def gru_in_other_words(params, x, initial=None, **options):
    """The new state is n + z (h - n), which is (1 - z) n + z h."""
    return gru_by_hand(params, x, initial, options)


@correct(ops.lstm)
def lstm_from_the_first_step_on(params, x, initial=None, **options):
    """Hands our own layer on, with a copy of d_output."""
    output, back = ops.lstm(params, x, initial, **options)
    return output, lambda d_output: back(np.array(d_output))


@correct(ops.embedding, lookup([1, 2], (4, 3)))
def embedding_without_padding(ids, weight, *, padding_id=0):
    """Knows no padding, and meets none."""
    return ops.embedding(ids, weight, padding_id=None)


@correct(ops.layer_norm, normal((2, 3, 6), (6,), (6,), eps=1e-5))
def norm_of_another_default(x, weight, bias, *, eps=1e-3):
    """Its eps is that of Keras, if the caller says nothing."""
    return ops.layer_norm(x, weight, bias, eps=eps)


@correct(ops.gelu, normal((3, 4), approximate="tanh"))
def gelu_of_another_default(x, *, approximate="tanh"):
    """Takes the tanh form, as JAX does, if the caller says nothing."""
    return ops.gelu(x, approximate=approximate)


@correct(ops.linear)
def linear_by_einsum(x, weight, bias=None):
    """All three gradients are written as the sums that they are."""

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
    """Takes the product with a one-hot matrix whose padding column is struck out."""
    one_hot = (np.asarray(ids)[..., None] == np.arange(len(weight))).astype(weight.dtype)
    if padding_id is not None:
        one_hot[..., padding_id] = 0
    return one_hot @ weight, lambda d_output: np.tensordot(
        one_hot, d_output, axes=(tuple(range(np.ndim(ids))),) * 2
    )


@correct(ops.embedding, lookup([3, 1, 3, 3, 0], (5, 2)))
def embedding_row_by_row(ids, weight, *, padding_id=0):
    """For each row of the table it takes the sum over its positions."""

    def backward(d_output):
        rows = [d_output[ids == v].sum(axis=0) * (v != padding_id) for v in range(len(weight))]
        return np.stack(rows)

    return ops.embedding(ids, weight, padding_id=padding_id)[0], backward


@correct(ops.relu, with_corners)
def relu_by_heaviside(x):
    """Multiplies by the step, which is 0 at the corner."""
    return np.maximum(x, 0), lambda d_output: d_output * np.heaviside(x, 0)


@correct(ops.sigmoid)
def sigmoid_by_tanh(x):
    """Since s = (1 + tanh(x / 2)) / 2, its slope is (1 - tanh^2) / 4."""
    t = np.tanh(x / 2)
    return (1 + t) / 2, lambda d_output: d_output * (1 - t * t) / 4


@correct(ops.tanh)
def tanh_by_cosh(x):
    """The slope is written 1 / cosh^2, which is 1 - tanh^2."""
    return np.tanh(x), lambda d_output: d_output / np.cosh(x) ** 2


@correct(ops.gelu)
def gelu_entry_by_entry(x, *, approximate="none"):
    """Takes the exact form with math.erf, and the tanh form as x s(2u)."""

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
    """Multiplies by the whole matrix diag(p) - p p^T of every row."""
    output, _ = ops.softmax(x, axis=axis, where=where)
    p = np.moveaxis(output, axis, -1)

    def backward(d_p):
        column, row = p[..., :, None], p[..., None, :]
        jacobian = np.eye(p.shape[-1], dtype=p.dtype) * column - column * row
        return np.moveaxis((jacobian @ np.moveaxis(d_p, axis, -1)[..., None])[..., 0], -1, axis)

    return output, backward


@correct(ops.log_softmax, normal((4, 3), axis=0))
def log_softmax_through_p(x, *, axis=-1):
    """Goes through log and softmax one after the other: d_p = d_y / p."""
    p, back = ops.softmax(x, axis=axis)
    return ops.log_softmax(x, axis=axis)[0], lambda d_output: back(d_output / p)


@correct(ops.layer_norm)
def norm_step_by_step(x, weight, bias, *, eps=1e-5):
    """Goes through variance and mean in turn, with sums and inverse powers."""
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
    """Multiplies by the matrix (I - 1/D - z z^T / D) / s of every position."""
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
