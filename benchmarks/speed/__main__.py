"""Measure speed against PyTorch and JAX: JSON, a table and a figure for each question.

    python -m benchmarks.speed training_step

needs the `frameworks` extra and writes benchmarks/results/speed. A machine that does nothing else
gives the cleaner numbers.
"""

import argparse
import platform
import sys
from importlib import import_module
from pathlib import Path

import numpy as np

from attention_from_scratch.plot import save
from attention_from_scratch.training import available_cores
from attention_from_scratch.training.memory import KEEP, keep_memory
from benchmarks.common.folders import add_places, add_redraw, writable
from benchmarks.common.machine import load_average
from benchmarks.common.writing import as_json, read_json, write_text

RESULTS = Path(__file__).parents[1] / "results" / "speed"
QUICK_RESULTS = Path("runs") / "speed-quick"
NAMES = (
    "training_step",
    "fit",
    "gru4rec",
    "epoch",
    "attention",
    "scoring",
    "lstm",
    "scaling",
    "ladder",
    "profile",
)
QUESTIONS = {name: import_module(f"benchmarks.speed.{name}.question") for name in NAMES}


def main(arguments: list[str] | None = None) -> None:
    """Measure what is asked for; print what was found."""
    options, parser = parse(arguments)
    out = options.out or (QUICK_RESULTS if options.quick else RESULTS)
    writable(parser, out)
    for name in QUESTIONS if options.name == "all" else [options.name]:
        path = out / f"{name}.json"
        if options.redraw and not path.is_file():
            parser.error(f"--out was {out}, but there is no {name}.json in it to redraw")
        if not options.redraw:
            measure(name, path, parser, options)
        print(redraw(name, path))


def parse(arguments: list[str] | None) -> tuple[argparse.Namespace, argparse.ArgumentParser]:
    """The options."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.speed", description=__doc__.split("\n")[0]
    )
    parser.add_argument("name", choices=[*QUESTIONS, "all"])
    parser.add_argument(
        "--data",
        type=Path,
        default=Path("../shared/data"),
        help="the folder with ml-1m.txt and games.txt, where they are read (%(default)s)",
    )
    add_places(parser, RESULTS, QUICK_RESULTS)
    add_redraw(parser)
    return parser.parse_args(arguments), parser


def measure(name: str, path: Path, parser, options: argparse.Namespace) -> None:
    """Let the contenders take turns; write what was found."""
    before = load_average()
    try:
        found = QUESTIONS[name].measure(options.quick, options.data)
    except OSError as error:
        parser.error(f"--data was {error.filename}, but cannot be read ({error.strerror})")
    except ValueError as error:
        parser.error(str(error))
    except KeyboardInterrupt:
        print("stopped; nothing was written", file=sys.stderr)
        sys.exit(130)
    around = environment() | {"load_before": before, "load_after": load_average()}
    head = {"question": name, "quick": options.quick, "environment": around}
    write_text(path, as_json(head | found))


def environment() -> dict:
    """Versions, cores, and what the allocator was told in every process."""
    return {
        "python": platform.python_version(),
        "numpy": np.__version__,
        "machine": platform.machine(),
        "cores": available_cores(),
        "allocator": f"mallopt {KEEP}" if keep_memory() else "as it is",
    }


def redraw(name: str, path: Path) -> str:
    """Table and figure of a question from its JSON; returns the Markdown."""
    question, result = QUESTIONS[name], read_json(path)
    text = page(name, question, result)
    save(question.figure(result), path.with_suffix(".png"), dpi=120)
    write_text(path.with_suffix(".md"), text)
    return text


def page(name: str, question, result: dict) -> str:
    """What a reader opens."""
    about = {of["about"] for row in result["rows"].values() for of in row.values() if "about" in of}
    around = result["environment"]
    where = (
        f"{'; '.join(sorted(about))}; Python {around['python']}, {around['machine']}, "
        f"{around['cores']} cores; allocator in every process: {around['allocator']}; load average "
        f"{around['load_before']} before and {around['load_after']} after."
    )
    command = f"python -m benchmarks.speed {name}{' --quick' if result['quick'] else ''}"
    parts = [
        f"# {question.TITLE}",
        question.tables(result),
        f"![{question.TITLE}]({name}.png)",
        f"`{command}`: {where}",
    ]
    return "\n\n".join(parts) + "\n"


if __name__ == "__main__":
    main()
