"""A step on the first batch of MovieLens-1M, as the table of the baselines trains on it."""

from functools import partial

from benchmarks.baselines import LEARNING
from benchmarks.speed.ours import numpy_on, stepper, training_histories

SETTINGS = LEARNING["gru4rec"].settings["ml-1m"]
SHAPE = {name: SETTINGS["model"][name] for name in ("max_len", "dim", "dropout")}
BATCH, LR = SETTINGS["fit"]["batch_size"], SETTINGS["fit"]["lr"]


def model_of(encoder: str, n_items: int, ops: str):
    """GRU4Rec, or the same with another encoder; only a Transformer has to be told the order."""
    from attention_from_scratch.models import Pipeline

    stages = {"encoder": encoder, "attention": "none", "decoder": "dot"}
    return Pipeline(n_items, **SHAPE, **stages, positions=encoder == "transformer", ops=ops)


def ours(*, data, encoder, ops, threads, processes=1, users=None):
    """The batch, the shards and the loss of the model itself."""
    histories, n_items = training_histories(data, users)
    model = model_of(encoder, n_items, ops)
    batches = model.batches(histories, BATCH, 1, context={}, wanted=None, pool=1)
    shards, cores = next(batches), {"threads": threads, "processes": processes}
    step = stepper(model.loss, model.initial_params(), lambda epoch: [shards], lr=LR, **cores)
    return step, numpy_on(**cores)


def torch(*, data, threads, n_shards=None, chunked=False, users=None, rank=None, meeting=None):
    """PyTorch: the whole batch, shards side by side, or, with a rank, each in its process."""
    import torch

    from attention_from_scratch.training import epoch_batches, stream
    from benchmarks.speed.peers import torch_gru, torch_losses, torch_steps

    torch.manual_seed(0)
    histories, n_items = training_histories(data, users)
    model = torch_gru.Model(n_items, SHAPE["dim"], SHAPE["dropout"])
    loss = partial(torch_losses.catalogue, chunked=chunked)
    how = {"sharded": n_shards is not None, "rank": rank, "meeting": meeting}
    stepper = torch_steps.stepper(model, loss, threads, lr=LR, **how)
    cut = {"max_len": SHAPE["max_len"], "batch_size": BATCH, "n_shards": n_shards or 1}
    cut |= {"least": BATCH * SHAPE["max_len"]} if n_shards == threads else {}  # of like size
    batch = next(epoch_batches(histories, **cut, rng=stream(0, "order", 1)))  # of the same users
    shards = [tuple(map(torch.from_numpy, (part.ids, part.targets, part.ids))) for part in batch]
    stepper.step(shards)
    return partial(stepper.step, shards), f"PyTorch {torch.__version__}"


def torch_replicas(**settings):
    """PyTorch's step of GRU4Rec in processes that average their gradients, a shard each."""
    from benchmarks.speed.peers.torch_processes import with_followers

    processes = settings["threads"]
    return with_followers(__name__, "torch", settings | {"n_shards": processes}, processes)
