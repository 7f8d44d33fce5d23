"""The same attention four times: the sum as the paper writes it, matrices, blocks, threads."""

from functools import partial

import numpy as np

from benchmarks.speed.ours import drawn, in_parts, pool_of


def loop_forward(query, key, value):
    """Equation by equation: (L, D) each -> output (L, D), weights (L, L)."""
    length, dim = query.shape
    weights, output = np.zeros((length, length), query.dtype), np.zeros_like(value)
    for i in range(length):
        scores = [query[i] @ key[j] / dim**0.5 for j in range(i + 1)]
        largest = max(scores)
        exponentials = [np.exp(score - largest) for score in scores]
        total = sum(exponentials)
        for j in range(i + 1):
            weights[i, j] = exponentials[j] / total
            output[i] += weights[i, j] * value[j]
    return output, weights


def loop_backward(query, key, value, weights, d_output):
    """The gradients with respect to query, key and value, term by term."""
    length, dim = query.shape
    d_query, d_key, d_value = np.zeros_like(query), np.zeros_like(key), np.zeros_like(value)
    for i in range(length):
        d_weights = [d_output[i] @ value[j] for j in range(i + 1)]
        mean = sum(weights[i, j] * d_weights[j] for j in range(i + 1))
        for j in range(i + 1):
            d_score = weights[i, j] * (d_weights[j] - mean) / dim**0.5
            d_query[i] += d_score * key[j]
            d_key[j] += d_score * query[i]
            d_value[j] += weights[i, j] * d_output[i]
    return d_query, d_key, d_value


def loop(query, key, value, d_output):
    """The gradients of attention by loops, one sequence of the batch after the other."""
    gradients = []
    for one in zip(query, key, value, d_output, strict=True):
        *inputs, d_one = one
        _, weights = loop_forward(*inputs)
        gradients.append(loop_backward(*inputs, weights, d_one))
    return [np.stack(parts) for parts in zip(*gradients, strict=True)]


def with_ops(which, query, key, value, d_output):
    """The gradients of attention by the op of `ops` or `fast`, the whole batch at once."""
    mask = which.causal_mask(query.shape[1])
    _, backward = which.scaled_dot_product_attention(query, key, value, mask=mask)
    return backward(d_output)


def rung(*, name, batch, length, dim, threads):
    """One of the four: "loop", "matrix", "tile" or "threads"."""
    from attention_from_scratch import fast, ops

    arrays = drawn(batch, length, dim, n=4)
    parallel, stack = pool_of(threads if name == "threads" else 1)
    one = {
        "loop": loop,
        "matrix": partial(with_ops, ops),
        "tile": partial(with_ops, fast),
        "threads": partial(with_ops, fast),
    }[name]
    n_parts = min(threads, batch) if name == "threads" else 1
    parts = in_parts(arrays, n_parts)

    def run(stack=stack):
        return list(parallel(lambda part: one(*part), parts))

    return run, f"NumPy {np.__version__}"
