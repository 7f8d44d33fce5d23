"""A contender in several processes, which run at the same time."""

import importlib
import multiprocessing
import tempfile
from pathlib import Path

from attention_from_scratch.training.memory import keep_memory


def with_followers(module, function, settings, processes):
    """The contender `function` of `module` in several processes that run at the same time.

    It is called with `rank` and `meeting`, a file, and gives (run, about) in each of them.
    """
    context = multiprocessing.get_context("spawn")
    meeting = str(Path(tempfile.mkdtemp()) / "meeting")
    pipes = []
    for rank in range(1, processes):
        here, there = context.Pipe()
        more = settings | {"rank": rank, "meeting": meeting}
        context.Process(target=follow, args=(module, function, more, there), daemon=True).start()
        there.close()
        pipes.append(here)
    run, about = getattr(importlib.import_module(module), function)(
        **settings, rank=0, meeting=meeting
    )

    def run_all():
        for pipe in pipes:
            pipe.send(None)
        run()

    return run_all, f"{about}, {processes} processes"


def follow(module, function, settings, pipe):
    """Run whenever the first process does, as long as it is there; with the same allocator."""
    keep_memory()
    run, _ = getattr(importlib.import_module(module), function)(**settings)
    try:
        while True:
            pipe.recv()
            run()
    except (EOFError, RuntimeError):  # the first is gone
        pass
