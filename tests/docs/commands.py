"""Check commands that are too long to run: their programs, modules and options must exist."""

import argparse
import configparser
import re
import shlex
from unittest import mock

from attention_from_scratch import cli
from tests.docs.markdown import ROOT
from tests.docs.running import run_as_main

PYTHONS = {"python", "python3", "py"}
OF_PYTHON = {"venv", "pytest"}  # modules whose options are not ours


class Accepted(Exception):
    """The options were read without an error."""


def commands_of(text: str) -> list[str]:
    """One a line, without comments; a line that ends with a backslash goes on in the next."""
    text = re.sub(r"\\\n\s*", " ", text)
    lines = (re.sub(r"(^|\s)#.*", "", line).strip() for line in text.splitlines())
    return [line for line in lines if line]


def check(command: str) -> None:
    """Raise ValueError if the command cannot be given so."""
    words = shlex.split(command.replace("\\", "/"))  # .venv\\Scripts\\pip
    while re.fullmatch(r"[A-Z_]+=\S*", words[0]):  # OMP_NUM_THREADS=1
        words.pop(0)
    program, arguments = words[0].rpartition("/")[2], words[1:]
    if program == "make":
        check_make(arguments)
    elif program == "attention-from-scratch":
        accept(command, lambda: cli.build_parser().parse_args(arguments))
    elif program == "pip":
        check_pip(arguments)
    elif program in PYTHONS and arguments[0] == "-m":
        check_module(command, arguments[1:])
    elif program in PYTHONS:
        if not (ROOT / arguments[0]).is_file():
            raise ValueError(f"{arguments[0]} is not there: {command}")
    elif program != "jupyter":
        raise ValueError(f"unknown program {program}: {command}")


def check_make(arguments: list[str]) -> None:
    """Targets are those of the Makefile, and so are variables."""
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for word in arguments:
        variable = word.partition("=")[0]
        pattern = rf"^{variable} \?=" if "=" in word else rf"^{re.escape(word)}:"
        if not re.search(pattern, makefile, re.MULTILINE):
            raise ValueError(f"the Makefile does not know {word}")


def check_pip(arguments: list[str]) -> None:
    """Extras are those of setup.cfg."""
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg", encoding="utf-8")
    for extra in re.findall(r"\[(.*?)\]", " ".join(arguments)):
        if extra not in setup["options.extras_require"]:
            raise ValueError(f"setup.cfg has no extra {extra}")


def check_module(command: str, words: list[str]) -> None:
    """Modules of ours read their options up to the point where they would begin."""
    if words[0] not in OF_PYTHON:
        accept(command, lambda: run_as_main(words))


def accept(command: str, start) -> None:
    """Run `start` until it has read its options; ValueError if they are no good."""
    read = argparse.ArgumentParser.parse_args

    def and_no_further(parser, *arguments, **keywords):
        read(parser, *arguments, **keywords)
        raise Accepted

    with mock.patch.object(argparse.ArgumentParser, "parse_args", and_no_further):
        try:
            start()
        except Accepted:
            return
        except SystemExit as refused:
            raise ValueError(f"its options are refused: {command}") from refused
    raise ValueError(f"it reads no options: {command}")
