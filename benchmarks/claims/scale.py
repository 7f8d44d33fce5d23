"""Does it scale to large data? Time and memory of reading, training and ranking against events.

Synthetic events: users of about 100 each, a catalogue of 5,000 items with popularities by Zipf's
law. An epoch of SASRec (binary cross-entropy, d = 32, the last 50 events, one block), the ten best
items for 1,000 users, and the reading of the same events from a text file. Each measurement is a
process of its own on one thread.
"""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from tqdm import tqdm

from attention_from_scratch.plot.figure import new_figure
from benchmarks.claims.scale_worker import ITEMS, LONGEST, MODEL, SHORTEST, write
from benchmarks.common.drawing import STYLES, draw_line, finish, log_axes
from benchmarks.common.numbers import quartiles, ranged, slope
from benchmarks.common.writing import markdown

ARTICLE = "that the algorithm scales well and suits large data (3.3, 9.2)."
FIGURE = "time and peak memory against the number of events"

REPOSITORY = Path(__file__).parents[2]
PHASES = ("read", "train", "rank")
PER_EVENT = ("read", "train")  # what grows with the events


def measure(quick: bool = False) -> dict:
    """A row for each size, phase and round; the rounds alternate between sizes."""
    sizes, rounds, users = (
        ((1_000, 2_000), 1, 50) if quick else ((100_000, 1_000_000, 10_000_000), 3, 1000)
    )
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        files = {size: str(Path(folder) / f"{size}.txt") for size in sizes}
        for size in sizes:
            write(size, files[size])
        todo = [(turn, size, phase) for turn in range(rounds) for size in sizes for phase in PHASES]
        for turn, size, phase in tqdm(todo, desc="scale", disable=None):
            task = {
                "read": {"path": files[size]},
                "train": {"n_events": size},
                "rank": {"n_events": size, "n_users": users},
            }
            row = {"size": size, "phase": phase, "round": turn}
            rows.append(row | work(phase=phase, **task[phase]))
    return {
        "items": ITEMS,
        "model": MODEL,
        "events_of_a_user": [SHORTEST, LONGEST],
        "ranked_users": users,
        "rows": rows,
    }


def work(**task) -> dict:
    """What the worker prints, run in a process with one thread."""
    one_thread = {f"{name}_NUM_THREADS": "1" for name in ("OMP", "OPENBLAS", "MKL")}
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.claims.scale_worker", json.dumps(task)],
        cwd=REPOSITORY,
        env=os.environ | one_thread,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return json.loads(done.stdout)


# --- reading the result


def sizes_of(result: dict) -> list[int]:
    """The numbers of events that were asked for."""
    return sorted({row["size"] for row in result["rows"]})


def rows_of(result: dict, phase: str, size: int) -> list[dict]:
    """One row for each round."""
    return [r for r in result["rows"] if (r["phase"], r["size"]) == (phase, size)]


def values(result: dict, phase: str, size: int, name: str) -> list[float]:
    """One number of each round."""
    return [row[name] for row in rows_of(result, phase, size)]


def median(result: dict, phase: str, size: int, name: str) -> float:
    """The median over the rounds."""
    return quartiles(values(result, phase, size, name))[0]


def exponent(result: dict, phase: str) -> float:
    """The exponent of the number of events in the time, over all sizes."""
    sizes = sizes_of(result)
    events = [median(result, phase, size, "events") for size in sizes]
    return slope(events, [median(result, phase, size, "seconds") for size in sizes])


def bytes_per_more_event(result: dict, phase: str) -> float:
    """What an event adds, between the two largest sizes: what is held anyway drops out."""
    *_, before, last = sizes_of(result)
    more = median(result, phase, last, "bytes") - median(result, phase, before, "bytes")
    return more / (median(result, phase, last, "events") - median(result, phase, before, "events"))


def tables(result: dict) -> str:
    """Training and reading per event; ranking per call."""
    model, rounds = result["model"], 1 + max(row["round"] for row in result["rows"])
    low, high = result["events_of_a_user"]
    largest = rows_of(result, "train", sizes_of(result)[-1])[0]
    return "\n\n".join(
        [
            f"Users of {low} to {high} events, {result['items']} items; SASRec with "
            f"{', '.join(f'{name}={value}' for name, value in model.items())}. Memory is the peak "
            "of the process above what it held after its imports, the events themselves included. "
            f"Median (quartiles) of {rounds} rounds, each in a process of its own on one thread. "
            f"An epoch predicts at most the last {model['max_len']} events of a user: all events "
            f"are held, {largest['targets'] / largest['events']:.0%} of them are targets.",
            phase_table(result),
            growth_table(result),
        ]
    )


def phase_table(result: dict) -> str:
    """A row for each size."""
    header = [
        "events",
        "reading, s per million events",
        "an epoch, s per million events",
        "an epoch, s",
        "reading, peak MB",
        "training, peak MB",
        f"ranking {result['ranked_users']} users, s",
        "ranking, peak MB",
    ]
    rows = []
    for size in sizes_of(result):
        per_million = [
            ranged([1e6 * row["seconds"] / row["events"] for row in rows_of(result, phase, size)])
            for phase in PER_EVENT
        ]
        memory = [ranged(np.array(values(result, phase, size, "bytes")) / 1e6) for phase in PHASES]
        rows.append(
            [
                f"{median(result, 'train', size, 'events'):,.0f}",
                *per_million,
                ranged(values(result, "train", size, "seconds")),
                *memory[:2],
                ranged(values(result, "rank", size, "seconds")),
                memory[2],
            ]
        )
    return markdown(header, rows)


def growth_table(result: dict) -> str:
    """The exponents, and what an event adds to the peak."""
    sizes = " to ".join(f"{size:,}" for size in sizes_of(result)[-2:])
    header = ["", "exponent of the events in the time", f"bytes per further event, {sizes}"]
    rows = [
        [
            phase,
            f"{exponent(result, phase):.2f}",
            f"{bytes_per_more_event(result, phase):.0f}",
        ]
        for phase in PHASES
    ]
    return markdown(header, rows)


def figure(result: dict):
    """Seconds and bytes against events, with a line of slope 1."""
    picture = new_figure(9.5, 4)
    left, right = picture.subplots(1, 2)
    styles = dict(zip(PHASES, (STYLES[0], STYLES[4], STYLES[3]), strict=True))
    labels = {
        "read": "reading the file",
        "train": "training, one epoch",
        "rank": f"ranking for {result['ranked_users']} users",
    }
    for phase, style in styles.items():
        draw(left, result, phase, "seconds", 1, style, labels[phase])
        draw(right, result, phase, "bytes", 1e6, style, labels[phase])
    for ax, title, ylabel in ((left, "time", "seconds"), (right, "peak memory", "MB")):
        proportional(ax, result, "seconds" if ax is left else "bytes", 1 if ax is left else 1e6)
        ax.set_xscale("log")
        log_axes(ax, x=False)
        finish(ax, title, "events", ylabel)
        ax.legend(fontsize=8, frameon=False)
    return picture


def draw(ax, result, phase, name, unit, style, label):
    """Median and quartiles over the rounds."""
    sizes = sizes_of(result)
    of_rounds = [np.array(values(result, phase, size, name)) / unit for size in sizes]
    middle, low, high = np.transpose([quartiles(numbers) for numbers in of_rounds])
    events = [median(result, phase, size, "events") for size in sizes]
    draw_line(ax, events, middle, low, high, style, label)


def proportional(ax, result, name, unit):
    """A line of slope 1 through the largest training."""
    sizes = sizes_of(result)
    events = np.array([median(result, "train", size, "events") for size in sizes])
    last = median(result, "train", sizes[-1], name) / unit
    line = {"color": "#444444", "linestyle": ":", "linewidth": 1}
    ax.plot(events, last * events / events[-1], **line, label="in proportion to the events")


def measured(result: dict) -> str:
    """One sentence."""
    sizes = sizes_of(result)
    first, last = (
        1e6 * median(result, "train", size, "seconds") / median(result, "train", size, "events")
        for size in (sizes[0], sizes[-1])
    )
    ranking = [median(result, "rank", size, "seconds") for size in (sizes[0], sizes[-1])]
    return (
        f"from about {sizes[0]:,} to {sizes[-1]:,} events the time of an epoch grows with the "
        f"exponent {exponent(result, 'train'):.2f} (1 is linear): {first:.2f} and {last:.2f} s "
        f"per million events on one thread, {bytes_per_more_event(result, 'train'):.0f} bytes "
        f"of memory for each further event; ranking for {result['ranked_users']} users takes "
        f"{ranking[0]:.2f} and {ranking[1]:.2f} s, since it looks at the last "
        f"{result['model']['max_len']} events of each. So it is with the length that attention "
        "sees cut off and the catalogue held: longer sequences are the matter of `complexity`, "
        "larger catalogues and the quality of what is learned are not measured here."
    )
