"""Claims that need trained models: many short runs, each with a file of its own.

    OMP_NUM_THREADS=1 python -m benchmarks.claims recall
    OMP_NUM_THREADS=1 python -m benchmarks.claims recall --part 1/2      (and 2/2 beside it)

A run whose file is there is not repeated, so the command can be stopped and started again, and its
runs can be spread over processes. When the last of them is there, all become one JSON, a table and
a figure, as those of the other claims. Each claim here offers what those offer (ARTICLE, FIGURE,
tables, figure, measured, verdict), and instead of `measure`

    variants(quick)             what is to be run: name -> settings
    prepare(quick, options)     what all runs share, such as the data
    run(shared, settings, seed) one of them, as a dict that goes into JSON
    facts(quick)                what needs no training: sizes, the best that is possible
    OPTIONS                     (where it has some) options of its own: flag -> argparse settings
"""

import argparse
import json
import re
import time
from itertools import product
from pathlib import Path

from tqdm import tqdm

from attention_from_scratch.training import shard_pool
from benchmarks.claims import local, movielens, recall
from benchmarks.claims.writing import RESULTS, redraw, write_result
from benchmarks.common.folders import writable
from benchmarks.common.machine import environment, load_average
from benchmarks.common.options import seed
from benchmarks.common.writing import read_json, write_text

CLAIMS = {"recall": recall, "local": local, "movielens": movielens}
RUNS, QUICK = Path("runs") / "claims", Path("runs") / "claims-quick"
SEEDS = {False: [0, 1, 2], True: [0, 1]}


def main(arguments: list[str]) -> None:
    """Run what is missing; when nothing is, print what was found."""
    parser = make_parser(arguments[0])
    options = parser.parse_args(arguments)
    name, claim, out = options.name, CLAIMS[options.name], options.out
    options.seeds = options.seeds or SEEDS[options.quick]
    out = out or (QUICK if options.quick else RESULTS)
    runs = (options.out or (QUICK if options.quick else RUNS)) / name
    writable(parser, out)
    writable(parser, runs)
    if not options.redraw:
        run_missing(parser, claim, runs, options)
        wanted = files_of_all(claim, runs, options)
        missing = [path for path in wanted if not path.is_file()]
        if missing:
            there = len(wanted) - len(missing)
            print(f"{there} of {len(wanted)} runs are in {runs}; the last one makes the page")
            return
        assemble(name, claim, wanted, out, quick=options.quick)
    if not (out / f"{name}.json").is_file():
        parser.error(f"--out was {out}, but there is no {name}.json in it to redraw")
    print(redraw(name, claim, out))


def make_parser(name: str) -> argparse.ArgumentParser:
    """The parser of a claim's options: those that all claims have, and its own."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.claims",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("name", choices=[*CLAIMS])
    parser.add_argument("--out", type=Path, help=f"a folder, also for the runs; else {RESULTS}")
    parser.add_argument("--quick", action="store_true", help="tiny sizes, to see that it runs")
    parser.add_argument(
        "--redraw", action="store_true", help="run nothing: table and figure from the JSON"
    )
    parser.add_argument("--seeds", type=seed, nargs="+", help="0 1 2 if none are given")
    parser.add_argument(
        "--part", type=part, default="1/1", help="1/2: every second run, from the first"
    )
    for flag, settings in getattr(CLAIMS[name], "OPTIONS", {}).items():
        parser.add_argument(flag, **settings)
    return parser


def part(text: str) -> tuple[int, int]:
    """Which part of how many: 2/3 is (2, 3)."""
    which, _, of = text.partition("/")
    if not (which.isdecimal() and of.isdecimal() and 1 <= int(which) <= int(of)):
        raise argparse.ArgumentTypeError(f"was {text!r}, but must be 1/2 or 2/2 or the like")
    return int(which), int(of)


def run_missing(parser, claim, runs: Path, options) -> None:
    """Do the runs of this part that have no file yet."""
    variants = claim.variants(options.quick)
    first, step = options.part
    mine = list(product(options.seeds, variants))[first - 1 :: step]
    todo = [pair for pair in mine if not file_of(runs, *pair).is_file()]
    if not todo:
        return
    try:
        shared = claim.prepare(options.quick, options)
    except (OSError, ValueError) as error:
        parser.error(str(error))
    for number, name in (bar := tqdm(todo, unit="run", disable=None)):
        bar.set_postfix_str(f"{name}, seed {number}")
        named = {"variant": name, "seed": number}
        write_run(file_of(runs, number, name), claim, shared, variants[name], named)


def file_of(runs: Path, number: int, name: str) -> Path:
    """Where a run is written: "gru, k 20" of seed 1 into gru-k-20-seed1.json."""
    return runs / f"{'-'.join(re.findall('[a-z0-9]+', name))}-seed{number}.json"


def files_of_all(claim, runs: Path, options) -> list[Path]:
    """The file of every run that the page needs, whoever does it."""
    seeds = sorted({*options.seeds, *SEEDS[options.quick]})
    return [file_of(runs, *pair) for pair in product(seeds, claim.variants(options.quick))]


def write_run(path: Path, claim, shared, settings: dict, named: dict) -> None:
    """One run, into its file: whole, or not at all."""
    start, load = time.perf_counter(), load_average()
    with shard_pool(1):  # one thread, and memory that stays
        found = claim.run(shared, settings, named["seed"])
    around = {"load": load, "clock": round(time.perf_counter() - start, 1)}
    text = json.dumps(named | settings | found | around, allow_nan=False) + "\n"
    write_text(path, text)


def assemble(name: str, claim, files: list[Path], out: Path, *, quick: bool) -> None:
    """All runs in one JSON."""
    found = claim.facts(quick) | {"runs": [read_json(path) for path in files]}
    around = environment() | {"load_before": None, "load_after": None}  # each run has its own
    write_result(name, out, found, around, quick=quick)
