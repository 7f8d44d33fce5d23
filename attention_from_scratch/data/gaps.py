"""How long ago was the event before? Gaps of time as a few kinds, each twice the one before."""

from collections.abc import Sequence

import numpy as np

from attention_from_scratch.arguments import check_integer, check_positive


def gap_borders(n_kinds: int, unit: float) -> np.ndarray:
    """Where one kind of gap ends and the next begins: unit * (1, 2, 4, ...), (n_kinds - 1,).

    A gap below ``borders[0]`` is of kind 1; one from ``borders[j - 2]`` to below ``borders[j - 1]``
    is of kind j; one from ``borders[-1]`` on is of kind n_kinds.

    Parameters
    ----------
    n_kinds : int
    unit : float
        The first border, in the unit of the times: 1 / 60 for a minute where they are in hours.
    """
    check_integer("n_kinds", n_kinds, 2)
    check_positive("unit", unit)
    return unit * 2.0 ** np.arange(n_kinds - 1)


def time_gaps(times: Sequence[np.ndarray], n_kinds: int, unit: float) -> list[np.ndarray]:
    """The kind 1..n_kinds of the gap before each event, on a logarithmic scale.

    Before a first event there is no other, however far one looks back: it is of the longest kind.

    Parameters
    ----------
    times : sequence of (length,) float arrays, one per user, oldest first
    n_kinds, unit : int, float
        How many kinds there are, and the border between kinds 1 and 2, in the unit of the times.

    Returns
    -------
    list of (length,) int64 arrays

    Raises
    ------
    ValueError
        If an event is before the one it follows, or a time is not a number.
    """
    borders = gap_borders(n_kinds, unit)
    kinds = []
    for user, row in enumerate(times):
        gaps = np.diff(row, prepend=-np.inf)
        if not (gaps >= 0).all():
            raise ValueError(f"times[{user}] does not rise from event to event")
        kinds.append(np.searchsorted(borders, gaps, side="right") + 1)
    return kinds
