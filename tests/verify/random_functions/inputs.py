"""The numbers that functions are tried at: of all sizes, with zeros, ties and equal entries."""

import numpy as np

SMALLEST, LARGEST = 1e-6, 1e6
MAX_ENTRIES = 12


def random_shape(rng: np.random.Generator, max_entries: int = MAX_ENTRIES) -> tuple[int, ...]:
    """Up to 4 axes of 1 to 4 entries; most have one or two."""
    n_axes = rng.choice(5, p=[0.06, 0.32, 0.4, 0.17, 0.05])
    while True:
        shape = tuple(int(n) for n in rng.integers(1, 5, size=n_axes))
        if np.prod(shape) <= max_entries:
            return shape


def random_scale(rng: np.random.Generator) -> float:
    """Log-uniform over twelve orders of magnitude; a quarter of the time, near 1."""
    if rng.random() < 0.25:
        return float(rng.uniform(0.3, 3))
    return log_uniform(rng, SMALLEST, LARGEST)


def log_uniform(rng: np.random.Generator, low: float, high: float, size: tuple = ()) -> np.ndarray:
    """Numbers whose logarithm is uniform."""
    return np.exp(rng.uniform(np.log(low), np.log(high), size=size))


def random_array(rng: np.random.Generator, shape: tuple[int, ...], dtype: str) -> np.ndarray:
    """Entries around one scale, or each around its own; whole, equal or partly zero sometimes."""
    scale = random_scale(rng)
    styles = ["normal", "mixed", "positive", "whole", "sparse", "equal"]
    style = rng.choice(styles, p=[0.45, 0.15, 0.15, 0.1, 0.1, 0.05])
    array = scale * rng.standard_normal(shape)
    if style == "mixed":
        array = log_uniform(rng, SMALLEST, LARGEST, shape) * rng.choice([-1, 1], size=shape)
    elif style == "positive":
        array = scale * rng.uniform(0.1, 2, size=shape)
    elif style == "whole":
        array = rng.integers(-3, 4, size=shape).astype(float)
    elif style == "sparse":
        array = np.where(rng.random(shape) < 0.4, 0, array)
    elif style == "equal":
        array = np.full(shape, scale)
    return np.asarray(array, dtype)


def short_number(rng: np.random.Generator, low: float, high: float) -> float:
    """A positive number that any float dtype holds exactly: 0.6875, 12.5, ..."""
    number = log_uniform(rng, low, high)
    power = 2.0 ** np.floor(np.log2(number))
    return float(np.round(number / power * 16) / 16 * power)
