"""From a result to its three files: JSON, Markdown, PNG. And what tables and figures share."""

import json
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from threadpoolctl import threadpool_limits

from attention_from_scratch.files import replace_file
from attention_from_scratch.plot import save
from benchmarks.claims.measuring import environment, load_average, quartiles

RESULTS = Path(__file__).parents[1] / "results" / "claims"

# Told apart by the colour-blind (Okabe & Ito 2008), and by marker and dash in grey print.
STYLES = (
    {"color": "#0072B2", "marker": "o", "linestyle": "-"},
    {"color": "#56B4E9", "marker": "s", "linestyle": "--"},
    {"color": "#000000", "marker": "D", "linestyle": "-"},
    {"color": "#E69F00", "marker": "^", "linestyle": "-"},
    {"color": "#D55E00", "marker": "v", "linestyle": "--"},
    {"color": "#CC79A7", "marker": "P", "linestyle": "-."},
)


def run(name: str, claim, out: Path, *, quick: bool = False) -> str:
    """Measure a claim, on one thread, and write its files; returns the Markdown."""
    before = load_average()
    with threadpool_limits(1):
        found = claim.measure(quick)
    around = environment() | {"load_before": before, "load_after": load_average()}
    result = {"claim": name, "quick": quick, "environment": around, **found}
    text = as_json(result)
    replace_file(out / f"{name}.json", lambda part: part.write_text(text, encoding="utf-8"))
    return redraw(name, claim, out)


def redraw(name: str, claim, out: Path) -> str:
    """Table and figure of a claim from its JSON; returns the Markdown."""
    result = json.loads((out / f"{name}.json").read_text(encoding="utf-8"))
    text = page(name, claim, result)
    save(claim.figure(result), out / f"{name}.png", dpi=120)
    replace_file(out / f"{name}.md", lambda part: part.write_text(text, encoding="utf-8"))
    return text


def as_json(result: dict) -> str:
    """A line for each entry, and for each row of a list of rows; six digits of each number."""
    lines = []
    for name, value in rounded(result).items():
        text = json.dumps(value, allow_nan=False)
        if isinstance(value, list) and value and isinstance(value[0], dict):
            rows = ",\n  ".join(json.dumps(row, allow_nan=False) for row in value)
            text = f"[\n  {rows}\n ]"
        lines.append(f" {json.dumps(name)}: {text}")
    return "{\n" + ",\n".join(lines) + "\n}\n"


def rounded(value):
    """The same with six significant digits."""
    if isinstance(value, dict):
        return {name: rounded(entry) for name, entry in value.items()}
    if isinstance(value, list | tuple):
        return [rounded(entry) for entry in value]
    return float(f"{value:.6g}") if isinstance(value, float) else value


def page(name: str, claim, result: dict) -> str:
    """What a reader opens."""
    parts = [
        f"# {name}",
        f"**The article says** {claim.ARTICLE}",
        f"**Measured:** {claim.measured(result)}",
        claim.tables(result),
        f"![{name}: {claim.FIGURE}]({name}.png)",
    ]
    if hasattr(claim, "verdict"):
        parts.append(f"**Verdict.** {claim.verdict(result)}")
    command = f"python -m benchmarks.claims {name}{' --quick' if result['quick'] else ''}"
    parts.append(f"`{command}`: {describe(result['environment'])}.")
    return "\n\n".join(parts) + "\n"


def describe(around: dict) -> str:
    """Versions, cores, and how busy the machine was."""
    loads = around["load_before"], around["load_after"]
    busy = "" if None in loads else f"; load average {loads[0]} before and {loads[1]} after"
    return (
        "times are processor time; "
        f"NumPy {around['numpy']}, {around['blas']} on {around['blas_threads']} thread, "
        f"Python {around['python']}, {around['machine']}, {around['cores']} cores{busy}"
    )


def markdown(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table."""
    lines = [f"| {' | '.join(header)} |", "|" + " --- |" * len(header)]
    lines += [f"| {' | '.join(row)} |" for row in rows]
    return "\n".join(lines)


def ranged(values: Sequence[float], digits: str = ".3g") -> str:
    """Median and quartiles: 1.2 (1.1 to 1.4)."""
    median, low, high = (f"{value:{digits}}" for value in quartiles(values))
    return f"{median} ({low} to {high})"


def mean_and_spread(values: Sequence[float], digits: str = ".3f") -> str:
    """Mean and standard deviation over seeds: 1.20 ± 0.10; of one seed just its value."""
    if len(values) == 1:
        return f"{values[0]:{digits}}"
    return f"{np.mean(values):{digits}} ± {np.std(values, ddof=1):{digits}}"


def draw_line(ax, x, middle, low, high, style: dict, label: str | None = None) -> None:
    """A line with a band around it."""
    ax.plot(x, middle, **{"markersize": 4, "linewidth": 1.5, "label": label} | style)
    ax.fill_between(x, low, high, color=style["color"], alpha=0.2, linewidth=0)


def log_axes(ax, *, x: bool = True, y: bool = True) -> None:
    """Powers of 2 along the bottom, of 10 up the side."""
    if x:
        ax.set_xscale("log", base=2)
        ax.xaxis.set_major_formatter("{x:g}")
    if y:
        ax.set_yscale("log")


def finish(ax, title: str, xlabel: str, ylabel: str) -> None:
    """Names and a quiet frame."""
    ax.set_title(title, fontsize=10)
    ax.set_xlabel(xlabel)
    ax.set_ylabel(ylabel)
    ax.grid(alpha=0.25)
    ax.spines[["top", "right"]].set_visible(False)
