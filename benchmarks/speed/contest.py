"""Contenders that take turns, and what their times say pair by pair."""

import json
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from typing import NamedTuple

import numpy as np
from tqdm import tqdm

from benchmarks.common.numbers import quartiles, ranged

PAUSE = 0.05  # seconds: a library's threads may go on looking for work for a moment


class Contender(NamedTuple):
    """What is run: `function` of `module`, with these settings, gives (run, about)."""

    module: str
    function: str
    settings: dict

    def start(self) -> subprocess.Popen:
        """Start the process of the contender, which prepares itself meanwhile."""
        command = [sys.executable, "-m", "benchmarks.speed.worker", self.module, self.function]
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        return subprocess.Popen([*command, json.dumps(self.settings)], text=True, **pipes)


def take_turns(contenders: Mapping[str, Contender], rounds: int, label: str) -> dict[str, dict]:
    """Run each contender once in each round, in an order drawn anew.

    A machine that is slow for a minute is then slow for all of them. Two rounds before the first
    warm up and do not count.

    Returns
    -------
    name -> {"about", "seconds": [...], "peak": bytes}; or {"failed": why} if it could not run.
    """
    rng, found = np.random.default_rng(0), {}
    with ExitStack() as stack:
        running = {}
        for name, contender in contenders.items():
            process = stack.enter_context(contender.start())
            stack.callback(process.kill)
            answer = ask(process, None)
            if "ready" in answer:
                found[name] = {"about": answer["ready"], "seconds": [], "peak": 0}
                running[name] = process
            else:
                found[name] = answer
        names = list(running)
        with tqdm(total=(rounds + 2) * len(names), desc=label, disable=None) as bar:
            for turn in range(-2, rounds):
                for index in rng.permutation(len(names)):
                    name = names[index]
                    time.sleep(PAUSE)
                    answer = ask(running[name], "go\n")
                    if "failed" in answer:
                        raise RuntimeError(f"{name} stopped: {answer['failed']}")
                    if turn >= 0:
                        found[name]["seconds"].append(round(answer["seconds"], 6))
                        found[name]["peak"] = answer["peak"]
                    bar.update()
    return found


def ask(process: subprocess.Popen, line: str | None) -> dict:
    """Send a line, if there is one, and read the answer."""
    if line is not None:
        process.stdin.write(line)
        process.stdin.flush()
    answer = process.stdout.readline()
    if answer:
        return json.loads(answer)
    process.wait()
    errors = process.stderr.read().strip().splitlines()
    return {"failed": errors[-1] if errors else f"exit status {process.returncode}"}


def median(of: dict) -> float:
    """The median of the seconds of a contender."""
    return quartiles(of["seconds"])[0]


def shown(of: dict) -> str:
    """Median and quartiles of the seconds: 0.150 (0.148 to 0.155)."""
    return ranged(of["seconds"])


def ratio(ours: dict, theirs: dict) -> str:
    """Our time over theirs, round by round: median and quartiles."""
    return ranged(np.divide(ours["seconds"], theirs["seconds"]), ".2f")


def fastest(found: Mapping[str, dict], names: Sequence[str]) -> str:
    """The contender of these names that has the smallest median."""
    return min(
        (name for name in names if found[name].get("seconds")), key=lambda n: median(found[n])
    )
