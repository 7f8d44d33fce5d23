"""Single layers, forward and backward: attention at every length, and an LSTM."""

import tracemalloc
from typing import ClassVar

import numpy as np

from attention_from_scratch import fast, ops
from attention_from_scratch.plot.figure import new_figure
from attention_from_scratch.training import available_cores
from benchmarks.common.drawing import STYLES, draw_line, finish, log_axes
from benchmarks.common.numbers import slope
from benchmarks.common.writing import markdown
from benchmarks.speed.contest import Contender, fastest, quartiles, ratio, shown, take_turns
from benchmarks.speed.layers import POSITIONS, SEQUENCES, STEPS, UNITS, WIDTH

LAYERS = "benchmarks.speed.layers"
OURS, PLAIN, TORCH = "ours", "ours, plain op", "PyTorch"
ROUNDS = {False: 15, True: 1}


class Attention:
    """Causal attention, forward and backward, as many positions in all at every length."""

    TITLE = "Causal attention"
    LENGTHS: ClassVar = {False: (128, 256, 512, 1024, 2048, 4096, 8192), True: (128, 256)}
    LONGEST_PLAIN = 2048  # beyond it the plain op needs gigabytes

    def measure(self, quick: bool) -> dict:
        """Seconds of everybody at every length; our peak memory for one sequence."""
        cores, rows, memory = available_cores(), {}, {}
        for length in self.LENGTHS[quick]:
            settings = {"length": length, "threads": cores}
            taking_part = {
                OURS: Contender(LAYERS, "our_attention", settings),
                TORCH: Contender(LAYERS, "torch_attention", settings),
            }
            if length <= self.LONGEST_PLAIN:
                taking_part[PLAIN] = Contender(LAYERS, "our_attention", settings | {"plain": True})
            rows[str(length)] = take_turns(taking_part, ROUNDS[quick], f"length {length}")
            memory[str(length)] = peak_memory(fast, length)
        plain = {
            str(length): peak_memory(ops, length)
            for length in self.LENGTHS[quick]
            if length <= self.LONGEST_PLAIN
        }
        return {"rows": rows, "memory": {"fast": memory, "plain": plain}}

    def tables(self, result: dict) -> str:
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
            "Seconds: median (quartiles) over the rounds; the ratio is taken round by round. Peak: "
            "of the arrays that one sequence needs, forward and backward, on one thread; ours "
            f"grows with the {growth:.2f}th power of the length.\n\n{markdown(header, rows)}"
        )

    def figure(self, result: dict):
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


class LSTM:
    """An LSTM, forward and backward."""

    TITLE = "LSTM"

    def measure(self, quick: bool) -> dict:
        """Seconds of everybody."""
        cores = available_cores()
        taking_part = {
            OURS: Contender(LAYERS, "our_lstm", {"threads": cores}),
            PLAIN: Contender(LAYERS, "our_lstm", {"threads": cores, "plain": True}),
            TORCH: Contender(LAYERS, "torch_lstm", {"threads": cores}),
            f"{TORCH}, one thread": Contender(LAYERS, "torch_lstm", {"threads": 1}),
        }
        return {"rows": {"lstm": take_turns(taking_part, ROUNDS[quick], "LSTM")}}

    def tables(self, result: dict) -> str:
        """Everybody."""
        found = result["rows"]["lstm"]
        rows = [[who, shown(of), ratio(found[OURS], of)] for who, of in found.items()]
        best = fastest(found, [who for who in found if who.startswith(TORCH)])
        return (
            f"Forward and backward, {SEQUENCES} sequences of {STEPS} steps, {UNITS} units, "
            "float32. Median (quartiles) over the rounds. Against the best peer "
            f"({best}) ours takes {ratio(found[OURS], found[best])} times as long.\n\n"
            + markdown(["", "seconds", "ours / this"], rows)
        )

    def figure(self, result: dict):
        """A bar for everybody."""
        found = result["rows"]["lstm"]
        picture = new_figure(8, 2.6)
        ax = picture.subplots()
        values = [1000 * quartiles(of["seconds"])[0] for of in found.values()]
        colors = ["#0072B2" if who == OURS else "#999999" for who in found]
        ax.barh(range(len(found)), values, color=colors, height=0.6)
        ax.set_yticks(range(len(found)), list(found), fontsize=8)
        ax.invert_yaxis()
        finish(ax, "LSTM, forward and backward", "milliseconds", "")
        return picture
