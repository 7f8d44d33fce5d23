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
