"""Models side by side: a table in Markdown, with mean and spread over the seeds."""

from collections.abc import Iterable

import numpy as np

METRICS = ("HR@10", "NDCG@10", "MRR", "coverage")
CHOSEN_BY = "NDCG@10"

Runs = list[dict]
"""Of one model; a run has "model", "title", "cpu_seconds", "test" (its metrics), maybe "seed"."""


def best_first(runs: Iterable[dict]) -> list[Runs]:
    """The runs of each model, the best model first."""
    models: dict[str, Runs] = {}
    for run in runs:
        models.setdefault(run["model"], []).append(run)
    return sorted(models.values(), key=lambda runs: -np.mean(values_of(runs, CHOSEN_BY)))


def values_of(runs: Runs, metric: str) -> list[float]:
    """What each run achieved on the test events."""
    return [run["test"][metric] for run in runs]


def learns(runs: Runs) -> bool:
    """Whether it starts from a seed."""
    return "seed" in runs[0]


def table(models: list[Runs]) -> str:
    """A row for each model, in this order."""
    lines = [
        f"| model | {' | '.join(METRICS)} | seeds | training |",
        f"| --- |{' --- |' * (len(METRICS) + 2)}",
    ]
    return "\n".join([*lines, *map(table_row, models)])


def table_row(runs: Runs) -> str:
    """Mean and spread of each metric."""
    metrics = [with_spread(values_of(runs, metric)) for metric in METRICS]
    seeds = str(len(runs)) if learns(runs) else "-"
    seconds = np.mean([run["cpu_seconds"] for run in runs])
    training = f"{seconds:.1f} s" if seconds < 60 else f"{seconds / 60:.1f} min"
    return f"| {' | '.join([runs[0]['title'], *metrics, seeds, training])} |"


def with_spread(values: list[float]) -> str:
    """0.1124 ± 0.0053; of a single value the value."""
    spread = f" ± {np.std(values, ddof=1):.4f}" if len(values) > 1 else ""
    return f"{np.mean(values):.4f}{spread}"
