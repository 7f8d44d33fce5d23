"""Ops as readers write them, right ones: RMSNorm, rotary positions, grouped queries, x as all."""

import numpy as np

from attention_from_scratch import ops


def rms_norm(x, weight, *, eps=1e-6):
    scale = 1 / np.sqrt((x * x).mean(axis=-1, keepdims=True) + eps)
    z = x * scale

    def backward(d_output):
        d_z = d_output * weight
        d_x = scale * (d_z - z * (d_z * z).mean(axis=-1, keepdims=True))
        return d_x, (d_output * z).reshape(-1, x.shape[-1]).sum(axis=0)

    return z * weight, backward


def rotary(x, *, base=100.0):
    length, width = x.shape[-2:]
    angles = np.arange(length)[:, None] / base ** (np.arange(0, width, 2) / width)
    cos, sin = np.cos(angles), np.sin(angles)

    def turn(even, odd, sin):
        return np.stack([even * cos - odd * sin, even * sin + odd * cos], axis=-1)

    def backward(d_output):
        return turn(d_output[..., 0::2], d_output[..., 1::2], -sin).reshape(x.shape)

    return turn(x[..., 0::2], x[..., 1::2], sin).reshape(x.shape), backward


def grouped_queries(query, key, value, *, groups):
    """query (B, H, L, D), key and value (B, H / groups, L, D): neighbours share a key."""
    keys, values = (np.repeat(a, groups, axis=1) for a in (key, value))
    output, back = ops.scaled_dot_product_attention(query, keys, values)

    def per_group(d):
        batch, heads, *rest = d.shape
        return d.reshape(batch, heads // groups, groups, *rest).sum(axis=2)

    def backward(d_output):
        d_query, d_keys, d_values = back(d_output)
        return d_query, per_group(d_keys), per_group(d_values)

    return output, backward


def self_attention(x):
    """x attends to itself, and is added: a residual path."""
    attended, back = ops.scaled_dot_product_attention(x, x, x, mask=ops.causal_mask(x.shape[-2]))

    def backward(d_output):
        d_query, d_key, d_value = back(d_output)
        return d_output + d_query + d_key + d_value

    return x + attended, backward


def simple_gru(x, h, w_x, w_h):
    """One step of a GRU with gates z and r, in numbers alone."""
    size = h.shape[-1]
    a_x, a_h = x @ w_x, h @ w_h
    z = 1 / (1 + np.exp(-(a_x[:, :size] + a_h[:, :size])))
    r = 1 / (1 + np.exp(-(a_x[:, size : 2 * size] + a_h[:, size : 2 * size])))
    n = np.tanh(a_x[:, 2 * size :] + r * a_h[:, 2 * size :])
    output = (1 - z) * n + z * h

    def backward(d_output):
        d_n = d_output * (1 - z) * (1 - n * n)
        d_z = d_output * (h - n) * z * (1 - z)
        d_r = d_n * a_h[:, 2 * size :] * r * (1 - r)
        d_a_x = np.concatenate([d_z, d_r, d_n], axis=-1)
        d_a_h = np.concatenate([d_z, d_r, d_n * r], axis=-1)
        return d_a_x @ w_x.T, d_output * z + d_a_h @ w_h.T, x.T @ d_a_x, h.T @ d_a_h

    return output, backward
