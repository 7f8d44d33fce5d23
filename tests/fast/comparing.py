"""What the tests of the fast ops share: inputs, masks, and what it is to be the same op."""

import numpy as np
import pytest

from attention_from_scratch.tree import tree_leaves

EPSILONS = 32

each_dtype = pytest.mark.parametrize("dtype", [np.float64, np.float32])


def drawn(*shapes, dtype=np.float64, seed=0):
    """Read-only standard normal arrays."""
    rng = np.random.default_rng(seed)
    arrays = [rng.standard_normal(shape).astype(dtype) for shape in shapes]
    for array in arrays:
        array.setflags(write=False)
    return arrays


def assert_same(plain, quick, inputs, dtype=np.float64, **keywords):
    """Outputs and all gradients, to some epsilons of the largest entry of all.

    Some gradients are 0 by cancellation, such as that of the key's bias: no scale of their own.
    """
    results = []
    for op in (plain, quick):
        output, backward = op(*inputs, **keywords.get(op, {}))
        rng = np.random.default_rng(1)
        d_output = np.asarray(rng.standard_normal(np.shape(output)), dtype)
        gradients = backward(d_output)
        results.append([output, *tree_leaves_of(gradients)])
    bound = EPSILONS * np.finfo(dtype).eps * max(np.abs(a).max(initial=0) for a in results[0])
    for expected, found in zip(*results, strict=True):
        assert found.dtype == expected.dtype
        assert found.shape == expected.shape
        assert np.all(np.abs(found - expected) <= bound)


def tree_leaves_of(gradients):
    """The arrays of what a backward pass returns."""
    gradients = gradients if isinstance(gradients, tuple) else (gradients,)
    return [leaf for _, leaf in tree_leaves(list(gradients))]


def assert_with(plain, quick, inputs, keywords, dtype):
    """`assert_same` with keywords for each op."""
    assert_same(
        lambda *x: plain(*x, **keywords[plain]),
        lambda *x: quick(*x, **keywords[quick]),
        inputs,
        dtype,
    )


WAYS = {
    "none": lambda of, n: None,
    "causal": lambda of, n: of.causal_mask(n),
    "local": lambda of, n: of.local_mask(n, 3),
    "itself": lambda of, n: of.local_mask(n, 1),
    "causal and local": lambda of, n: of.causal_mask(n) & of.local_mask(n, 4),
    "padding": lambda of, n: of.padding_mask(padded(n)),
    "causal and padding": lambda of, n: of.causal_mask(n) & of.padding_mask(padded(n)),
    "all": lambda of, n: of.causal_mask(n) & of.local_mask(n, 2) & of.padding_mask(padded(n)),
}


def padded(n):
    """Ids of two users: the first has padding before, all but one; the second none at all."""
    ids = np.ones((2, n), int)
    ids[0, : n - 1] = 0
    return ids
