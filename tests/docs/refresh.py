"""Run a page again and write down what it prints now.

    python -m tests.docs.refresh docs/command-line.md

Only what is no longer within the tolerance of its block changes; `...` stays where the lines around
it are printed still. Look at what `git diff` says before you keep it.
"""

import contextlib
import os
import sys
import tempfile
from pathlib import Path

from tests.docs.comparing import difference
from tests.docs.markdown import Block, blocks
from tests.docs.running import Output, run_page, sessions
from tests.docs.standin import write_standins


def refreshed(text: str) -> str:
    """The page with what is printed now in place of what was."""
    outputs = list(run_page(text))
    lines = text.splitlines()
    for block in reversed(blocks(text)):  # from the end, so that the lines before keep their places
        of_block = [output for output in outputs if block in output.blocks]
        if any(is_wrong(output) for output in of_block):
            inside = (
                console(block, of_block) if block.language == "console" else of_block[0].printed
            )
            lines[block.first : block.last - 1] = inside.splitlines()
    return "\n".join([*lines, ""])


def is_wrong(output: Output) -> bool:
    """Whether the page says something else than what is printed."""
    return difference(output.expected or "", output.printed, output.tolerance) is not None


def console(block: Block, outputs: list[Output]) -> str:
    """Each command, with what it prints now where the page is wrong."""
    parts = []
    for (_, command, expected), output in zip(sessions(block), outputs, strict=True):
        said = output.printed.rstrip("\n") if is_wrong(output) else expected
        parts += [f"$ {command}", *([said] if said else [])]
    return "\n".join(parts)


def main() -> None:
    """Refresh the pages that are named."""
    os.environ["COLUMNS"] = "100"
    for page in [Path(name).resolve() for name in sys.argv[1:]]:
        text = page.read_text(encoding="utf-8")
        with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
            write_standins(Path(folder))
            new = refreshed(text)
        if new != text:
            page.write_text(new, encoding="utf-8")
            print(f"{page} says something else now")


if __name__ == "__main__":
    main()
