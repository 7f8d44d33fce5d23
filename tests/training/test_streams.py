"""Random numbers by name."""

import numpy as np

from attention_from_scratch.training import stream


def test_no_two_purposes_share_their_numbers():
    keys = [("parameters",), *(("order", e) for e in range(4))]
    keys += [("shard", step, index) for step in range(4) for index in range(4)]
    first = {stream(0, *key).random() for key in keys}
    assert len(first) == len(keys)


def test_a_key_gives_the_same_numbers_again():
    draws = [stream(5, "shard", 2, 1).random(3) for _ in range(2)]
    assert np.array_equal(*draws)
    assert not np.array_equal(draws[0], stream(6, "shard", 2, 1).random(3))
