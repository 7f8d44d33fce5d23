"""Dropout from bytes: its rate, its mean, and that a part of a draw comes again."""

import numpy as np
import pytest

from attention_from_scratch import fast, ops
from attention_from_scratch.fast.dropout import Dropout
from tests.fast.comparing import drawn


@pytest.mark.parametrize("p", [0.001, 0.2, 0.5, 0.999])
def test_dropout_keeps_the_mean_at_the_rate_that_it_really_has(p):
    x = np.ones((400, 1000), np.float32)
    y, backward = fast.dropout(x, p=p, rng=np.random.default_rng(0))
    n = min(max(round(256 * p), 1), 255)
    kept = y != 0
    assert np.all(y[kept] == np.float32(256 / (256 - n)))
    deviation = np.sqrt((n / 256) * (1 - n / 256) / y.size)
    assert abs((1 - kept.mean()) - n / 256) < 5 * deviation
    assert np.array_equal(backward(x), y)  # the same draw


def test_dropout_with_a_mask_is_the_plain_op_and_without_rng_nothing():
    (x,) = drawn((4, 5))
    keep = np.random.default_rng(0).random((4, 5)) > 0.3
    y, _ = fast.dropout(x, p=0.3, keep=keep)
    assert np.array_equal(y, ops.dropout(x, p=0.3, keep=keep)[0])
    assert fast.dropout(x, p=0.3)[0] is x
    assert fast.dropout(x, p=0, rng=np.random.default_rng(0))[0] is x
    with pytest.raises(ValueError, match="p was 1"):
        fast.dropout(x, p=1)


def test_parts_of_a_draw_come_again_the_same_and_differ_from_each_other():
    drops = Dropout(0.5, np.random.default_rng(0), None, np.float32)
    first, again = (drops.kept(..., (64, 64), part=3) for _ in range(2))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, drops.kept(..., (64, 64), part=4))
    other = Dropout(0.5, np.random.default_rng(1), None, np.float32)
    assert not np.array_equal(first, other.kept(..., (64, 64), part=3))
