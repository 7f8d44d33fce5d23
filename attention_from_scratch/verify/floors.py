"""How far right code may be off: a floor for every entry of a gradient.

Rounding changes each number in a computation by up to eps of its size. So whatever changes when all
numbers are changed by that much says nothing about the code. With g what the backward pass says and
r what is measured, the floor of an entry is

    u = eps |r| + the largest change of r and of g in `RUNS` runs, in which every float input,
        d_output and whatever NumPy computes from them is multiplied by 1 + eps or 1 - eps, at
        random (see `rounding`; r is measured exactly, so that only its inputs change)

Zeros stay zeros. An entry is right if |g - r| <= `RIGHT` u, and wrong if it is more than `WRONG` u;
between the two it cannot be told. A gradient that is truly 0, of which rounding leaves a rest, has
a floor as large as that rest; a small one beside a large one has a small floor.

Into code that is not NumPy's nobody can look: there, eps of the largest entry of the array is added
for the rounding of its intermediate results, but where the reference is exactly 0.

Source: backward error analysis (Higham, Accuracy and Stability of Numerical Algorithms, 2002, 1.5),
with the effect of rounding sampled instead of bounded.
"""

from collections.abc import Callable, Iterator

import numpy as np

from attention_from_scratch.tree import tree_map
from attention_from_scratch.verify.outputs import holds_arrays
from attention_from_scratch.verify.rounding import randomly_rounded

RUNS = 8
RIGHT, WRONG = 16.0, 100.0  # times the floor


def nudged(
    inputs: list, d_outputs: list, eps: float, seed: int, *, spares: bool = True
) -> Iterator[tuple[list, list]]:
    """Yield inputs and d_outputs of each run: off by eps at random, and so is what is computed.

    What is exact is spared, unless it is other code than that of the op whose floor is asked.
    """
    for run in range(1, RUNS + 1):
        number = 1000 * (seed + 1) + run

        def nudge(leaf, number=number):
            if leaf.dtype.kind != "f":
                return leaf
            return randomly_rounded(leaf, eps, number, spares=spares)

        moved = [tree_map(nudge, v) if holds_arrays(v) else v for v in inputs]
        yield moved, [nudge(d_output) for d_output in d_outputs]


def plain(inputs: list) -> list:
    """The inputs of a run as ordinary arrays."""
    return [tree_map(np.asarray, v) if holds_arrays(v) else v for v in inputs]


def judge(difference: np.ndarray, floor: np.ndarray, *, wrong: float = WRONG) -> np.ndarray:
    """Tell "right", "open" or "wrong" of each entry; what is not a number is wrong.

    Where the floor is not a number, rounding may do anything: what differs at all is open.
    """
    floor = np.where(np.isnan(floor), np.where(difference == 0, 0, np.inf), floor)
    unsure = np.where(difference <= wrong * floor, "open", "wrong")
    return np.where((difference <= RIGHT * floor) & (floor < np.inf), "right", unsure)


def unseen(op: Callable, reference: np.ndarray, eps: float) -> np.ndarray:
    """What rounding in intermediate results may do where the op does not let it be seen."""
    if getattr(op, "complex_step", True):
        return np.zeros(reference.shape)
    size = np.abs(reference[np.isfinite(reference)]).max(initial=0)
    return np.where(reference == 0, 0.0, eps * size)


def at_run(function: Callable, inputs: list, d_outputs: list):
    """What a function of inputs and d_outputs says at a run.

    Where it does not take arrays that round at random, it gets ordinary ones.
    """
    with np.errstate(all="ignore"):
        try:
            return function(inputs, d_outputs)
        except Exception:  # whatever a reader's op does with arrays of another kind
            return function(plain(inputs), plain(d_outputs))
