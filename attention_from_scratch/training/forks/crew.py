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
import signal
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection

from attention_from_scratch.arguments import check_integer

AWAKE = 2e-3  # seconds: so long one waits without falling asleep
ASLEEP = 5e-2  # seconds: so often one who sleeps looks whether the others are still there


def check_processes(processes: int) -> int:
    """The number, if there can be so many."""
    check_integer("processes", processes, 1)
    if processes > 1 and not sys.platform.startswith("linux"):
        raise ValueError(
            f"processes was {processes}, but must be 1 on {sys.platform} (they are forks, which "
            "only Linux can be trusted with)"
        )
    return processes


class FirstIsGone(Exception):
    """Raised in the other processes, which then end."""


class Member:
    """One of the processes: which, and how it meets the others."""

    def __init__(self, rank: int, arrivals: list, pipes: list[Connection]):
        self.rank, self.size = rank, len(arrivals)
        self.arrivals = arrivals  # a semaphore each, which the others release when they arrive
        self.pipes = pipes

    def computes(self, index: int, n_shards: int) -> bool:
        """Whether a shard is its own: they are dealt forth and back, from the last, the longest."""
        place = (n_shards - 1 - index) % (2 * self.size)
        return self.rank == min(place, 2 * self.size - 1 - place)

    def share(self, arrays: list) -> list:
        """Views of what it updates: of each array some rows."""
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
        """Until another arrives. Awake at first: to be woken takes longer than most waits."""
        arrival, asleep_from = self.arrivals[self.rank], time.perf_counter() + AWAKE
        while not arrival.acquire(block=False):
            if time.perf_counter() < asleep_from:
                continue
            if arrival.acquire(timeout=ASLEEP):
                return
            gone = [pipe for pipe in self.pipes if pipe.poll()]  # perhaps after they arrived
            if gone and not arrival.acquire(timeout=ASLEEP):
                raise heard(gone[0]) if self.rank == 0 else FirstIsGone
            if gone:
                return


def heard(pipe: Connection) -> Exception:
    """What went wrong in the process at the other end."""
    try:
        return pipe.recv()
    except (EOFError, OSError):
        return ChildProcessError("a process of the training has ended before the others")


@contextmanager
def crew(size: int, work: Callable[[Member], None]) -> Iterator[Member]:
    """Be the first of so many members; the others run `work`, each in a fork of this process.

    They end when the block does. An error of theirs is raised where the first meets them.
    """
    context = multiprocessing.get_context("fork")
    arrivals = [context.Semaphore(0) for _ in range(size)]
    pipes, processes = [], []

    def run(rank, pipe):
        for end in pipes:  # the first's: when it has gone, reading from it must fail
            end.close()
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the first
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        try:
            work(Member(rank, arrivals, [pipe]))
        except FirstIsGone:
            pass
        except Exception as error:
            pipe.send(error)

    try:
        for rank in range(1, size):
            here, there = context.Pipe()
            pipes.append(here)
            processes.append(context.Process(target=run, args=(rank, there), daemon=True))
            with warnings.catch_warnings():  # of locks that other threads may hold: none is taken
                warnings.simplefilter("ignore", DeprecationWarning)
                processes[-1].start()
            there.close()
        yield Member(0, arrivals, pipes)
    finally:
        for process in processes:
            process.kill()
            process.join()
