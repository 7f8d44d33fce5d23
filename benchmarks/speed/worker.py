"""A contender in a process of its own: prepares once, then runs whenever it is told to.

    python -m benchmarks.speed.worker MODULE FUNCTION '{"setting": 1}'

prints {"ready": what it says of itself}, then, for each line it reads, the seconds of a run: the
median of as many as fit into a third of a second, the first of which, on a cold cache, does not
count if there are others.
"""

import importlib
import json
import resource
import statistics
import sys
import time

from attention_from_scratch.training.memory import keep_memory

TURN = 1 / 3  # seconds


def main() -> None:
    """Answer until there is nothing more to read."""
    keep_memory()
    module, function, settings = sys.argv[1:]
    run, about = getattr(importlib.import_module(module), function)(**json.loads(settings))
    tell({"ready": about})
    for _ in sys.stdin:
        seconds = [timed(run)]
        while sum(seconds) < TURN:
            seconds.append(timed(run))
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
        tell({"seconds": statistics.median(seconds[1:] or seconds), "peak": peak})


def timed(run) -> float:
    """Seconds on the clock."""
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def tell(what: dict) -> None:
    """A line that the other side waits for."""
    print(json.dumps(what), flush=True)


if __name__ == "__main__":
    main()
