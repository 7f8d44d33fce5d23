"""A whole epoch of training on real histories, of every contender.

The batches are made by the same code for all, and its time counts.
"""

from functools import partial

import numpy as np

from benchmarks.speed.ours import numpy_on, stepper, training_histories

BATCH, POOL, LR = 128, 16, 1e-3


def ours(*, data, length, dim, dropout, threads, processes=1, pool=POOL, users=None):
    """SASRec of the fast ops, as `fit` trains it, one epoch after another."""
    from attention_from_scratch.models import SASRec

    histories, n_items = training_histories(data, users)
    model = SASRec(n_items, length, dim, dropout=dropout, loss="bce", ops="fast")
    batches = partial(model.batches, histories, BATCH, context={}, wanted=None, pool=pool)
    cores = {"threads": threads, "processes": processes}
    return stepper(model.loss, model.initial_params(), batches, lr=LR, **cores), numpy_on(**cores)


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
    from benchmarks.speed.peers import torch_losses, torch_sasrec, torch_steps

    torch.manual_seed(0)
    histories, n_items = training_histories(data, users)
    model = torch_sasrec.Model(n_items, length, dim, 2, 1, dropout)
    how = {"sharded": n_shards is not None, "compiled": compiled, "rank": rank, "meeting": meeting}
    stepper = torch_steps.stepper(model, torch_losses.binary, threads, lr=LR, **how)
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
    """PyTorch's epoch in processes that average their gradients, a shard each."""
    from benchmarks.speed.peers.torch_processes import with_followers

    processes = settings["threads"]
    return with_followers(__name__, "torch", settings | {"n_shards": processes}, processes)
