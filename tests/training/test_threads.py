"""Side by side, in order, and with one thread of the matrix library each."""

import threading
import time

import pytest
from threadpoolctl import threadpool_info, threadpool_limits

from attention_from_scratch.training import available_cores, shard_pool


@pytest.mark.parametrize("threads", [1, 2, 5, None])
def test_results_come_in_the_order_of_the_calls(threads):
    def slow_at_first(i):
        time.sleep(0.01 if i == 0 else 0)
        return i * i

    with shard_pool(threads) as parallel:
        assert list(parallel(slow_at_first, range(20))) == [i * i for i in range(20)]


def test_calls_do_run_side_by_side():
    meeting = threading.Barrier(3, timeout=10)
    with shard_pool(3) as parallel:
        assert sorted(parallel(lambda _: meeting.wait(), range(3))) == [0, 1, 2]


def test_the_matrix_library_has_one_thread_meanwhile_and_its_own_number_afterwards():
    def blas_threads():
        return [lib["num_threads"] for lib in threadpool_info() if lib["user_api"] == "blas"]

    before = blas_threads()
    with shard_pool(2):
        assert set(blas_threads()) <= {1}
    assert blas_threads() == before


def test_of_two_pools_that_overlap_the_last_to_leave_gives_the_matrix_library_its_threads_back():
    def blas_threads():
        return {lib["num_threads"] for lib in threadpool_info() if lib["user_api"] == "blas"}

    with threadpool_limits(3, user_api="blas"):
        before = blas_threads()
        assert before == {3}
        first, second = shard_pool(1), shard_pool(1)
        first.__enter__()
        second.__enter__()
        first.__exit__(None, None, None)
        assert blas_threads() == {1}
        second.__exit__(None, None, None)
        assert blas_threads() == before
        with pytest.raises(KeyError), shard_pool(1):
            raise KeyError
        assert blas_threads() == before


def test_an_error_in_a_call_is_raised():
    def fail(i):
        raise KeyError(i)

    with shard_pool(2) as parallel, pytest.raises(KeyError):
        list(parallel(fail, range(3)))


@pytest.mark.parametrize("threads", [0, -1, 1.5, 2.0, True, "2"])
def test_what_is_no_number_of_threads_is_an_error(threads):
    with pytest.raises(ValueError, match=f"threads was {threads!r}, but"), shard_pool(threads):
        pass


def test_there_is_a_core():
    assert available_cores() >= 1
