"""An epoch of training on the paper's files, real histories of real lengths."""

from pathlib import Path

from attention_from_scratch.training import available_cores
from benchmarks.common.writing import in_words, markdown
from benchmarks.speed.contest import Contender, take_turns
from benchmarks.speed.epoch.contenders import BATCH, POOL
from benchmarks.speed.ours import histories_of
from benchmarks.speed.showing import HELD_AGAINST, OURS, TURNS, against_best, bars, everybody

TITLE = "An epoch of training"
CONTENDERS = "benchmarks.speed.epoch.contenders"
ROUNDS = {False: 7, True: 1}
THREADS, UNPOOLED = "ours, threads", "ours, batches not pooled"
NAIVE = "PyTorch, padded"
FILES = {
    "games": {"length": 50, "dim": 50, "dropout": 0.5},
    "ml-1m": {"length": 200, "dim": 50, "dropout": 0.2},
}
SHARDS = (2, 4, 8)


def measure(quick: bool, data: Path) -> dict:
    """Seconds of everybody on each file."""
    paths = {name: data / f"{name}.txt" for name in FILES}
    for path in paths.values():
        histories_of(path, 1)  # a file that cannot be read is told at once
    rows = {
        name: take_turns(contenders(str(path), FILES[name], quick), ROUNDS[quick], name)
        for name, path in paths.items()
    }
    return {"rows": rows}


def contenders(data: str, settings: dict, quick: bool) -> dict[str, Contender]:
    """Everybody who takes part."""
    settings = settings | {"data": data, "threads": available_cores()}
    settings |= {"users": 300, "length": 20} if quick else {}

    def of(function, **more):
        return Contender(CONTENDERS, function, settings | more)

    pooled = {
        f"PyTorch, pooled, shards of {BATCH // shards}": of("torch", n_shards=shards)
        for shards in SHARDS
    }
    return {
        OURS: of("ours", processes=available_cores()),
        THREADS: of("ours"),
        UNPOOLED: of("ours", processes=available_cores(), pool=1),
        NAIVE: of("torch", pool=1, full=True),
        "PyTorch, pooled": of("torch"),
        "PyTorch, pooled, compiled": of("torch", compiled=True),
        **pooled,
        "PyTorch, pooled, DistributedDataParallel": of("torch_replicas"),
    }


def tables(result: dict) -> str:
    """The best peer of each file, then everybody."""
    rows = [[name, *against_best(found)] for name, found in result["rows"].items()]
    all_of_them = [everybody(name, found) for name, found in result["rows"].items()]
    return "\n\n".join([about(), markdown(["file", *HELD_AGAINST], rows), *all_of_them])


def about() -> str:
    """What is run."""
    sizes = "; ".join(f"{name}: {in_words(of)}" for name, of in FILES.items())
    return (
        f"SASRec with two blocks of one head, {sizes}; batches of {BATCH} users, binary "
        "cross-entropy against one negative, Adam, float32. *Pooled*: users are shuffled, "
        f"{POOL} batches of them sorted by length, cut into batches, and these shuffled; each "
        "batch, or shard of it, is as wide as its longest history. *Padded*: every batch is as "
        "wide as the model allows. Ours are processes that share each step "
        "(`fit(processes=...)`), or threads. Making the batches counts; starting processes, "
        "ours or PyTorch's, once a training, does not. PyTorch is spared two things: padding "
        "is not hidden from attention, and negatives are drawn without a look at what the user "
        "has seen. JAX, which compiles anew for every width, takes no part. "
        f"Seconds: {TURNS}"
    )


def figure(result: dict):
    """A panel a file, a bar a contender."""
    return bars(result["rows"], "seconds an epoch")
