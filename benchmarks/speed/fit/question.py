"""A step as `fit` takes it when nobody names anything, against the best peer of `training_step`."""

from pathlib import Path

from benchmarks.common.writing import in_words, markdown
from benchmarks.speed.contest import Contender, take_turns
from benchmarks.speed.showing import HELD_AGAINST, OURS, TURNS, against_best, bars, everybody
from benchmarks.speed.training_step.contenders import SHAPE
from benchmarks.speed.training_step.question import QUICK, ROWS, rivals

TITLE = "A step of `fit`, nothing named"
CONTENDERS = "benchmarks.speed.fit.contenders"
ROUNDS = {False: 15, True: 1}
ASKED = ("binary cross-entropy", "softmax over the catalogue")  # of the rows of `training_step`


def measure(quick: bool, data: Path) -> dict:
    """Seconds of everybody with each loss; no data is read."""
    shape = QUICK if quick else SHAPE
    rows = {name: take_turns(contenders(ROWS[name], quick), ROUNDS[quick], name) for name in ASKED}
    return {"shape": shape, "rows": rows}


def contenders(row: dict, quick: bool) -> dict[str, Contender]:
    """`fit`, and the peers of `training_step`."""
    settings = {"loss": row["loss"], "shape": QUICK if quick else SHAPE}
    return {OURS: Contender(CONTENDERS, "ours", settings)} | rivals(row, quick)


def tables(result: dict) -> str:
    """The best peer of each loss, then everybody."""
    rows = [[name, *against_best(found)] for name, found in result["rows"].items()]
    about = (
        f"{in_words(result['shape'])}; float32, dropout 0.2 also on the weights. Ours is "
        '`SASRec(n_items, length).fit(histories, epochs=...)`, with `loss="bce"` in the first '
        "row: ops, threads and processes, the size of a batch and of the model are those that it "
        "chooses, and its step is an epoch of one batch, with the making of the batch, the draw of "
        "the negatives and all that `fit` does between two epochs. The peers are those of "
        f"[a step of training](training_step.md), on a batch that is there. Seconds: {TURNS}"
    )
    all_of_them = [everybody(name, found) for name, found in result["rows"].items()]
    return "\n\n".join([about, markdown(["loss", *HELD_AGAINST], rows), *all_of_them])


def figure(result: dict):
    """A panel a loss, a bar a contender."""
    return bars(result["rows"], "seconds a step")
