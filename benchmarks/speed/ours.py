"""What our contenders share: arrays, threads, and training that waits until it is asked."""

import multiprocessing
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import numpy as np

BETAS = (0.9, 0.98)  # of everybody's Adam


def drawn(*shape, n):
    """Arrays of standard normal numbers."""
    return np.random.default_rng(0).standard_normal((n, *shape)).astype(np.float32)


def in_parts(arrays, n_parts):
    """Rows of all arrays, in so many parts."""
    return list(zip(*(np.array_split(array, n_parts) for array in arrays), strict=True))


def in_shards(arrays, size):
    """Rows of all arrays, so many in each shard."""
    return [
        tuple(array[start : start + size] for array in arrays)
        for start in range(0, len(arrays[0]), size)
    ]


def pool_of(threads) -> tuple[Callable, ExitStack]:
    """A map over threads, and what is to be held on to as long as it is used."""
    from attention_from_scratch.training.threads import shard_pool

    stack = ExitStack()
    return stack.enter_context(shard_pool(threads)), stack


def numpy_on(threads: int, processes: int = 1) -> str:
    """What we are: NumPy 2.4.6, 2 threads."""
    cores = f"{threads} threads" if processes == 1 else f"{processes} processes"
    return f"NumPy {np.__version__}, {cores}"


def histories_of(data: str, users: int | None = None) -> tuple[list[np.ndarray], int]:
    """What each user has done before the test event; number of items."""
    from attention_from_scratch.data import leave_one_out, read_interactions

    events = read_interactions(data)
    return leave_one_out(events.histories).test_histories[:users], events.n_items


def training_histories(data: str, users: int | None = None) -> tuple[list[np.ndarray], int]:
    """What there is to learn from, and the number of items."""
    histories, n_items = histories_of(data, users)
    return [history for history in histories if len(history) > 1], n_items


def stepper(loss_of, params, batches, *, lr, threads, processes=1) -> Callable[[], object]:
    """A function that goes through the epoch's batches with Adam, on threads or in processes."""
    from attention_from_scratch.training import Adam

    optimizer, (parallel, stack) = Adam(params, lr=lr, betas=BETAS), pool_of(threads)
    epochs = when_asked(loss_of, params, batches, optimizer, parallel, processes)

    def step(stack=stack):
        next(epochs)
        return params

    return step


def when_asked(loss_of, params, batches, optimizer, parallel, processes) -> Iterator[tuple]:
    """The epochs of `descend`, each when it is asked for: what is not must not keep a core busy."""
    from attention_from_scratch.training.loop import descend

    asked = multiprocessing.get_context("fork").Semaphore(0)

    def batches_if_asked(epoch):
        while not asked.acquire(timeout=1):
            leave_if_first_is_gone()
        yield from batches(epoch)

    settings = {"epochs": 2**31, "seed": 0, "processes": processes}
    epochs = descend(loss_of, params, batches_if_asked, optimizer, parallel, **settings)
    while True:
        for _ in range(processes):
            asked.release()
        yield next(epochs)


def leave_if_first_is_gone() -> None:
    """End a process whose parent has ended; the first has no parent here."""
    first = multiprocessing.parent_process()
    if first is not None and not first.is_alive():
        raise SystemExit
