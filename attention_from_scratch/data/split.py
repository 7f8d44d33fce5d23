"""Leave one out: a user's last event is for the test, the one before it for validation."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

import numpy as np


@dataclass(frozen=True, eq=False)
class Split:
    """What to learn from and what to be asked for; 0 where a user has no such target.

    Attributes
    ----------
    train : list of (length,) int64 arrays, one per user
    validation : (users,) int64
        The last event but one.
    test : (users,) int64
        The last event.
    """

    train: list[np.ndarray]
    validation: np.ndarray
    test: np.ndarray

    @property
    def validation_histories(self) -> list[np.ndarray]:
        """What the model sees when it is asked for `validation`."""
        return self.train

    @cached_property
    def test_histories(self) -> list[np.ndarray]:
        """What the model sees when it is asked for `test`: train and the validation event."""
        return [
            np.append(history, target) if target else history
            for history, target in zip(self.train, self.validation, strict=True)
        ]


def leave_one_out(histories: Iterable[np.ndarray]) -> Split:
    """Split off the last two events of every user who has at least three.

    A user with fewer keeps all of them for training and has neither target, as in the code of
    Kang & McAuley 2018 (kang205/SASRec, util.py, data_partition: `if nfeedback < 3`).

    Parameters
    ----------
    histories : iterable of (length,) arrays of integer item ids >= 1, in the order of time

    Raises
    ------
    ValueError
        If ids are no integers, or one is below 1: 0 would read as "no target".
    """
    histories = [np.asarray(history) for history in histories]
    for user, history in enumerate(histories):
        if len(history) and history.dtype.kind not in "iu":
            raise ValueError(f"histories[{user}] is of {history.dtype}; item ids are integers")
        if len(history) and np.min(history) < 1:
            raise ValueError(f"histories[{user}] holds {np.min(history)}; item ids start at 1")
    histories = [history.astype(np.int64, copy=False) for history in histories]
    return Split(
        train=[h if len(h) < 3 else h[:-2] for h in histories],
        validation=np.array([0 if len(h) < 3 else h[-2] for h in histories], np.int64),
        test=np.array([0 if len(h) < 3 else h[-1] for h in histories], np.int64),
    )
