"""What is said at the shell: types of options, for `argparse`."""

import argparse


def seed(text: str) -> int:
    """An integer from 0 on."""
    return integer(text, least=0)


def count(text: str) -> int:
    """An integer from 1 on."""
    return integer(text, least=1)


def integer(text: str, *, least: int) -> int:
    """An integer that is large enough, or an error of one line."""
    if not text.isdecimal() or int(text) < least:
        raise argparse.ArgumentTypeError(f"was {text!r}, but must be an integer from {least} on")
    return int(text)
