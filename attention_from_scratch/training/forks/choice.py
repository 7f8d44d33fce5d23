"""Whether a training is better off in several processes than with threads, if nobody says."""

import sys
import threading

from attention_from_scratch.training.threads import available_cores

LONG = 1_000_000  # events learned from, over all epochs: a training of seconds; forking takes 0.2


def processes_that_help(n_events: int, n_shards: int) -> int:
    """How many processes train soonest: one a core, or 1 where threads are faster.

    Processes are faster on Linux, in a training that learns from `LONG` events or more; and of more
    than a batch has shards, some would have nothing to do. The answer is 1 as well where the
    program has other threads, as a notebook has: a fork does not take these along, and what they
    were just doing stays undone in it. The result is the same on any number, bit for bit.
    """
    forks = sys.platform.startswith("linux") and not other_threads()
    return min(available_cores(), n_shards) if forks and n_events >= LONG else 1


def other_threads() -> list[threading.Thread]:
    """The threads of the program beside this one, but for that which watches over progress bars."""
    from tqdm import TMonitor  # here, so that importing the package stays fast

    here = threading.current_thread()
    return [one for one in threading.enumerate() if one is not here and type(one) is not TMonitor]
