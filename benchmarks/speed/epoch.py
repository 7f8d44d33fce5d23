"""An epoch of training on the paper's files, real histories of real lengths."""

from pathlib import Path

from attention_from_scratch.plot.figure import new_figure
from attention_from_scratch.training import available_cores
from benchmarks.common.drawing import finish
from benchmarks.common.writing import markdown
from benchmarks.speed.contest import Contender, fastest, median, ratio, shown, take_turns
from benchmarks.speed.epochs import BATCH, POOL
from benchmarks.speed.rankers import histories_of

EPOCHS = "benchmarks.speed.epochs"
ROUNDS = {False: 7, True: 1}
OURS, THREADS, UNPOOLED = "ours", "ours, threads", "ours, batches not pooled"
NAIVE = "PyTorch, padded"
FILES = {
    "games": {"length": 50, "dim": 50, "dropout": 0.5},
    "ml-1m": {"length": 200, "dim": 50, "dropout": 0.2},
}
SHARDS = (2, 4, 8)


class Epoch:
    """Binary cross-entropy, one negative, batches from pools of like length."""

    TITLE = "An epoch of training"

    def __init__(self, folder: Path = Path("../shared/data")):
        self.folder = folder

    def measure(self, quick: bool) -> dict:
        """Seconds of everybody on each file."""
        paths = {name: self.folder / f"{name}.txt" for name in FILES}
        for path in paths.values():
            histories_of(path, 1)  # a file that cannot be read is told at once
        rows = {
            name: take_turns(contenders(str(path), FILES[name], quick), ROUNDS[quick], name)
            for name, path in paths.items()
        }
        return {"rows": rows}

    def tables(self, result: dict) -> str:
        """The best peer of each file, then everybody."""
        rows, parts = [], []
        for name, found in result["rows"].items():
            best = best_peer(found)
            cells = [shown(found[OURS]), best, shown(found[best])]
            rows.append([name, *cells, ratio(found[OURS], found[best])])
            everybody = [
                [who, shown(of), ratio(found[OURS], of)]
                if of.get("seconds")
                else [who, f"failed: {of['failed']}", ""]
                for who, of in found.items()
            ]
            parts.append(markdown([name, "seconds", "ours / this"], everybody))
        header = ["file", "ours", "best peer", "best peer's", "ours / best peer's"]
        return "\n\n".join([self.about(), markdown(header, rows), *parts])

    def about(self) -> str:
        """What is run."""
        sizes = "; ".join(
            f"{name}: {', '.join(f'{key} {value}' for key, value in of.items())}"
            for name, of in FILES.items()
        )
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
            "Seconds: median (quartiles) over the rounds; the ratio is taken round by round."
        )

    def figure(self, result: dict):
        """A panel a file, a bar a contender."""
        picture = new_figure(9, 1 + 2 * len(result["rows"]))
        panels = picture.subplots(len(result["rows"]), 1, squeeze=False)[:, 0]
        for ax, (name, found) in zip(panels, result["rows"].items(), strict=True):
            there = [who for who in found if found[who].get("seconds")]
            colors = ["#0072B2" if who == OURS else "#999999" for who in there]
            ax.barh(range(len(there)), [median(found[who]) for who in there], color=colors)
            ax.set_yticks(range(len(there)), there, fontsize=8)
            ax.invert_yaxis()
            finish(ax, name, "seconds an epoch" if ax is panels[-1] else "", "")
        return picture


def contenders(data: str, settings: dict, quick: bool) -> dict[str, Contender]:
    """Everybody who takes part."""
    settings = settings | {"data": data, "threads": available_cores()}
    settings |= {"users": 300, "length": 20} if quick else {}

    def of(function, **more):
        return Contender(EPOCHS, function, settings | more)

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


def best_peer(found: dict) -> str:
    """The fastest that is not ours."""
    return fastest(found, [who for who in found if who.startswith("PyTorch")])
