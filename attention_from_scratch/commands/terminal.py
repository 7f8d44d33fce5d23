"""How a command behaves at the shell: its output, its ends, and what a mistake costs.

Exit status: 0 when it worked, 1 when a check failed, 2 with one line when something is wrong with
what was asked for, 130 when it was interrupted.
"""

import argparse
import contextlib
import difflib
import os
import re
import signal
import sys
import threading
import time
from collections.abc import Callable, Mapping


class CheckFailed(Exception):
    """A check ran and did not pass."""


def exit_status(name: str, act: Callable, *arguments) -> int:
    """Do it; say in one line on stderr what went wrong, and return the exit status."""
    try:
        act(*arguments)
        sys.stdout.flush()
        return 0
    except (CheckFailed, FloatingPointError) as failure:
        status, message = 1, failure
    except OSError as error:
        file = f"{error.filename}: " if error.filename else ""
        status, message = 2, f"error: {file}{error.strerror or error}"
    except (ValueError, MemoryError) as error:
        status, message = 2, f"error: {str(error) or 'not enough memory for this size'}"
    except KeyboardInterrupt:
        status, message = 130, "interrupted"
    print(f"{name}: {message}", file=sys.stderr)
    return status


@contextlib.contextmanager
def careful_output():
    """Standard output and error that stop no command.

    What they cannot encode becomes "?", and a closed one (`>&-`) is like one that nobody reads.
    """
    with contextlib.ExitStack() as stack:
        for name in ("stdout", "stderr"):
            stream = getattr(sys, name)
            if stream is None:
                stream = stack.enter_context(open(os.devnull, "w", encoding="utf-8"))
            elif hasattr(stream, "reconfigure"):
                stream.reconfigure(errors="replace")
            redirect = getattr(contextlib, f"redirect_{name}")
            stack.enter_context(redirect(Steady(stream)))
        yield


class Steady:
    """A stream whose reader may leave, say `head`: from then on nobody reads it."""

    def __init__(self, stream):
        self.stream = stream

    def __getattr__(self, name):
        return getattr(self.stream, name)

    def write(self, text):
        """Write as far as somebody reads."""
        return self.attempt(self.stream.write, text)

    def flush(self):
        """Flush as far as somebody reads."""
        return self.attempt(self.stream.flush)

    def attempt(self, act, *arguments):
        """Do it; when it fails, nothing more is written, what is still buffered included."""
        try:
            return act(*arguments)
        except OSError as error:
            with open(os.devnull, "wb") as nowhere:
                os.dup2(nowhere.fileno(), self.stream.fileno())
            if not isinstance(error, BrokenPipeError):  # a full disk, say, is the user's concern
                raise


@contextlib.contextmanager
def ended_by_signals():
    """SIGTERM and SIGHUP end a command as Ctrl-C does; what is ignored (`nohup`) stays ignored."""
    last, before = float("-inf"), {}

    def interrupt(number, frame):
        nonlocal last
        last, previous = time.monotonic(), last
        if last - previous > 1:  # `timeout` and terminals send theirs twice at once
            raise KeyboardInterrupt

    if threading.current_thread() is threading.main_thread():
        for name in ("SIGTERM", "SIGHUP"):
            number = getattr(signal, name, None)  # Windows has no SIGHUP
            if number and signal.getsignal(number) not in (signal.SIG_IGN, None):
                before[number] = signal.signal(number, interrupt)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


class OneLineParser(argparse.ArgumentParser):
    """argparse, but a mistake costs one line and not the whole usage.

    Attributes
    ----------
    further : (parser, words) -> None, or None
        Adds the options that depend on other words of the command line.
    elsewhere : flag -> str
        Of options that belong somewhere else: where.
    """

    further: Callable | None = None
    elsewhere: Mapping[str, str] = {}

    def parse_known_args(self, args=None, namespace=None):
        """Parse as argparse does, but what is not known is an error of its command."""
        words = sys.argv[1:] if args is None else list(args)
        if self.further is not None:
            further, self.further = self.further, None
            further(self, words)
        options, unknown = super().parse_known_args(words, namespace)
        if unknown:
            self.error(self.about(unknown))
        return options, unknown

    def about(self, unknown: list[str]) -> str:
        """What is wrong with words that are not known."""
        flags = [word.partition("=")[0] for word in unknown if word.startswith("-")]
        for flag in flags:
            if flag in self.elsewhere:
                return f"{flag} is {self.elsewhere[flag]}"
        message = f"unrecognized arguments: {' '.join(unknown)}"
        known = [*re.findall(r"--[\w-]+", self.format_usage()), *self.elsewhere]
        for flag in flags:
            if close := difflib.get_close_matches(flag, known, 1, cutoff=0.75):
                return f"{message}; did you mean {close[0]}?"
        return message

    def error(self, message):
        """Leave with status 2."""
        self.exit(2, f"{self.prog}: error: {message} (see {self.prog} --help)\n")
