"""The ops, plain and fast: what holds for one holds for the other."""

import numpy as np
import pytest

from attention_from_scratch import fast
from attention_from_scratch import ops as plain

EPSILONS = 32


@pytest.fixture(params=[plain, fast], ids=["plain", "fast"], scope="session")
def ops(request):
    """`attention_from_scratch.ops`, then `fast`."""
    return request.param


@pytest.fixture(scope="session")
def assert_same(ops):
    """Hold two arrays equal: to the last bit, or, of fast ops, to 32 epsilons of the largest entry.

    Nothing else is laxer for the fast ops: where a test asks for 0, it is 0.
    """

    def check(found, expected):
        if ops is plain:
            np.testing.assert_array_equal(found, expected)
            return
        bound = (
            EPSILONS * np.finfo(np.asarray(expected).dtype).eps * np.abs(expected).max(initial=0)
        )
        np.testing.assert_allclose(found, expected, rtol=0, atol=bound)

    return check
