"""The parser of all commands."""

import subprocess
import sys

import pytest

from attention_from_scratch.cli import COMMANDS


@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_explains_itself_with_an_example(command, call):
    result = call(command, "--help")
    assert (result.status, result.err) == (0, "")
    text = " ".join(result.out.split())
    assert f"example: attention-from-scratch {command} " in text


def test_the_examples_are_understood():
    from attention_from_scratch.cli import build_parser

    for command, module in COMMANDS.items():
        words = module.EXAMPLE.replace('"', "").split()
        assert build_parser().parse_args([command, *words]).command == command


def test_python_m_is_the_command():
    run = subprocess.run(
        [sys.executable, "-m", "attention_from_scratch", "--help"],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (run.returncode, run.stderr) == (0, "")
    assert run.stdout.startswith("usage: attention-from-scratch ")
    for command in COMMANDS:
        assert f"\n    {command}" in run.stdout


# --- mistakes


MISTAKES = {
    "an unknown command": (lambda s, tmp: ["dance"], "invalid choice: 'dance'"),
    "no command": (lambda s, tmp: [], "required: COMMAND"),
}


@pytest.mark.parametrize(("arguments", "message"), MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_is_status_2_and_one_clear_line(
    shelf, tmp_path, costs_one_line, arguments, message
):
    costs_one_line(arguments(shelf, tmp_path), message)
