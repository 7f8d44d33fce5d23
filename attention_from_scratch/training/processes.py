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
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection

import numpy as np

from attention_from_scratch.training.checks import check_integer
from attention_from_scratch.tree import Rows, Tree, leaves, tree_map

MAX_SHARDS = 8  # of a batch
LARGE = 2**15  # numbers: a larger array lies by itself, smaller ones end to end
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


class Member:
    """One of the processes: which, and how it meets the others."""

    def __init__(self, rank: int, arrivals: list, pipes: list[Connection]):
        self.rank, self.size = rank, len(arrivals)
        self.arrivals, self.pipes = arrivals, pipes  # semaphores: who waits for whose

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
            for pipe in self.pipes:
                if pipe.poll():
                    raise heard(pipe)


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
        except ChildProcessError:  # the first is gone
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


class Layout:
    """How the arrays of a tree lie in memory: large ones by themselves, small ones end to end.

    What is done number by number is then done to a few arrays. Small matrices become a column and
    small vectors a row: weight decay must tell them apart.
    """

    def __init__(self, tree: Tree):
        self.shapes = [leaf.shape for leaf in leaves(tree)]
        numbers = iter(range(len(self.shapes)))
        self.numbers = tree_map(lambda leaf: next(numbers), tree)
        groups: dict = {}  # what the leaves of an array have in common -> their numbers
        for number, leaf in enumerate(leaves(tree)):
            kind = number if leaf.size > LARGE else (leaf.dtype, leaf.ndim > 1)
            groups.setdefault(kind, []).append((number, leaf))
        self.alone = {kind: at for at, kind in enumerate(groups) if isinstance(kind, int)}
        self.groups = [[number for number, _ in group] for group in groups.values()]
        self.arrays = []  # the shape and the dtype of each
        for kind, group in groups.items():
            size, (_, first) = sum(leaf.size for _, leaf in group), group[0]
            end_to_end = (size, 1) if first.ndim > 1 else (size,)
            self.arrays.append((first.shape if kind in self.alone else end_to_end, first.dtype))

    def lay(self, tree: Tree, zeros: Callable = np.zeros) -> list[np.ndarray]:
        """Copy a tree into new arrays, which `zeros` makes."""
        arrays = [zeros(shape, dtype) for shape, dtype in self.arrays]
        tree_map(np.copyto, self.tree(arrays), tree)
        return arrays

    def tree(self, arrays: list) -> Tree:
        """The tree whose numbers lie in such arrays: its leaves are views of them."""
        found: dict = {}
        for group, array in zip(self.groups, arrays, strict=True):
            if group[0] in self.alone:
                found[group[0]] = array
                continue
            sizes = [math.prod(self.shapes[number]) for number in group]
            parts = np.split(array.reshape(-1), np.cumsum(sizes)[:-1])
            found |= {n: part.reshape(self.shapes[n]) for n, part in zip(group, parts, strict=True)}
        return tree_map(found.get, self.numbers)


class Common:
    """What all members see: parameters, and for each shard of a batch its loss and gradients."""

    def __init__(self, params: Tree):
        self.layout = Layout(params)
        self.arrays = self.layout.lay(params, shared)
        self.params = self.layout.tree(self.arrays)
        self.losses = shared((MAX_SHARDS,), float)
        self.slots = [Slot(self.layout) for _ in range(MAX_SHARDS)]


class Slot:
    """Where the gradients of a shard are put, as arrays of a layout: all of one, or `Rows`."""

    def __init__(self, layout: Layout):
        self.layout = layout
        self.arrays = [shared(*of) for of in layout.arrays]
        self.leaves = leaves(layout.tree(self.arrays))
        self.ids = [shared(array.shape[:1], np.int64) for array in self.arrays]
        self.n_rows = shared((len(self.arrays),), np.int64)  # that are there; -1: all

    def put(self, grads: Tree) -> None:
        """Write them."""
        self.n_rows[:] = -1
        tree_map(self.put_leaf, self.layout.numbers, grads)

    def put_leaf(self, number: int, grad: np.ndarray | Rows) -> None:
        """Write one of them."""
        if not isinstance(grad, Rows):
            self.leaves[number][...] = grad
        elif number not in self.layout.alone:
            self.leaves[number][...] = grad.dense()
        else:
            at, n_rows = self.layout.alone[number], len(grad.ids)
            self.ids[at][:n_rows], self.arrays[at][:n_rows] = grad.ids, grad.rows
            self.n_rows[at] = n_rows

    def get(self) -> list[np.ndarray | Rows]:
        """Views of them."""
        return [
            array if n_rows < 0 else Rows(ids[:n_rows], array[:n_rows], len(array))
            for array, ids, n_rows in zip(self.arrays, self.ids, self.n_rows, strict=True)
        ]


def shared(shape: tuple[int, ...], dtype) -> np.ndarray:
    """Zeros that will be shared with forks. What is never written to takes no memory."""
    dtype, size = np.dtype(dtype), math.prod(shape)
    memory = mmap.mmap(-1, max(1, size * dtype.itemsize))
    return np.frombuffer(memory, dtype, size).reshape(shape)
