"""The training step of every contender, at the shape of the paper's MovieLens-1M."""

from functools import partial

import numpy as np

from benchmarks.speed.ours import BETAS, in_shards, numpy_on, stepper

SHAPE = {"n_items": 3416, "length": 200, "batch": 128, "dim": 50, "n_blocks": 2, "n_heads": 1}
LR = 1e-3


def draw(n_items, length, batch):
    """Full histories, so that nobody gains by leaving padding out: ids, targets, negatives."""
    rng = np.random.default_rng(0)
    ids, targets = rng.integers(1, n_items + 1, (2, batch, length))
    return ids, targets, rng.integers(1, n_items + 1, (batch, length, 1))


def ours(*, loss, dropout, attention_dropout, threads, shard, ops="fast", processes=1, shape=SHAPE):
    """Ours, of the fast ops or of the plain ones; threads, or processes in their place."""
    from attention_from_scratch.models.trained import OPS
    from attention_from_scratch.networks import sasrec
    from attention_from_scratch.training.batches import Shard

    sizes = {name: shape[name] for name in ("n_items", "dim", "n_blocks")}
    params = sasrec.init_params(np.random.default_rng(1), max_len=shape["length"], **sizes)
    arrays = draw(shape["n_items"], shape["length"], shape["batch"])
    shards = [Shard(*part) for part in in_shards(arrays, shard)]
    settings = {
        "n_heads": shape["n_heads"],
        "dropout_p": dropout,
        "attention_dropout_p": attention_dropout,
        "ops": OPS[ops],
    }

    def loss_of(params, shard, **around):
        if loss == "bce":
            negatives = shard.histories
            return sasrec.sampled_loss(
                params, shard.ids, shard.targets, negatives, **settings, **around
            )
        return sasrec.catalogue_loss(params, shard.ids, shard.targets, **settings, **around)

    cores = {"threads": threads, "processes": processes}
    step = stepper(loss_of, params, lambda epoch: [shards], lr=LR, **cores)
    return step, f"{numpy_on(**cores)}, shards of {shard}"


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

    from benchmarks.speed.peers import torch_losses, torch_sasrec, torch_steps

    torch.manual_seed(0)
    sizes = [shape[name] for name in ("n_items", "length", "dim", "n_blocks", "n_heads")]
    model = torch_sasrec.Model(*sizes, dropout, attention_dropout)
    catalogue = partial(torch_losses.catalogue, chunked=chunked)
    of = torch_losses.binary if loss == "bce" else catalogue
    how = {"sharded": shard is not None, "compiled": compiled, "rank": rank, "meeting": meeting}
    stepper = torch_steps.stepper(model, of, threads, lr=LR, **how)
    arrays = draw(shape["n_items"], shape["length"], shape["batch"])
    parts = in_shards(arrays, shard or shape["batch"])
    shards = [tuple(map(torch.tensor, part)) for part in parts]
    stepper.step(shards)  # where it is compiled, now
    return partial(stepper.step, shards), f"PyTorch {torch.__version__}"


def torch_replicas(**settings):
    """PyTorch's step in processes that average their gradients, a shard each."""
    from benchmarks.speed.peers.torch_processes import with_followers

    processes, batch = settings["threads"], settings.get("shape", SHAPE)["batch"]
    settings |= {"shard": batch // processes}
    return with_followers(__name__, "torch", settings, processes)


def jax(*, loss, dropout, attention_dropout, shape=SHAPE):
    """JAX: one jitted step on the whole batch, as many threads as XLA takes."""
    from benchmarks.speed.peers import jax_sasrec

    arrays = draw(shape["n_items"], shape["length"], shape["batch"])
    return jax_sasrec.stepper(arrays, loss, dropout, attention_dropout, shape, LR, BETAS)
