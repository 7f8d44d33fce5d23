"""From histories to padded batches, cut into shards."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Shard:
    """A part of a batch: users of like length, padded on the left.

    `ids` (b, L) are the events, `targets` (b, L) the event that follows each (0: none), and
    `histories` the same users' whole training histories.
    """

    ids: np.ndarray
    targets: np.ndarray
    histories: list[np.ndarray]

    @property
    def count(self) -> int:
        """Number of positions with a target."""
        return int(np.count_nonzero(self.targets))


def pad(sequences: list[np.ndarray], max_len: int, *, full: bool = False) -> np.ndarray:
    """Stack the last `max_len` entries of each, flush right, 0 before; as wide as the longest.

    The last event stands in the last column, and positions are counted from there, so columns that
    nobody fills can be left out. `full` keeps them.

    Returns
    -------
    (len(sequences), L) of int64, 1 <= L <= max_len
    """
    width = max_len if full else max([1, *(min(len(s), max_len) for s in sequences)])
    padded = np.zeros((len(sequences), width), np.int64)
    for row, sequence in zip(padded, sequences, strict=True):
        recent = sequence[-width:]
        row[width - len(recent) :] = recent
    return padded


def shard_of(histories: list[np.ndarray], max_len: int, *, full: bool = False) -> Shard:
    """Each event predicts the one after it."""
    targets = pad([history[1:] for history in histories], max_len, full=full)
    ids = pad([history[:-1] for history in histories], max_len, full=full)
    return Shard(ids, targets, histories)


def epoch_batches(
    histories: list[np.ndarray],
    *,
    max_len: int,
    batch_size: int,
    n_shards: int,
    rng,
    full: bool = False,
) -> Iterator[list[Shard]]:
    """Yield the batches of one epoch, each a list of at most `n_shards` shards.

    Users are shuffled and cut into batches of `batch_size`. Inside a batch they are sorted by
    length, which changes nothing in the batch's mean, and cut into shards of like length, which
    leaves little padding to compute. `full` computes it all, for a model to which it matters.
    """
    order = rng.permutation(len(histories))
    lengths = np.array([min(len(history), max_len + 1) for history in histories])
    for start in range(0, len(order), batch_size):
        users = order[start : start + batch_size]
        users = users[np.argsort(lengths[users], kind="stable")]
        yield [
            shard_of([histories[user] for user in part], max_len, full=full)
            for part in np.array_split(users, n_shards)
            if len(part)
        ]
