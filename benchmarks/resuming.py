"""Results that are there are kept, if they are of what is asked for; the others are made."""

import json
from collections.abc import Callable, Iterable
from pathlib import Path

from tqdm import tqdm

from attention_from_scratch.files import replace_file
from benchmarks.claims.writing import as_json


def check_settings(path: Path, settings: dict) -> None:
    """Raise if a result that is there was made in another way."""
    found = json.loads(path.read_text("utf-8")).get("settings")
    if found != json.loads(json.dumps(settings)):
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
            result = {"settings": settings, "quick": quick} | make()
            text = as_json(result)
            replace_file(path, lambda part, text=text: part.write_text(text, "utf-8"))


def read_results(folder: Path) -> list[dict]:
    """All results in a folder, in the order of their names."""
    return [json.loads(path.read_text("utf-8")) for path in sorted(folder.glob("*.json"))]
