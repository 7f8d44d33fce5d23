"""One training in several processes: no interpreter's lock to share, and no arrays to send.

Threads share the interpreter: where a step is many small operations, they wait for its lock.
Processes do not. Each goes through the same training, on the same batches, and has a part in a
step:

1. it computes the gradients of some of the shards, and puts them where all can see them;
2. when all have, it adds up the gradients of its share of the parameters, and updates these;
3. when all have, the next step begins.

The parameters lie in memory that all share (`sharing`). What is added up, and in which order, is
the same on any number of processes, and with threads. (Data-parallel training, in which the
optimizer is divided as well: Rajbhandari et al., ZeRO, SC 2020.)
"""

import multiprocessing
import os
import signal
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection

from attention_from_scratch.arguments import check_integer
from attention_from_scratch.training.forks.sharing import MAX_SHARDS

AWAKE = 2e-3  # seconds that a process waits for another before it falls asleep
ASLEEP = 5e-2  # seconds after which it wakes to see whether the others are still there

# The signals that end a training; Windows has no SIGHUP.
ENDING = [
    getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)
]


def check_processes(processes: int) -> int:
    """The number as an int; raise unless a training here can have so many processes."""
    check_integer("processes", processes, 1)
    if processes > 1 and not sys.platform.startswith("linux"):
        raise ValueError(
            f"processes was {processes}, but must be 1 on {sys.platform} (they are forks, which "
            "only Linux can be trusted with)"
        )
    if processes > MAX_SHARDS:
        raise ValueError(
            f"processes was {processes}, but must be 1 to {MAX_SHARDS}: a batch has no more shards"
        )
    return processes


class FirstIsGone(Exception):
    """Raised in the other processes when the first has ended, so that they end as well."""


class Member:
    """One of the processes: which, and how it meets the others."""

    def __init__(self, rank: int, arrivals: list, pipes: list[Connection]):
        self.rank, self.size = rank, len(arrivals)
        self.arrivals = arrivals  # a semaphore each, which the others release when they arrive
        self.pipes = pipes

    def computes(self, index: int, n_shards: int) -> bool:
        """Whether this process computes a shard, or leaves it to another.

        They are dealt forth and back, beginning with the last, which is the longest.
        """
        place = (n_shards - 1 - index) % (2 * self.size)
        return self.rank == min(place, 2 * self.size - 1 - place)

    def share(self, arrays: list) -> list:
        """The rows of each array that this process updates, as views."""
        share = []
        for array in arrays:
            start, stop = (len(array) * at // self.size for at in (self.rank, self.rank + 1))
            share.append(array[start:stop])
        return share

    def meet(self) -> None:
        """Return when all have called this. What each wrote before, all read after."""
        others = [arrival for rank, arrival in enumerate(self.arrivals) if rank != self.rank]
        for arrival in others:
            arrival.release()
        for _ in others:
            self.wait()

    def wait(self) -> None:
        """Wait until another arrives: awake at first, as waking up takes longer than most waits."""
        arrival, asleep_from = self.arrivals[self.rank], time.perf_counter() + AWAKE
        while not arrival.acquire(block=False):
            if time.perf_counter() < asleep_from:
                continue
            if arrival.acquire(timeout=ASLEEP):
                return
            gone = [pipe for pipe in self.pipes if pipe.poll()]  # it may have arrived before
            if gone and not arrival.acquire(timeout=ASLEEP):
                raise heard(gone[0]) if self.rank == 0 else FirstIsGone
            if gone:
                return


def heard(pipe: Connection) -> Exception:
    """The error of the process at the other end of a pipe."""
    try:
        return pipe.recv()
    except (EOFError, OSError):
        return ChildProcessError("a process of the training has ended before the others")


@contextmanager
def signals_held_back() -> Iterator[None]:
    """Let Ctrl-C, SIGTERM and SIGHUP wait until the block is over.

    Python handles signals in the main thread, so there is nothing to do in another.
    """
    caught, before = [], {}
    if threading.current_thread() is threading.main_thread():
        for number in ENDING:
            if signal.getsignal(number) not in (signal.SIG_IGN, None):
                before[number] = signal.signal(number, lambda *given: caught.append(given))
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    for number, _ in caught:
        os.kill(os.getpid(), number)


@contextmanager
def crew(size: int, work: Callable[[Member], None]) -> Iterator[Member]:
    """Be the first of `size` members; the others run `work`, each in a fork of this process.

    They end when the block does. An error of theirs is raised where the first meets them.
    """
    context = multiprocessing.get_context("fork")
    arrivals = [context.Semaphore(0) for _ in range(size)]
    pipes, processes = [], []

    def run(rank, pipe):
        for end in pipes:  # inherited: while a copy is open, nobody sees that the first is gone
            end.close()
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the first
        for number in (signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_DFL)
        try:
            work(Member(rank, arrivals, [pipe]))
        except FirstIsGone:
            pass
        except Exception as error:
            pipe.send(error)

    try:
        with signals_held_back():  # in the middle of a fork, Python would pass over them
            for rank in range(1, size):
                here, there = context.Pipe()
                pipes.append(here)
                process = context.Process(target=run, args=(rank, there), daemon=True)
                with warnings.catch_warnings():  # other threads may hold locks: none is taken
                    warnings.simplefilter("ignore", DeprecationWarning)
                    process.start()
                processes.append(process)
                there.close()
        yield Member(0, arrivals, pipes)
    finally:
        for process in processes:
            process.kill()
            process.join()
