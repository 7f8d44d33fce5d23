"""From the results of a table's seeds to its page and its figure."""

import math
from statistics import mean, stdev

from attention_from_scratch.plot.figure import new_figure
from benchmarks.common.drawing import STYLES, finish
from benchmarks.common.numbers import mean_and_spread
from benchmarks.common.writing import markdown, recipe_lines
from benchmarks.reproduce.recipes import METRICS, Recipe

VARIANTS = {
    "catalogue": "ours",
    "paper": "ours, negatives as the authors drew them",
    "strict": "ours, no seen item and no target among the negatives",
}
T_95 = {2: 12.71, 3: 4.30, 4: 3.18, 5: 2.78}  # of Student's t, by the number of seeds


def values(results: list[dict], variant: str, metric: str) -> list[float]:
    """A metric of each seed: the mean over the draws of negatives."""
    return [mean(draw[metric] for draw in result["test"][variant]) for result in results]


def interval(of: list[float]) -> str:
    """Where the mean over all seeds would be found, with 95 %."""
    if len(of) not in T_95:
        return ""
    half = T_95[len(of)] * stdev(of) / math.sqrt(len(of))
    return f"{mean(of) - half:.4f} to {mean(of) + half:.4f}"


def page(name: str, recipe: Recipe, results: list[dict]) -> str:
    """What a reader opens."""
    dataset, protocol = name.rsplit("-", 1)
    quick = " --quick" if results[0]["quick"] else ""
    parts = [
        f"# {recipe.title}",
        f"{results[0]['settings']['events']}; leave one out, the epoch chosen by NDCG@10 of the "
        "validation event, the test event looked at once a run.",
        table(recipe, results),
        reading(recipe, results),
        f"![{recipe.title}: NDCG@10 of the validation event]({name}.png)",
        "## How it was made",
        made(recipe, results),
        f"`python -m benchmarks.reproduce {dataset} {protocol}{quick}`",
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def table(recipe: Recipe, results: list[dict]) -> str:
    """Theirs, and ours."""
    rows = [
        [row.who, f"{row.hit_rate:.4f}", "", f"{row.ndcg:.4f}", "", row.about]
        for row in recipe.published
    ]
    for variant in results[0]["test"]:
        cells = []
        for metric in METRICS:
            of = values(results, variant, metric)
            cells += [mean_and_spread(of, ".4f"), interval(of)]
        rows.append([f"**{VARIANTS[variant]}**", *cells, seeds(results)])
    header = ["model", "HR@10", "95 % interval", "NDCG@10", "95 % interval", "source"]
    return markdown(header, rows)


def seeds(results: list[dict]) -> str:
    """How many, and how long one took: the mean of those on the most cores."""
    number = "one seed" if len(results) == 1 else f"{len(results)} seeds"
    cores = max(map(cores_of, results))
    seconds = mean(result["seconds"] for result in results if cores_of(result) == cores)
    return f"{number}, {seconds:,.0f} s on {cores} core{'s' * (cores > 1)}"


def cores_of(result: dict) -> int:
    """On how many cores a run was made: as many as there were processes, or threads."""
    processes = result.get("processes", 1)
    return result["threads"] if processes == 1 else processes


def reading(recipe: Recipe, results: list[dict]) -> str:
    """The difference from what is aimed at, and how exact the numbers can be."""
    aim, variant = recipe.published[0], next(iter(results[0]["test"]))
    hit_rate, ndcg = (mean(values(results, variant, metric)) for metric in METRICS)
    users = results[0]["test"][variant][0]["users"]
    error = math.sqrt(hit_rate * (1 - hit_rate) / users)
    return (
        f"Ours less {aim.who}: {hit_rate - aim.hit_rate:+.4f} HR@10, {ndcg - aim.ndcg:+.4f} "
        f"NDCG@10. With {users:,} users an HR@10 of {hit_rate:.3f} has a standard error of "
        f"{error:.4f} from the choice of users alone. ± is the standard deviation over seeds; the "
        "interval is that of the mean over seeds, by Student's t."
        + draws(results[0]["test"][variant])
    )


def draws(of: list[dict]) -> str:
    """What the draw of negatives does."""
    if len(of) == 1:
        return ""
    return (
        f" Each seed is the mean over {len(of)} draws of negatives, all users in each; between "
        f"draws NDCG@10 has a standard deviation of {stdev(d['NDCG@10'] for d in of):.4f}."
    )


def made(recipe: Recipe, results: list[dict]) -> str:
    """Settings, epochs and times."""
    settings = results[0]["settings"]
    rows = [
        [
            str(result["seed"]),
            f"{result['best_epoch']} of {result['epochs']}",
            f"{max(row.get('NDCG@10', 0) for row in result['history']):.4f}",
            f"{result['seconds']:,.0f} s",
            f"{result['seconds_in_steps'] / result['epochs']:.1f} s",
            str(cores_of(result)),
        ]
        for result in results
    ]
    header = ["seed", "best epoch", "its validation NDCG@10", "training and validation"]
    lines = recipe_lines({name: settings[name] for name in ("model", "fit")})
    if recipe.variant:
        lines.append(f"- {recipe.variant}")
    table = markdown([*header, "an epoch's steps", "cores"], rows)
    return "\n\n".join([table, "\n".join(lines)])


def figure(recipe: Recipe, results: list[dict]):
    """Validation NDCG@10 and the loss over the epochs, a line a seed."""
    drawn = new_figure(9, 3.6)
    left, right = drawn.subplots(1, 2)
    for result, style in zip(results, STYLES, strict=False):
        look = style | {"marker": "", "linewidth": 1.5}
        seen = [row for row in result["history"] if "NDCG@10" in row]
        label, best = f"seed {result['seed']}", result["best_epoch"]
        left.plot([r["epoch"] for r in seen], [r["NDCG@10"] for r in seen], **look, label=label)
        at = next((row["NDCG@10"] for row in seen if row["epoch"] == best), None)
        left.plot([best], [at], color=style["color"], marker=style["marker"])
        rows = result["history"]
        right.plot([r["epoch"] for r in rows], [r["loss"] for r in rows], **look)
    left.legend(fontsize=8, loc="lower right")
    finish(left, "NDCG@10 of the validation event; the mark is the best", "epoch", "NDCG@10")
    finish(right, "training loss, nats a target", "epoch", "loss")
    left.set_ylim(bottom=0)
    return drawn
