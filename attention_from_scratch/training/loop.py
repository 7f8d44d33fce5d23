"""The loop: epochs, early stopping, a progress bar, and a record of everything."""

import math
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import partial

import numpy as np

from attention_from_scratch.arguments import check_integer, check_positive
from attention_from_scratch.training.divergence import SILENT
from attention_from_scratch.training.forks.crew import check_processes
from attention_from_scratch.training.forks.step import descend_in_processes
from attention_from_scratch.training.optimizer import SCHEDULES, Adam
from attention_from_scratch.training.steps import step_of_threads
from attention_from_scratch.training.threads import shard_pool
from attention_from_scratch.tree import Tree, tree_leaves, tree_map


@dataclass
class Training:
    """What a training gave: the best parameters, and one dict an epoch of how it went.

    Each row of `history` has "epoch", "loss" (mean per target, nats), "seconds", and, where the
    model was evaluated, the metrics. `params` are those of the end of `best_epoch`, and `best` is
    its metric. `interrupted` says that Ctrl-C ended it early, `diverged` that its numbers did.
    """

    params: Tree
    history: list[dict] = field(default_factory=list)
    best_epoch: int = 0
    best: float = -math.inf
    interrupted: bool = False
    diverged: bool = False

    def keep(self, params: Tree, epoch: int, metric: float = -math.inf) -> None:
        """Copy `params` as the best so far: those of this epoch, with this metric."""
        self.params, self.best_epoch, self.best = tree_map(np.copy, params), epoch, metric


def train(
    loss: Callable,
    params: Tree,
    batches: Callable[[int], Iterable[list]],
    optimizer: Adam,
    *,
    epochs: int,
    evaluate: Callable[[Tree], dict] | None = None,
    metric: str | None = None,
    evaluate_every: int = 5,
    patience: int | None = None,
    clip: float | None = None,
    schedule: str = "constant",
    seed: int = 0,
    threads: int | None = None,
    processes: int = 1,
    progress: bool | None = None,
) -> Training:
    """Minimise a loss by stochastic gradient descent over sharded batches.

    Parameters
    ----------
    loss, params, batches, optimizer, clip, schedule, seed, processes
        As in `descend`; `params` are not changed.
    evaluate : params -> {metric: value} or None
        Called every `evaluate_every` epochs and after the last. The parameters that are best by
        `metric` (larger is better) are returned; with no `evaluate`, those of the last epoch.
    patience : int or None
        Stop when `metric` has not improved for this many epochs.
    threads : int or None
        How many threads compute the shards of a batch; None: as many as there are cores.
    progress : bool or None
        Whether to show a bar; None: if a person is looking.

    Raises
    ------
    FloatingPointError, KeyboardInterrupt
        When the training diverges or is interrupted and there is nothing to return: before the
        first evaluation, and in the first epoch.
    """
    from tqdm import tqdm  # here, so that importing the package stays fast

    check_settings(epochs, evaluate_every, patience, clip, schedule)
    check_processes(processes)
    params = tree_map(np.copy, params)
    result, disable = Training(params), None if progress is None else not progress
    with shard_pool(threads) as parallel, tqdm(total=epochs, unit="epoch", disable=disable) as bar:
        steps = descend(
            loss,
            params,
            batches,
            optimizer,
            parallel,
            epochs=epochs,
            clip=clip,
            schedule=schedule,
            seed=seed,
            processes=processes,
        )
        try:
            for epoch, (row, count) in enumerate(steps, 1):
                result.history.append(row)
                if result.best == -math.inf:  # nothing evaluated yet
                    result.keep(params, epoch)
                if evaluate and (epoch % evaluate_every == 0 or epoch == epochs):
                    row |= measured(evaluate, params, metric, epoch)
                    if row[metric] > result.best:
                        result.keep(params, epoch, row[metric])
                bar.update()
                bar.set_postfix_str(describe(row, metric, result.best, count), refresh=False)
                if patience and metric in row and epoch - result.best_epoch >= patience:
                    break
        except KeyboardInterrupt:
            if not result.history:
                raise
            result.interrupted = True
        except FloatingPointError:
            if result.best == -math.inf:
                raise
            result.diverged = True
        finally:
            steps.close()
    return result


def check_settings(epochs, evaluate_every, patience, clip, schedule) -> None:
    """Raise for a setting of `train` that cannot be."""
    check_integer("epochs", epochs, 1)
    check_integer("evaluate_every", evaluate_every, 1)
    if patience is not None:
        check_integer("patience", patience, 1)
    if clip is not None:
        check_positive("clip", clip)
    if schedule not in SCHEDULES:
        raise ValueError(f"schedule was {schedule!r}, but must be one of {tuple(SCHEDULES)}")


def descend(
    loss: Callable,
    params: Tree,
    batches: Callable[[int], Iterable[list]],
    optimizer: Adam,
    parallel: Callable,
    *,
    epochs: int,
    clip: float | None = None,
    schedule: str = "constant",
    seed: int,
    processes: int = 1,
) -> Iterator[tuple[dict, int]]:
    """Take the steps of each epoch, in place; then yield its row and its number of targets.

    Parameters
    ----------
    loss : (params, shard, rng=Generator, total=int) -> (value, backward)
        The sum of the shard's losses divided by `total`, the number of targets in the batch;
        `backward()` gives a tree like params, in which `Rows` may stand for an array. Draws come
        from rng, keyed by (seed, step, shard).
    params : tree of arrays
        Where to start.
    batches : epoch (from 1) -> iterable of batches
        A batch is a list of shards, each with a `count` of its targets.
    parallel : map
        That of `shard_pool`, or Python's own.
    clip : float or None
        Largest norm of a step's gradients.
    schedule : "constant" or "cosine"
        Keep the optimizer's lr, or let it fall from epoch to epoch, along a half wave that would
        reach 0 after the last.
    seed : int
        A seed gives the same model bit for bit on one machine, on any number of threads or
        processes.
    processes : int
        More than 1: so many processes take the steps, each on one thread, and the moments of
        `optimizer` stay as they are.

    Raises
    ------
    FloatingPointError
        When the loss or a parameter is no longer a number.
    """
    through = partial(walk, batches=batches, epochs=epochs, schedule=schedule)
    if processes > 1:
        settings = {"clip": clip, "seed": seed, "processes": processes}
        yield from descend_in_processes(through, loss, params, optimizer, **settings)
    else:
        step_of = partial(step_of_threads, loss, params, optimizer, parallel, clip, seed)
        yield from through(step_of, params, optimizer)


def walk(step_of, params, optimizer, *, batches, epochs, schedule):
    """Go through the epochs by steps such as `step_of_threads`, and yield what `descend` yields."""
    step, lr = 0, optimizer.lr
    for epoch in range(1, epochs + 1):
        optimizer.lr = lr * SCHEDULES[schedule]((epoch - 1) / epochs)
        start, losses, counts = time.perf_counter(), [], []
        for shards in batches(epoch):
            value, count, update = step_of(shards, step)
            if not math.isfinite(value):
                raise divergence(f"the loss became {value}", epoch)
            with np.errstate(**SILENT):
                update()
            losses.append(value)
            counts.append(count)
            step += 1
        if not all(np.isfinite(leaf).all() for _, leaf in tree_leaves(params)):
            raise divergence("a parameter became infinite or NaN", epoch)
        seconds = time.perf_counter() - start
        row = {"epoch": epoch, "loss": weighted_mean(losses, counts), "seconds": seconds}
        yield row, sum(counts)


def divergence(what, epoch: int) -> FloatingPointError:
    """The error that ends a training in which a number became infinite or NaN."""
    return FloatingPointError(f"{what} in epoch {epoch}; a smaller lr may help")


def measured(evaluate, params, metric, epoch) -> dict:
    """The metrics of a model with these parameters; raise unless `metric` is one of them."""
    try:
        with np.errstate(**SILENT):
            metrics = evaluate(params)
    except FloatingPointError as error:
        raise divergence(error, epoch) from None
    if metric not in metrics:
        raise ValueError(f"metric was {metric!r}, but must be one of {', '.join(metrics)}")
    return metrics


def weighted_mean(values, counts) -> float:
    """Mean over all targets of what were means over the targets of a batch."""
    return float(np.average(values, weights=counts)) if sum(counts) else 0.0


def describe(row, metric, best, count) -> str:
    """The text behind the progress bar: loss, best metric, events a second."""
    parts = [f"loss {row['loss']:.3f}"]
    if best > -math.inf:
        parts.append(f"best {metric} {best:.4f}")
    return ", ".join([*parts, f"{count / row['seconds']:,.0f} events/s"])
