"""What 1 / sqrt(d) is for: entropy of the weights and size of the gradients, with it and without.

Queries and keys have independent standard normal entries, as at initialisation. A score is then a
sum of d products, of variance d. The claim of Vaswani et al. (2017), section 3.2.1, is that scores
of that size drive the softmax to where its gradient vanishes. The gradient of the loss with respect
to the weights is standard normal too, whatever d, so that what changes with d is the softmax.
"""

import math

import numpy as np

from attention_from_scratch import ops
from attention_from_scratch.plot.figure import new_figure
from benchmarks.common.drawing import STYLES, draw_line, finish, log_axes
from benchmarks.common.numbers import mean_and_spread, quartiles, ranged
from benchmarks.common.writing import markdown

ARTICLE = (
    "softmax(X Xᵀ) in the model (4.1) and softmax(x_i · x_j / √d_k) in the derivation (4.2), and "
    "gives no reason for the root."
)
FIGURE = "entropy of the weights and size of the gradients against d"

SCALES = ("1/sqrt(d)", "1")
GRADIENTS = ("d_scores", "d_query", "d_key")
DEAD = 0.001  # norm of d_scores below which a query is counted as getting nothing


def measure(quick: bool = False) -> dict:
    """A row for each width, scale and seed."""
    n, seeds, widths = (16, 2, (2, 64)) if quick else (64, 20, [2**k for k in range(1, 11)])
    return {
        "n": n,
        "dtype": "float64",
        "rows": [
            {"d": d, "scale": scale, "seed": seed} | observe(n, d, scale, seed)
            for d in widths
            for scale in SCALES
            for seed in range(seeds)
        ],
    }


def observe(n: int, d: int, scale: str, seed: int) -> dict[str, float]:
    """What one draw of n queries and n keys shows.

    The size of a gradient is the norm of its row: one for each query, or each key. Their median is
    what a typical row gets; their root mean square is carried by the largest.
    """
    rng = np.random.default_rng(seed)
    query, key = rng.standard_normal((2, n, d))
    factor = 1 / math.sqrt(d) if scale == "1/sqrt(d)" else 1.0
    d_weights = rng.standard_normal((n, n))

    weights, backward = ops.attention_weights(query, key, scale=factor)
    gradients = dict(zip(GRADIENTS[1:], backward(d_weights), strict=True))
    scores = factor * query @ key.T
    gradients["d_scores"] = ops.softmax(scores)[1](d_weights)

    sizes = {name: np.sqrt((rows**2).sum(axis=-1)) for name, rows in gradients.items()}
    return (
        {
            "variance": float(scores.var()),
            "entropy": float(entropy(weights).mean()),
            "dead": float((sizes["d_scores"] < DEAD).mean()),
        }
        | {name: float(np.median(sizes[name])) for name in GRADIENTS}
        | {f"{name}_rms": float(np.sqrt((sizes[name] ** 2).mean())) for name in GRADIENTS}
    )


def entropy(weights: np.ndarray) -> np.ndarray:
    """-sum_j p_j log p_j of each row, in nats; log n for equal weights, 0 for a single one."""
    logs = np.log(np.where(weights > 0, weights, 1))
    return -(weights * logs).sum(axis=-1)


# --- reading the result


def widths_of(result: dict) -> list[int]:
    """The d that were measured."""
    return sorted({row["d"] for row in result["rows"]})


def over_seeds(result: dict, d: int, scale: str, name: str) -> list[float]:
    """One number of each seed."""
    return [row[name] for row in result["rows"] if (row["d"], row["scale"]) == (d, scale)]


def tables(result: dict) -> str:
    """What is seen at each width, for both scales."""
    seeds = len({row["seed"] for row in result["rows"]})
    n = result["n"]
    return "\n\n".join(
        [
            f"n = {n} queries and keys, {seeds} seeds. Entropy: mean ± standard deviation; all "
            "else, which spreads over powers of ten: median (quartiles). Sizes of gradients are "
            "norms: with respect to the scores of one query (what comes back through the "
            "softmax), to one query, to one key; of the queries or keys of a seed the median is "
            "taken, for the scores also the root mean square, which the largest carry. A query "
            "counts as dead if its gradient with respect to the scores is below "
            f"{DEAD}. Equal weights have the entropy log n = {math.log(n):.3f}; scores that are "
            f"exactly normal, of variance 1, have log n - 1/2 = {math.log(n) - 0.5:.3f} for "
            "large n.",
            *(scale_table(result, scale) for scale in SCALES),
        ]
    )


def scale_table(result: dict, scale: str) -> str:
    """A row for each width."""
    columns = {
        "variance of the scores": ("variance", ".0f" if scale == "1" else ".2f"),
        "d_scores": ("d_scores", ".2g"),
        "d_scores, rms": ("d_scores_rms", ".2g"),
        "d_query": ("d_query", ".2g"),
        "d_key": ("d_key", ".2g"),
        "dead queries": ("dead", ".2f"),
    }
    rows = []
    for d in widths_of(result):
        entropies = mean_and_spread(over_seeds(result, d, scale, "entropy"))
        cells = [ranged(over_seeds(result, d, scale, n), form) for n, form in columns.values()]
        rows.append([str(d), entropies, *cells])
    return markdown([f"d, scale {scale}", "entropy (nats)", *columns], rows)


def figure(result: dict):
    """Entropy; gradient with respect to scores; gradients with respect to query and key."""
    picture = new_figure(11, 4.4)
    left, middle, right = picture.subplots(1, 3)
    with_root, without = STYLES[0], STYLES[4]
    for scale, style in zip(SCALES, (with_root, without), strict=True):
        curve(left, result, scale, "entropy", style, f"scale {scale}")
        curve(middle, result, scale, "d_scores", style, f"scale {scale}, median query")
        dots = style | {"linestyle": ":", "marker": None}
        curve(middle, result, scale, "d_scores_rms", dots, f"scale {scale}, root mean square")
        curve(right, result, scale, "d_query", style, f"scale {scale}, median query")
        dots = style | {"linestyle": ":", "marker": "x"}
        curve(right, result, scale, "d_key", dots, f"scale {scale}, median key")
    left.axhline(math.log(result["n"]), color="#444444", linestyle="--", linewidth=1)
    left.text(widths_of(result)[0], math.log(result["n"]), "log n: equal weights", va="bottom")
    for ax, title, ylabel in (
        (left, "entropy of the weights", "nats"),
        (middle, "gradient through the softmax", "norm of d_scores"),
        (right, "gradients of query and key", "norm of d_query, d_key"),
    ):
        log_axes(ax, y=ax is not left)
        finish(ax, title, "width d", ylabel)
        ax.legend(fontsize=8, frameon=False)
    left.set_ylim(0, math.log(result["n"]) * 1.12)
    return picture


def curve(ax, result, scale, name, style, label):
    """Median over the seeds, and the quartiles around it."""
    widths = widths_of(result)
    middle, low, high = np.transpose(
        [quartiles(over_seeds(result, d, scale, name)) for d in widths]
    )
    draw_line(ax, widths, middle, low, high, style, label)


def typical(result: dict, d: int, scale: str, name: str) -> float:
    """The median over the seeds."""
    return quartiles(over_seeds(result, d, scale, name))[0]


def measured(result: dict) -> str:
    """One sentence."""
    widths = widths_of(result)
    (root, one), last = SCALES, widths[-1]
    larger = [
        d
        for d in widths
        if typical(result, d, one, "d_query") > typical(result, d, root, "d_query")
    ]

    def change(name, scale):
        return " to ".join(f"{typical(result, d, scale, name):.2g}" for d in (widths[0], last))

    return (
        f"from d = {widths[0]} to {last} the entropy goes from {change('entropy', root)} nats "
        f"with the root (log n = {math.log(result['n']):.2f}) and from {change('entropy', one)} "
        "without; the gradient that comes through the softmax to a typical query's scores goes "
        f"from {change('d_scores', root)} with it and from {change('d_scores', one)} without, "
        f"where at d = {last} {typical(result, last, one, 'dead'):.0%} of the queries get less "
        f"than {DEAD}. The gradient does not vanish for all: its root mean square over the queries "
        f"is {typical(result, last, one, 'd_scores_rms'):.2g} still, carried by a few; "
        f"and the query's own gradient is larger without the root {at(larger, widths)}."
    )


def at(some: list[int], widths: list[int]) -> str:
    """Where a thing is so, in words."""
    if not some:
        return "at no d"
    if some == widths[: len(some)]:
        return f"up to d = {some[-1]}"
    return f"at d = {', '.join(map(str, some))}"
