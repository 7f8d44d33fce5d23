"""How often does a gradient checker accuse right code, and how often does it miss wrong code?

    python -m benchmarks.verdicts
    python -m benchmarks.verdicts --seed 12345    the same functions again

Random right functions and as many planted errors go through ours and through the checkers of
PyTorch, JAX and HIPS autograd, as far as these are installed (the `frameworks` extra); writes
benchmarks/results/verdicts.json, verdicts.md and verdicts.png. Run it from the root of the project:
the functions are those of the tests.
"""

import argparse
import secrets
import sys
from pathlib import Path

from threadpoolctl import threadpool_limits

from attention_from_scratch.plot import save
from benchmarks.common import options as kinds
from benchmarks.common.folders import add_places, add_redraw, writable
from benchmarks.common.machine import environment, load_average
from benchmarks.common.writing import as_json, read_json, write_text
from benchmarks.verdicts.contenders import OURS, Contender, everybody
from benchmarks.verdicts.measuring import astray, counted, measure, timed
from benchmarks.verdicts.page import figure, page

RESULTS = Path(__file__).parents[1] / "results"
QUICK_RESULTS = Path("runs") / "verdicts-quick"
FUNCTIONS, QUICK_FUNCTIONS = 2000, 20


def main(arguments: list[str] | None = None) -> None:
    """Ask everybody; print what they said."""
    options, parser = parse(arguments)
    out = options.out or (QUICK_RESULTS if options.quick else RESULTS)
    writable(parser, out)
    path = out / "verdicts.json"
    if options.redraw and not path.is_file():
        parser.error(f"--out was {out}, but there is no verdicts.json in it to redraw")
    if not options.redraw:
        n_functions = options.functions or (QUICK_FUNCTIONS if options.quick else FUNCTIONS)
        seed = secrets.randbits(32) if options.seed is None else options.seed
        print(f"seed {seed}", flush=True)
        try:
            write_text(path, as_json(run(*everybody(), n_functions, seed)))
        except KeyboardInterrupt:
            print("stopped; nothing was written", file=sys.stderr)
            sys.exit(130)
    print(redraw(path))


def parse(arguments: list[str] | None) -> tuple[argparse.Namespace, argparse.ArgumentParser]:
    """The options."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.verdicts", description=__doc__.split("\n")[0]
    )
    parser.add_argument(
        "--functions",
        type=kinds.count,
        help=f"how many, half of them float64, half float32; {FUNCTIONS} if not given",
    )
    parser.add_argument("--seed", type=kinds.seed, help="repeat a run; a fresh one if not given")
    add_places(parser, RESULTS, QUICK_RESULTS)
    add_redraw(parser)
    return parser.parse_args(arguments), parser


def run(contenders: list[Contender], missing: list[str], n_functions: int, seed: int) -> dict:
    """What a run found, on one thread, as it is written."""
    before = load_average()
    with threadpool_limits(1):
        checks = measure(contenders, n_functions, seed)
    return {
        "seed": seed,
        "functions": n_functions,
        "environment": environment() | {"load_before": before, "load_after": load_average()},
        "contenders": [
            {"name": who.name, "version": who.version, "dtypes": who.dtypes} for who in contenders
        ],
        "missing": missing,
        "counts": counted(checks),
        "times": timed(checks),
        "astray": list(astray(checks, OURS.name)),
    }


def redraw(path: Path) -> str:
    """Page and picture from the JSON; returns the Markdown."""
    result = read_json(path)
    text = page(result)
    save(figure(result), path.with_suffix(".png"), dpi=120)
    write_text(path.with_suffix(".md"), text)
    return text


if __name__ == "__main__":
    main()
