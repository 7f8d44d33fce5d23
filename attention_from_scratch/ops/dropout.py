"""Dropout, the noise of training."""

import numpy as np

from attention_from_scratch.ops.contract import Backward, check_d_output, check_floats, check_mask


def dropout(
    x: np.ndarray,
    *,
    p: float,
    rng: np.random.Generator | None = None,
    keep: np.ndarray | None = None,
) -> tuple[np.ndarray, Backward]:
    """Zero each entry with probability p and divide the rest by 1 - p, which keeps the mean.

    Once drawn, the op is a product with a constant: y = x * keep / (1 - p), and so is its
    gradient, d_x = d_y * keep / (1 - p), with the *same* draw.

    Parameters
    ----------
    x : (...)
    p : float in [0, 1)
        Probability that an entry is dropped.
    rng : numpy.random.Generator or None
        Draws the mask. None, with no `keep` either, means no dropout: that is evaluation.
    keep : bool, broadcasts to x, or None
        The mask itself (True stays), when the caller has drawn it; then `rng` is not used.

    Returns
    -------
    output : (...)
    backward : d_output (...) -> d_x (...)

    Source: Srivastava et al., Dropout (2014), in the "inverted" form: evaluation needs no factor.
    """
    check_floats(x=x)
    check_mask("keep", keep, x.shape)
    if not 0 <= p < 1:
        raise ValueError(f"p was {p}, but must be at least 0 and below 1")
    if keep is None:
        if rng is None or p == 0:
            return x, lambda d_output: d_output
        keep = rng.random(x.shape, dtype=np.float32) >= p

    factor = np.asarray(keep) * x.real.dtype.type(1 / (1 - p))
    output = x * factor

    def backward(d_output):
        check_d_output(d_output, output)
        return d_output * factor

    return output, backward
