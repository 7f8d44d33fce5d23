"""`fit` itself, a step at a time: only the epochs and the loss are named."""

import atexit
import multiprocessing
import os
from functools import partial

import numpy as np

from benchmarks.speed.ours import leave_if_first_is_gone

EPOCHS = 10**6  # more than anybody waits for: `fit` must take this for a long training


class Gate:
    """Where every process of a training waits for the next step to be asked for."""

    def __init__(self):
        context = multiprocessing.get_context("fork")
        self.asked, self.ready = context.Semaphore(0), context.Semaphore(0)
        self.size = context.Value("q", 1)

    def ask(self, training: multiprocessing.Process) -> None:
        """Let the training take one step, and come back when it has."""
        for _ in range(self.size.value):
            self.asked.release()
        self.wait_for(training)

    def wait_for(self, training: multiprocessing.Process) -> None:
        """Come back when the training waits for the next step."""
        while not self.ready.acquire(timeout=1):
            if not training.is_alive():
                raise ChildProcessError("the training has ended")

    def pass_through(self, *, first: bool) -> None:
        """Come back when a step is asked for; the first of the processes says that all wait."""
        if first:
            self.size.value = 1 + len(multiprocessing.active_children())
            self.ready.release()
        while not self.asked.acquire(timeout=1):
            leave_if_first_is_gone()


def ours(*, loss, shape):
    """`fit` of a SASRec of this shape, in a process that has no threads, as a script has none."""
    gate = Gate()
    training = multiprocessing.get_context("fork").Process(target=train, args=(gate, loss, shape))
    training.start()
    atexit.register(training.kill)  # who ends in order would wait for it
    gate.wait_for(training)
    return partial(gate.ask, training), f"NumPy {np.__version__}, as `fit` chooses"


def train(gate: Gate, loss: str, shape: dict) -> None:
    """Fit on full histories, an epoch of which is a batch, and so a step."""
    from attention_from_scratch.models import SASRec

    first = os.getpid()

    class WhenAsked(SASRec):
        """A model whose batches wait at the gate."""

        def batches(self, sequences, batch_size, epoch, **columns):
            gate.pass_through(first=os.getpid() == first)
            yield from super().batches(sequences, batch_size, epoch, **columns)

    rng, size = np.random.default_rng(0), (shape["batch"], shape["length"] + 1)
    histories = list(rng.integers(1, shape["n_items"] + 1, size))
    named = {} if loss == "softmax" else {"loss": loss}
    WhenAsked(shape["n_items"], shape["length"], **named).fit(histories, epochs=EPOCHS)
