"""Draw random functions and planted errors, check them against the truth, and say what they are.

    python -m tests.verify.random_functions --functions 2000
    python -m tests.verify.random_functions --functions 2000 --seed 12345    the same ones again

Ends with status 1 if a check fails.
"""

import argparse
import secrets
import sys
import time

import numpy as np

from tests.verify.random_functions import Redraws, judge, plant, random_function
from tests.verify.random_functions.checks import failures
from tests.verify.random_functions.shares import Shares


def main() -> int:
    arguments = parsed()
    seed = secrets.randbits(32) if arguments.seed is None else arguments.seed
    print(f"seed {seed}")
    redraws, shares, n_failures = Redraws(), Shares(), 0
    seconds = {"functions": 0.0, "plants": 0.0, "checks": 0.0}
    for number in range(arguments.functions):
        rng = np.random.default_rng([seed, number])
        start = time.process_time()
        function = random_function(rng, ["float64", "float32"][number % 2], redraws)
        drawn = time.process_time()
        planted = plant(function, rng)
        made = time.process_time()
        for failure in failures(function):
            n_failures += 1
            print(f"\nnumber {number}: {failure}\n{function.describe()}\n", file=sys.stderr)
        shares.count(function, judge(function), planted)
        seconds["functions"] += drawn - start
        seconds["plants"] += made - drawn
        seconds["checks"] += time.process_time() - made

    print(shares.table())
    poor, flat = redraws.poor / redraws.drawn, redraws.flat / redraws.drawn
    print(f"\n{redraws.drawn} drawn; drawn again: {poor:.1%} as poor, {flat:.1%} as flat")
    shares_of_poor = {name: n / redraws.families[name] for name, n in redraws.poor_families.items()}
    often = sorted(shares_of_poor, key=shares_of_poor.get, reverse=True)[:8]
    print(
        "most often poor, of those with: "
        + ", ".join(f"{n} {shares_of_poor[n]:.1%}" for n in often)
    )
    for what, taken in seconds.items():
        print(
            f"{what}: {taken:.1f} s of processor, {1e3 * taken / arguments.functions:.1f} ms each"
        )
    print(f"{n_failures} failures")
    return int(n_failures > 0)


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--functions", type=int, default=200, help="how many (default: 200)")
    parser.add_argument("--seed", type=int, help="repeat a run (default: a fresh one)")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
