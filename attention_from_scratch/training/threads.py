"""One batch on several cores, with the same result on any number of them."""

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from threading import Lock

from threadpoolctl import threadpool_limits

from attention_from_scratch.arguments import check_integer
from attention_from_scratch.training.memory import keep_memory

ENOUGH = 1024  # targets of a batch


def available_cores() -> int:
    """How many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def is_worth_threads(n_targets: int) -> bool:
    """Whether a batch has so many targets that threads do not wait more than they work."""
    return n_targets >= ENOUGH


@contextmanager
def shard_pool(threads: int | None = None) -> Iterator[Callable]:
    """Give a `map` that runs its calls side by side and returns their results in order.

    Ops are pure and NumPy lets go of the interpreter lock while it computes, so threads are enough.
    The matrix library is held to one thread of its own meanwhile: the cores are busy with shards.

    Parameters
    ----------
    threads : int or None
        How many threads; None: as many as there are cores.
    """
    if threads is not None:
        check_integer("threads", threads, 1)
    keep_memory()
    with one_blas_thread(), ThreadPoolExecutor(threads or available_cores()) as pool:
        yield pool.map


_lock = Lock()
_inside = 0  # how many pools are open just now, in all threads
_limits = None  # the limit that the first pool set, for the last to take back


@contextmanager
def one_blas_thread() -> Iterator[None]:
    """Hold the matrix library, which all threads share, to one thread of its own.

    Where several overlap, the first in sets the limit and the last out takes it back.
    """
    global _inside, _limits
    with _lock:
        if not _inside:
            _limits = threadpool_limits(1, user_api="blas")
        _inside += 1
    try:
        yield
    finally:
        with _lock:
            _inside -= 1
            if not _inside:
                _limits.restore_original_limits()
