"""Random inputs for the cases."""
import numpy as np


def N(seed, *shape):
    return np.random.default_rng(seed).normal(size=shape)


def wb(seed, n, m, bias=True):
    return {'weight': N(seed, n, m) * 0.6, 'bias': N(seed + 1, m) * 0.5 if bias else None}


def mha(seed, d):
    return {k: wb(seed + 10 * i, d, d) for i, k in enumerate(('query', 'key', 'value', 'output'))}


def rec(seed, d, h, g):
    return {'input': wb(seed, d, g * h), 'hidden': wb(seed + 5, h, g * h)}


def keep(seed, *shape, p=0.3):
    return np.random.default_rng(seed).random(shape) >= p
