"""One step of training: the gradients of a batch, shard by shard, and what they change.

A step takes the shards of a batch and its own number, and gives the batch's loss, the number of its
targets, and a function that updates the parameters.
"""

import numpy as np

from attention_from_scratch.rows import tree_sum
from attention_from_scratch.training.divergence import SILENT
from attention_from_scratch.training.optimizer import clip_gradients
from attention_from_scratch.training.streams import stream
from attention_from_scratch.training.threads import is_worth_threads


def step_of_threads(loss, params, optimizer, parallel, clip, seed, shards, step):
    """A step of one process: its shards side by side on the threads of `parallel`."""
    value, grads, count = batch_gradients(loss, params, shards, parallel, seed, step)

    def update():
        clipped = grads if clip is None else clip_gradients(grads, clip)[0]
        optimizer.update(params, clipped, parallel)

    return value, count, update


def batch_gradients(loss, params, shards, parallel, seed, step):
    """Loss, gradients and count of one batch: its shards side by side, summed in their order."""
    total = sum(shard.count for shard in shards)

    def run(numbered):
        index, shard = numbered
        return shard_gradients(loss, params, shard, total, seed, step, index)

    over = parallel if is_worth_threads(total) else map
    # The last shard is the longest: begun first, it is not what the others wait for at the end.
    found = list(over(run, reversed(list(enumerate(shards)))))
    values, grads = zip(*reversed(found), strict=True)
    with np.errstate(**SILENT):
        return sum(values), tree_sum(grads) if len(grads) > 1 else grads[0], total


def shard_gradients(loss, params, shard, total, seed, step, index):
    """Loss and gradients of one shard, divided by the targets of the whole batch."""
    rng = stream(seed, "shard", step, index)
    with np.errstate(**SILENT):
        value, backward = loss(params, shard, rng=rng, total=total)
        return float(value), backward()
