"""Ranking all users of MovieLens-1M in the whole catalogue, and one user at once."""

from pathlib import Path

from attention_from_scratch.plot.figure import new_figure
from attention_from_scratch.training import available_cores
from benchmarks.common.drawing import finish
from benchmarks.common.writing import markdown
from benchmarks.speed.contest import Contender, fastest, quartiles, ratio, shown, take_turns
from benchmarks.speed.rankers import histories_of, one_by_one

RANKERS = "benchmarks.speed.rankers"
ROUNDS = {False: 15, True: 1}
OURS, PLAIN, TORCH = "ours", "ours, plain ops", "PyTorch"


class Scoring:
    """Top 10 of the whole catalogue, what the user has seen left out."""

    TITLE = "Scoring"

    def __init__(self, data: Path = Path("../shared/data/ml-1m.txt")):
        self.data = data

    def measure(self, quick: bool) -> dict:
        """Seconds of everybody; a recommendation for one user, a thousand times."""
        settings = {
            "data": str(self.data),
            "users": 300 if quick else None,
            "threads": available_cores(),
        }
        histories_of(self.data, 1)  # a file that cannot be read is told at once
        taking_part = {
            OURS: Contender(RANKERS, "ours", settings),
            PLAIN: Contender(RANKERS, "ours", settings | {"fast": False}),
            **{
                f"{TORCH}, batches of {size}": Contender(
                    RANKERS, "torch", settings | {"batch": size}
                )
                for size in (64, 128, 256)
            },
        }
        rows = {"all users": take_turns(taking_part, ROUNDS[quick], "all users")}
        return {"rows": rows, "one_user": one_by_one(settings, 100 if quick else 1000)}

    def tables(self, result: dict) -> str:
        """Everybody, and the latency."""
        found, one = result["rows"]["all users"], result["one_user"]
        rows = [
            [who, shown(of), ratio(found[OURS], of)] if "seconds" in of else [who, of["failed"], ""]
            for who, of in found.items()
        ]
        best = fastest(found, [who for who in found if who.startswith(TORCH)])
        return (
            "SASRec with max_len 200, dim 50, 2 blocks, 1 head, float32; every user of "
            "MovieLens-1M ranked in the whole catalogue, seen items left out, top 10; users of "
            "like length in a batch. Seconds: median (quartiles) over the rounds. Against the best "
            f"peer ({best}) ours takes {ratio(found[OURS], found[best])} times as long.\n\n"
            + markdown(["", "seconds", "ours / this"], rows)
            + f"\n\nOne recommendation for one user, {one['calls']} of them one after the other: "
            f"median {1000 * one['median']:.2f} ms, 99th percentile {1000 * one['p99']:.2f} ms."
        )

    def figure(self, result: dict):
        """A bar for everybody."""
        found = {w: of for w, of in result["rows"]["all users"].items() if "seconds" in of}
        picture = new_figure(8, 3)
        ax = picture.subplots()
        colors = ["#0072B2" if who == OURS else "#999999" for who in found]
        values = [quartiles(of["seconds"])[0] for of in found.values()]
        ax.barh(range(len(found)), values, color=colors, height=0.6)
        ax.set_yticks(range(len(found)), list(found), fontsize=8)
        ax.invert_yaxis()
        finish(ax, "all users ranked", "seconds", "")
        return picture
