"""Run the blocks of a page, as a reader would who types them in one after the other.

- `python` blocks run in order, in one namespace a page. What they print stands in the `text` or
  `mermaid` blocks directly below, and nowhere else.
- `console` blocks hold commands (`$ ...`) with what each prints.
- `sh` and `bat` blocks hold commands that take long or install something: they are only checked, by
  `commands.check`.
- `text FILE` holds what was printed once, by a command that takes long; FILE is where it is kept.
"""

import contextlib
import io
import runpy
import shlex
import sys
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from unittest import mock

from attention_from_scratch import cli
from tests.docs.comparing import Tolerance
from tests.docs.markdown import Block, blocks

OUTPUTS = ("text", "mermaid")


@dataclass(frozen=True)
class Output:
    """What a page says is printed, and what is: `expected` is None if nothing stands there."""

    line: int
    expected: str | None
    printed: str
    tolerance: Tolerance
    blocks: tuple[Block, ...] = ()


def run_page(text: str, *, only: str | None = None) -> Iterator[Output]:
    """Run what can be run, in the working directory.

    Python blocks may have a word after the language, as `python torch` has, for what they need: of
    these only those run whose word is `only`, and of those without one all do.
    """
    namespace: dict = {"__name__": "__main__"}
    everything = blocks(text)
    for place, block in enumerate(everything):
        if block.language == "python" and block.words in ((), (only,)):
            below = directly_below(text, everything[place:])
            words = below[0].words if below else ()
            expected = "".join(each.text for each in below) if below else None
            yield Output(
                block.first, expected, run_python(block, namespace), Tolerance.of(words), below
            )
        elif block.language == "console":
            tolerance = Tolerance.of(block.words)
            for line, command, expected in sessions(block):
                yield Output(line, expected, run_command(command), tolerance, (block,))


def directly_below(text: str, following: list[Block]) -> tuple[Block, ...]:
    """The outputs that stand below the first block with nothing but empty lines between."""
    lines = text.splitlines()
    found, end = [], following[0].last
    for block in following[1:]:
        between = "".join(lines[end : block.first - 1])
        if block.language not in OUTPUTS or is_record(block) or between.strip():
            break
        found.append(block)
        end = block.last
    return tuple(found)


def is_record(block: Block) -> bool:
    """Whether it names a file: `text benchmarks/results/...`."""
    return block.language == "text" and bool(block.words) and "/" in block.words[0]


def run_python(block: Block, namespace: dict) -> str:
    """What it prints; what it defines stays in the namespace."""
    code = compile("\n" * block.first + block.text, "the page", "exec")
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        exec(code, namespace)
    return printed.getvalue()


def sessions(block: Block) -> Iterator[tuple[int, str, str]]:
    """Line, command and what stands below it, of each command of a `console` block."""
    commands: list[tuple[int, str, list[str]]] = []
    for number, line in enumerate(block.text.splitlines(), block.first + 1):
        if line.startswith("$ "):
            commands.append((number, line[2:], []))
        elif commands:
            commands[-1][2].append(line)
        else:
            raise ValueError(f"line {number}: a console block begins with a command ($ ...)")
    return ((number, command, "\n".join(lines)) for number, command, lines in commands)


def run_command(command: str) -> str:
    """What a command prints, errors included; a status other than 0 is its last line."""
    program, *arguments = shlex.split(command)
    with contextlib.redirect_stdout(io.StringIO()) as printed, contextlib.redirect_stderr(printed):
        if program == "attention-from-scratch":
            try:
                status = cli.main(arguments)
            except SystemExit as left:  # argparse leaves so, after --help as well
                status = left.code or 0
        elif (program, arguments[0]) == ("python", "-m"):
            status = 0
            run_as_main(arguments[1:])
        else:
            raise ValueError(f"a console block runs nothing but our own commands: {command}")
    return printed.getvalue() + (f"exit status {status}\n" if status else "")


def run_as_main(words: list[str]) -> None:
    """Run a module as `python -m` does, whether or not some test has imported it before."""
    with mock.patch.object(sys, "argv", words), warnings.catch_warnings():
        warnings.filterwarnings("ignore", ".* found in sys.modules after import", RuntimeWarning)
        runpy.run_module(words[0], run_name="__main__", alter_sys=True)
