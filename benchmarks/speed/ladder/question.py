"""What each step from the loop to the threads gains."""

from pathlib import Path

from attention_from_scratch.plot.figure import new_figure
from attention_from_scratch.training import available_cores
from benchmarks.common.drawing import finish
from benchmarks.common.writing import in_words, markdown
from benchmarks.speed.contest import Contender, median, ratio, shown, take_turns

TITLE = "From the loop to the threads"
RUNGS = {
    "loop": "the sum as the paper writes it, query by query and key by key",
    "matrix": "the op of `ops/`: all scores at once, then the mask",
    "tile": "the op of `fast/`: a block of queries at a time, no keys after the block",
    "threads": "the same, sequences side by side",
}
SHAPE = {
    False: {"batch": 8, "length": 512, "dim": 64},
    True: {"batch": 2, "length": 16, "dim": 8},
}
ROUNDS = {False: 5, True: 1}


def measure(quick: bool, data: Path) -> dict:
    """Seconds of every rung; no data is read."""
    settings = SHAPE[quick] | {"threads": available_cores()}
    taking_part = {
        name: Contender("benchmarks.speed.ladder.contenders", "rung", settings | {"name": name})
        for name in RUNGS
    }
    rows = {"attention": take_turns(taking_part, ROUNDS[quick], "ladder")}
    return {"shape": SHAPE[quick], "rows": rows}


def tables(result: dict) -> str:
    """A row a rung: its time, and how many times as fast it is as the one before."""
    found, before, rows = result["rows"]["attention"], None, []
    for name, about in RUNGS.items():
        gain = "" if before is None else ratio(found[before], found[name])
        rows.append([f"{name}: {about}", shown(found[name]), gain])
        before = name
    whole = median(found["loop"]) / median(found["threads"])
    return (
        "Causal attention, one head, forward and backward, float32, "
        f"{in_words(result['shape'])}. Seconds: median (quartiles) over the rounds; the gain is "
        f"taken round by round. From the first to the last {whole:,.0f} times.\n\n"
        + markdown(["", "seconds", "times as fast as the one before"], rows)
    )


def figure(result: dict):
    """A bar a rung, on a logarithmic axis."""
    found = result["rows"]["attention"]
    picture = new_figure(8, 2.8)
    ax = picture.subplots()
    seconds = [median(found[name]) for name in RUNGS]
    ax.barh(range(len(RUNGS)), seconds, color="#0072B2", height=0.6)
    for place, value in enumerate(seconds):
        ax.text(value, place, f"  {value:.3g} s", va="center", fontsize=9)
    ax.set_xscale("log")
    ax.set_xlim(min(seconds) / 2, 6 * max(seconds))
    ax.set_yticks(range(len(RUNGS)), list(RUNGS))
    ax.invert_yaxis()
    finish(ax, "causal attention, forward and backward", "seconds", "")
    return picture
