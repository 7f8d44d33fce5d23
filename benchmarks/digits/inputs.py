"""Numbers of every size, and those where something happens."""

import numpy as np

# Where a result leaves the normal numbers, or all numbers, in float32 and float64; where the slopes
# of gelu are 0; where 1 - tanh(x)^2 and s - 1 have no digits left.
TURNS = (5.4, 9.75, 14.2, 17.3, 20, 37.5, 38.6, 88.7, 103.97, 355, 372.6, 709.8, 745.1, 1e4)
TURNS += (0.7517915, 0.7524614, 10.7, 21.4, 26.6, 27.3)


def logits(dtype: str, seed: int, n: int) -> np.ndarray:
    """About 12 n numbers."""
    rng, info = np.random.default_rng(seed), np.finfo(dtype)
    exponents = rng.uniform(np.log2(float(info.smallest_subnormal)), info.maxexp - 1, 4 * n)
    parts = [rng.choice([-1, 1], 4 * n) * 2.0**exponents]
    parts += [rng.uniform(-width, width, 2 * n) for width in (1, 6, 40, 800)]
    numbers = np.concatenate(parts).astype(dtype)
    edges = [info.smallest_subnormal, info.tiny, info.eps, info.max, *TURNS]
    edges = np.array([*edges, *rng.normal(TURNS, 0.01)], dtype)
    return np.concatenate([numbers, edges, -edges, np.array([0.0, -0.0], dtype)])


def targets(logits: np.ndarray, seed: int) -> np.ndarray:
    """Hard ones, soft ones, and those that a sigmoid of the logits nearly hits."""
    rng = np.random.default_rng(seed)
    with np.errstate(over="ignore"):
        hit = 1 / (1 + np.exp(-logits.astype(float)))
    kinds = [np.zeros(logits.size), np.ones(logits.size), rng.random(logits.size), hit]
    return np.choose(rng.integers(4, size=logits.size), kinds).astype(logits.dtype)
