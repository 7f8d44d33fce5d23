"""A whole epoch of training on real histories, of every contender.

The batches are made by the same code for all, and its time counts.
"""

from functools import partial

import numpy as np

from benchmarks.speed.layers import pool_of
from benchmarks.speed.models import BETAS, LR, when_asked
from benchmarks.speed.rankers import histories_of

BATCH, POOL = 128, 16


def ours(*, data, length, dim, dropout, threads, processes=1, pool=POOL, users=None):
    """SASRec of the fast ops, as `fit` trains it, one epoch after another."""
    from attention_from_scratch.models import SASRec
    from attention_from_scratch.training import Adam

    histories, n_items = training_histories(data, users)
    model = SASRec(n_items, length, dim, dropout=dropout, loss="bce", fast=True)
    params, (parallel, stack) = model.initial_params(), pool_of(threads)
    batches = partial(model.batches, histories, BATCH, context={}, wanted=None, pool=pool)
    optimizer = Adam(params, lr=LR, betas=BETAS)
    epochs = when_asked(model.loss, params, batches, optimizer, parallel, processes)

    def run(stack=stack):
        next(epochs)

    cores = f"{threads} threads" if processes == 1 else f"{processes} processes"
    return run, f"NumPy {np.__version__}, {cores}"


def torch(
    *,
    data,
    length,
    dim,
    dropout,
    threads,
    n_shards=None,
    compiled=False,
    pool=POOL,
    full=False,
    users=None,
    rank=None,
    meeting=None,
):
    """PyTorch: whole batches, shards of them side by side, or, with a rank, in as many processes.

    It is spared two things: padding is not hidden from attention, and negatives are drawn without
    a look at what the user has seen.
    """
    import torch

    from attention_from_scratch.training import epoch_batches
    from benchmarks.speed import torch_peer

    torch.manual_seed(0)
    histories, n_items = training_histories(data, users)
    model = torch_peer.Model(n_items, length, dim, 2, 1, dropout)
    if rank is not None:
        of_rank = (rank, n_shards, meeting)
        stepper = torch_peer.Replicated(model, torch_peer.binary, *of_rank, lr=LR)
    elif n_shards is None:
        stepper = torch_peer.Whole(model, torch_peer.binary, threads, compiled=compiled, lr=LR)
    else:
        stepper = torch_peer.Sharded(model, torch_peer.binary, threads, lr=LR)
    rng = np.random.default_rng(0)
    cut = {"max_len": length, "batch_size": BATCH, "n_shards": n_shards or 1}
    cut |= {"least": BATCH * length} if n_shards == threads else {}  # of like size, not number

    def tensors(shard):
        negatives = rng.integers(1, n_items + 1, (*shard.ids.shape, 1))
        return tuple(map(torch.from_numpy, (shard.ids, shard.targets, negatives)))

    def run():
        for shards in epoch_batches(histories, **cut, rng=rng, pool=pool, full=full):
            stepper.step([tensors(shard) for shard in shards])

    return run, f"PyTorch {torch.__version__}"


def torch_replicas(**settings):
    """The same in processes that average their gradients, a shard each."""
    from benchmarks.speed import torch_peer

    processes = settings["threads"]
    return torch_peer.with_followers(
        __name__, "torch", settings | {"n_shards": processes}, processes
    )


def training_histories(data, users) -> tuple[list[np.ndarray], int]:
    """What there is to learn from, and the number of items."""
    histories, n_items = histories_of(data, users)
    return [history for history in histories if len(history) > 1], n_items
