"""SASRec on MovieLens-100K, whole catalogue, history left out, three seeds for each loss.

    python -m benchmarks.movielens --data ../shared/data/ml-100k.inter

Each run is one result file in benchmarks/results/ml-100k, written when it is finished; a run whose
file is there is not repeated, so the command can be stopped and started again.
"""

import argparse
from pathlib import Path

import numpy as np

from attention_from_scratch.data import Split, leave_one_out, read_interactions
from attention_from_scratch.evaluation import evaluate
from attention_from_scratch.models import SASRec
from benchmarks.common.machine import Clocks, made_on
from benchmarks.common.numbers import mean_and_spread
from benchmarks.common.options import seed
from benchmarks.common.resuming import read_results, training_of
from benchmarks.common.writing import in_words, markdown, write_json, write_text

RESULTS = Path(__file__).parent / "results" / "ml-100k"
OPS = "plain"
SETTINGS = {"max_len": 200, "dim": 50, "n_blocks": 2, "n_heads": 1, "dropout": 0.2}
EPOCHS = {"bce": 400, "cross_entropy": 200}  # at most; patience ends most runs earlier
METRICS = ("HR@10", "NDCG@10", "MRR", "coverage")


def main(arguments: list[str] | None = None) -> None:
    """Run what is missing; print the page."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.movielens", description=__doc__.split("\n")[0]
    )
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--seeds", type=seed, nargs="+", default=[0, 1, 2])
    parser.add_argument("--out", type=Path, default=RESULTS)
    options = parser.parse_args(arguments)
    options.out.mkdir(parents=True, exist_ok=True)
    split = leave_one_out(read_interactions(options.data).histories)
    for loss in EPOCHS:
        for number in options.seeds:
            path = options.out / f"{loss}-seed{number}.json"
            if not path.exists():
                write_json(path, run(split, loss, number))
    text = page(read_results(options.out))
    print(text)
    write_text(options.out / "README.md", text)


def run(split: Split, loss: str, number: int) -> dict:
    """Train with one loss and one seed; the test events are looked at once, at the end."""
    n_items = max(int(history.max()) for history in split.test_histories)
    n_items = max(n_items, int(split.test.max()))
    model = SASRec(n_items, **SETTINGS, ops=OPS, loss=loss, seed=number)
    clocks = Clocks()
    model.fit(split.train, epochs=EPOCHS[loss], validation=split.validation)
    spent, training = clocks.read(), training_of(model)
    return {
        "loss": loss,
        "ops": OPS,
        "seed": number,
        **training,
        "seconds": spent["seconds"],
        **made_on(),
        "test": evaluate(model.scores, split.test_histories, split.test),
    }


def page(results: list[dict]) -> str:
    """The table, and how it was made."""
    (ops,) = {result["ops"] for result in results}
    made = f"SASRec, {in_words(SETTINGS | {'ops': ops})}: `python -m benchmarks.movielens`"
    return f"{make_table(results)}\n\n{made}\n"


def make_table(results: list[dict]) -> str:
    """Mean and standard deviation over the seeds of each loss, as Markdown."""
    rows = []
    for loss in EPOCHS:
        runs = [result for result in results if result["loss"] == loss]
        if not runs:
            continue
        tests = [mean_and_spread([run["test"][name] for run in runs], ".4f") for name in METRICS]
        epochs = ", ".join(str(run["best_epoch"]) for run in runs)
        minutes = np.mean([run["seconds"] for run in runs]) / 60
        rows.append([loss, str(len(runs)), *tests, epochs, f"{minutes:.1f} min"])
    return markdown(["loss", "seeds", *METRICS, "best epoch", "time per run"], rows)


if __name__ == "__main__":
    main()
