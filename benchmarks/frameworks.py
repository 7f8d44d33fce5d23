"""How far from the frameworks? A row for each, from what `verify --json` wrote.

    attention-from-scratch verify --framework all --json float64.json
    attention-from-scratch verify --framework all --dtype float32 --json float32.json
    python -m benchmarks.frameworks float64.json float32.json

writes benchmarks/results/frameworks.md.
"""

import argparse
import json
from pathlib import Path

RESULTS = Path(__file__).parent / "results" / "frameworks.md"
COLUMNS = ("rows, {}", "worst op", "worst model", "floors")
ABOUT = """# Every op and whole models against PyTorch, JAX and Keras

Output and gradient of every input, on the same random numbers. Ours are plain ops. An error is the
largest difference over the largest entry; in brackets that error in epsilons of the dtype. Floors:
the largest difference of any entry, over how far rounding moves that entry; up to 16 is right.
"""


def page(files: list[list[dict]]) -> str:
    """The table, of the rows of each dtype."""
    header = [column.format(rows[0]["dtype"]) for rows in files for column in COLUMNS]
    lines = [f"|  | {' | '.join(header)} |", "| --- |" + " --- |" * len(header)]
    for version in dict.fromkeys(row["version"] for row in files[0]):
        cells = [version]
        for rows in files:
            cells += summary([row for row in rows if row["version"] == version])
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join([ABOUT, *lines]) + "\n"


def summary(rows: list[dict]) -> list[str]:
    """How many passed, the worst error of an op and of a model, and the most floors."""
    passed = sum(row["passed"] for row in rows)
    count = f"{passed} passed" if passed == len(rows) else f"{passed} of {len(rows)} passed"
    worst = []
    for is_model in (False, True):
        kind = [row for row in rows if row["model"] == is_model]
        row = max(kind, key=lambda row: row["error"])
        worst.append(f"{row['error']:.1e} ({row['epsilons']:.0f} ε)")
    return [count, *worst, f"{max(row['floors'] for row in rows):.1f}"]


def main(arguments: list[str] | None = None) -> None:
    """Read the files and write the page."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.frameworks", description=__doc__.split("\n")[0]
    )
    parser.add_argument("float64", type=Path, help="what verify --json wrote")
    parser.add_argument("float32", type=Path, help="the same with --dtype float32")
    parser.add_argument("--out", type=Path, default=RESULTS, help=f"{RESULTS} if not given")
    options = parser.parse_args(arguments)
    files = [
        json.loads(path.read_text(encoding="utf-8")) for path in (options.float64, options.float32)
    ]
    options.out.write_text(page(files), encoding="utf-8")


if __name__ == "__main__":
    main()
