"""Is self-attention cheap or expensive? The article says both; here against n, d and recurrence.

Forward and backward of each op, float32, one BLAS thread. Batch times length is held, so that what
is compared is the cost of one position. Beside each measured exponent stands that of the arithmetic
in the matrix products (forward and backward, counted below), over the same sizes.

Source of the counts per layer, n^2 d and n d^2: Vaswani et al. (2017), table 1.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from attention_from_scratch import ops
from attention_from_scratch.plot.figure import new_figure
from benchmarks.claims.measuring import alternate, slower_where, upper_half
from benchmarks.common.drawing import STYLES, draw_line, finish, log_axes
from benchmarks.common.numbers import quartiles, ranged, slope
from benchmarks.common.writing import markdown

ARTICLE = (
    "that self-attention has a low complexity, which depends only on the length of the sequence "
    "and the width of the encoding (9.1), and is fast (9.2); and that its complexity is high and "
    "may make training long (3.3, 8.3, 9.3)."
)
FIGURE = "time of forward and backward per position, against length and width"

ATTENTION = ("self-attention", "self-attention, local mask", "multi-head attention")
GATES = {"rnn": 1, "gru": 3, "lstm": 4}
OPS = (*ATTENTION, *GATES)
WINDOW = 16  # of the local mask


class Shape(NamedTuple):
    """The shape of an input: (batch, n, d)."""

    batch: int
    n: int
    d: int


class Sweep(NamedTuple):
    """Shapes along which one of n and d grows, and what is held meanwhile."""

    varies: str
    held: str
    shapes: list[Shape]


def sweeps(quick: bool = False) -> dict[str, Sweep]:
    """What is measured; "length at d" has several widths, to see where lines cross."""
    positions, batch, middle = (32, 2, 8) if quick else (4096, 16, 128)
    lengths = [2, 4, 8, 16, 32] if quick else [2**k for k in range(4, 13)]
    widths = [4, 8, 16] if quick else [2**k for k in range(3, 10)]
    d, others = (8, (4,)) if quick else (64, (16, 256))
    held = f"batch * n = {positions}"
    found = {
        f"length at d = {width}": Sweep(
            "n", f"d = {width}, {held}", [Shape(positions // n, n, width) for n in lengths]
        )
        for width in (d, *others)
    }
    found["width"] = Sweep(
        "d", f"n = {middle}, {held}", [Shape(positions // middle, middle, w) for w in widths]
    )
    found["length, batch held"] = Sweep(
        "n", f"d = {d}, batch = {batch}", [Shape(batch, n, d) for n in lengths[:-2]]
    )
    return found


def measure(quick: bool = False) -> dict:
    """Seconds of every op at every shape, in every round."""
    found = sweeps(quick)
    shapes = sorted({shape for sweep in found.values() for shape in sweep.shapes})
    tasks = {(op, shape): task(op, shape) for op in OPS for shape in shapes}
    seconds = alternate(tasks, rounds=2 if quick else 9, label="complexity")
    return {
        "window": WINDOW,
        "heads": 1,
        "dtype": "float32",
        "sweeps": {name: sweep._asdict() for name, sweep in found.items()},
        "cells": [{"op": op, "shape": s, "seconds": t} for (op, s), t in seconds.items()],
    }


def task(op: str, shape: Shape) -> Callable[[], Callable]:
    """Prepares arrays of a shape; gives forward and backward on them."""

    def prepare():
        rng = np.random.default_rng(0)

        def normal(*sizes, scale=1.0):
            return (scale * rng.standard_normal(sizes)).astype(np.float32)

        def layer(n_in, n_out):
            return {"weight": normal(n_in, n_out, scale=n_in**-0.5), "bias": normal(n_out)}

        return both_ways(op, layer, normal(*shape), normal(*shape))

    return prepare


def both_ways(op: str, layer: Callable, x: np.ndarray, d_output: np.ndarray) -> Callable[[], tuple]:
    """A function that computes the output of an op and all its gradients."""
    n, d = x.shape[-2:]
    if op == "multi-head attention":
        params = {part: layer(d, d) for part in ("query", "key", "value", "output")}

        def run():
            output, backward = ops.multi_head_attention(params, x, x, x, n_heads=1)
            grads, d_query, d_key, d_value = backward(d_output)
            return output, grads, d_query + d_key + d_value

    elif op in ATTENTION:
        mask = ops.local_mask(n, WINDOW) if "local" in op else None

        def run():
            output, backward = ops.scaled_dot_product_attention(x, x, x, mask=mask)
            d_query, d_key, d_value = backward(d_output)
            return output, d_query + d_key + d_value

    else:
        params = {"input": layer(d, GATES[op] * d), "hidden": layer(d, GATES[op] * d)}

        def run():
            output, backward = getattr(ops, op)(params, x)
            return output, *backward(d_output)

    return run


def counted(op: str, n: int, d: int) -> int:
    """Additions and multiplications in the matrix products of one position, there and back.

    A product (n, d) @ (d, m) is 2 n d m of them, and its two gradients are as many each. Attention
    has two products, of n^2 d each in a sequence; a projection has d^2 for each position. What is
    not a product (softmax, gates) is not counted.
    """
    if op in GATES:
        return 12 * GATES[op] * d * d
    return 12 * n * d + (24 * d * d if op == "multi-head attention" else 0)


# --- reading the result


def per_position(result: dict, sweep: dict, op: str) -> np.ndarray:
    """Seconds a position: (rounds, shapes)."""
    cells = {tuple(cell["shape"]): cell["seconds"] for cell in result["cells"] if cell["op"] == op}
    return np.array([np.array(cells[tuple(s)]) / (s[0] * s[1]) for s in sweep["shapes"]]).T


def sizes_of(sweep: dict) -> list[int]:
    """The n or the d that varies."""
    return [shape[1 if sweep["varies"] == "n" else 2] for shape in sweep["shapes"]]


def exponents(result: dict, sweep: dict, op: str) -> list[float]:
    """Measured over the upper half of the sizes, one for each round."""
    sizes = sizes_of(sweep)
    half = upper_half(sizes)
    return [slope(sizes[half], row[half]) for row in per_position(result, sweep, op)]


def counted_along(sweep: dict, op: str) -> list[int]:
    """The arithmetic of one position at each size."""
    return [counted(op, n, d) for _, n, d in sweep["shapes"]]


def counted_exponent(sweep: dict, op: str) -> float:
    """What the arithmetic alone would give over the same sizes."""
    sizes = sizes_of(sweep)
    half = upper_half(sizes)
    return round(slope(sizes[half], counted_along(sweep, op)[half]), 6) + 0.0  # no -0


def main_sweeps(result: dict) -> tuple[dict, dict, dict]:
    """The three that are drawn: length, length at a held batch, width."""
    sweeps = result["sweeps"]
    return next(iter(sweeps.values())), sweeps["length, batch held"], sweeps["width"]


def tables(result: dict) -> str:
    """Exponents, times, crossings."""
    length, _, _ = main_sweeps(result)
    rounds = len(result["cells"][0]["seconds"])
    return "\n\n".join(
        [
            "Exponents of the time per position over the larger half of the sizes, beside those "
            f"of the arithmetic in the products. Median (quartiles) of {rounds} rounds. The local "
            f"mask (|i - j| < {result['window']}) hides and does not save: the op computes all "
            "weights; a kernel that skips what is hidden would have the exponent 0 in n. Not "
            "counted are the softmax, which goes over the n² weights, the gates, what NumPy needs "
            "for each call, and memory that no longer fits the caches.",
            exponent_table(result),
            f"Microseconds per position, {length['held']}; in the last column, billions of "
            "operations in products per second at the largest n.",
            time_table(result, length),
            "The n, within what was measured, at which attention takes longer than a recurrent "
            "layer of the same width: measured; by the arithmetic alone.",
            crossing_table(result),
        ]
    )


def exponent_table(result: dict) -> str:
    """A row an op, a pair of columns a sweep."""
    found = main_sweeps(result)
    header = ["op"]
    for sweep in found:
        header += [f"in {sweep['varies']} ({sweep['held']})", "counted"]
    rows = []
    for op in OPS:
        row = [op]
        for sweep in found:
            row += [
                ranged(exponents(result, sweep, op), ".2f"),
                f"{counted_exponent(sweep, op):.2f}",
            ]
        rows.append(row)
    return markdown(header, rows)


def time_table(result: dict, sweep: dict) -> str:
    """Every second size of a sweep."""
    sizes = sizes_of(sweep)
    header = ["op", *(f"n = {n}" for n in sizes[::2]), f"rate at n = {sizes[-1]}"]
    rows = []
    for op in OPS:
        seconds = per_position(result, sweep, op)
        rate = counted_along(sweep, op)[-1] / np.median(seconds[:, -1]) / 1e9
        cells = [ranged(1e6 * column) for column in seconds.T[::2]]
        rows.append([op, *cells, f"{rate:.1f}"])
    return markdown(header, rows)


def crossing_table(result: dict) -> str:
    """A row for each width and kind of attention, a column for each recurrent layer."""
    rows = []
    for sweep in result["sweeps"].values():
        if sweep["varies"] != "n":
            continue
        for op in ("self-attention", "multi-head attention"):
            cells = [crossings(result, sweep, op, other) for other in GATES]
            rows.append([f"{op}, {sweep['held']}", *cells])
    return markdown(["slower than", *GATES], rows)


def crossings(result: dict, sweep: dict, op: str, other: str) -> str:
    """Where one op is slower than another: as measured; as counted."""
    sizes = sizes_of(sweep)
    first, second = (np.median(per_position(result, sweep, o), axis=0) for o in (op, other))
    arithmetic = (counted_along(sweep, o) for o in (op, other))
    return f"{words(slower_where(sizes, first, second))}; {words(slower_where(sizes, *arithmetic))}"


def words(intervals: list[tuple[float, float]]) -> str:
    """Sizes in words: "never", "at every n", "from 64 on", "from 30 to 210"."""
    if not intervals:
        return "never"
    found = []
    for low, high in intervals:
        if low == 0:
            found.append("at every n" if high == np.inf else f"up to {high:.0f}")
        else:
            found.append(f"from {low:.0f} " + ("on" if high == np.inf else f"to {high:.0f}"))
    return ", ".join(found)


def figure(result: dict):
    """Time per position against n, against n at a held batch, against d."""
    picture = new_figure(11, 4.4)
    panels = picture.subplots(1, 3, sharey=True)
    for ax, sweep in zip(panels, main_sweeps(result), strict=True):
        for op, style in zip(OPS, STYLES, strict=True):
            middle, low, high = np.apply_along_axis(
                quartiles, 0, 1e6 * per_position(result, sweep, op)
            )
            draw_line(ax, sizes_of(sweep), middle, low, high, style, op)
        name = "length n" if sweep["varies"] == "n" else "width d"
        log_axes(ax)
        finish(ax, sweep["held"], name, "")
    panels[0].set_ylabel("forward + backward, µs per position")
    handles, labels = panels[0].get_legend_handles_labels()
    picture.legend(handles, labels, loc="outside lower center", ncols=6, frameon=False, fontsize=9)
    return picture


def ratio(result: dict, sweep: dict, op: str, other: str, index: int) -> float:
    """How many times as long one op takes as another, by medians."""
    first, second = (np.median(per_position(result, sweep, o)[:, index]) for o in (op, other))
    return first / second


def measured(result: dict) -> str:
    """One sentence."""
    length, _, _ = main_sweeps(result)
    sizes, d = sizes_of(length), length["shapes"][0][2]
    times = 1e6 * np.median(per_position(result, length, "self-attention"), axis=0)
    exponent, *_ = quartiles(exponents(result, length, "self-attention"))
    short, long = (ratio(result, length, "self-attention", "lstm", i) for i in (0, -1))
    return (
        f"at d = {d} a position of self-attention costs {times[0]:.3g} µs in a sequence of "
        f"{sizes[0]} and {times[-1]:.3g} µs in one of {sizes[-1]} (exponent {exponent:.2f} in n, "
        f"by the arithmetic {counted_exponent(length, 'self-attention'):.0f}), which is "
        f"{short:.2g} and {long:.2g} times what an LSTM of the same width takes there."
    )


def verdict(result: dict) -> str:
    """What settles the contradiction."""
    length, held, _ = main_sweeps(result)
    n, d = length["shapes"][-1][1:]
    attention, recurrent = "multi-head attention", "lstm"
    of_attention, of_lstm = (
        f"{quartiles(exponents(result, held, op))[0]:.2f} for {name} (by the arithmetic "
        f"{counted_exponent(held, op):.2f})"
        for op, name in ((attention, attention), (recurrent, "the LSTM"))
    )
    shrinking, *_ = quartiles(exponents(result, length, recurrent))
    slower, slower_counted = crossings(result, held, attention, recurrent).split("; ")
    work = counted(attention, n, d) / counted(recurrent, n, d)
    took = ratio(result, length, attention, recurrent, -1)
    return (
        "Neither word is right without n and d. A layer of self-attention costs of the order of "
        "n² d for the weights and n d² for the projections; a recurrent layer costs n d², times "
        "its gates. Counted in arithmetic, self-attention is the cheaper one while n is below d, "
        "up to a factor, and the dearer one beyond, since its cost per position grows with n and "
        "that of the recurrent layer does not. But the n steps of the recurrent layer wait for "
        "one another; the positions of attention do not, they are a few large products. Measured "
        f"on one core, the exponent of n in the time per position ({held['held']}, the upper half "
        f"of n up to {sizes_of(held)[-1]}) is {of_attention} and {of_lstm}, and multi-head "
        f"attention is the slower one {slower} (by the arithmetic {slower_counted}). If batch * n "
        "is held, so that in longer sequences each step has fewer rows to work on at once, the "
        f"exponent of the LSTM is {shrinking:.2f}, though its arithmetic does not grow: at "
        f"n = {n}, d = {d} multi-head attention has {work:.2g} times the arithmetic of the LSTM "
        f'and takes {took:.2g} times as long. So "low" holds for sequences that are short beside '
        'd, and for the number of steps that must be taken one after the other; "high" holds '
        "for long sequences, in arithmetic and in the n² weights that are kept for the backward "
        "pass."
    )
