"""The training step of every contender, at the shape of the paper's MovieLens-1M."""

import multiprocessing
from contextlib import ExitStack
from functools import partial

import numpy as np

SHAPE = {"n_items": 3416, "length": 200, "batch": 128, "dim": 50, "n_blocks": 2, "n_heads": 1}
LR, BETAS = 1e-3, (0.9, 0.98)


def draw(n_items, length, batch):
    """Full histories, so that nobody gains by leaving padding out: ids, targets, negatives."""
    rng = np.random.default_rng(0)
    ids, targets = rng.integers(1, n_items + 1, (2, batch, length))
    return ids, targets, rng.integers(1, n_items + 1, (batch, length, 1))


def cut(arrays, size):
    """Shards of so many users."""
    return [
        tuple(array[start : start + size] for array in arrays)
        for start in range(0, len(arrays[0]), size)
    ]


def ours(
    *, loss, dropout, attention_dropout, threads, shard, processes=1, plain=False, shape=SHAPE
):
    """Ours, of the fast ops or of the plain ones; threads, or processes in their place."""
    from attention_from_scratch import fast, ops
    from attention_from_scratch.networks import sasrec
    from attention_from_scratch.training import Adam
    from attention_from_scratch.training.batches import Shard
    from attention_from_scratch.training.threads import shard_pool

    sizes = {name: shape[name] for name in ("n_items", "dim", "n_blocks")}
    params = sasrec.init_params(np.random.default_rng(1), max_len=shape["length"], **sizes)
    arrays = draw(shape["n_items"], shape["length"], shape["batch"])
    shards = [Shard(ids, targets, negatives) for ids, targets, negatives in cut(arrays, shard)]
    settings = {
        "n_heads": shape["n_heads"],
        "dropout_p": dropout,
        "attention_dropout_p": attention_dropout,
        "ops": ops if plain else fast,
    }

    def loss_of(params, shard, **around):
        if loss == "bce":
            negatives = shard.histories
            return sasrec.sampled_loss(
                params, shard.ids, shard.targets, negatives, **settings, **around
            )
        return sasrec.catalogue_loss(params, shard.ids, shard.targets, **settings, **around)

    optimizer = Adam(params, lr=LR, betas=BETAS)
    pool = ExitStack()  # open as long as the process lives
    parallel = pool.enter_context(shard_pool(threads))
    steps = when_asked(loss_of, params, lambda epoch: [shards], optimizer, parallel, processes)

    def step(pool=pool):
        next(steps)
        return params

    cores = f"{threads} threads" if processes == 1 else f"{processes} processes"
    return step, f"NumPy {np.__version__}, {cores}, shards of {shard}"


def when_asked(loss_of, params, batches, optimizer, parallel, processes):
    """The epochs of `descend`, each when it is asked for: what is not must not keep a core busy."""
    from attention_from_scratch.training.loop import descend

    asked = multiprocessing.get_context("fork").Semaphore(0)

    def batches_if_asked(epoch):
        while not asked.acquire(timeout=1):
            first = multiprocessing.parent_process()  # None: this is the first
            if first is not None and not first.is_alive():
                raise SystemExit  # the first has ended
        yield from batches(epoch)

    settings = {"epochs": 2**31, "seed": 0, "processes": processes}
    epochs = descend(loss_of, params, batches_if_asked, optimizer, parallel, **settings)
    while True:
        for _ in range(processes):
            asked.release()
        yield next(epochs)


def torch(
    *,
    loss,
    dropout,
    attention_dropout,
    threads,
    shard=None,
    compiled=False,
    chunked=False,
    shape=SHAPE,
    rank=None,
    meeting=None,
):
    """PyTorch: the whole batch, shards side by side, or, with a rank, each in its process."""
    import torch

    from benchmarks.speed import torch_peer

    torch.manual_seed(0)
    model = torch_peer.Model(
        shape["n_items"],
        shape["length"],
        shape["dim"],
        shape["n_blocks"],
        shape["n_heads"],
        dropout,
        attention_dropout,
    )
    of = torch_peer.binary if loss == "bce" else partial(torch_peer.catalogue, chunked=chunked)
    if rank is not None:
        stepper = torch_peer.Replicated(model, of, rank, threads, meeting)
    elif shard is None:
        stepper = torch_peer.Whole(model, of, threads, compiled=compiled)
    else:
        stepper = torch_peer.Sharded(model, of, threads)
    arrays = draw(shape["n_items"], shape["length"], shape["batch"])
    shards = [tuple(map(torch.tensor, part)) for part in cut(arrays, shard or shape["batch"])]
    stepper.step(shards)  # where it is compiled, now
    return partial(stepper.step, shards), f"PyTorch {torch.__version__}"


def torch_replicas(**settings):
    """The same in processes that average their gradients, a shard each."""
    from benchmarks.speed import torch_peer

    processes, batch = settings["threads"], settings.get("shape", SHAPE)["batch"]
    return torch_peer.with_followers(
        __name__, "torch", settings | {"shard": batch // processes}, processes
    )


def jax(*, loss, dropout, attention_dropout, shape=SHAPE):
    """JAX: one jitted step on the whole batch, as many threads as XLA takes."""
    from benchmarks.speed import jax_peer

    arrays = draw(shape["n_items"], shape["length"], shape["batch"])
    return jax_peer.stepper(arrays, loss, dropout, attention_dropout, shape, LR, BETAS)
