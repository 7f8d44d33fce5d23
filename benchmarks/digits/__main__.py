"""Measure how many digits are right, ours and PyTorch's: JSON, tables and a figure.

    python -m benchmarks.digits

needs the extras `frameworks` and `test`, takes some minutes and writes benchmarks/results/digits.*.
"""

import argparse
from pathlib import Path

import mpmath
import numpy as np

from attention_from_scratch.plot import save
from benchmarks.common.folders import add_places, writable
from benchmarks.common.writing import as_json, read_json, write_text
from benchmarks.digits.contenders import ours, pytorchs
from benchmarks.digits.exact import EXACT, exact_values, share_of_allowed, units_off
from benchmarks.digits.inputs import logits, targets
from benchmarks.digits.page import figure, page

RESULTS = Path(__file__).parents[1] / "results"
QUICK_RESULTS = Path("runs") / "digits-quick"
DTYPES = ("float64", "float32")


def measure(name: str, dtype: str, n: int, who: dict) -> list[dict]:
    """A row for the value of a function and each of its slopes, and each contender."""
    x = logits(dtype, 0, n)
    inputs = (x, targets(x, 1)) if name == "binary cross-entropy" else (x,)
    found = {contender: function(name, inputs) for contender, function in who.items()}
    rows = []
    for nth, function in enumerate(EXACT[name]):
        exact = exact_values(function, inputs)
        for contender, results in found.items():
            off = units_off(results[nth], exact)
            share = share_of_allowed(function, inputs, off)
            row = {"function": name, "of": nth, "dtype": dtype, "who": contender}
            rows.append(row | worst("units", off, inputs) | worst("share", share, inputs))
    return rows


def worst(measure: str, errors: np.ndarray, inputs: tuple[np.ndarray, ...]) -> dict:
    """The largest error, None if it is infinite, and where."""
    place = int(errors.argmax())
    largest = float(errors[place])
    where = [float(array[place]) for array in inputs]
    return {measure: largest if np.isfinite(largest) else None, f"{measure} at": where}


def main(arguments: list[str] | None = None, who: dict | None = None) -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.digits", description=__doc__.split("\n")[0]
    )
    add_places(parser, RESULTS, QUICK_RESULTS)
    options = parser.parse_args(arguments)
    out = options.out or (QUICK_RESULTS if options.quick else RESULTS)
    writable(parser, out)
    n = 10 if options.quick else 1000
    who = who or {"ours": ours, "PyTorch": pytorchs}
    rows = [row for name in EXACT for dtype in DTYPES for row in measure(name, dtype, n, who)]
    result = {"numbers": logits("float64", 0, n).size, "versions": versions(), "rows": rows}
    write_text(out / "digits.json", as_json(result))
    write_text(out / "digits.md", page(read_json(out / "digits.json")))
    save(figure(who), out / "digits.png", dpi=120)


def versions() -> dict[str, str]:
    """The versions of NumPy, mpmath and PyTorch, if it is there."""
    found = {"NumPy": np.__version__, "mpmath": mpmath.__version__}
    try:
        import torch
    except ImportError:
        return found
    return found | {"PyTorch": torch.__version__}


if __name__ == "__main__":
    main()
