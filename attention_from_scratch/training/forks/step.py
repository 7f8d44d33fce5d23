"""The descent of several processes: each takes part in every step, and updates its share."""

from collections import deque
from collections.abc import Callable, Iterator
from functools import partial

import numpy as np

from attention_from_scratch.rows import tree_sum
from attention_from_scratch.training.forks.crew import crew
from attention_from_scratch.training.forks.sharing import MAX_SHARDS, Common
from attention_from_scratch.training.optimizer import gradient_norm, shrunk
from attention_from_scratch.training.steps import shard_gradients
from attention_from_scratch.tree import tree_map


def descend_in_processes(
    through: Callable, loss, params, optimizer, *, clip, seed, processes: int
) -> Iterator:
    """Take the steps of each epoch in several processes; yield what `training.loop.descend` does.

    Parameters
    ----------
    through : (step_of, params, optimizer) -> rows of the epochs
        Goes through all epochs by the steps that `step_of` takes, as `training.loop.walk` does.
    loss, params, optimizer, clip, seed, processes
        As in `descend`.
    """
    common = Common(params)

    def rows_of(member):
        part = optimizer.part(partial(share_of, member, common.layout))
        step_of = partial(step_of_member, member, common, loss, part, clip, seed)
        return through(step_of, common.params, part)

    with crew(processes, lambda member: deque(rows_of(member), maxlen=0)) as first:
        for row in rows_of(first):
            tree_map(np.copyto, params, common.params)
            yield row


def share_of(member, layout, tree) -> list[np.ndarray]:
    """A copy of the numbers that a process updates, out of a tree like the parameters."""
    return [rows.copy() for rows in member.share(layout.lay(tree))]


def step_of_member(member, common, loss, optimizer, clip, seed, shards, step):
    """A step of several processes, as one of them takes it; `optimizer` has its share."""
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
        else:  # the norm is that of all gradients, not of a share
            share = tree_sum(grads)
            norm = gradient_norm(common.layout.tree(share))
            share = [shrunk(grad, norm, clip) for grad in member.share(share)]
        optimizer.update(member.share(common.arrays), share)
        member.meet()

    return sum(common.losses[: len(shards)].tolist()), total, update
