"""What a step of training costs as its sizes grow, one at a time, beside what the theory says."""

from pathlib import Path

import numpy as np
from matplotlib.ticker import LogLocator, NullFormatter

from attention_from_scratch.plot.figure import new_figure
from attention_from_scratch.training import available_cores
from benchmarks.common.drawing import STYLES, draw_line, finish, log_axes
from benchmarks.common.numbers import quartiles, slope
from benchmarks.common.writing import in_words, markdown
from benchmarks.speed.contest import Contender, shown, take_turns

TITLE = "How a step of training grows"
ROUNDS = {False: 7, True: 1}
BASE = {"n_items": 3416, "length": 200, "batch": 32, "dim": 64, "n_blocks": 2, "n_heads": 1}
SMALL = {"n_items": 50, "length": 8, "batch": 8, "dim": 8, "n_blocks": 1, "n_heads": 1}
AXES = {
    "length": {
        "sizes": (50, 100, 200, 400, 800, 1600),
        "loss": "bce",
        "theory": "from 1, the maps, to 2, the attention",
    },
    "dim": {
        "sizes": (16, 32, 64, 128, 256, 512),
        "loss": "bce",
        "theory": "from 1, the attention and whatever is done number by number, to 2, the maps",
    },
    "batch": {
        "sizes": (8, 16, 32, 64, 128, 256),
        "loss": "bce",
        "theory": "1, once the batch is more than the update of the parameters",
    },
    "n_items": {
        "sizes": (1000, 2000, 4000, 8000, 16000, 32000),
        "loss": "softmax",
        "theory": "1, once the logits are more than the rest",
    },
    "threads": {
        "sizes": (1, 2, 4),
        "loss": "bce",
        "theory": "-1 up to the number of cores, then 0",
    },
}
"""What grows -> its sizes, the loss, and the power of the size that the cost should grow with."""
TITLES = {
    "length": "length L",
    "dim": "width d",
    "batch": "users in a batch",
    "n_items": "items in the catalogue",
    "threads": "threads, on a batch four times as large",
}


def multiplications(shape: dict, loss: str) -> float:
    """In the matrix products of a step: all that the theory counts.

    A block has six maps of (L, d) by (d, d), each with one product forward and two backward; causal
    attention has two products of L L d / 2 forward and five backward, as the scores are made again.
    The catalogue has one product forward and two backward.
    """
    length, dim = shape["length"], shape["dim"]
    maps, attention = 6 * 3 * length * dim**2, 7 * length**2 * dim / 2
    decoder = 3 * length * dim * shape["n_items"] if loss == "softmax" else 6 * length * dim
    return shape["batch"] * (shape["n_blocks"] * (maps + attention) + decoder)


def measure(quick: bool, data: Path) -> dict:
    """Seconds at every size; no data is read."""
    rows, base = {}, SMALL if quick else BASE
    for name, axis in AXES.items():
        sizes = axis["sizes"][:2] if quick else axis["sizes"]
        taking_part = {str(size): contender(name, size, axis["loss"], base) for size in sizes}
        rows[name] = take_turns(taking_part, ROUNDS[quick], TITLES[name])
    return {"base": base, "rows": rows}


def contender(name: str, size: int, loss: str, base: dict) -> Contender:
    """A step with one size changed, or, with four times the users, the number of threads."""
    threads = size if name == "threads" else available_cores()
    shape = base | ({"batch": 4 * base["batch"]} if name == "threads" else {name: size})
    settings = {
        "loss": loss,
        "dropout": 0.2,
        "attention_dropout": 0.2,
        "threads": threads,
        "ops": "fast",
        "shard": max(1, shape["batch"] // 4),
        "shape": shape,
    }
    return Contender("benchmarks.speed.training_step.contenders", "ours", settings)


def slopes(name: str, result: dict) -> tuple[float, float, float | None]:
    """Powers measured: over all sizes, and over the last doubling; and that of the count there."""
    found, axis = result["rows"][name], AXES[name]
    sizes = [int(size) for size in found]
    seconds = [quartiles(of["seconds"])[0] for of in found.values()]
    counted = None
    if name != "threads":
        ends = [multiplications(result["base"] | {name: n}, axis["loss"]) for n in sizes[-2:]]
        counted = slope(sizes[-2:], ends)
    return slope(sizes, seconds), slope(sizes[-2:], seconds[-2:]), counted


def tables(result: dict) -> str:
    """The slopes, then the seconds."""
    rows = []
    for name, axis in AXES.items():
        over_all, last, counted = slopes(name, result)
        rows.append(
            [
                TITLES[name],
                f"{over_all:.2f}",
                f"{last:.2f}",
                "" if counted is None else f"{counted:.2f}",
                axis["theory"],
            ]
        )
    header = ["what grows", "power, all sizes", "power, last two", "products, last two", "theory"]
    parts = [
        f"A step of training with the fast ops, {in_words(result['base'])}, dropout 0.2, float32, "
        "full histories; one of the sizes changes. Binary cross-entropy, but softmax where the "
        "catalogue grows. The power is the slope on logarithmic axes: cost ~ size^power. "
        "*Products*: the power that the count of multiplications in the matrix products has "
        "between the last two sizes.",
        markdown(header, rows),
    ]
    for name in AXES:
        found = result["rows"][name]
        parts.append(
            markdown([TITLES[name], "seconds"], [[size, shown(of)] for size, of in found.items()])
        )
    return "\n\n".join(parts)


def figure(result: dict):
    """A panel for each size, and the count of multiplications scaled to the last point."""
    picture = new_figure(14, 3.4)
    panels = picture.subplots(1, len(AXES))
    for ax, (name, axis) in zip(panels, AXES.items(), strict=True):
        found = result["rows"][name]
        sizes = [int(size) for size in found]
        middle, low, high = np.array([quartiles(of["seconds"]) for of in found.values()]).T
        draw_line(ax, sizes, middle, low, high, STYLES[0], "measured")
        if name == "threads":
            expected = middle[0] / np.minimum(sizes, result["environment"]["cores"])
        else:
            counts = [
                multiplications(result["base"] | {name: size}, axis["loss"]) for size in sizes
            ]
            expected = middle[-1] * np.array(counts) / counts[-1]
        draw_line(ax, sizes, expected, expected, expected, STYLES[1], "theory")
        log_axes(ax)
        ax.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        ax.yaxis.set_major_formatter("{x:g}")
        ax.yaxis.set_minor_formatter(NullFormatter())
        over_all, last, _ = slopes(name, result)
        finish(
            ax,
            f"power {over_all:.2f}, at the end {last:.2f}",
            TITLES[name].split(",")[0],
            "seconds" if ax is panels[0] else "",
        )
    panels[0].legend(fontsize=8, frameon=False)
    return picture
