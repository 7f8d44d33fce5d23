"""One step of training: the gradients of a batch, shard by shard, and what they change.

A step takes the shards of a batch and its own number, and gives the batch's loss, the number of its
targets, and a function that updates the parameters.
"""

import numpy as np

from attention_from_scratch.training.checks import SILENT
from attention_from_scratch.training.optimizer import clip_gradients, gradient_norm, shrunk
from attention_from_scratch.training.sharing import MAX_SHARDS
from attention_from_scratch.training.streams import stream
from attention_from_scratch.tree import tree_sum

FEW = 1024  # targets of a batch: with fewer, threads wait longer for one another than they compute


def alone(loss, params, optimizer, parallel, clip, seed, shards, step):
    """A step of one process, with the threads of `parallel`."""
    value, grads, count = batch_gradients(loss, params, shards, parallel, seed, step)

    def update():
        clipped = grads if clip is None else clip_gradients(grads, clip)[0]
        optimizer.update(params, clipped, parallel)

    return value, count, update


def together(member, common, loss, optimizer, clip, seed, shards, step):
    """The same step of several processes, as one of them takes it; `optimizer` has its share."""
    if len(shards) > MAX_SHARDS:
        raise ValueError(
            f"a batch has {len(shards)} shards, but processes have room for {MAX_SHARDS}"
        )
    total = sum(shard.count for shard in shards)
    for index, shard in enumerate(shards):
        if member.computes(index, len(shards)):
            found = shard_gradients(loss, common.params, shard, total, seed, step, index)
            common.losses[index], grads = found
            common.slots[index].put(grads)
    member.meet()

    def update():
        grads = [slot.get() for slot in common.slots[: len(shards)]]
        if clip is None:
            share = tree_sum([member.share(of_shard) for of_shard in grads])
        else:  # their norm is that of all
            share = tree_sum(grads)
            norm = gradient_norm(common.layout.tree(share))
            share = [shrunk(grad, norm, clip) for grad in member.share(share)]
        optimizer.update(member.share(common.arrays), share)
        member.meet()

    return sum(common.losses[: len(shards)].tolist()), total, update


def batch_gradients(loss, params, shards, parallel, seed, step):
    """Loss, gradients and count of one batch: its shards side by side, summed in their order."""
    total = sum(shard.count for shard in shards)

    def run(numbered):
        index, shard = numbered
        return shard_gradients(loss, params, shard, total, seed, step, index)

    over = map if total < FEW else parallel
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
