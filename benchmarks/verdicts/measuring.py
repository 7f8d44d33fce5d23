"""Random right functions and planted errors through all checkers, and what came out."""

import time
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from statistics import median
from typing import NamedTuple

import numpy as np
from tqdm import tqdm

from attention_from_scratch.tree import leaves
from benchmarks.verdicts.contenders import Contender
from tests.verify.random_functions import Function, plant, random_function

DTYPES = ("float64", "float32")  # taking turns
VERDICTS = ("right", "wrong", "cannot tell", "refused")
PLANTED, ANALYTIC, NOT_ANALYTIC = "planted error", "right, analytic", "right, not analytic"
LEAST, MOST = 0.1, 10  # the largest entry of each input of a moderate function


class Check(NamedTuple):
    """What a checker said of one op; `why` only where it refused."""

    contender: str
    number: int
    dtype: str
    op: str  # one of the three kinds above
    moderate: bool
    verdict: str
    seconds: float
    why: str = ""

    @property
    def is_true(self) -> bool:
        """Whether the verdict is what the op is."""
        return self.verdict == ("wrong" if self.op == PLANTED else "right")


def measure(contenders: list[Contender], n_functions: int, seed: int) -> list[Check]:
    """Each function, and the same with a planted error, through each checker meant for its dtype.

    Function number n depends on (seed, n) alone, as in `python -m tests.verify.random_functions`.
    """
    found = []
    for number in tqdm(range(n_functions), desc="verdicts", unit="function"):
        dtype = DTYPES[number % 2]
        rng = np.random.default_rng([seed, number])
        function = random_function(rng, dtype)
        ops = {ANALYTIC if function.analytic else NOT_ANALYTIC: function.op}
        ops[PLANTED] = plant(function, rng).op
        asked = [contender for contender in contenders if dtype in contender.dtypes]
        for what, op in ops.items():
            about = number, dtype, what, is_moderate(function)
            for contender in asked:
                said = verdict_of(contender.check, op, function)
                found.append(Check(contender.name, *about, *said))
    return found


def is_moderate(function: Function) -> bool:
    """Whether all numbers that go in are of a size near 1, and none is at a kink or close to one.

    That is what absolute steps and tolerances are meant for.
    """
    sizes = [np.abs(leaf).max() for leaf in leaves(function.inputs) if leaf.dtype.kind == "f"]
    return not function.corners and all(LEAST <= size <= MOST for size in sizes)


def verdict_of(check: Callable, op: Callable, function: Function) -> tuple[str, float, str]:
    """What a checker says, the seconds of processor that it took, and why if it refuses."""
    start, why = time.process_time(), ""
    try:
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            verdict = check(op, function.inputs, function.keywords)
    except Exception as error:
        verdict, why = "refused", f"{type(error).__name__}: {str(error)[:200]}"
    return verdict, time.process_time() - start, why


def counted(checks: list[Check]) -> list[dict]:
    """A row for each contender, dtype, kind of op and size of numbers: how often which verdict."""
    counts: dict[tuple, Counter] = {}
    for check in checks:
        row = check.contender, check.dtype, check.op, check.moderate
        counts.setdefault(row, Counter())[check.verdict] += 1
    names = "contender", "dtype", "op", "moderate"
    return [
        dict(zip(names, row, strict=True)) | {verdict: of_row[verdict] for verdict in VERDICTS}
        for row, of_row in counts.items()
    ]


def timed(checks: list[Check]) -> list[dict]:
    """Median milliseconds of a check, by contender and dtype."""
    seconds: dict[tuple[str, str], list[float]] = {}
    for check in checks:
        seconds.setdefault((check.contender, check.dtype), []).append(check.seconds)
    return [
        {"contender": contender, "dtype": dtype, "milliseconds": 1e3 * median(times)}
        for (contender, dtype), times in seconds.items()
    ]


def astray(checks: list[Check], contender: str) -> Iterator[dict]:
    """What did not say what the op is, to be drawn again: of one contender; refusals of each."""
    for check in checks:
        if check.verdict == "refused" or (check.contender == contender and not check.is_true):
            names = "contender", "number", "dtype", "op", "verdict", "why"
            yield {name: getattr(check, name) for name in names if getattr(check, name) != ""}
