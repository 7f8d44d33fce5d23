"""Times that other programs disturb as little as may be, and where one line is above another.

Times are processor time: what this process, on its one thread, was given by the machine. Where
nothing else runs that is the time on the clock; where something does, it leaves out the waiting
(but not that others share caches and memory).
"""

import time
from collections.abc import Callable, Hashable, Mapping, Sequence

import numpy as np
from tqdm import tqdm


def alternate(
    tasks: Mapping[Hashable, Callable[[], Callable]], rounds: int, label: str = "rounds"
) -> dict[Hashable, list[float]]:
    """Seconds (of the processor) of each task in each round.

    Every round runs every task once, in an order drawn anew. So a machine that is slow for a minute
    is slow for all of them, and the median over the rounds leaves that minute out.

    Parameters
    ----------
    tasks : label -> function that prepares and returns what is to be timed
    rounds : int
        Another one before them warms up and does not count.
    label : str
        What stands before the progress bar.
    """
    rng, keys = np.random.default_rng(0), list(tasks)
    seconds: dict[Hashable, list[float]] = {key: [] for key in keys}
    with tqdm(total=(rounds + 1) * len(keys), desc=label, disable=None) as bar:
        for turn in range(rounds + 1):
            for index in rng.permutation(len(keys)):
                run = tasks[keys[index]]()
                start = time.process_time()
                run()
                if turn:
                    seconds[keys[index]].append(round(time.process_time() - start, 7))
                bar.update()
    return seconds


def upper_half(sizes: Sequence[float]) -> slice:
    """The larger sizes, where what grows fastest has overtaken what does not grow."""
    return slice(len(sizes) // 2, None)


def slower_where(x: Sequence[float], first, second) -> list[tuple[float, float]]:
    """The intervals of x in which `first` is above `second`, both read off as lines on log axes.

    An interval that reaches the first or the last x begins at 0 or ends at infinity.
    """
    x, gap = np.log(x), np.log(first) - np.log(second)
    edges = [0.0] if gap[0] > 0 else []
    for i in np.flatnonzero((gap[1:] > 0) != (gap[:-1] > 0)):
        at = x[i] + (x[i + 1] - x[i]) * gap[i] / (gap[i] - gap[i + 1])
        edges.append(float(np.exp(at)))
    if gap[-1] > 0:
        edges.append(np.inf)
    return list(zip(edges[::2], edges[1::2], strict=True))
