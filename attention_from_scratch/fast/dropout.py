"""Dropout from raw bytes."""

import math

import numpy as np

from attention_from_scratch.ops.contract import Backward, check_d_output, check_floats, check_mask


class Dropout:
    """What dropout keeps, of parts of an array that are asked for again and again.

    A byte decides on an entry: it stays if the byte is at least n, where n / 256 is the rate that
    is nearest to p (and neither 0 nor 1). Entries that stay are multiplied by `scale`, one over the
    share that really does, 1 - n / 256, so that the mean stays. The bytes of a part are drawn anew
    from one seed each time, so that nothing need be kept.

    False if nothing is to be dropped.
    """

    def __init__(
        self,
        p: float,
        rng: np.random.Generator | None,
        keep: np.ndarray | None,
        dtype: np.dtype | type,
    ):
        if not 0 <= p < 1:
            raise ValueError(f"p was {p}, but must be at least 0 and below 1")
        self.keep, self.dtype = keep, np.dtype(dtype)
        self.seed = rng.integers(2**63) if rng is not None and p > 0 and keep is None else None
        self.least = min(max(round(256 * p), 1), 255)
        share = 1 - (p if keep is not None else self.least / 256)
        self.scale = self.dtype.type(1 / share if self else 1)

    def __bool__(self) -> bool:
        return self.keep is not None or self.seed is not None

    def kept(self, where: tuple, shape: tuple[int, ...], part: int) -> np.ndarray:
        """0 or 1 for each entry of the part with this number and shape.

        `where` is its place in the whole, if the mask was given.
        """
        if self.keep is not None:
            return self.keep[where].astype(self.dtype, order="C")
        size = math.prod(shape)
        source = np.random.SFC64([self.seed, part])
        draws = source.random_raw(-(-size // 8)).view(np.uint8)[:size]
        return (draws.reshape(shape) >= self.least).astype(self.dtype)


def dropout(
    x: np.ndarray,
    *,
    p: float,
    rng: np.random.Generator | None = None,
    keep: np.ndarray | None = None,
) -> tuple[np.ndarray, Backward]:
    """Zero each entry with probability p, on the word of one random byte instead of a float.

    Parameters and returns are those of `ops.dropout`, but that p is rounded to a multiple of 1/256
    (see `Dropout`) where rng draws. With `keep` nothing differs.
    """
    check_floats(x=x)
    check_mask("keep", keep, x.shape)
    drops = Dropout(p, rng, keep, x.dtype)
    if not drops:
        return x, lambda d_output: d_output
    factor = drops.kept((...,), x.shape, 0)
    factor *= drops.scale
    output = x * factor

    def backward(d_output):
        check_d_output(d_output, output)
        return d_output * factor

    return output, backward
