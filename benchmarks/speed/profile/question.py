"""Where the time of a step goes, against the floor: its matrix products alone."""

from pathlib import Path

import numpy as np
from tqdm import tqdm

from attention_from_scratch.plot.figure import new_figure
from attention_from_scratch.training import shard_pool
from benchmarks.common.drawing import finish
from benchmarks.common.writing import in_words, markdown
from benchmarks.speed.contest import median
from benchmarks.speed.profile.parts import products, profiled_step
from benchmarks.speed.training_step.contenders import SHAPE
from benchmarks.speed.training_step.question import QUICK

TITLE = "Where the time of a step goes"
ROUNDS = {False: 15, True: 1}
LOSSES = {"binary cross-entropy": "bce", "softmax over the catalogue": "softmax"}
STEP, FLOOR = "step", "products alone"
N_SHARDS = 4


def measure(quick: bool, data: Path) -> dict:
    """Seconds of every part of a step on one thread, and of its products, by turns."""
    shape, rows = QUICK if quick else SHAPE, {}
    for title, loss in LOSSES.items():
        with shard_pool(1):
            turns = {
                STEP: profiled_step(loss, 0.2, shape, N_SHARDS),
                FLOOR: products(loss, shape, N_SHARDS),
            }
            parts: dict[str, dict] = {}
            for turn in tqdm(range(-1, ROUNDS[quick]), desc=title, disable=None):
                for which, run in turns.items():
                    for part, seconds in run().items():
                        name = part if which == STEP else f"{FLOOR}: {part}"
                        of = parts.setdefault(name, {"about": about(), "seconds": []})
                        if turn >= 0:
                            of["seconds"].append(seconds)
        rows[title] = parts
    return {"shape": shape, "rows": rows}


def about() -> str:
    """What is measured, and how."""
    return f"NumPy {np.__version__}, one thread, shards of a {N_SHARDS}th of the batch"


def split(found: dict) -> tuple[dict[str, float], dict[str, float]]:
    """Median seconds: of each part, the largest first, and of its products."""
    floor = {
        name.removeprefix(f"{FLOOR}: "): median(of)
        for name, of in found.items()
        if name.startswith(FLOOR)
    }
    parts = {name: median(of) for name, of in found.items() if not name.startswith(FLOOR)}
    return dict(sorted(parts.items(), key=lambda item: -item[1])), floor


def tables(result: dict) -> str:
    """A table for each loss."""
    parts = [
        f"{in_words(result['shape'])}; float32, dropout 0.2 also on the weights, the fast ops on "
        "one thread: what two threads share. *Products alone* are the matrix products that a part "
        "cannot do without, on arrays of the same shapes, nothing masked computed: the floor. "
        "Median milliseconds."
    ]
    for name, found in result["rows"].items():
        seconds, floor = split(found)
        whole = sum(seconds.values())
        rows = [
            [
                part,
                f"{1000 * value:.1f}",
                f"{value / whole:.0%}",
                f"{1000 * floor[part]:.1f}" if part in floor else "",
            ]
            for part, value in seconds.items()
        ]
        below = sum(floor.values())
        rows.append(["**all**", f"{1000 * whole:.1f}", "100%", f"{1000 * below:.1f}"])
        parts.append(markdown([name, "ms", "share", "products alone, ms"], rows))
    return "\n\n".join(parts)


def figure(result: dict):
    """A bar a part, and in it its products."""
    picture = new_figure(12, 3.6)
    panels = picture.subplots(1, len(result["rows"]))
    for ax, (name, found) in zip(np.atleast_1d(panels), result["rows"].items(), strict=True):
        seconds, floor = split(found)
        places = range(len(seconds))
        ax.barh(places, [1000 * v for v in seconds.values()], color="#999999", label="the part")
        inner = [1000 * floor.get(part, 0) for part in seconds]
        ax.barh(places, inner, color="#0072B2", height=0.4, label="its matrix products alone")
        ax.set_yticks(places, list(seconds), fontsize=8)
        ax.invert_yaxis()
        finish(ax, name, "milliseconds on one thread", "")
    np.atleast_1d(panels)[0].legend(fontsize=8, frameon=False, loc="lower right")
    return picture
