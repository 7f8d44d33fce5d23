"""One batch on several cores, with the same result on any number of them."""

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

from threadpoolctl import threadpool_limits


def available_cores() -> int:
    """How many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@contextmanager
def shard_pool(threads: int | None = None) -> Iterator[Callable]:
    """Give a `map` that runs its calls side by side and returns their results in order.

    Ops are pure and NumPy lets go of the interpreter lock while it computes, so threads are enough.
    The matrix library is held to one thread of its own meanwhile: the cores are busy with shards.

    Parameters
    ----------
    threads : int or None
        None: as many as there are cores.
    """
    if threads is not None and threads < 1:
        raise ValueError(f"threads was {threads}, but must be at least 1")
    with (
        threadpool_limits(1, user_api="blas"),
        ThreadPoolExecutor(threads or available_cores()) as pool,
    ):
        yield pool.map
