"""Attention and self-attention: one op, and what a query from elsewhere can do.

(a) `scaled_dot_product_attention(x, x, x)` against the same call with a query from another
sequence: what comes out, and what it costs for n_q queries and n_k keys.

(b) A lookup. A memory holds m pairs (key, value); a query names one of the keys, and its value is
the answer. Self-attention over the memory, pooled, never sees the query: the best that it can
answer is the commonest value of the memory. Attention whose query comes from outside can look the
key up. So can self-attention, if the query is made a position of the sequence; it then also
computes what nobody asks for.
"""

from collections.abc import Callable

import numpy as np

from attention_from_scratch import ops
from attention_from_scratch.plot.figure import new_figure
from benchmarks.claims import lookup
from benchmarks.claims.lookup import READERS
from benchmarks.claims.measuring import alternate
from benchmarks.common.drawing import STYLES, draw_line, finish, log_axes
from benchmarks.common.numbers import mean_and_spread, quartiles, ranged, slope
from benchmarks.common.writing import markdown

ARTICLE = (
    "that self-attention is a special form of attention: attention usually relates different "
    "elements, self-attention only those inside one sequence (9.1)."
)
FIGURE = "time against n_q * n_k; accuracy of the lookup over training"

WIDTH, BATCH = 64, 16  # of the timing


def measure(quick: bool = False) -> dict:
    """Both parts."""
    lengths = (4, 16) if quick else (16, 64, 256, 1024)
    steps, seeds = (30, 2) if quick else (600, 3)
    return {
        "identical": identical(64),
        "width": WIDTH,
        "batch": BATCH,
        "times": times(lengths, rounds=2 if quick else 9),
        "lookup": {
            "memory": lookup.MEMORY,
            "keys": lookup.KEYS,
            "values": lookup.VALUES,
            "dim": lookup.DIM,
            "batch": lookup.BATCH,
            "questions": lookup.QUESTIONS,
        },
        "chance": 1 / lookup.VALUES,
        "best_without_query": lookup.best_without_query(lookup.MEMORY, lookup.VALUES),
        "runs": lookup.lookups(steps, seeds),
    }


def identical(n: int, n_q: int = 5) -> dict:
    """A query's output depends on no other query: it may come from anywhere, alone or in company.

    Self-attention of x, and attention of some rows of x, handed in as a query from elsewhere, must
    agree at these rows.
    """
    x = np.random.default_rng(0).standard_normal((n, WIDTH))
    among, _ = ops.scaled_dot_product_attention(x, x, x)
    alone, _ = ops.scaled_dot_product_attention(x[:n_q].copy(), x, x)
    return {
        "n": n,
        "n_q": n_q,
        "self_shape": among.shape,
        "cross_shape": alone.shape,
        "difference": float(np.abs(among[:n_q] - alone).max()),
    }


def times(lengths: tuple[int, ...], rounds: int) -> list[dict]:
    """Forward and backward for every pair of lengths; x attends to itself where they are equal."""
    tasks = {(n_q, n_k): attend(n_q, n_k) for n_q in lengths for n_k in lengths}
    seconds = alternate(tasks, rounds, "cross, times")
    return [{"n_q": n_q, "n_k": n_k, "seconds": s} for (n_q, n_k), s in seconds.items()]


def attend(n_q: int, n_k: int) -> Callable[[], Callable]:
    """Prepares arrays; gives forward and backward on them."""

    def prepare():
        rng = np.random.default_rng(0)
        x, other, d_output = (
            rng.standard_normal((BATCH, n, WIDTH)).astype(np.float32) for n in (n_k, n_q, n_q)
        )
        query = x if n_q == n_k else other

        def run():
            output, backward = ops.scaled_dot_product_attention(query, x, x)
            return output, backward(d_output)

        return run

    return prepare


# --- reading the result


def last_accuracies(result: dict, reader: str) -> list[float]:
    """The accuracies at the end of training, one for each seed."""
    return [run["accuracy"][-1] for run in result["runs"] if run["reader"] == reader]


def cost_exponent(result: dict) -> float:
    """The exponent of n_q * n_k in the time, over the larger half of the products."""
    cells = sorted(result["times"], key=lambda cell: cell["n_q"] * cell["n_k"])
    cells = cells[len(cells) // 2 :]
    products = [cell["n_q"] * cell["n_k"] for cell in cells]
    return slope(products, [np.median(cell["seconds"]) for cell in cells])


def tables(result: dict) -> str:
    """Times by shape; accuracies by reader."""
    same, sizes = result["identical"], result["lookup"]
    rounds = len(result["times"][0]["seconds"])
    lengths = sorted({cell["n_q"] for cell in result["times"]})
    cells = {(cell["n_q"], cell["n_k"]): cell["seconds"] for cell in result["times"]}
    rows = [
        [f"n_q = {q}", *(ranged([1e3 * s for s in cells[q, k]]) for k in lengths)] for q in lengths
    ]
    return "\n\n".join(
        [
            f"Self-attention of x, {tuple(same['self_shape'])}, and attention of {same['n_q']} of "
            f"its rows, handed in as a query from elsewhere, {tuple(same['cross_shape'])}, differ "
            f"at these rows by at most {same['difference']:.1e} (float64).",
            f"Milliseconds of forward and backward, batch {result['batch']}, d = "
            f"{result['width']}, float32; median (quartiles) of {rounds} rounds. On the diagonal x "
            "attends to itself.",
            markdown(["", *(f"n_k = {k}" for k in lengths)], rows),
            f"Lookup: {sizes['memory']} pairs of {sizes['keys']} keys and {sizes['values']} "
            f"values, d = {sizes['dim']}, Adam, {result['runs'][0]['steps'][-1]} steps of "
            f"{sizes['batch']} new memories; accuracy on {sizes['questions']} others, mean ± "
            f"standard deviation over {len({run['seed'] for run in result['runs']})} seeds.",
            markdown(["reader", "what it is", "weights a memory", "accuracy"], reader_rows(result)),
        ]
    )


def reader_rows(result: dict) -> list[list[str]]:
    """Each reader, then what can be had by guessing."""
    m = result["lookup"]["memory"]
    weights = dict(zip(READERS, (m, (m + 1) ** 2, m**2), strict=True))
    rows = [
        [name, what, str(weights[name]), mean_and_spread(last_accuracies(result, name))]
        for name, what in READERS.items()
    ]
    best, chance = result["best_without_query"], result["chance"]
    rows.append(
        ["", "the commonest value of the memory: best without the query", "", f"{best:.3f}"]
    )
    rows.append(["", "any value: chance", "", f"{chance:.3f}"])
    return rows


def figure(result: dict):
    """Time against the product of the lengths; accuracy over the steps."""
    picture = new_figure(9.5, 4)
    left, right = picture.subplots(1, 2)
    kinds = {
        "n_q = n_k: self-attention": lambda q, k: q == k,
        "n_q < n_k": lambda q, k: q < k,
        "n_q > n_k": lambda q, k: q > k,
    }
    for (label, holds), style in zip(kinds.items(), (STYLES[0], STYLES[3], STYLES[4]), strict=True):
        draw_times(left, [c for c in result["times"] if holds(c["n_q"], c["n_k"])], style, label)
    left.set_xscale("log")
    log_axes(left, x=False)
    finish(left, "time of the op", "n_q * n_k", "forward + backward, ms")
    left.legend(fontsize=8, frameon=False)
    for reader, style in zip(READERS, (STYLES[0], STYLES[3], STYLES[4]), strict=True):
        draw_accuracy(right, [r for r in result["runs"] if r["reader"] == reader], style, reader)
    for name, dash in (("best_without_query", "--"), ("chance", ":")):
        label = name.replace("_", " ") + f": {result[name]:.3f}"
        right.axhline(result[name], color="#444444", linestyle=dash, linewidth=1, label=label)
    finish(right, "lookup", "training step", "accuracy")
    right.set_ylim(0, 1.03)
    right.legend(fontsize=8, frameon=False, loc="center right", bbox_to_anchor=(1, 0.7))
    return picture


def draw_times(ax, cells, style, label):
    """Points with their quartiles."""
    middle, low, high = np.transpose([quartiles([1e3 * s for s in c["seconds"]]) for c in cells])
    products = [cell["n_q"] * cell["n_k"] for cell in cells]
    errors = (middle - low, high - middle)
    ax.errorbar(products, middle, errors, **style | {"linestyle": "none"}, label=label, alpha=0.8)


def draw_accuracy(ax, runs, style, label):
    """The mean over the seeds, between the lowest and the highest."""
    values = np.array([run["accuracy"] for run in runs])
    draw_line(
        ax,
        runs[0]["steps"],
        values.mean(axis=0),
        values.min(axis=0),
        values.max(axis=0),
        style,
        label,
    )


def measured(result: dict) -> str:
    """One sentence."""
    outside, inside, none = (np.mean(last_accuracies(result, reader)) for reader in READERS)
    best, chance = result["best_without_query"], result["chance"]
    return (
        f"the op is the same (difference {result['identical']['difference']:.0e}) and its cost "
        f"goes with (n_q n_k)^{cost_exponent(result):.2f}, by the arithmetic with the power 1, "
        f"whichever is longer; in the lookup the accuracy is {outside:.3f} with a query from "
        f"outside and {none:.3f} for self-attention that does not see the query (the best without "
        f"it: {best:.3f}; chance: {chance:.3f}), but {inside:.3f} for self-attention with the "
        "query put into the sequence: the two differ in where the query comes from, and in nothing "
        "else."
    )
