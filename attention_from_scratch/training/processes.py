"""One training in several processes: no interpreter's lock to share, and no arrays to send.

Threads share the interpreter: where a step is many small operations, they wait for its lock.
Processes do not. Each goes through the same training, on the same batches, and has a part in a
step:

1. it computes the gradients of some of the shards, and puts them where all can see them;
2. when all have, it adds up the gradients of its share of the parameters, and updates these;
3. when all have, the next step begins.

The parameters lie in memory that all share. What is added up, and in which order, is the same on
any number of processes, and with threads. (Data-parallel training, in which the optimizer is
divided as well: Rajbhandari et al., ZeRO, SC 2020.)
"""

import math
import mmap
import multiprocessing
import signal
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection

import numpy as np

from attention_from_scratch.training.checks import check_integer
from attention_from_scratch.tree import Rows, Tree, leaves, tree_map

MAX_SHARDS = 8  # of a batch
LARGE = 2**15  # numbers: the rows of larger arrays are divided, a smaller one goes to one process


def check_processes(processes: int) -> int:
    """The number, if there can be so many."""
    check_integer("processes", processes, 1)
    if processes > 1 and not sys.platform.startswith("linux"):
        raise ValueError(
            f"processes was {processes}, but must be 1 on {sys.platform} (they are forks, which "
            "only Linux can be trusted with)"
        )
    return processes


class Member:
    """One of the processes: which, of how many, and how it meets the others."""

    def __init__(self, rank: int, size: int, pipes: list[Connection]):
        self.rank, self.size, self.pipes = rank, size, pipes

    def computes(self, index: int, n_shards: int) -> bool:
        """Whether a shard is its own: they are dealt forth and back, from the last, the longest."""
        place = (n_shards - 1 - index) % (2 * self.size)
        return self.rank == min(place, 2 * self.size - 1 - place)

    def share(self, arrays: list) -> list:
        """Views of what it updates: some rows of each large array, and some of the small ones."""
        share = []
        for number, array in enumerate(arrays):
            if math.prod(array.shape) > LARGE:
                start, stop = (len(array) * at // self.size for at in (self.rank, self.rank + 1))
                share.append(array[start:stop])
            elif number % self.size == self.rank:
                share.append(array)
        return share

    def meet(self) -> None:
        """Return when all have called this. What each wrote before, all read after."""
        if self.rank:
            self.pipes[0].send(None)
            self.pipes[0].recv()
            return
        for pipe in self.pipes:
            error = heard(pipe)
            if error is not None:
                raise error
        for pipe in self.pipes:
            pipe.send(None)


def heard(pipe: Connection) -> Exception | None:
    """What went wrong in the process at the other end; None: it is there to meet the first."""
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
    pipes, processes = [], []

    def run(rank, pipe):
        for end in pipes:  # the first's: when it has gone, reading from it must fail
            end.close()
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the first
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        try:
            work(Member(rank, size, [pipe]))
        except (EOFError, ConnectionError):  # the first is gone
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
        yield Member(0, size, pipes)
    finally:
        for process in processes:
            process.kill()
            process.join()


class Common:
    """What all members see: parameters, and for each shard of a batch its loss and gradients."""

    def __init__(self, params: Tree):
        self.params = tree_map(shared_copy, params)
        self.losses = shared((MAX_SHARDS,), float)
        self.slots = [tree_map(Slot, self.params) for _ in range(MAX_SHARDS)]

    def put(self, index: int, loss: float, grads: Tree) -> None:
        """Write what came of a shard."""
        self.losses[index] = loss
        tree_map(Slot.put, self.slots[index], grads)

    def grads(self, index: int) -> list[np.ndarray | Rows]:
        """The gradients of a shard, in the order of `leaves`."""
        return [slot.get() for slot in leaves(self.slots[index])]


class Slot:
    """Where the gradient of one array is put: all of it, or `Rows`."""

    def __init__(self, array: np.ndarray):
        self.rows = shared(array.shape, array.dtype)
        self.ids = shared(array.shape[:1], np.int64)
        self.n_rows = shared((), np.int64)  # that are there; -1: all

    def put(self, grad: np.ndarray | Rows) -> None:
        """Write it."""
        if isinstance(grad, Rows):
            n_rows = len(grad.ids)
            self.ids[:n_rows], self.rows[:n_rows], self.n_rows[...] = grad.ids, grad.rows, n_rows
        else:
            self.rows[...], self.n_rows[...] = grad, -1

    def get(self) -> np.ndarray | Rows:
        """A view of it."""
        if self.n_rows < 0:
            return self.rows
        return Rows(self.ids[: self.n_rows], self.rows[: self.n_rows], len(self.rows))


def shared(shape: tuple[int, ...], dtype) -> np.ndarray:
    """Zeros that will be shared with forks. What is never written to takes no memory."""
    dtype, size = np.dtype(dtype), math.prod(shape)
    memory = mmap.mmap(-1, max(1, size * dtype.itemsize))
    return np.frombuffer(memory, dtype, size).reshape(shape)


def shared_copy(array: np.ndarray) -> np.ndarray:
    """The same numbers, shared with forks."""
    copy = shared(array.shape, array.dtype)
    copy[...] = array
    return copy
