"""An LSTM, forward and backward."""

from pathlib import Path

from attention_from_scratch.training import available_cores
from benchmarks.speed.contest import Contender, take_turns
from benchmarks.speed.lstm.contenders import SEQUENCES, STEPS, UNITS
from benchmarks.speed.showing import OURS, bars, everybody, in_a_sentence

TITLE = "LSTM"
CONTENDERS = "benchmarks.speed.lstm.contenders"
PLAIN, TORCH = "ours, plain op", "PyTorch"
ROUNDS = {False: 15, True: 1}


def measure(quick: bool, data: Path) -> dict:
    """Seconds of everybody; no data is read."""
    cores = {"threads": available_cores()}
    taking_part = {
        OURS: Contender(CONTENDERS, "ours", cores | {"ops": "fast"}),
        PLAIN: Contender(CONTENDERS, "ours", cores | {"ops": "plain"}),
        TORCH: Contender(CONTENDERS, "torch", cores),
        f"{TORCH}, one thread": Contender(CONTENDERS, "torch", {"threads": 1}),
    }
    return {"rows": {"lstm": take_turns(taking_part, ROUNDS[quick], "LSTM")}}


def tables(result: dict) -> str:
    """Everybody."""
    found = result["rows"]["lstm"]
    return (
        f"Forward and backward, {SEQUENCES} sequences of {STEPS} steps, {UNITS} units, float32. "
        f"Median (quartiles) over the rounds. {in_a_sentence(found)}\n\n{everybody('', found)}"
    )


def figure(result: dict):
    """A bar for everybody."""
    return bars({"LSTM, forward and backward": result["rows"]["lstm"]}, "milliseconds", unit=1e-3)
