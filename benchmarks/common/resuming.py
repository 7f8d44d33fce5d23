"""Results that are there are kept, if they are of what is asked for; the others are made."""

from collections.abc import Callable, Iterable
from pathlib import Path

from tqdm import tqdm

from attention_from_scratch.models.trained import TrainedRecommender
from benchmarks.common.writing import as_json, as_read, read_json, write_text


def check_settings(path: Path, settings: dict) -> None:
    """Raise if a result that is there was made in another way."""
    if read_json(path).get("settings") != as_read(settings):
        raise ValueError(f"{path} was made with other settings: remove it, or give another --out")


def run_missing(
    name: str, jobs: Iterable[tuple[Path, Callable[[], dict]]], settings: dict, *, quick: bool
) -> None:
    """Make each result whose file is not there, and write it whole.

    jobs are files and what makes the result of each; what is there is checked first.
    """
    jobs = list(jobs)
    for path, _ in jobs:
        if path.exists():
            check_settings(path, settings)
    missing = [job for job in jobs if not job[0].exists()]
    with tqdm(missing, desc=name, unit="run", disable=None if missing else True) as bar:
        for path, make in bar:
            bar.set_postfix_str(path.stem)
            if path.exists():  # another process, beside this one, has made it meanwhile
                continue
            write_text(path, as_json({"settings": settings, "quick": quick} | make()))


def training_of(model: TrainedRecommender) -> dict:
    """How a training went, for its result; one that was interrupted gives none."""
    if model.interrupted:
        raise KeyboardInterrupt
    return {
        "best_epoch": model.best_epoch,
        "epochs": len(model.history),
        "validation": max((row.get("NDCG@10", 0) for row in model.history), default=0),
    }


def read_results(folder: Path) -> list[dict]:
    """All results in a folder, in the order of their names."""
    return [read_json(path) for path in sorted(folder.glob("*.json"))]
