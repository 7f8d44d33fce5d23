"""From histories to shards."""

import numpy as np
import pytest

from attention_from_scratch.training import epoch_batches, pad, shard_of

RNG = np.random.default_rng(0)
HISTORIES = [RNG.integers(1, 50, length) for length in RNG.integers(2, 30, 53)]
HISTORIES = [np.append(history, 100 + user) for user, history in enumerate(HISTORIES)]


def arrays(*histories):
    return [np.array(history, np.int64) for history in histories]


@pytest.mark.parametrize(
    ("sequences", "max_len", "expected"),
    [
        ([[1, 2, 3]], 5, [[1, 2, 3]]),
        ([[1, 2, 3]], 3, [[1, 2, 3]]),
        ([[1, 2, 3]], 2, [[2, 3]]),
        ([[1, 2, 3]], 1, [[3]]),
        ([[1], [2, 3]], 5, [[0, 1], [2, 3]]),
        ([[], [4, 5, 6], [7]], 2, [[0, 0], [5, 6], [0, 7]]),
        ([[], []], 4, [[0], [0]]),
        ([], 4, np.zeros((0, 1))),
    ],
)
def test_pad_keeps_the_last_entries_flush_right_and_is_no_wider_than_needed(
    sequences, max_len, expected
):
    padded = pad(arrays(*sequences), max_len)
    assert padded.tolist() == np.asarray(expected).tolist()
    assert padded.shape == np.shape(expected)
    assert padded.dtype == np.int64


def test_in_a_shard_each_event_predicts_the_one_after_it():
    shard = shard_of(arrays([1, 2, 3, 4], [5, 6]), max_len=10)
    assert shard.ids.tolist() == [[1, 2, 3], [0, 0, 5]]
    assert shard.targets.tolist() == [[2, 3, 4], [0, 0, 6]]
    assert shard.count == 4
    assert [history.tolist() for history in shard.histories] == [[1, 2, 3, 4], [5, 6]]


def test_of_a_long_history_a_shard_holds_the_last_events_and_their_targets():
    shard = shard_of(arrays([1, 2, 3, 4, 5, 6]), max_len=3)
    assert shard.ids.tolist() == [[3, 4, 5]]
    assert shard.targets.tolist() == [[4, 5, 6]]
    assert shard.histories[0].tolist() == [1, 2, 3, 4, 5, 6]  # for drawing negatives


def batches_of(seed=0, batch_size=10, n_shards=4, max_len=12, histories=HISTORIES):
    sizes = {"max_len": max_len, "batch_size": batch_size, "n_shards": n_shards}
    return list(epoch_batches(histories, **sizes, rng=np.random.default_rng(seed)))


def users_of(batch):
    return [int(history[-1]) - 100 for shard in batch for history in shard.histories]


@pytest.mark.parametrize("batch_size", [1, 7, 10, 53, 100])
def test_every_user_comes_once_an_epoch(batch_size):
    batches = batches_of(batch_size=batch_size)
    assert len(batches) == -(-53 // batch_size)
    assert all(len(users_of(batch)) <= batch_size for batch in batches)
    assert sorted(user for batch in batches for user in users_of(batch)) == list(range(53))


@pytest.mark.parametrize("n_shards", [1, 3, 4, 16])
def test_a_batch_is_cut_into_at_most_n_shards_and_none_is_empty(n_shards):
    for batch in batches_of(n_shards=n_shards):
        users = len(users_of(batch))
        assert len(batch) == min(n_shards, users)
        sizes = [len(shard.ids) for shard in batch]
        assert max(sizes) - min(sizes) <= 1


def test_shards_hold_users_of_like_length():
    for batch in batches_of():
        lengths = [len(history) for shard in batch for history in shard.histories]
        clipped = [min(length, 13) for length in lengths]  # beyond it all are equally wide
        assert clipped == sorted(clipped)
        for shard in batch:
            assert shard.ids.shape[1] == min(12, max(len(h) - 1 for h in shard.histories))


def test_shards_are_what_shard_of_makes_of_their_users():
    for batch in batches_of():
        for shard in batch:
            again = shard_of(shard.histories, 12)
            assert np.array_equal(shard.ids, again.ids)
            assert np.array_equal(shard.targets, again.targets)
            assert shard.count == sum(min(len(h) - 1, 12) for h in shard.histories)


def test_the_same_rng_gives_the_same_batches_and_another_gives_others():
    assert list(map(users_of, batches_of(1))) == list(map(users_of, batches_of(1)))
    assert list(map(users_of, batches_of(1))) != list(map(users_of, batches_of(2)))


def test_users_are_shuffled_over_the_whole_epoch():
    batches = batches_of(batch_size=20)
    assert all(max(users_of(batch)) - min(users_of(batch)) > 25 for batch in batches[:2])
