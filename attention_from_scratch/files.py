"""Files that are written whole or not at all, and the number of their format."""

import json
import math
import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from uuid import uuid4

FORMAT = 2  # of the files that are written here; a file that names no format has format 1


def replace_file(path: str | Path, write: Callable[[Path], None]) -> None:
    """Let `write` fill a temporary file beside `path`, then put it in place in one move.

    So a reader never meets half a file, and a failure leaves the old one in place. A link leads to
    the file that is replaced; what is no file at all, such as a pipe or /dev/null, is written to.

    Raises
    ------
    OSError
        Of whatever kind it was, but naming `path`, not the temporary file that nobody asked for.
    """
    path = Path(path)
    if path.exists() and not path.is_file():
        return write(path)
    path = path.resolve() if path.is_symlink() else path
    temporary = path.with_name(f".{uuid4().hex}.part")
    try:
        write(temporary)
        os.replace(temporary, path)
    except OSError as error:
        raise OSError(error.errno, error.strerror or str(error), str(path)) from None
    finally:
        with suppress(OSError):
            temporary.unlink()


def write_json(path: str | Path, value) -> None:
    """Write JSON, all of it or nothing; what is no finite number is null."""
    text = json.dumps(finite(value), indent=1, ensure_ascii=False, allow_nan=False) + "\n"
    replace_file(path, lambda temporary: temporary.write_text(text, encoding="utf-8"))


def finite(value):
    """A tree of values with None in place of NaN and infinity, which JSON does not have."""
    if isinstance(value, dict):
        return {name: finite(entry) for name, entry in value.items()}
    if isinstance(value, list | tuple):
        return [finite(entry) for entry in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def check_format(path: str | Path, description: dict) -> int:
    """The format of the file at `path`, by its description; raise unless it can be read here."""
    number = description.get("format", 1)
    if type(number) is not int or number < 1:
        raise ValueError(f"{path}: its format is {number!r}, but must be an integer from 1 on")
    if number > FORMAT:
        raise ValueError(
            f"{path} has format {number}, but this version reads formats 1 to {FORMAT}: a newer "
            "version wrote it"
        )
    return number
