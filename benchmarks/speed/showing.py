"""What the pages of several questions share: the best peer, a table of everybody, bars."""

from collections.abc import Mapping

from attention_from_scratch.plot.figure import new_figure
from benchmarks.common.drawing import finish
from benchmarks.common.writing import markdown
from benchmarks.speed.contest import fastest, median, ratio, shown

OURS = "ours"  # how our first contender is called; the names of the others begin so too
HELD_AGAINST = ["ours", "best peer", "best peer's", "ours / best peer's"]
TURNS = "median (quartiles) over the rounds; the ratio is taken round by round."


def peers(found: Mapping[str, dict]) -> list[str]:
    """Everybody but ourselves."""
    return [name for name in found if not name.startswith(OURS)]


def against_best(found: Mapping[str, dict]) -> list[str]:
    """Cells of a row: ours, who is the best peer, its time, and the ratio."""
    best = fastest(found, peers(found))
    return [shown(found[OURS]), best, shown(found[best]), ratio(found[OURS], found[best])]


def everybody(title: str, found: Mapping[str, dict], *, peak: bool = False) -> str:
    """A table with a row for each contender, those that could not run among them."""
    more = ["first process at its largest"] if peak else []
    rows = []
    for who, of in found.items():
        if of.get("seconds"):
            memory = [f"{of['peak'] / 2**20:.0f} MB"] if peak else []
            rows.append([who, shown(of), *memory, ratio(found[OURS], of)])
        else:
            rows.append([who, f"failed: {of['failed']}", *("" for _ in more), ""])
    return markdown([title, "seconds", *more, "ours / this"], rows)


def bars(rows: Mapping[str, Mapping[str, dict]], xlabel: str, *, unit: float = 1.0):
    """A panel for each row, a bar for each contender that ran; `unit` is that of xlabel, in s."""
    there = {name: [who for who in of if of[who].get("seconds")] for name, of in rows.items()}
    heights = [len(who) for who in there.values()]
    picture = new_figure(9, 0.8 * len(rows) + 0.25 * sum(heights))
    panels = picture.subplots(len(rows), 1, squeeze=False, height_ratios=heights)[:, 0]
    for ax, (name, names) in zip(panels, there.items(), strict=True):
        times = [median(rows[name][who]) / unit for who in names]
        colors = ["#0072B2" if who == OURS else "#999999" for who in names]
        ax.barh(range(len(names)), times, color=colors, height=0.6)
        ax.set_yticks(range(len(names)), names, fontsize=8)
        ax.invert_yaxis()
        finish(ax, name, xlabel if ax is panels[-1] else "", "")
    return picture


def in_a_sentence(found: Mapping[str, dict]) -> str:
    """Who is the best peer, and the ratio to it."""
    best = fastest(found, peers(found))
    ours = ratio(found[OURS], found[best])
    return f"Against the best peer ({best}) ours takes {ours} times as long."
