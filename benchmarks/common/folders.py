"""Where results go."""

import os
from pathlib import Path


def writable(parser, out: Path) -> None:
    """Make the folder; leave with status 2 unless it can be written."""
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        parser.error(f"--out was {out}, but must be a folder ({error.strerror})")
    if not os.access(out, os.W_OK):
        parser.error(f"--out was {out}, but that folder cannot be written")


def add_places(parser, results: Path, quick_results: Path) -> None:
    """Options that every benchmark has: where results go, and small sizes."""
    parser.add_argument("--out", type=Path, help=f"a folder; {results} if none is given")
    parser.add_argument(
        "--quick",
        action="store_true",
        help=f"small sizes, to see that it runs; goes to {quick_results} if no folder is given",
    )


def add_redraw(parser) -> None:
    """The option of those whose pages are made from their results alone."""
    parser.add_argument(
        "--redraw", action="store_true", help="run nothing: tables and figures from the results"
    )
