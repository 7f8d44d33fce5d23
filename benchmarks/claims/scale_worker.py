"""One measurement of `scale` in a process of its own, so that its peak of memory is its own.

    python -m benchmarks.claims.scale_worker '{"phase": "train", "n_events": 100000}'

prints one line of JSON. Imports only what it measures.
"""

import json
import resource
import sys
import time
from pathlib import Path

import numpy as np

from attention_from_scratch.data import read_interactions
from attention_from_scratch.models import SASRec
from benchmarks.claims import OPS

ITEMS, MODEL = 5000, {"max_len": 50, "dim": 32, "n_blocks": 1, "n_heads": 1, "loss": "bce"}
SHORTEST, LONGEST = 50, 150  # events of a user, uniformly; 100 on average


def main() -> None:
    """Do what the command line says."""
    task = json.loads(sys.argv[1])
    before = peak_bytes()
    found = PHASES[task.pop("phase")](**task)
    print(json.dumps(found | {"bytes": peak_bytes() - before}))


def peak_bytes() -> int:
    """The most memory that this process has held so far.

    Linux counts into ru_maxrss what the parent held when it started this process, which may be
    more than anything here; VmHWM begins anew with the program.
    """
    status = Path("/proc/self/status")
    if status.exists():
        lines = dict(line.split(":", 1) for line in status.read_text().splitlines())
        return 1024 * int(lines["VmHWM"].split()[0])
    unit = 1 if sys.platform == "darwin" else 1024
    return unit * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


class Stopwatch:
    """Seconds of the processor, as in `measuring`, and on the clock."""

    def __enter__(self):
        self.start = time.process_time(), time.perf_counter()
        return self

    def __exit__(self, *_):
        now = time.process_time(), time.perf_counter()
        self.seconds, self.on_the_clock = (b - a for a, b in zip(self.start, now, strict=True))

    @property
    def read(self) -> dict[str, float]:
        """Both, for a result."""
        return {"seconds": round(self.seconds, 6), "on_the_clock": round(self.on_the_clock, 6)}


def histories(n_events: int, seed: int = 0) -> list[np.ndarray]:
    """Users of about 100 events, items by Zipf's law: the item of rank r has weight 1 / r."""
    rng = np.random.default_rng(seed)
    n_users = max(2 * n_events // (SHORTEST + LONGEST), 1)
    lengths = rng.integers(SHORTEST, LONGEST, size=n_users, endpoint=True)
    cumulative = np.cumsum(1 / np.arange(1, ITEMS + 1))
    draws = rng.random(lengths.sum()) * cumulative[-1]
    items = np.searchsorted(cumulative, draws, side="right") + 1
    return np.split(items, np.cumsum(lengths)[:-1])


def write(n_events: int, path: str) -> int:
    """Write the events as a text file, `user item` a line; returns how many they are."""
    users = histories(n_events)
    with open(path, "w", encoding="ascii") as file:
        for user, items in enumerate(users, 1):
            file.writelines(f"{user} {item}\n" for item in items.tolist())
    return sum(map(len, users))


def read(path: str) -> dict:
    """What `read_interactions` takes for a file of `write`."""
    with Stopwatch() as watch:
        data = read_interactions(path)
    return {"events": sum(map(len, data.histories))} | watch.read


def train(n_events: int) -> dict:
    """One epoch, and all that `fit` does before it."""
    users = histories(n_events)
    model = SASRec(ITEMS, **MODEL, ops=OPS)
    with Stopwatch() as watch:
        model.fit(users, epochs=1, threads=1, progress=False)
    targets = sum(min(len(items) - 1, model.max_len) for items in users)
    return {"events": sum(map(len, users)), "targets": targets} | watch.read


def rank(n_events: int, n_users: int) -> dict:
    """The ten best of the catalogue for some users, drawn from all; the middle one of three runs.

    The parameters are those before training: what they are changes neither time nor memory.
    """
    users = histories(n_events)
    model = SASRec(ITEMS, **MODEL, ops=OPS)
    model.params = model.initial_params()
    asked = np.random.default_rng(1).integers(len(users), size=n_users)
    runs = []
    for _ in range(3):
        with Stopwatch() as watch:
            model.recommend([users[user] for user in asked], k=10)
        runs.append(watch.read)
    middle = sorted(runs, key=lambda run: run["seconds"])[1]
    return {"events": sum(map(len, users))} | middle


PHASES = {"read": read, "train": train, "rank": rank}

if __name__ == "__main__":
    main()
