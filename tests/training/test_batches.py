"""From histories to shards."""

from itertools import pairwise

import numpy as np
import pytest

from attention_from_scratch.training import cut_batches, epoch_batches, pad, shard_of
from attention_from_scratch.training.batches import draw_cuts, middle

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


def batches_of(seed=0, batch_size=10, n_shards=4, max_len=12, histories=HISTORIES, least=0):
    sizes = {"max_len": max_len, "batch_size": batch_size, "n_shards": n_shards, "least": least}
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


def test_there_are_fewer_shards_where_they_would_be_small_but_two():
    for batch in batches_of(n_shards=4, batch_size=7, least=40):
        events = sum(min(len(history), 13) for shard in batch for history in shard.histories)
        assert len(batch) == min(4, max(2, events // 40))
        assert sum(len(shard.ids) for shard in batch) == len(users_of(batch))


@pytest.mark.parametrize(
    ("widths", "cut"),
    [
        ([3, 3, 3, 3], 2),
        ([1, 1, 1, 1, 1, 6], 5),
        ([2, 2, 2, 2, 4, 4], 4),
        ([1, 9], 1),
        ([7], 0),
    ],
)
def test_two_shards_are_cut_where_the_larger_is_smallest(widths, cut):
    assert middle(np.array(widths)) == cut
    sizes = [max(n * max([0, *widths[:n]]), (len(widths) - n) * max(widths)) for n in range(6)]
    assert sizes[cut] == min(sizes[: len(widths)])


def test_shards_hold_users_of_like_length():
    for batch in batches_of():
        lengths = [len(history) for shard in batch for history in shard.histories]
        clipped = [min(length, 13) for length in lengths]  # beyond it all are equally wide
        assert clipped == sorted(clipped)
        for shard in batch:
            assert shard.ids.shape[1] == min(12, max(len(h) - 1 for h in shard.histories))


def test_batches_of_a_pool_are_of_like_length_and_come_in_any_order():
    settings = {"max_len": 30, "batch_size": 8, "n_shards": 2, "pool": 3}
    batches = list(epoch_batches(HISTORIES, rng=np.random.default_rng(0), **settings))
    assert sorted(h[-1] for batch in batches for shard in batch for h in shard.histories) == [
        100 + user for user in range(len(HISTORIES))
    ]
    lengths = [[len(h) for shard in batch for h in shard.histories] for batch in batches]
    unordered = 0
    for start in range(0, len(lengths), 3):
        of_pool = sorted(lengths[start : start + 3])
        for shorter, longer in pairwise(of_pool):
            assert max(shorter) <= min(longer)
        unordered += of_pool != lengths[start : start + 3]
    assert unordered
    padding = {
        pool: sum(
            shard.ids.size
            for batch in epoch_batches(
                HISTORIES, rng=np.random.default_rng(0), **settings | {"pool": pool}
            )
            for shard in batch
        )
        for pool in (1, 3)
    }
    assert padding[3] < padding[1]


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


# --- what else is known of the events, and which of them are to be predicted

PLACES = [np.arange(1, len(history) + 1) for history in HISTORIES]  # of each event, from 1
USERS = [np.full(len(history), 1 + user) for user, history in enumerate(HISTORIES)]
CONTEXT = {"place": PLACES, "user": USERS}
WANTED = [RNG.random(len(history)) < 0.4 for history in HISTORIES]


@pytest.mark.parametrize("pieces", [False, True])
def test_an_event_keeps_its_context_and_has_a_target_where_the_next_is_wanted(pieces):
    settings = {"max_len": 12, "batch_size": 10, "n_shards": 4, "pieces": pieces}
    settings |= {"rng": np.random.default_rng(0), "context": CONTEXT, "wanted": WANTED}
    met = 0
    for batch in epoch_batches(HISTORIES, **settings):
        for shard in batch:
            place, user = shard.context["place"], shard.context["user"]
            assert place.shape == user.shape == shard.ids.shape == shard.targets.shape
            for row, column in np.ndindex(*shard.ids.shape):
                if not shard.ids[row, column]:
                    assert (
                        place[row, column] == user[row, column] == shard.targets[row, column] == 0
                    )
                    continue
                history = HISTORIES[user[row, column] - 1]
                here = place[row, column] - 1
                assert shard.ids[row, column] == history[here]
                wanted = WANTED[user[row, column] - 1][here + 1]
                assert shard.targets[row, column] == (history[here + 1] if wanted else 0)
                met += 1
    assert met == sum(min(len(h) - 1, len(h) if pieces else 12) for h in HISTORIES)


@pytest.mark.parametrize("pieces", [False, True])
def test_without_histories_there_are_no_batches(pieces):
    settings = {"max_len": 3, "batch_size": 3, "n_shards": 2, "pieces": pieces}
    assert list(epoch_batches([], **settings, rng=np.random.default_rng(0))) == []


@pytest.mark.parametrize("max_len", [1, 4, 12, 50])
def test_in_pieces_every_event_of_every_history_is_predicted_once(max_len):
    histories = [100 * user + np.arange(1, n + 1) for user, n in enumerate([2, 4, 5, 13, 38])]
    settings = {"max_len": max_len, "batch_size": 3, "n_shards": 2, "pieces": True}
    targets = []
    for batch in epoch_batches(histories, **settings, rng=np.random.default_rng(0)):
        assert sum(len(shard.ids) for shard in batch) <= 3
        for shard in batch:
            real = shard.targets != 0
            assert np.array_equal(shard.targets[real], shard.ids[real] + 1)
            targets.extend(shard.targets[real].tolist())
            for row, history in zip(shard.targets, shard.histories, strict=True):
                assert set(row) <= {0, *history.tolist()}  # the whole history, for the negatives
    assert sorted(targets) == [event for history in histories for event in history[1:].tolist()]


def test_context_and_wanted_change_nothing_else():
    settings = {"max_len": 12, "batch_size": 10, "n_shards": 4}
    plain = list(epoch_batches(HISTORIES, **settings, rng=np.random.default_rng(0)))
    known = epoch_batches(
        HISTORIES, **settings, rng=np.random.default_rng(0), context=CONTEXT, wanted=WANTED
    )
    for shards, others in zip(plain, known, strict=True):
        for shard, other in zip(shards, others, strict=True):
            assert np.array_equal(shard.ids, other.ids)
            assert np.all((other.targets == shard.targets) | (other.targets == 0))
            assert shard.context == {}


# --- histories cut in two


def cut(histories=HISTORIES, seed=0, n_targets=3, cuts=5, max_len=12, **columns):
    sizes = {"max_len": max_len, "batch_size": 20, "n_shards": 4}
    rng = np.random.default_rng(seed)
    return list(cut_batches(histories, n_targets=n_targets, cuts=cuts, **sizes, rng=rng, **columns))


def pieces_of(batches):
    """What every piece is: its user, where it ends, its row of ids and its row of targets."""
    return [
        (user[-1] - 1, place[-1], ids, targets)
        for batch in batches
        for shard in batch
        for user, place, ids, targets in zip(
            shard.context["user"], shard.context["place"], shard.ids, shard.targets, strict=True
        )
    ]


@pytest.mark.parametrize("n_targets", [1, 3])
def test_a_piece_is_what_was_and_its_targets_what_came_next(n_targets):
    pieces = pieces_of(cut(n_targets=n_targets, context=CONTEXT))
    for user, end, ids, targets in pieces:
        history = HISTORIES[user].tolist()
        before, after = history[:end], history[end : end + n_targets]
        assert 1 <= end < len(history)
        assert ids[ids > 0].tolist() == before[-12:]
        assert np.all(ids[: len(ids) - len(before[-12:])] == 0)
        assert targets.tolist() == after + [0] * (n_targets - len(after))
    assert any(targets[-1] == 0 for *_, targets in pieces) is (n_targets > 1)


@pytest.mark.parametrize("cuts", [1, 5, 100])
def test_each_history_is_cut_in_so_many_places_or_in_all_it_has_and_never_twice_in_one(cuts):
    pieces = pieces_of(cut(cuts=cuts, context=CONTEXT))
    for user, history in enumerate(HISTORIES):
        ends = [end for piece_of, end, *_ in pieces if piece_of == user]
        assert len(ends) == len(set(ends)) == min(cuts, len(history) - 1)


def test_every_place_is_cut_in_some_epoch_as_often_as_any_other():
    history, rng = [np.arange(1, 7)], np.random.default_rng(0)
    ends = np.concatenate([draw_cuts(history, 2, rng)[1] for _ in range(1000)])
    counts = np.bincount(ends, minlength=6)
    assert counts[0] == 0
    assert np.all(abs(counts[1:] - 400) < 60)


def test_pieces_are_cut_only_before_events_that_are_wanted():
    pieces = pieces_of(cut(cuts=100, context=CONTEXT, wanted=WANTED))
    found = sorted((int(user), int(end)) for user, end, *_ in pieces)
    assert found == [
        (user, place)
        for user, flags in enumerate(WANTED)
        for place in range(1, len(flags))
        if flags[place]
    ]


def test_pieces_come_in_batches_of_like_length_and_at_most_so_many():
    batches = cut(context=CONTEXT)
    n_pieces = sum(min(5, len(history) - 1) for history in HISTORIES)
    assert len(batches) == -(-n_pieces // 20)
    for batch in batches:
        assert sum(len(shard.ids) for shard in batch) <= 20
        assert 1 <= len(batch) <= 4
        lengths = [min(len(h), 12) for shard in batch for h in shard.histories]
        assert lengths == sorted(lengths)
        for shard in batch:
            assert shard.ids.shape[1] == max(min(len(h), 12) for h in shard.histories)
            assert shard.count == np.count_nonzero(shard.targets)


def test_the_same_rng_gives_the_same_cuts_and_another_gives_others():
    def ends(seed):
        return [(user, end) for user, end, *_ in pieces_of(cut(seed=seed, context=CONTEXT))]

    assert ends(1) == ends(1)
    assert ends(1) != ends(2)
    assert sorted(ends(1)) != sorted(ends(2))  # other places, not only another order


def test_what_was_is_handed_on_as_the_history_of_a_piece():
    for batch in cut(context=CONTEXT):
        for shard in batch:
            for ids, history in zip(shard.ids, shard.histories, strict=True):
                assert ids[ids > 0].tolist() == history[-12:].tolist()
