"""A step of Adam in PyTorch: on the whole batch, on shards side by side, or in processes.

A batch comes as shards, tuples of (ids, targets, negatives); a loss takes the model and a shard.
"""

import os
from concurrent.futures import ThreadPoolExecutor

import torch
from torch import nn

from benchmarks.speed.ours import BETAS


def stepper(model, loss, threads, *, lr, sharded=False, compiled=False, rank=None, meeting=None):
    """One of the three: with a rank, this is one of as many processes as there are threads."""
    if rank is not None:
        return Replicated(model, loss, rank, threads, meeting, lr=lr)
    if sharded:
        return Sharded(model, loss, threads, lr=lr)
    return Whole(model, loss, threads, lr=lr, compiled=compiled)


def adam(parameters, lr):
    """The fused one."""
    return torch.optim.Adam(parameters, lr=lr, betas=BETAS, fused=True)


class Whole:
    """A step on the whole batch, the threads inside the operations."""

    def __init__(self, model, loss, threads, *, lr, compiled=False):
        torch.set_num_threads(threads)
        self.model, self.loss = model, loss
        self.run = torch.compile(model) if compiled else model
        self.optimizer = adam(model.parameters(), lr)

    def step(self, shards):
        """One step of Adam on the batch, whose shards are put together again."""
        batch = [torch.cat(parts) for parts in zip(*shards, strict=True)]
        total = (batch[1] != 0).sum()
        self.optimizer.zero_grad(set_to_none=True)
        loss = self.loss(self.run, *batch) / total
        loss.backward()
        self.optimizer.step()
        return loss.item()


class Sharded:
    """A step on shards side by side, one thread in each; gradients added up in order."""

    def __init__(self, model, loss, threads, *, lr):
        torch.set_num_threads(1)
        self.model, self.loss = model, loss
        self.params = list(model.parameters())
        self.pool = ThreadPoolExecutor(threads)
        self.optimizer = adam(self.params, lr)

    def step(self, shards):
        """One step of Adam."""
        total = sum(int((shard[1] != 0).sum()) for shard in shards)

        def run(shard):
            torch.set_num_threads(1)
            loss = self.loss(self.model, *shard) / total
            return loss.item(), torch.autograd.grad(loss, self.params)

        losses, grads = zip(*self.pool.map(run, shards), strict=True)
        for param, parts in zip(self.params, zip(*grads, strict=True), strict=True):
            param.grad = torch.stack(parts).sum(0) if len(parts) > 1 else parts[0]
        self.optimizer.step()
        return sum(losses)


class Replicated:
    """A step of several processes, each with one shard, one thread and a copy of the model.

    Gradients are averaged by DistributedDataParallel, over gloo.
    """

    def __init__(self, model, loss, rank, size, meeting, *, lr):
        torch.set_num_threads(1)
        os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo")
        torch.distributed.init_process_group(
            "gloo", init_method=f"file://{meeting}", rank=rank, world_size=size
        )
        self.model, self.loss, self.rank, self.size = Replica(model), loss, rank, size
        self.optimizer = adam(model.parameters(), lr)

    def step(self, shards):
        """One step of Adam; the shards are those of all processes."""
        total = sum(int((shard[1] != 0).sum()) for shard in shards)
        self.optimizer.zero_grad(set_to_none=True)
        loss = self.loss(self.model, *shards[self.rank]) * (self.size / total)
        loss.backward()
        self.optimizer.step()
        return loss.item()


class Replica(nn.parallel.DistributedDataParallel):
    """The model, whose item table the loss asks for."""

    @property
    def items(self):
        """The item table of the model inside."""
        return self.module.items
