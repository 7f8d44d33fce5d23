"""SASRec in PyTorch, as somebody would write it who wants it fast on a CPU.

The same model as `models/sasrec.py` with norm "pre": same shapes, same places of dropout, same
losses, the same Adam. Histories fill their batch here, so there is no padding to hide.
"""

import importlib
import math
import multiprocessing
import os
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import nn

from attention_from_scratch.training.memory import keep_memory


class Block(nn.Module):
    """x + attention(norm(x)), then x + feed_forward(norm(x))."""

    def __init__(self, dim: int, n_heads: int, dropout: float, attention_dropout: float):
        super().__init__()
        self.n_heads, self.p, self.attention_p = n_heads, dropout, attention_dropout
        self.attention_norm = nn.LayerNorm(dim, eps=1e-8)
        self.feed_forward_norm = nn.LayerNorm(dim, eps=1e-8)
        self.qkv, self.out = nn.Linear(dim, 3 * dim), nn.Linear(dim, dim)
        self.up, self.down = nn.Linear(dim, dim), nn.Linear(dim, dim)

    def forward(self, x):
        """(B, L, D) -> (B, L, D)."""
        b, length, dim = x.shape
        heads = self.qkv(self.attention_norm(x)).view(b, length, 3, self.n_heads, -1)
        query, key, value = heads.permute(2, 0, 3, 1, 4)
        p = self.attention_p if self.training else 0.0
        attended = F.scaled_dot_product_attention(query, key, value, dropout_p=p, is_causal=True)
        x = x + self.out(attended.transpose(1, 2).reshape(b, length, dim))
        hidden = F.dropout(F.relu(self.up(self.feed_forward_norm(x))), self.p, self.training)
        return x + F.dropout(self.down(hidden), self.p, self.training)


class Model(nn.Module):
    """Embed, attend, block by block."""

    def __init__(
        self, n_items, max_len, dim, n_blocks, n_heads, dropout=0.0, attention_dropout=None
    ):
        super().__init__()
        attention_dropout = dropout if attention_dropout is None else attention_dropout
        self.items = nn.Embedding(n_items + 1, dim, padding_idx=0)
        self.positions = nn.Parameter(0.02 * torch.randn(max_len, dim))
        nn.init.normal_(self.items.weight, std=0.02)
        self.dropout = dropout
        self.blocks = nn.ModuleList(
            Block(dim, n_heads, dropout, attention_dropout) for _ in range(n_blocks)
        )
        self.norm = nn.LayerNorm(dim, eps=1e-8)

    def forward(self, ids):
        """(B, L) -> (B, L, D)."""
        x = math.sqrt(self.items.embedding_dim) * self.items(ids)
        x = F.dropout(x + self.positions[-ids.shape[1] :], self.dropout, self.training)
        for block in self.blocks:
            x = block(x)
        return self.norm(x)


def binary(model, ids, targets, negatives):
    """The sum of the binary cross-entropies of targets and of one negative each, mean over both."""
    hidden = model(ids)
    rows = (targets != 0).nonzero(as_tuple=True)
    query = hidden[rows]
    right = (query * model.items(targets[rows])).sum(-1)
    wrong = (query * model.items(negatives[rows][:, 0])).sum(-1)
    return F.softplus(-right).sum() + F.softplus(wrong).sum()


def catalogue(model, ids, targets, negatives, *, chunked):
    """The sum of the cross-entropies over the whole catalogue."""
    hidden = model(ids)
    rows = (targets != 0).nonzero(as_tuple=True)
    query, table, at = hidden[rows], model.items.weight[1:], targets[rows] - 1
    if chunked:
        options = nn.LinearCrossEntropyOptions()
        return F.linear_cross_entropy(query, table, at, reduction="sum", options=options)
    return F.cross_entropy(query @ table.T, at, reduction="sum")


class Whole:
    """A step on the whole batch, the threads inside the operations."""

    def __init__(self, model, loss, threads, *, compiled=False, lr=1e-3):
        torch.set_num_threads(threads)
        self.model, self.loss = model, loss
        self.run = torch.compile(model) if compiled else model
        self.optimizer = torch.optim.Adam(model.parameters(), lr=lr, betas=(0.9, 0.98), fused=True)

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

    def __init__(self, model, loss, threads, lr=1e-3):
        torch.set_num_threads(1)
        self.model, self.loss = model, loss
        self.params = list(model.parameters())
        self.pool = ThreadPoolExecutor(threads)
        self.optimizer = torch.optim.Adam(self.params, lr=lr, betas=(0.9, 0.98), fused=True)

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

    def __init__(self, model, loss, rank, size, meeting, lr=1e-3):
        torch.set_num_threads(1)
        os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo")
        torch.distributed.init_process_group(
            "gloo", init_method=f"file://{meeting}", rank=rank, world_size=size
        )
        self.model, self.loss, self.rank, self.size = Replica(model), loss, rank, size
        self.optimizer = torch.optim.Adam(model.parameters(), lr=lr, betas=(0.9, 0.98), fused=True)

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
        """Of the model inside."""
        return self.module.items


def with_followers(module, function, settings, processes):
    """The contender `function` of `module` in several processes that run at the same time.

    It is called with `rank` and `meeting`, a file, and gives (run, about) in each of them.
    """
    context = multiprocessing.get_context("spawn")
    meeting = str(Path(tempfile.mkdtemp()) / "meeting")
    pipes = []
    for rank in range(1, processes):
        here, there = context.Pipe()
        more = settings | {"rank": rank, "meeting": meeting}
        context.Process(target=follow, args=(module, function, more, there), daemon=True).start()
        there.close()
        pipes.append(here)
    run, about = getattr(importlib.import_module(module), function)(
        **settings, rank=0, meeting=meeting
    )

    def run_all():
        for pipe in pipes:
            pipe.send(None)
        run()

    return run_all, f"{about}, {processes} processes"


def follow(module, function, settings, pipe):
    """Run whenever the first process does, as long as it is there; with the same allocator."""
    keep_memory()
    run, _ = getattr(importlib.import_module(module), function)(**settings)
    try:
        while True:
            pipe.recv()
            run()
    except (EOFError, RuntimeError):  # the first is gone
        pass
