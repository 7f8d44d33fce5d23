"""From the results of a study to its page and its figure."""

from collections.abc import Iterable
from statistics import mean

from attention_from_scratch.plot.figure import new_figure
from benchmarks.common.drawing import STYLES, finish
from benchmarks.common.numbers import mean_and_spread
from benchmarks.common.writing import markdown, recipe_lines

METRICS = {"HR@1": ".3f", "HR@10": ".3f", "NDCG@10": ".3f", "cross_entropy": ".3f"}
TITLES = ["HR@1", "HR@10", "NDCG@10", "cross-entropy"]
COUNTED, MODEL, LIMIT = "#999999", STYLES[0]["color"], "#000000"


def page(study, results: list[dict]) -> str:
    """What a reader opens."""
    first, second = of_data(results, 0), of_data(results, 1)
    parts = [
        f"# {study.TITLE}",
        f"**The article says** {study.ARTICLE}",
        f"{study.ASKED} {data_of(first)}",
        "## What the models reach",
        legend(),
        model_table(study, first),
        f"![{study.TITLE}: models, and the limit of each]({study.NAME}.png)",
        reading(study, first),
        "## The limits",
        "Of each model its limit, that is, the formula that made the data, told no more than the "
        "model: on the same events, and as the exact expectation given each history. The two "
        "differ by the luck of the draw.",
        limit_table(study, first),
        "## One history",
        "\n".join(["```text", *example_of(study, first), "```"]),
        *([] if second is None else check(study, second)),
        "## How it was made",
        made(study, first),
    ]
    return "\n\n".join(parts) + "\n"


def of_data(results: list[dict], data_seed: int) -> dict | None:
    """Results on the same data: {"limits": what there is but models, "runs": key -> list}."""
    found = [result for result in results if result["data_seed"] == data_seed]
    limits = [result for result in found if "limits" in result]
    if not limits:
        return None
    runs: dict[str, list] = {}
    for result in found:
        if "model" in result:
            runs.setdefault(result["model"], []).append(result)
    return {"limits": limits[0], "runs": runs}


def data_of(found: dict) -> str:
    """The size of the data, in words."""
    return ", ".join(f"{value} {name}" for name, value in found["limits"]["data"].items()) + "."


def legend() -> str:
    """What the columns are."""
    return (
        "Mean ± standard deviation over the seeds of the model; the cross-entropy is in nats. "
        "*Way to the limit* is how much of the way from the first row to the limit of that model "
        "is covered, by NDCG@10 and by cross-entropy, all on the same events; nothing stands where "
        "there is hardly a way."
    )


def model_table(study, found: dict) -> str:
    """Baselines, and models with the limit of each."""
    rows = [
        [row["title"], *(shown(row["test"][name]) for name in METRICS), "", "", ""]
        for row in found["limits"]["baselines"]
    ]
    for key, model in study.MODELS.items():
        runs = found["runs"].get(key, [])
        if not runs:
            continue
        cells = [mean_and_spread(tests(runs, name), form) for name, form in METRICS.items()]
        limit = found["limits"]["limits"][key]["test"]
        best = f"{limit['NDCG@10']:.3f}; {limit['cross_entropy']:.3f}"
        way = [
            f"{closed(found, key, name):.0%}" if far(found, study, key, name) else ""
            for name in ("NDCG@10", "cross_entropy")
        ]
        rows.append([model.title, *cells, best, *way])
    header = ["", *TITLES, "limit: NDCG@10; nats", "way to the limit, NDCG@10", "nats"]
    return markdown(header, rows)


def shown(value: float | None) -> str:
    """A number; nothing where there is none."""
    return "" if value is None else f"{value:.3f}"


def tests(runs: Iterable[dict], name: str) -> list[float]:
    """One metric of each run."""
    return [run["test"][name] for run in runs]


def closed(found: dict, key: str, name: str) -> float:
    """Share of the way from the first baseline to the limit that a model covers."""
    start = found["limits"]["baselines"][0]["test"][name]
    limit = found["limits"]["limits"][key]["test"][name]
    return (mean(tests(found["runs"][key], name)) - start) / (limit - start)


def far(found: dict, study, key: str, name: str) -> bool:
    """Whether there is a way to speak of: at least a tenth of that of the first model."""
    start = found["limits"]["baselines"][0]["test"][name]
    limits = found["limits"]["limits"]
    ways = [abs(limits[who]["test"][name] - start) for who in (key, next(iter(study.MODELS)))]
    return ways[0] >= ways[1] / 10


def limit_table(study, found: dict) -> str:
    """The formula, told what each model is told; those told the same are one row."""
    titles: dict[tuple, list] = {}
    for key, model in study.MODELS.items():
        limit = found["limits"]["limits"][key]
        cells = [f"{limit['test'][m]:.3f} ({limit['expected'][m]:.3f})" for m in METRICS]
        titles.setdefault(model.told, cells)
    rows = [[told, *cells] for told, cells in titles.items()]
    return markdown(["the formula, told", *(f"{title} (expected)" for title in TITLES)], rows)


def reading(study, found: dict) -> str:
    """Sentences: how near the first model comes, and what each thing that is told is worth."""
    full, *others = [key for key in study.MODELS if key in found["runs"]]
    lines = [
        f"- {study.MODELS[full].title}: {mean(tests(found['runs'][full], 'NDCG@10')):.3f} of "
        f"{found['limits']['limits'][full]['test']['NDCG@10']:.3f} NDCG@10 and "
        f"{mean(tests(found['runs'][full], 'cross_entropy')):.3f} against "
        f"{found['limits']['limits'][full]['test']['cross_entropy']:.3f} nats."
    ]
    blind: dict[str, str] = {}  # what is told -> the first model that is told no more
    for key in others:
        if study.MODELS[key].told != study.MODELS[full].told:
            blind.setdefault(study.MODELS[key].told, key)
    for told, key in blind.items():
        limits = [found["limits"]["limits"][name]["test"]["NDCG@10"] for name in (full, key)]
        reached = [mean(tests(found["runs"][name], "NDCG@10")) for name in (full, key)]
        lines.append(
            f"- Told {told} only: the limit falls by {limits[0] - limits[1]:.3f} NDCG@10, the "
            f"model by {reached[0] - reached[1]:.3f}."
        )
    return "\n".join(lines)


def example_of(study, found: dict) -> list[str]:
    """The example of the first model, from its first run."""
    runs = found["runs"].get(next(iter(study.MODELS)))
    return runs[0]["example"] if runs else ["(not run yet)"]


def check(study, found: dict) -> list[str]:
    """The first model on other data."""
    return ["## The same with other users", model_table(study, found)]


def made(study, found: dict) -> str:
    """Settings, times and the command."""
    rows = []
    for key, model in study.MODELS.items():
        runs = found["runs"].get(key, [])
        if runs:
            epochs = ", ".join(f"{run['best_epoch']} of {run['epochs']}" for run in runs)
            seconds = mean(run["cpu_seconds"] for run in runs)
            rows.append([model.title, str(len(runs)), epochs, f"{seconds:.0f} s"])
    settings = found["limits"]["settings"]
    quick = " --quick" if found["limits"]["quick"] else ""
    lines = recipe_lines(settings)
    return "\n\n".join(
        [
            markdown(["model", "runs", "best epoch", "processor time of a training"], rows),
            "\n".join(lines),
            f"`python -m benchmarks.applications {study.NAME}{quick}`",
        ]
    )


# --- the figure


def draw(study, results: list[dict]):
    """Bars: baselines and models, and the limit of each model as a line across its bar."""
    found = of_data(results, 0)
    baselines = found["limits"]["baselines"]
    models = [key for key in study.MODELS if key in found["runs"]]
    labels = [row["title"] for row in baselines] + [study.MODELS[key].title for key in models]
    figure = new_figure(11, 1.3 + 0.42 * len(labels))
    axes = figure.subplots(1, 2, sharey=True)
    for ax, name, title in zip(
        axes,
        ("NDCG@10", "cross_entropy"),
        ("ranking: more is better", "probabilities: less is better"),
        strict=True,
    ):
        bars(ax, found, baselines, models, name)
        finish(ax, title, "NDCG@10" if name == "NDCG@10" else "cross-entropy, nats", "")
    axes[0].set_yticks(range(len(labels)), labels)
    axes[0].invert_yaxis()
    axes[1].legend(fontsize=8, frameon=False, loc="upper left", bbox_to_anchor=(1, 1))
    return figure


def bars(ax, found: dict, baselines: list[dict], models: list[str], name: str) -> None:
    """One panel."""
    for place, row in enumerate(baselines):
        if row["test"][name] is None:
            ax.text(0, place, " tells no probabilities", va="center", fontsize=8, color="#555555")
            continue
        label = "counted" if not place else None
        ax.barh(place, row["test"][name], color=COUNTED, height=0.6, label=label)
    for place, key in enumerate(models, start=len(baselines)):
        values = tests(found["runs"][key], name)
        limit = found["limits"]["limits"][key]["test"][name]
        first = place == len(baselines)
        spread = [[mean(values) - min(values)], [max(values) - mean(values)]]
        ax.barh(
            place,
            mean(values),
            xerr=spread,
            color=MODEL,
            height=0.6,
            error_kw={"ecolor": "#56B4E9", "capsize": 3},
            label="learned (mean, and range over seeds)" if first else None,
        )
        ax.vlines(
            limit,
            place - 0.42,
            place + 0.42,
            color=LIMIT,
            linewidth=2.5,
            label="limit: the formula, told the same" if first else None,
        )
