"""From the results to the page; the figure."""

import numpy as np

from attention_from_scratch.plot.figure import new_figure
from benchmarks.common.drawing import STYLES, finish
from benchmarks.common.writing import markdown
from benchmarks.digits.exact import EXACT, UNITS, exact_values, units_off

ABOUT = (
    "Functions of one number and their slopes, against mpmath, at {numbers} numbers of every size "
    "in each dtype: subnormal, huge, random, and those where a result vanishes. Ours are plain "
    "ops. A target of the cross-entropy is 0, 1, anything between, or what the sigmoid of its "
    "logit is rounded to.",
    "A *unit* is one of the last place of the exact result for the input as it is, or the least "
    "number above 0 where that is more. A result may be {units} units off, or by what half a unit "
    "of an input changes, whichever is more: as much was lost when the input was rounded.",
)
SHARES = (
    "We promise at most 1, and `tests/ops/test_digits.py` holds it. Two results may be off by more "
    "than is said above: the tanh form of gelu in float64 4 times as far, as its u is a sum and "
    "rounded itself; s - t 1.25 times as far, where it is next to nothing."
)
IN_UNITS = (
    "Where a result hangs steeply on its input, and where it is the difference of equal numbers, "
    "as the slope of gelu at -0.7518 and s - t where s is t, many units are less than what half a "
    "unit of the input changes."
)

DTYPES = ("float64", "float32")
PANELS = {
    "sigmoid": "sigmoid",
    "tanh": "tanh",
    "gelu": "gelu",
    "gelu, tanh form": "gelu, tanh form",
}
LEAST = 1e-2  # units that are shown


def page(result: dict) -> str:
    """What a reader opens."""
    parts = [
        "# How many digits are right?",
        "\n\n".join(ABOUT).format(numbers=result["numbers"], units=UNITS),
        "## The largest error, over what is allowed",
        SHARES,
        table(result["rows"], "share"),
        "![errors of slopes in float32, along x](digits.png)",
        "## The largest error, in units",
        IN_UNITS,
        table(result["rows"], "units"),
        made_with(result["versions"]),
    ]
    return "\n\n".join(parts) + "\n"


def table(rows: list[dict], measure: str) -> str:
    """A line for each value and slope, and a column for each dtype and contender."""
    who = list(dict.fromkeys(row["who"] for row in rows))
    lines: dict[tuple[str, int], dict] = {}
    for row in rows:
        lines.setdefault((row["function"], row["of"]), {})[row["dtype"], row["who"]] = row
    columns = [(dtype, contender) for dtype in DTYPES for contender in who]
    header = ["", *(f"{dtype}, {contender}" for dtype, contender in columns)]
    body = ([label(*key), *(cell(of[c], measure) for c in columns)] for key, of in lines.items())
    return markdown(header, body)


def label(function: str, nth: int) -> str:
    """What a line is about."""
    slopes = ["s - t", "slope in targets"] if len(EXACT[function]) > 2 else ["slope"]
    return ", ".join([function, *(slopes[nth - 1 : nth] if nth else [])])


def cell(row: dict, measure: str) -> str:
    """The number, and where: 2.9 at -3.5."""
    if row[measure] == 0:
        return "0"
    where = ", ".join(f"{x:.4g}" for x in row[f"{measure} at"])
    size = "not finite" if row[measure] is None else f"{row[measure]:.2g}"
    return f"{size} at {where}"


def made_with(versions: dict[str, str]) -> str:
    """The last line."""
    return f"`python -m benchmarks.digits`: {', '.join(map(' '.join, versions.items()))}."


def figure(who: dict):
    """Errors of slopes in float32, along x."""
    x = np.linspace(-12, 12, 481, dtype="float32")
    picture = new_figure(10, 6)
    panels = picture.subplots(2, 2, sharex=True, sharey=True).ravel()
    for ax, name in zip(panels, PANELS, strict=True):
        exact = exact_values(EXACT[name][1], (x,))
        for (contender, function), style in zip(who.items(), STYLES[:1] + STYLES[4:], strict=False):
            off = np.maximum(units_off(function(name, (x,))[1], exact), LEAST)
            ax.plot(x, off, **style | {"marker": "", "linewidth": 1.2}, label=contender)
        ax.axhline(UNITS, color="#999999", linewidth=0.8)
        ax.set_yscale("log")
        finish(ax, f"slope of {name}", "x", "units of the last place")
    panels[0].legend()
    return picture
