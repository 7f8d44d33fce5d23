"""One step of training at the paper's MovieLens-1M shape, every history full."""

from attention_from_scratch.plot.figure import new_figure
from attention_from_scratch.training import available_cores
from benchmarks.common.drawing import finish
from benchmarks.common.writing import markdown
from benchmarks.speed.contest import Contender, fastest, median, ratio, shown, take_turns
from benchmarks.speed.models import SHAPE

TITLE = "One step of training"
MODELS = "benchmarks.speed.models"
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
OURS, THREADS, PLAIN = "ours", "ours, threads", "ours, plain ops, threads"

REPLICAS = "PyTorch, DistributedDataParallel"


def contenders(row: dict, quick: bool) -> dict[str, Contender]:
    """Everybody who takes part in a row."""
    shape, cores = QUICK if quick else SHAPE, available_cores()
    quarter, eighth = shape["batch"] // 4, shape["batch"] // 8

    def of(function, **settings):
        return Contender(MODELS, function, row | {"shape": shape} | settings)

    found = {
        OURS: of("ours", threads=cores, shard=quarter, processes=cores),
        THREADS: of("ours", threads=cores, shard=quarter),
        PLAIN: of("ours", threads=cores, shard=quarter, plain=True),
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


def measure(quick: bool) -> dict:
    """Seconds of every contender in every row."""
    rows = {
        name: take_turns(contenders(row, quick), ROUNDS[quick], name) for name, row in ROWS.items()
    }
    return {"shape": QUICK if quick else SHAPE, "rows": rows}


def peers(found: dict) -> list[str]:
    """Everybody but ourselves."""
    return [name for name in found if not name.startswith(OURS)]


def tables(result: dict) -> str:
    """The best peer of each row, then everybody."""
    shape = ", ".join(f"{name} {size}" for name, size in result["shape"].items())
    rows = []
    for name, found in result["rows"].items():
        best = fastest(found, peers(found))
        rows.append(
            [name, shown(found[OURS]), best, shown(found[best]), ratio(found[OURS], found[best])]
        )
    parts = [
        f"{shape}; float32, dropout 0.2, Adam. Ours are processes that share the step "
        "(`fit(processes=...)`), or threads. Seconds of a step: median (quartiles) over the "
        "rounds; the ratio is taken round by round.",
        markdown(["loss", "ours", "best peer", "best peer's", "ours / best peer's"], rows),
    ]
    for name, found in result["rows"].items():
        everybody = [
            [who, shown(of), f"{of['peak'] / 2**20:.0f} MB", ratio(found[OURS], of)]
            if of.get("seconds")
            else [who, f"failed: {of['failed']}", "", ""]
            for who, of in found.items()
        ]
        header = [name, "seconds", "first process at its largest", "ours / this"]
        parts.append(markdown(header, everybody))
    return "\n\n".join(parts)


def figure(result: dict):
    """A panel a row, a bar a contender."""
    picture = new_figure(12, 2 + 2.6 * len(result["rows"]))
    panels = picture.subplots(len(result["rows"]), 1, squeeze=False)[:, 0]
    for ax, (name, found) in zip(panels, result["rows"].items(), strict=True):
        there = [who for who in found if found[who].get("seconds")]
        colors = ["#0072B2" if who == OURS else "#999999" for who in there]
        ax.barh(range(len(there)), [median(found[who]) for who in there], color=colors, height=0.6)
        ax.set_yticks(range(len(there)), there, fontsize=8)
        ax.invert_yaxis()
        finish(ax, name, "seconds a step" if ax is panels[-1] else "", "")
    return picture
