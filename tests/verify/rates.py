"""Rates of `check_gradients` on random functions: right ones accused, planted errors missed.

    python -m tests.verify.rates --functions 2000

Draws with a fresh seed, which it prints, about four functions a second. They, and the errors, are
those of tests/verify/random_functions. An error that cannot be told counts as missed.
"""

import argparse
import secrets
import warnings
from collections import Counter

import numpy as np
from tqdm import tqdm

from attention_from_scratch.verify import check_gradients
from tests.verify.random_functions import plant, random_function


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--functions", type=int, default=200, help="how many (default: 200)")
    parser.add_argument("--seed", type=int, help="repeat a run (default: a fresh one)")
    arguments = parser.parse_args()
    seed = secrets.randbits(32) if arguments.seed is None else arguments.seed
    print(f"seed {seed}")
    counts = Counter()
    for number in tqdm(range(arguments.functions)):
        rng = np.random.default_rng([seed, number])
        function = random_function(rng, ["float64", "float32"][number % 2])
        kind = "analytic" if function.analytic else "not analytic"
        for what, op in (("right", function.op), ("planted", plant(function, rng).op)):
            verdict = verdict_on(op, function)
            counts[kind, what, verdict] += 1
            if (what, verdict) == ("right", "wrong"):
                tqdm.write(f"number {number} was accused:\n{function.describe()}")
    print(table(counts))


def verdict_on(op, function) -> str:
    """The verdict, in silence: random functions overflow where a step is large."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return check_gradients(op, *function.inputs, **function.keywords).verdict


def table(counts: Counter) -> str:
    """A row for each kind of function."""
    lines = [
        "| functions | | right, accused | right, cannot tell | errors missed |",
        "| --- | --- | --- | --- | --- |",
    ]
    for kind in ("analytic", "not analytic"):
        n = sum(counts[kind, "right", verdict] for verdict in ("right", "wrong", "cannot tell"))
        accused, unsure = (counts[kind, "right", v] for v in ("wrong", "cannot tell"))
        missed = sum(counts[kind, "planted", v] for v in ("right", "cannot tell"))
        cells = [f"{x} ({x / max(n, 1):.1%})" for x in (accused, unsure, missed)]
        lines.append(f"| {kind} | {n} | {' | '.join(cells)} |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
