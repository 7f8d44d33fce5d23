"""From the results of `benchmarks.baselines` to its page: a table, a figure and the settings."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from attention_from_scratch.commands.table import (
    CHOSEN_BY,
    Runs,
    best_first,
    learns,
    table,
    values_of,
)
from attention_from_scratch.plot.figure import new_figure
from benchmarks.common.writing import in_words, read_json

KINDS = {  # whether there is chance in it; the colours are told apart in grey print too
    False: ("no training", "#56B4E9"),
    True: ("trained by gradient descent", "#0072B2"),
}
ABOUT = """Each user's last event is the test and the one before it validation; the event is ranked
in the whole catalogue, the user's history left out. All choices are made by NDCG@10 of the
validation event: models that count are fitted with every setting of a small grid; models that learn
have settings that were found in a few short trials, and keep their best epoch. The test event is
asked for once, at the end. Where there is chance in it, the numbers are mean ± standard deviation
over seeds. Training is the processor's time for one run with the settings as chosen, without the
trials.

    OMP_NUM_THREADS=1 python -m benchmarks.baselines --data FILE --threads 1"""


def read_results(folder: Path) -> list[Runs]:
    """The runs of each model, the best model first."""
    return best_first(read_json(path) for path in sorted(folder.glob("*.json")))


def page(out: Path) -> str:
    """All files of events that there are results of."""
    found = [read_results(folder) for folder in sorted(out.iterdir()) if folder.is_dir()]
    sections = [section(models) for models in found if models]
    return "\n\n".join(["# Every model side by side", ABOUT, *sections]) + "\n"


def section(models: list[Runs]) -> str:
    """Table, figure and settings of one file of events."""
    first = models[0][0]
    parts = [
        f"## {first['data']}: {first['events']}",
        table(models),
        f"![NDCG@10 of every model on {first['data']}]({first['data']}.png)",
        "\n".join(f"- {note}" for note in notes(models)),
    ]
    return "\n\n".join(parts)


def notes(models: list[Runs]) -> Iterator[str]:
    """What the numbers were made with, and what to keep in mind when reading them."""
    first = models[0][0]
    for runs in models:
        run = runs[0]
        if learns(runs):
            settings = in_words(run["asked"]["model"] | run["asked"]["fit"])
            epochs = ", ".join(str(run["best_epoch"]) for run in runs)
            because = run["asked"].get("because")
            reason = f" ({because})" if because else ""
            yield f"{run['title']}: {settings}{reason}; best epoch {epochs}."
        elif run["chosen"]:
            yield f"{run['title']}: {in_words(run['chosen'])}; best of {run['tried']} settings."
    if first["ordered_by"] != "timestamp":
        yield "The file has no timestamps: RecentlyPopular counts the latest events of each user."
    if first["features"] is None:
        yield "ContentBased is left out: there is no file that says what the items are like."
    best, users = np.mean(values_of(models[0], "HR@10")), first["test"]["users"]
    yield (
        f"With {users} users, an HR@10 of {best:.3f} has a standard error of "
        f"{(best * (1 - best) / users) ** 0.5:.3f}: so far would another sample of users move it, "
        "whatever the spread over seeds."
    )


def figure(models: list[Runs]):
    """NDCG@10 of every model as a bar, the best on top, with the spread over seeds."""
    drawn = new_figure(6.4, 1.2 + 0.36 * len(models))
    ax, ends = drawn.subplots(), []
    for place, runs in enumerate(models):
        values, (label, colour) = values_of(runs, CHOSEN_BY), KINDS[learns(runs)]
        mean = np.mean(values)
        spread = np.std(values, ddof=1) if len(values) > 1 else 0
        ax.barh(place, mean, xerr=spread or None, color=colour, label=label, capsize=3)
        ax.text(mean + spread, place, f"  {mean:.3f}", va="center", fontsize=9)
        ends.append(mean + spread)
    ax.set_yticks(range(len(models)), [runs[0]["title"] for runs in models])
    ax.invert_yaxis()
    ax.set_xlim(0, 1.15 * max(ends) or 1)
    ax.set_xlabel("NDCG@10, whole catalogue, history left out")
    first = models[0][0]
    ax.set_title(f"{first['data']}: {first['events']}", fontsize=10)
    ax.spines[["top", "right"]].set_visible(False)
    handles, labels = ax.get_legend_handles_labels()
    once = dict(zip(labels, handles, strict=True))
    ax.legend(once.values(), once, loc="lower right", fontsize=9)
    return drawn
