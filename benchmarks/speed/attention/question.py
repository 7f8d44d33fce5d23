"""Causal attention, forward and backward, as many positions in all at every length."""

import tracemalloc
from pathlib import Path

import numpy as np

from attention_from_scratch import fast, ops
from attention_from_scratch.plot.figure import new_figure
from attention_from_scratch.training import available_cores
from benchmarks.common.drawing import STYLES, draw_line, finish, log_axes
from benchmarks.common.numbers import quartiles, slope
from benchmarks.common.writing import markdown
from benchmarks.speed.attention.contenders import POSITIONS, WIDTH
from benchmarks.speed.contest import Contender, ratio, shown, take_turns
from benchmarks.speed.showing import OURS, TURNS

TITLE = "Causal attention"
CONTENDERS = "benchmarks.speed.attention.contenders"
PLAIN, TORCH = "ours, plain op", "PyTorch"
ROUNDS = {False: 15, True: 1}
LENGTHS = {False: (128, 256, 512, 1024, 2048, 4096, 8192), True: (128, 256)}
LONGEST_PLAIN = 2048  # beyond it the plain op needs gigabytes


def measure(quick: bool, data: Path) -> dict:
    """Seconds of everybody at every length, our peak memory for one sequence; no data is read."""
    rows, memory = {}, {"fast": {}, "plain": {}}
    for length in LENGTHS[quick]:
        taking_part = contenders(length)
        rows[str(length)] = take_turns(taking_part, ROUNDS[quick], f"length {length}")
        memory["fast"][str(length)] = peak_memory(fast, length)
        if PLAIN in taking_part:
            memory["plain"][str(length)] = peak_memory(ops, length)
    return {"rows": rows, "memory": memory}


def contenders(length: int) -> dict[str, Contender]:
    """Everybody who takes part at a length."""
    settings = {"length": length, "threads": available_cores()}
    found = {
        OURS: Contender(CONTENDERS, "ours", settings | {"ops": "fast"}),
        TORCH: Contender(CONTENDERS, "torch", settings),
    }
    if length <= LONGEST_PLAIN:
        found[PLAIN] = Contender(CONTENDERS, "ours", settings | {"ops": "plain"})
    return found


def peak_memory(which, length: int) -> int:
    """Bytes of the arrays that one sequence needs at once, beside its inputs."""
    inputs = np.random.default_rng(0).standard_normal((3, length, WIDTH)).astype(np.float32)
    mask = which.causal_mask(length)
    tracemalloc.start()
    output, backward = which.scaled_dot_product_attention(*inputs, mask=mask)
    backward(output)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return peak


def tables(result: dict) -> str:
    """A row a length."""
    rows = []
    for length, found in result["rows"].items():
        cells = [shown(found[who]) if who in found else "" for who in (OURS, PLAIN, TORCH)]
        memory = [
            f"{result['memory'][which][length] / 2**20:.1f}"
            if length in result["memory"][which]
            else ""
            for which in ("fast", "plain")
        ]
        rows.append([length, *cells, ratio(found[OURS], found[TORCH]), *memory])
    header = ["length", "ours", "plain op", "PyTorch's SDPA", "ours / PyTorch's"]
    header += ["our peak, MB", "plain op's, MB"]
    lengths = [int(length) for length in result["memory"]["fast"]]
    growth = slope(lengths, list(result["memory"]["fast"].values()))
    return (
        f"Forward and backward, d = {WIDTH}, one head, float32, {POSITIONS} positions in all. "
        f"Seconds: {TURNS} Peak: "
        "of the arrays that one sequence needs, forward and backward, on one thread; ours "
        f"grows with the {growth:.2f}th power of the length.\n\n{markdown(header, rows)}"
    )


def figure(result: dict):
    """Time and memory against length."""
    picture = new_figure(11, 4.2)
    left, right = picture.subplots(1, 2)
    names = {OURS: STYLES[0], PLAIN: STYLES[1], TORCH: STYLES[3]}
    for who, style in names.items():
        there = [length for length, found in result["rows"].items() if who in found]
        lines = np.array([quartiles(result["rows"][n][who]["seconds"]) for n in there]).T
        draw_line(left, [int(n) for n in there], *lines, style, who)
    for which, who in (("fast", OURS), ("plain", PLAIN)):
        of = result["memory"][which]
        sizes = np.array(list(of.values())) / 2**20
        lengths = [int(n) for n in of]
        draw_line(right, lengths, sizes, sizes, sizes, names[who], who)
    for ax in (left, right):
        log_axes(ax)
        ax.legend(fontsize=8, frameon=False)
    finish(left, f"forward and backward, {POSITIONS} positions in all", "length", "seconds")
    finish(right, "peak memory of one sequence", "length", "MB")
    return picture
