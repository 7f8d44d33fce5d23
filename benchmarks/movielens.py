"""SASRec on MovieLens-100K, whole catalogue, history left out, three seeds for each loss.

    python -m benchmarks.movielens --data ../shared/data/ml-100k.inter

Each run is one result file in benchmarks/results/ml-100k, written when it is finished; a run whose
file is there is not repeated, so the command can be stopped and started again.
"""

import argparse
import json
import platform
import time
from pathlib import Path

import numpy as np

from attention_from_scratch.data import leave_one_out, read_interactions
from attention_from_scratch.evaluation import evaluate
from attention_from_scratch.models import SASRec
from attention_from_scratch.training import available_cores, replace_file

RESULTS = Path(__file__).parent / "results" / "ml-100k"
SETTINGS = {"max_len": 200, "dim": 50, "n_blocks": 2, "n_heads": 1, "dropout": 0.2}
EPOCHS = {"bce": 400, "cross_entropy": 200}  # at most; patience ends most runs earlier
METRICS = ("HR@10", "NDCG@10", "MRR", "coverage")


def main():
    """Run what is missing; print the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--out", type=Path, default=RESULTS)
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    split = leave_one_out(read_interactions(options.data).histories)
    for loss in EPOCHS:
        for seed in options.seeds:
            path = options.out / f"{loss}-seed{seed}.json"
            if not path.exists():
                result = json.dumps(run(split, loss, seed), indent=1) + "\n"
                replace_file(path, lambda part, text=result: part.write_text(text))
    table = make_table(options.out)
    print(table)
    replace_file(options.out / "README.md", lambda part: part.write_text(table))


def run(split, loss: str, seed: int) -> dict:
    """Train with one loss and one seed; the test events are looked at once, at the end."""
    n_items = max(int(history.max()) for history in split.test_histories)
    n_items = max(n_items, int(split.test.max()))
    model = SASRec(n_items, **SETTINGS, loss=loss, seed=seed)
    start = time.perf_counter()
    model.fit(split.train, epochs=EPOCHS[loss], validation=split.validation)
    seconds = time.perf_counter() - start
    if model.interrupted:
        raise KeyboardInterrupt
    return {
        "loss": loss,
        "seed": seed,
        "best_epoch": model.best_epoch,
        "epochs": len(model.history),
        "seconds": round(seconds, 1),
        "cores": available_cores(),
        "numpy": np.__version__,
        "python": platform.python_version(),
        "validation": max(row.get("NDCG@10", 0) for row in model.history),
        "test": evaluate(model.scores, split.test_histories, split.test),
    }


def make_table(folder: Path) -> str:
    """Mean and standard deviation over the seeds of each loss, as Markdown."""
    lines = [
        f"| loss | seeds | {' | '.join(METRICS)} | best epoch | time per run |",
        f"| --- | --- |{' --- |' * (len(METRICS) + 2)}",
    ]
    for loss in EPOCHS:
        results = [json.loads(path.read_text()) for path in sorted(folder.glob(f"{loss}-*.json"))]
        if not results:
            continue
        cells = []
        for metric in METRICS:
            values = [result["test"][metric] for result in results]
            spread = np.std(values, ddof=1) if len(values) > 1 else float("nan")
            cells.append(f"{np.mean(values):.4f} ± {spread:.4f}")
        epochs = ", ".join(str(result["best_epoch"]) for result in results)
        minutes = np.mean([result["seconds"] for result in results]) / 60
        lines.append(
            f"| {loss} | {len(results)} | {' | '.join(cells)} | {epochs} | {minutes:.1f} min |"
        )
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
