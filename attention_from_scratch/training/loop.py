"""The loop: epochs, early stopping, a progress bar, and a record of everything."""

import math
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import numpy as np

from attention_from_scratch.training.optimizer import Adam, clip_gradients
from attention_from_scratch.training.streams import stream
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
                start, losses, counts = time.perf_counter(), [], []
                for shards in batches(epoch):
                    value, grads, count = batch_gradients(
                        loss, params, shards, parallel, seed, step
                    )
                    if not math.isfinite(value):
                        raise FloatingPointError(
                            f"the loss became {value} in epoch {epoch}; a smaller lr may help"
                        )
                    if clip is not None:
                        grads, _ = clip_gradients(grads, clip)
                    optimizer.update(params, grads)
                    losses.append(value)
                    counts.append(count)
                    step += 1
                seconds = time.perf_counter() - start
                row = {"epoch": epoch, "loss": weighted_mean(losses, counts), "seconds": seconds}
                result.history.append(row)
                if evaluate and (epoch % evaluate_every == 0 or epoch == epochs):
                    row |= measured(evaluate, params, metric)
                    if row[metric] > best:
                        best, result.best_epoch = row[metric], epoch
                        result.params = tree_map(np.copy, params)
                bar.update()
                bar.set_postfix_str(describe(row, metric, best, sum(counts)), refresh=False)
                stale = epoch - result.best_epoch if metric in row else 0
                if patience is not None and stale >= patience:
                    break
        except KeyboardInterrupt:
            result.interrupted = True
    if not result.best_epoch:
        result.params, result.best_epoch = params, len(result.history)
    return result


def batch_gradients(loss, params, shards, parallel, seed, step):
    """Loss, gradients and count of one batch: its shards side by side, summed in their order."""
    total = sum(shard.count for shard in shards)

    def run(numbered):
        index, shard = numbered
        rng = stream(seed, "shard", step, index)
        # What overflows shows in the loss, and that is an error with a name.
        with np.errstate(over="ignore", invalid="ignore"):
            value, backward = loss(params, shard, rng=rng, total=total)
            return float(value), backward()

    values, grads = zip(*parallel(run, enumerate(shards)), strict=True)
    return sum(values), tree_sum(grads), total


def measured(evaluate, params, metric) -> dict:
    """The metrics of the model as it is; `metric` must be one of them."""
    metrics = evaluate(params)
    if metric not in metrics:
        raise ValueError(f"metric was {metric!r}, but must be one of {', '.join(metrics)}")
    return metrics


def weighted_mean(values, counts) -> float:
    """Mean over all targets of what were means over the targets of a batch."""
    return float(np.average(values, weights=counts)) if sum(counts) else 0.0


def describe(row, metric, best, count) -> str:
    """What stands behind the bar: loss, metric, speed."""
    parts = [f"loss {row['loss']:.3f}"]
    if best > -math.inf:
        parts.append(f"best {metric} {best:.4f}")
    return ", ".join([*parts, f"{count / row['seconds']:,.0f} events/s"])
