"""The command line: the parser of all commands, each of which has its own file in `commands`."""

import argparse
from types import ModuleType

from attention_from_scratch.commands import (
    attention,
    compare,
    demo,
    evaluate,
    explain,
    recommend,
    train,
    verify,
)
from attention_from_scratch.commands.terminal import (
    OneLineParser,
    careful_output,
    ended_by_signals,
    exit_status,
)

PROGRAM = "attention-from-scratch"
COMMANDS: dict[str, ModuleType] = {
    module.__name__.rpartition(".")[2]: module
    for module in (demo, train, evaluate, recommend, attention, explain, compare, verify)
}
"""Each has a SUMMARY, an EXAMPLE, `add_options(parser)` and `run(options)`."""


def main(arguments: list[str] | None = None) -> int:
    """Run one command; return the exit status."""
    with careful_output(), ended_by_signals():
        options = build_parser().parse_args(arguments)
        return exit_status(f"{PROGRAM} {options.command}", options.run, options)


def build_parser() -> argparse.ArgumentParser:
    """All commands."""
    about = f"A sequential recommender: {', '.join(COMMANDS)}."
    parser = OneLineParser(prog=PROGRAM, description=about)
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, module in COMMANDS.items():
        command = commands.add_parser(
            name,
            help=module.SUMMARY,
            description=module.SUMMARY,
            epilog=f"example: {PROGRAM} {name} {module.EXAMPLE}",
            formatter_class=argparse.RawDescriptionHelpFormatter,  # an example stays in one piece
        )
        command.set_defaults(run=module.run)
        module.add_options(command)
    return parser
