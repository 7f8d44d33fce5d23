"""Applications that the article names (6.1 to 7.3): data, models, tables and figures of each.

    OMP_NUM_THREADS=1 python -m benchmarks.applications shop

writes benchmarks/results/applications. A run whose result is there is not repeated, so the command
can be stopped and started again.
"""

import argparse
import sys
from pathlib import Path

from benchmarks.applications import decisions, fusion, news, shop, social
from benchmarks.common.folders import add_places, writable
from benchmarks.common.options import count, seed

RESULTS = Path(__file__).parents[1] / "results" / "applications"
QUICK_RESULTS = Path("runs") / "applications-quick"
APPLICATIONS = {
    "shop": shop.main,
    "news": news.main,
    "social": social.main,
    "fusion": fusion.main,
    "decisions": decisions.main,
}
"""name -> function of the options (seeds, out, quick, threads, data): returns what to print."""


def main(arguments: list[str] | None = None) -> None:
    """Run what is asked for; print what was found."""
    options, parser = parse(arguments)
    if options.out is None:
        options.out = QUICK_RESULTS if options.quick else RESULTS
    writable(parser, options.out)
    names = list(APPLICATIONS) if options.name == "all" else [options.name]
    if "fusion" in names and options.data is None:
        parser.error("fusion needs --data, a file of films such as ml-100k.inter")
    for name in names:
        try:
            print(APPLICATIONS[name](options))
        except (OSError, ValueError) as error:
            parser.error(str(error))
        except KeyboardInterrupt:
            print("stopped; the same command goes on from here", file=sys.stderr)
            sys.exit(130)


def parse(arguments: list[str] | None) -> tuple[argparse.Namespace, argparse.ArgumentParser]:
    """The options."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.applications", description=__doc__.split("\n")[0]
    )
    parser.add_argument("name", choices=[*APPLICATIONS, "all"])
    parser.add_argument(
        "--seeds", type=seed, nargs="+", default=[0, 1, 2], help="of the models (0 1 2)"
    )
    add_places(parser, RESULTS, QUICK_RESULTS)
    parser.add_argument(
        "--data", type=Path, help="ml-100k.inter with ml-100k.item beside it: fusion, decisions"
    )
    parser.add_argument("--threads", type=count, default=1, help="of a training (1)")
    return parser.parse_args(arguments), parser


if __name__ == "__main__":
    main()
