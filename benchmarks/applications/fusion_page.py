"""From the results of `benchmarks.applications.fusion` to its page and its figure."""

from statistics import mean, stdev

from attention_from_scratch.plot.figure import new_figure
from benchmarks.common.drawing import finish
from benchmarks.common.numbers import mean_and_spread
from benchmarks.common.writing import markdown, recipe_lines

COUNTED, LEARNED, LIMIT = "#999999", "#0072B2", "#000000"
PANELS = {
    "known": "films in training, whole catalogue",
    "new": "films left out, whole catalogue",
    "new_among_new": "films left out, among themselves",
}
SHOWN = ("ids", "ids-all", "ids-all-drop-fifth", "features")  # in the table by popularity


def sorted_runs(results: list[dict], keys: list[str]) -> tuple[dict, dict]:
    """The baselines, and key -> runs in the order of `keys`."""
    (counted,) = (result for result in results if "baselines" in result)
    runs = {key: [run for run in results if run.get("variant") == key] for key in keys}
    return counted, {key: found for key, found in runs.items() if found}


def values(runs: list[dict], question: str, metric: str) -> list[float]:
    """What each run reached."""
    return [run["test"][question][metric] for run in runs]


def cell(runs: list[dict], question: str, metric: str) -> str:
    """Mean and spread over seeds; "-" where nothing was asked."""
    return told(values(runs, question, metric), "above" in metric)


def told(found: list, percent: bool = False) -> str:
    """0.123 ± 0.004; or 12.3 ± 0.4, in percent."""
    if None in found:
        return "-"
    found = [100 * value for value in found] if percent else found
    digits = ".1f" if percent else ".3f"
    return mean_and_spread(found, digits) if len(found) > 1 else f"{found[0]:{digits}}"


def page(results: list[dict], keys: list[str]) -> str:
    """What a reader opens."""
    counted, runs = sorted_runs(results, keys)
    parts = [
        "# Fusion: what is known of an item beside its id",
        "**The article says** (7.2) that data of several kinds, such as text, images and speech, "
        "will be fused with sequential recommendation for better service. It does not say how, nor "
        "for whom it is better. Here an item is the sum of an id vector and of learned projections "
        "of any number of feature matrices (`models/fusion.py`); the features are a film's genres, "
        "its year and the words of its title (TF-IDF).",
        the_questions(counted),
        known_films(counted, runs),
        new_films(counted, runs),
        f"![HR@10 of every model: {'; '.join(PANELS.values())}](fusion.png)",
        *missing_features(runs),
        *to_look_at(runs),
        made(counted, runs),
    ]
    return "\n\n".join(parts) + "\n"


def the_questions(counted: dict) -> str:
    """What is there and what is asked."""
    data = counted["data"]
    return "\n\n".join(
        [
            f"Of {data['films']} films {data['left out']} are left out of training, with all their "
            f"events; it keeps {data['events in training']} events of {data['users']} users. Each "
            f"user is asked for the last film that is in training ({data['known films asked for']} "
            "users; the last but one is for validation), and for the last of the films left out "
            f"({data['films left out asked for']} users, {data['different ones']} different "
            "films), given the films in training that came before it. What a user has seen is not "
            "ranked. Features of the films left out are handed over after training.",
            "`above` is the share of the other candidates, in percent, that are ranked above the "
            "film: 50 by chance. Mean ± standard deviation over the seeds of the models.",
        ]
    )


def rows_of(counted: dict, runs: dict, columns: list[tuple[str, str]]) -> list[list[str]]:
    """A row for each baseline and each model."""
    rows = [
        [row["title"], *(cell([row], *column) for column in columns), "-"]
        for row in counted["baselines"]
    ]
    rows += [
        [found[0]["title"], *(cell(found, *column) for column in columns), str(len(found))]
        for found in runs.values()
    ]
    return rows


def known_films(counted: dict, runs: dict) -> str:
    """All events, and those with rare films."""
    rows = rows_of(counted, runs, [("known", metric) for metric in ("HR@10", "NDCG@10", "above")])
    every = [*([row] for row in counted["baselines"]), *runs.values()]
    for row, found in zip(rows, every, strict=True):
        row.insert(2, gain(found, runs.get("ids")))
    header = ["items are", "HR@10", "against ids", "NDCG@10", "above, %", "seeds"]
    return "\n\n".join(
        [
            "## Films in training",
            markdown(header, rows),
            "`against ids` is the change of HR@10 for the same users, with its standard error over "
            "the users.",
            "The same by how many events the film has in training: HR@10, and `above` in brackets.",
            by_events(runs),
        ]
    )


def gain(found: list[dict], ids: list[dict] | None) -> str:
    """What a model gives over ids alone."""
    if ids is None or found is ids:
        return "-"
    change, error = paired(found, ids)
    return f"{change:+.3f} ± {error:.3f}"


def paired(first: list[dict], second: list[dict]) -> tuple[float, float]:
    """Mean over the users of the difference of their hit rates over the seeds; standard error."""
    rates = [
        [mean(map(int, of_user)) for of_user in zip(*values(runs, "known", "hits"), strict=True)]
        for runs in (first, second)
    ]
    differences = [a - b for a, b in zip(*rates, strict=True)]
    return mean(differences), stdev(differences) / len(differences) ** 0.5


def by_events(runs: dict) -> str:
    """A column for each range of events."""
    shown = [runs[key] for key in SHOWN if key in runs]
    bins = shown[0][0]["test"]["by_events"]
    ends = [f"to {row['from'] - 1}" for row in bins[1:]] + ["and more"]
    header = [
        f"{row['from']} {end} ({row['asked']} asked)" for row, end in zip(bins, ends, strict=True)
    ]
    rows = []
    for found in shown:
        cells = []
        for place in range(len(bins)):
            hits, above = (
                [run["test"]["by_events"][place][metric] for run in found]
                for metric in ("HR@10", "above")
            )
            empty = None in hits
            cells.append("-" if empty else f"{mean(hits):.3f} ({100 * mean(above):.1f})")
        rows.append([found[0]["title"], *cells])
    return markdown(["items are", *header], rows)


def new_films(counted: dict, runs: dict) -> str:
    """Films that no model has ever seen."""
    columns = [
        *(("new", metric) for metric in ("HR@10", "above")),
        *(("new_among_new", metric) for metric in ("HR@10", "NDCG@10", "above")),
    ]
    header = ["HR@10, whole catalogue", "above, %", "HR@10, among films left out"]
    parts = [
        "## Films left out of training",
        markdown(
            ["items are", *header, "NDCG@10", "above, %", "seeds"], rows_of(counted, runs, columns)
        ),
        f"Chance among the films left out: HR@10 {counted['chance']:.3f}. So many users ask for so "
        "few films that it matters which: with other films left out, the hit rates among them "
        f"would differ by a standard error of {largest_error(counted, runs):.3f} (the largest in "
        "the table).",
        *(f"- {line}" for line in what_is_seen(counted, runs)),
    ]
    return "\n\n".join(parts[:3]) + "\n\n" + "\n".join(parts[3:])


def largest_error(counted: dict, runs: dict) -> float:
    """The largest standard error of the hit rates among the films left out."""
    every = [*counted["baselines"], *(run for found in runs.values() for run in found)]
    return max(values(every, "new_among_new", "error"))


def what_is_seen(counted: dict, runs: dict) -> list[str]:
    """What the tables show, in sentences, as far as there are runs."""
    content = counted["baselines"][1]["test"]

    def hits(key, question):
        return f"{mean(values(runs[key], question, 'HR@10')):.3f}"

    lines = []
    if "ids" in runs:
        lines.append(
            f"Ids say nothing of a film that nobody has met: {hits('ids', 'new_among_new')} among "
            f"the films left out, where chance is {counted['chance']:.3f}."
        )
    if {"ids-all", "ids-all-drop-fifth", "features"} <= set(runs):
        lines.append(
            f"With all features it is {hits('ids-all', 'new_among_new')}. But in the whole "
            "catalogue a film left out stands behind those that have an id too "
            f"({hits('ids-all', 'new')}), unless training has left ids out now and then: "
            f"{hits('ids-all-drop-fifth', 'new')} with an id dropout of 0.2, "
            f"{hits('features', 'new')} without any ids. The price is paid by the films that are "
            "known: see the table above."
        )
    lines.append(
        f"Content-based filtering, which learns nothing, reaches "
        f"{content['new_among_new']['HR@10']:.3f} among the films left out, and "
        f"{content['new']['HR@10']:.3f} in the whole catalogue."
    )
    if {"ids-all-drop-fifth", "ids-all-early"} <= set(runs):
        lines.append(
            'A film whose features the model is told in training ("told early"), though nobody '
            "meets it there, is a wrong answer at every step. That is learnt too: "
            f"{hits('ids-all-early', 'new')} instead of {hits('ids-all-drop-fifth', 'new')} in the "
            f"whole catalogue, {hits('ids-all-early', 'new_among_new')} instead of "
            f"{hits('ids-all-drop-fifth', 'new_among_new')} among the films left out. Give the "
            "features of items without events as NaN in training, and the true ones afterwards."
        )
    return lines


def missing_features(runs: dict) -> list[str]:
    """What it costs that the genres of half the films are not known."""
    chosen = [key for key in ("ids", "ids-genres", "ids-genres-half") if key in runs]
    if len(chosen) < 3:
        return []
    columns = [
        ("known", "HR@10"),
        ("new_among_new", "HR@10"),
        ("new_genres_kept", "HR@10"),
        ("new_genres_hidden", "HR@10"),
    ]
    groups = [runs["ids"][0]["test"][question]["asked"] for question, _ in columns]
    header = ["films in training", "films left out, among themselves", "genres kept", "hidden"]
    header = [f"{title} ({asked})" for title, asked in zip(header, groups, strict=True)]
    rows = [[runs[key][0]["title"], *(cell(runs[key], *c) for c in columns)] for key in chosen]
    return [
        "## What if it is not known?",
        "A row of NaN says that nothing is known. Here the genres of a random half of all films "
        "are hidden, in training and after. HR@10; the last two columns divide the films left out "
        "that are asked for by whether their genres are among those hidden.",
        markdown(["items are", *header], rows),
        "A film left out with its genres hidden is a vector of zeros, to which everybody is "
        "indifferent: its score is 0, whoever asks.",
    ]


def to_look_at(runs: dict) -> list[str]:
    """Neighbours and recommendations of one model."""
    found = next((run for all_of in runs.values() for run in all_of if run["example"]), None)
    if found is None:
        return []
    near = found["example"]["neighbours"]
    lines = ["left out: " + named(near), "films in training with the most similar vectors:"]
    lines += [f"  {row['cosine']:.3f}  {named(row)}" for row in near["neighbours"]]
    for row in found["example"]["after"]:
        lines += ["", f"after {'; '.join(row['history'])}, of the films left out:"]
        lines += [f"  {named(film)}" for film in row["recommended"]]
    return [
        "## To look at",
        f"{found['title']}, seed {found['seed']}; cosines of the vectors, of which that of the "
        "film left out comes from its features alone.",
        "\n".join(["```text", *lines, "```"]),
    ]


def named(film: dict) -> str:
    """Title and genres."""
    return f"{film['film']}: {film['genres'] or 'of no genre that is known'}"


def made(counted: dict, runs: dict) -> str:
    """Settings, times and the command."""
    rows = [
        [
            found[0]["title"],
            ", ".join(f"{run['best_epoch']} of {run['epochs']}" for run in found),
            f"{mean(run['cpu_seconds'] for run in found):.0f} s",
        ]
        for found in runs.values()
    ]
    lines = recipe_lines(counted["settings"])
    lines.append(f"- ContentBased: half_life {counted['half_life']}, chosen by validation")
    quick = " --quick" if counted["quick"] else ""
    return "\n\n".join(
        [
            "## How it was made",
            markdown(["items are", "best epoch", "processor time of a training"], rows),
            "\n".join(lines),
            f"`python -m benchmarks.applications fusion --data FILE{quick}`",
        ]
    )


# --- the figure


def figure(results: list[dict], keys: list[str]):
    """HR@10 of every model, a panel a question."""
    counted, runs = sorted_runs(results, keys)
    labels = [row["title"] for row in counted["baselines"]]
    labels += [found[0]["title"] for found in runs.values()]
    drawn = new_figure(13, 1.3 + 0.34 * len(labels))
    axes = drawn.subplots(1, len(PANELS), sharey=True)
    for ax, (question, title) in zip(axes, PANELS.items(), strict=True):
        bars(ax, counted, runs, question)
        if question == "new_among_new":
            chance = counted["chance"]
            ax.axvline(chance, color=LIMIT, linestyle="--", linewidth=1)
            ax.text(chance, -0.75, " chance", fontsize=8, va="center")
        finish(ax, title, "HR@10", "")
        ax.margins(x=0.14)
    axes[0].set_yticks(range(len(labels)), labels)
    axes[0].set_ylim(len(labels) - 0.4, -1.1)
    return drawn


def bars(ax, counted: dict, runs: dict, question: str) -> None:
    """Means, with the range over seeds."""
    rows = [([row["test"][question]["HR@10"]], COUNTED) for row in counted["baselines"]]
    rows += [(values(found, question, "HR@10"), LEARNED) for found in runs.values()]
    for place, (found, colour) in enumerate(rows):
        middle = mean(found)
        spread = [[middle - min(found)], [max(found) - middle]]
        ax.barh(
            place,
            middle,
            xerr=spread if len(found) > 1 else None,
            color=colour,
            height=0.64,
            error_kw={"ecolor": "#56B4E9", "capsize": 3},
        )
        ax.text(max(found), place, f" {middle:.3f}", va="center", fontsize=8)
