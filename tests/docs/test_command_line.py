"""The page of the command line is complete."""

import argparse
import re

import pytest

from attention_from_scratch import cli
from tests.docs.markdown import PAGES, blocks

(PAGE,) = (page for page in PAGES if page.name == "command-line.md")
TEXT = PAGE.read_text(encoding="utf-8")


def commands():
    (action,) = (
        action
        for action in cli.build_parser()._actions
        if isinstance(action, argparse._SubParsersAction)
    )
    return action.choices


@pytest.mark.parametrize("name", commands())
def test_the_page_has_a_section_with_the_help_of_every_command(name):
    assert f"\n### {name}\n" in TEXT
    helps = [block.text for block in blocks(TEXT) if f"$ {cli.PROGRAM} {name} --help" in block.text]
    assert helps, f"no help of {name}"
    for action in commands()[name]._actions:
        for option in action.option_strings:
            assert re.search(rf"(?<![\w-]){option}(?![\w-])", helps[0]), f"{name} {option}"
