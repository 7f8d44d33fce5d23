"""Ranking all users of MovieLens-1M in the whole catalogue, and one user at once."""

from pathlib import Path

from attention_from_scratch.training import available_cores
from benchmarks.speed.contest import Contender, take_turns
from benchmarks.speed.ours import histories_of
from benchmarks.speed.scoring.contenders import one_by_one
from benchmarks.speed.showing import OURS, bars, everybody, in_a_sentence

TITLE = "Scoring"
CONTENDERS = "benchmarks.speed.scoring.contenders"
ROUNDS = {False: 15, True: 1}
PLAIN, TORCH = "ours, plain ops", "PyTorch"


def measure(quick: bool, data: Path) -> dict:
    """Seconds of everybody; a recommendation for one user, a thousand times."""
    path = data / "ml-1m.txt"
    histories_of(path, 1)  # a file that cannot be read is told at once
    users = 300 if quick else None
    settings = {"data": str(path), "users": users, "threads": available_cores()}
    taking_part = {
        OURS: Contender(CONTENDERS, "ours", settings | {"ops": "fast"}),
        PLAIN: Contender(CONTENDERS, "ours", settings | {"ops": "plain"}),
    }
    for size in (64, 128, 256):
        batches = settings | {"batch": size}
        taking_part[f"{TORCH}, batches of {size}"] = Contender(CONTENDERS, "torch", batches)
    rows = {"all users": take_turns(taking_part, ROUNDS[quick], "all users")}
    return {"rows": rows, "one_user": one_by_one(settings, 100 if quick else 1000)}


def tables(result: dict) -> str:
    """Everybody, and the latency."""
    found, one = result["rows"]["all users"], result["one_user"]
    return "\n\n".join(
        [
            "SASRec with max_len 200, dim 50, 2 blocks, 1 head, float32; every user of "
            "MovieLens-1M ranked in the whole catalogue, seen items left out, top 10; users of "
            f"like length in a batch. Seconds: median (quartiles) over the rounds. "
            f"{in_a_sentence(found)}",
            everybody("", found),
            f"One recommendation for one user, {one['calls']} of them one after the other: "
            f"median {1000 * one['median']:.2f} ms, 99th percentile {1000 * one['p99']:.2f} ms.",
        ]
    )


def figure(result: dict):
    """A bar for everybody."""
    return bars({"all users ranked": result["rows"]["all users"]}, "seconds")
