"""Exponentials of scores that need no shift."""

import numpy as np

LARGEST = 32.0
"""Of scores from -32 to 32, exp is from 1e-14 to 8e13. Gradients are divided by sums of these, and
float32 goes from 1e-38 to 3e38. The logarithm of a sum of n is at most 32 + log n in size, so that
float32 has it to some 1e-6."""


def moderate(queries: np.ndarray, keys: np.ndarray) -> bool:
    """Whether exp(q . k) can be taken as it is, of every query with every key: (..., D), (..., D).

    A softmax is the same whatever is subtracted from all scores of a row. The largest of them is,
    so that exp does not overflow; but to look for it and to subtract it are two passes over the
    scores. That all are at most max |q| max |k| (Cauchy-Schwarz) is known without them.
    """
    return length_of_longest(queries) * length_of_longest(keys) <= LARGEST


def length_of_longest(vectors: np.ndarray) -> float:
    """Euclidean norm of the longest vector: (..., D) -> float; not a number if one entry is not."""
    squares = np.einsum("...i,...i->...", vectors.real, vectors.real)
    return float(np.sqrt(squares.max(initial=0)))
