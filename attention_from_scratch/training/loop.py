"""The loop: epochs, early stopping, a progress bar, and a record of everything."""

import math
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import numpy as np

from attention_from_scratch.training.optimizer import Adam, clip_gradients
from attention_from_scratch.training.threads import shard_pool
from attention_from_scratch.tree import Tree, tree_map, tree_sum


@dataclass
class Training:
    """What came out: the best parameters, and one dict an epoch of how it went.

    Each row of `history` has "epoch", "loss" (mean per target, nats), "seconds", and, where the
    model was evaluated, the metrics. `interrupted` says that Ctrl-C ended it early.
    """

    params: Tree
    history: list[dict] = field(default_factory=list)
    best_epoch: int = 0
    interrupted: bool = False


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
    seed: int = 0,
    threads: int | None = None,
    progress: bool | None = None,
) -> Training:
    """Minimise a loss by stochastic gradient descent over sharded batches.

    Parameters
    ----------
    loss : (params, shard, rng=Generator, total=int) -> (value, backward)
        The sum of the shard's losses divided by `total`, the number of targets in the batch;
        `backward()` gives a tree like params. Draws come from rng, keyed by (seed, step, shard).
    params : tree of arrays
        Where to start; not changed.
    batches : epoch (from 1) -> iterable of batches
        A batch is a list of shards, each with a `count` of its targets.
    optimizer : Adam
    epochs : int
    evaluate : params -> {metric: value} or None
        Called every `evaluate_every` epochs and after the last. The parameters that are best by
        `metric` (larger is better) are returned; with no `evaluate`, the last ones.
    patience : int or None
        Stop when `metric` has not improved for this many epochs.
    clip : float or None
        Largest norm of a step's gradients.
    seed : int
        A seed gives the same model bit for bit on one machine, on any number of threads.
    threads : int or None
        None: as many as there are cores.
    progress : bool or None
        Show a bar; None: if a person is looking.

    Raises
    ------
    FloatingPointError
        When the loss is no longer a number.
    """
    from tqdm import tqdm  # here, so that importing the package stays fast

    params = tree_map(np.copy, params)
    result, best, step = Training(params), -math.inf, 0
    disable = None if progress is None else not progress
    with shard_pool(threads) as parallel, tqdm(total=epochs, unit="epoch", disable=disable) as bar:
        try:
            for epoch in range(1, epochs + 1):
                start, loss_sum, count = time.perf_counter(), 0.0, 0
                for shards in batches(epoch):
                    value, grads, total = batch_gradients(
                        loss, params, shards, parallel, seed, step
                    )
                    if clip is not None:
                        grads, _ = clip_gradients(grads, clip)
                    optimizer.update(params, grads)
                    loss_sum, count, step = loss_sum + value * total, count + total, step + 1
                    if not math.isfinite(value):
                        raise FloatingPointError(
                            f"the loss became {value} in epoch {epoch}; a smaller lr may help"
                        )
                seconds = time.perf_counter() - start
                row = {"epoch": epoch, "loss": loss_sum / max(count, 1), "seconds": seconds}
                result.history.append(row)
                if evaluate and (epoch % evaluate_every == 0 or epoch == epochs):
                    row |= evaluate(params)
                    if row[metric] > best:
                        best, result.best_epoch = row[metric], epoch
                        result.params = tree_map(np.copy, params)
                bar.update()
                bar.set_postfix_str(describe(row, metric, best, count), refresh=False)
                evaluated = metric in row
                if patience is not None and evaluated and epoch - result.best_epoch >= patience:
                    break
        except KeyboardInterrupt:
            result.interrupted = True
    if not result.best_epoch:
        result.params, result.best_epoch = params, len(result.history)
    return result


def batch_gradients(loss, params, shards, parallel, seed, step):
    """Loss and gradients of one batch: its shards side by side, summed in their order."""
    total = sum(shard.count for shard in shards)

    def run(numbered):
        index, shard = numbered
        value, backward = loss(
            params, shard, rng=np.random.default_rng((seed, step, index)), total=total
        )
        return float(value), backward()

    values, grads = zip(*parallel(run, enumerate(shards)), strict=True)
    return sum(values), tree_sum(grads), total


def describe(row, metric, best, count) -> str:
    """What stands behind the bar: loss, metric, speed."""
    parts = [f"loss {row['loss']:.3f}"]
    if best > -math.inf:
        parts.append(f"best {metric} {best:.4f}")
    return ", ".join([*parts, f"{count / row['seconds']:,.0f} events/s"])
