"""Make a published table again on the same file: a JSON file a seed, a page and a figure.

    python -m benchmarks.reproduce ml-1m catalogue --seed 0

trains with all cores and writes benchmarks/results/reproduce. A seed whose result is there is not
run again, so the command can be stopped and started, and seeds can be spread over processes. The
epoch is chosen by the validation event; the test event is looked at once a run.
"""

import argparse
import sys
from functools import partial
from pathlib import Path

from attention_from_scratch.data import Interactions, leave_one_out, read_interactions
from attention_from_scratch.plot import save
from benchmarks.common import options as kinds
from benchmarks.common.folders import add_places, add_redraw, writable
from benchmarks.common.resuming import read_results, run_missing
from benchmarks.common.writing import write_text
from benchmarks.reproduce.page import figure, page
from benchmarks.reproduce.recipes import DATASETS, PROTOCOLS, RECIPES, SEEDS, settings
from benchmarks.reproduce.running import run

RESULTS = Path(__file__).parents[1] / "results" / "reproduce"
QUICK_RESULTS = Path("runs") / "reproduce-quick"


def main(arguments: list[str] | None = None) -> None:
    """Run the seeds that are missing; print what was found."""
    options, parser = parse(arguments)
    name = f"{options.dataset}-{options.protocol}"
    folder = (options.out or (QUICK_RESULTS if options.quick else RESULTS)) / name
    writable(parser, folder)
    recipe = RECIPES[options.dataset, options.protocol]
    try:
        if not options.redraw:
            data = read_interactions(options.data / f"{options.dataset}.txt")
            run_missing(
                name, list(jobs(data, folder, options)), asked(data, options), quick=options.quick
            )
        found = read_results(folder)
        if not found:
            parser.error(f"--out was {folder.parent}, but there is no {name} in it to redraw")
    except (OSError, ValueError) as error:
        parser.error(str(error))
    except KeyboardInterrupt:
        print("stopped; the same command goes on with the seeds that are missing", file=sys.stderr)
        sys.exit(130)
    text = page(name, recipe, found)
    save(figure(recipe, found), folder.with_suffix(".png"), dpi=120)
    write_text(folder.with_suffix(".md"), text)
    print(text)


def parse(arguments: list[str] | None) -> tuple[argparse.Namespace, argparse.ArgumentParser]:
    """The options."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.reproduce", description=__doc__.split("\n")[0]
    )
    parser.add_argument("dataset", choices=DATASETS)
    parser.add_argument(
        "protocol", choices=PROTOCOLS, help="; ".join(map(": ".join, PROTOCOLS.items()))
    )
    parser.add_argument("--seed", type=kinds.seed, help=f"one seed; {SEEDS} if none is given")
    parser.add_argument(
        "--data",
        type=Path,
        default=Path("../shared/data"),
        help="the folder with ml-1m.txt and games.txt (%(default)s)",
    )
    parser.add_argument(
        "--threads", type=kinds.count, help="all cores if not given; changes no result"
    )
    parser.add_argument(
        "--processes", type=kinds.count, default=1, help="in place of threads; changes no result"
    )
    add_places(parser, RESULTS, QUICK_RESULTS)
    add_redraw(parser)
    options = parser.parse_args(arguments)
    if (options.dataset, options.protocol) not in RECIPES:
        known = ", ".join(" ".join(pair) for pair in RECIPES)
        parser.error(f"there is no {options.dataset} {options.protocol}, but there are {known}")
    return options, parser


def jobs(data: Interactions, folder: Path, options):
    """The file of each seed that was asked for, and what makes its result."""
    split = leave_one_out(data.histories)
    for seed in SEEDS if options.seed is None else [options.seed]:
        make = partial(
            run,
            split,
            data.n_items,
            options.protocol,
            seed,
            settings(RECIPES[options.dataset, options.protocol], quick=options.quick),
            {"threads": options.threads, "processes": options.processes},
        )
        yield folder / f"seed{seed}.json", make


def asked(data: Interactions, options) -> dict:
    """What all results of a folder must share."""
    recipe = RECIPES[options.dataset, options.protocol]
    return settings(recipe, quick=options.quick) | {"events": str(data)}


if __name__ == "__main__":
    main()
