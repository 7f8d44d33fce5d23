"""Wrong ways back through dropout."""

import numpy as np

from attention_from_scratch import ops
from benchmarks.mutants.cases import normal, pattern
from benchmarks.mutants.shelves import wrong


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
