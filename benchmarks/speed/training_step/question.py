"""One step of training at the paper's MovieLens-1M shape, every history full."""

from pathlib import Path

from attention_from_scratch.training import available_cores
from benchmarks.common.writing import in_words, markdown
from benchmarks.speed.contest import Contender, take_turns
from benchmarks.speed.showing import (
    HELD_AGAINST,
    OURS,
    TURNS,
    against_best,
    bars,
    everybody,
)
from benchmarks.speed.training_step.contenders import SHAPE

TITLE = "One step of training"
CONTENDERS = "benchmarks.speed.training_step.contenders"
ROUNDS = {False: 15, True: 1}
QUICK = {"n_items": 50, "length": 10, "batch": 8, "dim": 8, "n_blocks": 1, "n_heads": 1}
ROWS = {
    "binary cross-entropy": {"loss": "bce", "dropout": 0.2, "attention_dropout": 0.2},
    "binary cross-entropy, no dropout on the weights": {
        "loss": "bce",
        "dropout": 0.2,
        "attention_dropout": 0.0,
    },
    "softmax over the catalogue": {"loss": "softmax", "dropout": 0.2, "attention_dropout": 0.2},
    "softmax, no dropout on the weights": {
        "loss": "softmax",
        "dropout": 0.2,
        "attention_dropout": 0.0,
    },
}
THREADS, PLAIN = "ours, threads", "ours, plain ops, threads"
REPLICAS = "PyTorch, DistributedDataParallel"


def contenders(row: dict, quick: bool) -> dict[str, Contender]:
    """Everybody who takes part in a row."""
    shape, cores = QUICK if quick else SHAPE, available_cores()
    of_row, quarter = row | {"shape": shape, "threads": cores}, shape["batch"] // 4

    def of(**settings):
        return Contender(CONTENDERS, "ours", of_row | {"shard": quarter} | settings)

    found = {
        OURS: of(ops="fast", processes=cores),
        THREADS: of(ops="fast"),
        PLAIN: of(ops="plain"),
    }
    return found | rivals(row, quick)


def rivals(row: dict, quick: bool) -> dict[str, Contender]:
    """The peers of a row."""
    shape, cores = QUICK if quick else SHAPE, available_cores()
    quarter, eighth = shape["batch"] // 4, shape["batch"] // 8

    def of(function, **settings):
        return Contender(CONTENDERS, function, row | {"shape": shape} | settings)

    found = {
        "PyTorch": of("torch", threads=cores),
        "PyTorch, compiled": of("torch", threads=cores, compiled=True),
        f"PyTorch, shards of {quarter}": of("torch", threads=cores, shard=quarter),
        f"PyTorch, shards of {eighth}": of("torch", threads=cores, shard=eighth),
        REPLICAS: of("torch_replicas", threads=cores),
    }
    if row["loss"] == "softmax":
        found["PyTorch, chunked"] = of("torch", threads=cores, chunked=True)
        for size in (2 * quarter, quarter, eighth):
            found[f"PyTorch, chunked, shards of {size}"] = of(
                "torch", threads=cores, shard=size, chunked=True
            )
        found[f"{REPLICAS}, chunked"] = of("torch_replicas", threads=cores, chunked=True)
    return found | {"JAX, jitted": of("jax")}


def measure(quick: bool, data: Path) -> dict:
    """Seconds of every contender in every row; no data is read."""
    rows = {
        name: take_turns(contenders(row, quick), ROUNDS[quick], name) for name, row in ROWS.items()
    }
    return {"shape": QUICK if quick else SHAPE, "rows": rows}


def tables(result: dict) -> str:
    """The best peer of each row, then everybody."""
    rows = [[name, *against_best(found)] for name, found in result["rows"].items()]
    about = (
        f"{in_words(result['shape'])}; float32, dropout 0.2, Adam. Ours are processes that share "
        f"the step (`fit(processes=...)`), or threads. Seconds of a step: {TURNS}"
    )
    all_of_them = [everybody(name, found, peak=True) for name, found in result["rows"].items()]
    return "\n\n".join([about, markdown(["loss", *HELD_AGAINST], rows), *all_of_them])


def figure(result: dict):
    """A panel a row, a bar a contender."""
    return bars(result["rows"], "seconds a step")
