"""Measure what the article claims: JSON, a table and a figure for each claim.

    OMP_NUM_THREADS=1 python -m benchmarks.claims all

writes benchmarks/results/claims. A machine that does nothing else gives the cleaner numbers. The
claims of `trained` are no part of `all`: each takes minutes and has options of its own.
"""

import argparse
import sys
from pathlib import Path

from benchmarks.claims import complexity, cross, scale, scaling, trained
from benchmarks.claims.writing import RESULTS, redraw, run
from benchmarks.common.folders import add_places, add_redraw, writable

CLAIMS = {"complexity": complexity, "scale": scale, "scaling": scaling, "cross": cross}
QUICK_RESULTS = Path("runs") / "claims-quick"


def main(arguments: list[str] | None = None) -> None:
    """Measure what is asked for; print what was found."""
    arguments = sys.argv[1:] if arguments is None else arguments
    if arguments and arguments[0] in trained.CLAIMS:
        return trained.main(arguments)
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.claims",
        description=__doc__.split("\n")[0],
        epilog=f"Or one that trains models, with --help of its own: {', '.join(trained.CLAIMS)}.",
    )
    parser.add_argument("name", choices=[*CLAIMS, "all"])
    add_places(parser, RESULTS, QUICK_RESULTS)
    add_redraw(parser)
    options = parser.parse_args(arguments)
    out = options.out or (QUICK_RESULTS if options.quick else RESULTS)
    names = list(CLAIMS) if options.name == "all" else [options.name]
    check_out(parser, out, names if options.redraw else [])
    for name in names:
        text = (
            redraw(name, CLAIMS[name], out)
            if options.redraw
            else run(name, CLAIMS[name], out, quick=options.quick)
        )
        print(text)


def check_out(parser, out: Path, to_be_read: list[str]) -> None:
    """Leave with status 2 unless the folder can be written and holds what is to be read."""
    writable(parser, out)
    for name in to_be_read:
        if not (out / f"{name}.json").is_file():
            parser.error(f"--out was {out}, but there is no {name}.json in it to redraw")


if __name__ == "__main__":
    main()
