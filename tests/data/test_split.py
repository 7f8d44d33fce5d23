import numpy as np
import pytest

from attention_from_scratch.data import leave_one_out


def split_of(*histories):
    return leave_one_out([np.array(history, np.int64) for history in histories])


def as_lists(histories):
    return [history.tolist() for history in histories]


def test_the_last_event_is_the_test_and_the_one_before_it_validation():
    split = split_of([1, 2, 3, 4, 5], [7, 8, 9])
    assert as_lists(split.train) == [[1, 2, 3], [7]]
    assert split.validation.tolist() == [4, 8]
    assert split.test.tolist() == [5, 9]


def test_fewer_than_three_events_are_all_for_training():
    split = split_of([1, 2], [3], [], [4, 5, 6])
    assert as_lists(split.train) == [[1, 2], [3], [], [4]]
    assert split.validation.tolist() == [0, 0, 0, 5]
    assert split.test.tolist() == [0, 0, 0, 6]


def test_the_model_sees_everything_before_its_target_and_nothing_after():
    split = split_of([1, 2, 3, 4], [5, 6])
    assert as_lists(split.validation_histories) == [[1, 2], [5, 6]]
    assert as_lists(split.test_histories) == [[1, 2, 3], [5, 6]]


def test_no_event_is_lost():
    rng = np.random.default_rng(0)
    histories = [rng.integers(1, 9, n) for n in rng.integers(0, 9, 50)]
    split = leave_one_out(histories)
    for history, seen, target in zip(histories, split.test_histories, split.test, strict=True):
        assert [*seen, *([target] if target else [])] == history.tolist()


def test_the_histories_are_left_as_they_are():
    history = np.array([1, 2, 3])
    history.flags.writeable = False
    leave_one_out([history]).test_histories[0][0] = 9
    assert history.tolist() == [1, 2, 3]


def test_histories_may_come_one_at_a_time():
    split = leave_one_out(np.array(h) for h in ([1, 2, 3], [4]))
    assert as_lists(split.train) == [[1], [4]]
    assert split.test.tolist() == [3, 0]


def test_lists_will_do_and_an_empty_one_too():
    split = leave_one_out([[1, 2, 3], []])
    assert as_lists(split.train) == [[1], []]
    assert {history.dtype for history in split.train} == {np.dtype(np.int64)}


@pytest.mark.parametrize("ids", [[1.7, 2.0, 3.0], ["1", "2"], [True]])
def test_ids_that_are_no_integers_are_an_error(ids):
    with pytest.raises(ValueError, match=r"histories\[1\] is of .*; item ids are integers"):
        leave_one_out([[1, 2, 3], ids])


def test_padding_in_a_history_is_an_error():
    with pytest.raises(ValueError, match=r"histories\[1\] holds 0; item ids start at 1"):
        split_of([1, 2, 3], [0, 1, 2])
