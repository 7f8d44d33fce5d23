"""From histories to padded batches, cut into shards."""

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

Columns = dict[str, list[np.ndarray]]  # name -> one array a user, parallel to the histories


@dataclass(frozen=True)
class Shard:
    """A part of a batch: users of like length, padded on the left.

    `ids` (b, L) are the events and `targets` what follows: (b, L), the event after each (0: none),
    or (b, m), the m events after the last. `histories` are the same users' whole training
    histories. `context` has what else is known of each event: name -> (b, L) integers.
    """

    ids: np.ndarray
    targets: np.ndarray
    histories: list[np.ndarray]
    context: dict[str, np.ndarray] = field(default_factory=dict)

    @property
    def count(self) -> int:
        """Number of positions with a target."""
        return int(np.count_nonzero(self.targets))


def pad(
    sequences: list[np.ndarray], max_len: int, *, least: int = 1, full: bool = False
) -> np.ndarray:
    """Stack the last `max_len` entries of each, flush right, 0 before; as wide as the longest.

    The last event stands in the last column, and positions are counted from there, so columns that
    nobody fills can be left out, but for the last `least`. `full` keeps them.

    Returns
    -------
    (len(sequences), L) of int64, least <= L <= max_len
    """
    width = max_len if full else max([least, *(min(len(s), max_len) for s in sequences)])
    recent = [sequence[-width:] for sequence in sequences]
    lengths = np.array([len(sequence) for sequence in recent], int)
    padded = np.zeros((len(sequences), width), np.int64)
    padded[np.arange(width) >= width - lengths[:, None]] = np.concatenate(
        [np.zeros(0, np.int64), *recent]
    )
    return padded


def shard_of(
    histories: list[np.ndarray],
    max_len: int,
    *,
    ends=None,
    full: bool = False,
    context: Columns | None = None,
    wanted: list[np.ndarray] | None = None,
) -> Shard:
    """A shard in which each event predicts the one after it, where that is wanted.

    `ends` says after how many events of each history to stop; None: all.
    """
    ends = [len(history) for history in histories] if ends is None else ends

    def table(rows):
        parts = [row[:end] for row, end in zip(rows, ends, strict=True)]
        return pad(parts, max_len + 1, least=2, full=full)

    events = table(histories)
    ids, targets = events[:, :-1].copy(), events[:, 1:] * (events[:, :-1] != 0)
    if wanted is not None:
        targets *= table(wanted)[:, 1:]
    around = {name: table(rows)[:, :-1].copy() for name, rows in (context or {}).items()}
    return Shard(ids, targets, histories, around)


def epoch_batches(
    histories: list[np.ndarray],
    *,
    max_len: int,
    batch_size: int,
    n_shards: int,
    rng,
    pool: int = 1,
    least: int = 0,
    pieces: bool = False,
    full: bool = False,
    context: Columns | None = None,
    wanted: list[np.ndarray] | None = None,
) -> Iterator[list[Shard]]:
    """Yield the batches of one epoch, each a list of at most `n_shards` shards.

    Users are shuffled and cut into batches of `batch_size`. Inside a batch they are sorted by
    length, which changes nothing in the batch's mean, and cut into shards of like length, which
    leaves little padding to compute. `full` pads to `max_len`, for a model to which it matters.
    There are fewer shards where they would have fewer than `least` events, but two of like size.

    With a `pool` of several batches, users are sorted by length before the pool is cut into its
    batches, which are then shuffled. There is less padding still, but users of like length now
    meet in the same step, and an event of a short history weighs more: batches stay random in
    everything but that.

    Of a history the last `max_len` events are predicted; with `pieces`, all, in pieces that predict
    `max_len` each, but the first perhaps fewer. A batch is then `batch_size` pieces.

    `context` (name -> one array of integers a user) and `wanted` (one array of booleans a user:
    which events are to be predicted) are parallel to the histories.
    """
    users, ends = ends_of_pieces(histories, max_len if pieces else None)
    lengths = np.minimum(ends, max_len + 1)
    for parts in shuffled_parts(lengths, batch_size, n_shards, rng, pool, least):
        yield [
            shard_of(
                [histories[user] for user in users[part]],
                max_len,
                ends=ends[part],
                full=full,
                context=rows_of(context, users[part]),
                wanted=None if wanted is None else [wanted[user] for user in users[part]],
            )
            for part in parts
        ]


def ends_of_pieces(histories, size: int | None) -> tuple[np.ndarray, np.ndarray]:
    """The user of each piece, and how many events of the history it ends after: two arrays.

    Of a history of 7 events, pieces of size 3 end after 7 and after 4: the one predicts events 5 to
    7, the other 2 to 4. With size None each history is one piece.
    """
    lengths = np.array([len(history) for history in histories], int)
    if size is None or not len(lengths):
        return np.arange(len(lengths)), lengths
    ends = [np.arange(length, 1, -size) for length in lengths]
    return np.repeat(np.arange(len(lengths)), [len(of) for of in ends]), np.concatenate(ends)


def cut_batches(
    histories: list[np.ndarray],
    *,
    max_len: int,
    n_targets: int,
    cuts: int,
    batch_size: int,
    n_shards: int,
    rng,
    pool: int = 1,
    least: int = 0,
    context: Columns | None = None,
    wanted: list[np.ndarray] | None = None,
) -> Iterator[list[Shard]]:
    """Yield batches in which each history is cut in two: what was, and what came next.

    For models that look at the whole of what was, and so may learn only from what comes after it.
    Every history is cut in up to `cuts` places, drawn anew in each epoch; the `n_targets` events
    after the cut are the targets, (b, n_targets), 0 where the history ends earlier. With `wanted`
    the event after the cut is one that is wanted.

    The other parameters are those of `epoch_batches`; a batch is `batch_size` pieces of history.
    """
    users, ends = draw_cuts(histories, cuts, rng, wanted)
    lengths = np.minimum(ends, max_len) + 1  # the events before the cut, and what comes next
    for pieces in shuffled_parts(lengths, batch_size, n_shards, rng, pool, least):
        yield [
            cut_shard(histories, users[part], ends[part], max_len, n_targets, context)
            for part in pieces
        ]


def draw_cuts(histories, cuts: int, rng, wanted=None) -> tuple[np.ndarray, np.ndarray]:
    """Which user's history is cut before which event: two arrays, at most `cuts` a user."""
    users, ends = [], []
    for user, history in enumerate(histories):
        places = np.arange(1, len(history))
        if wanted is not None:
            places = places[wanted[user][1:]]
        chosen = rng.permutation(places)[:cuts]
        users.append(np.full(len(chosen), user))
        ends.append(chosen)
    return np.concatenate(users), np.concatenate(ends)


def cut_shard(histories, users, ends, max_len, n_targets, context) -> Shard:
    """A shard of histories cut in two: the events before each end, and the targets after it."""
    cuts = list(zip(users, ends, strict=True))
    before = [histories[user][:end] for user, end in cuts]
    targets = np.zeros((len(cuts), n_targets), np.int64)
    for row, (user, end) in zip(targets, cuts, strict=True):
        after = histories[user][end : end + n_targets]
        row[: len(after)] = after
    around = {
        name: pad([rows[user][:end] for user, end in cuts], max_len)
        for name, rows in (context or {}).items()
    }
    return Shard(pad(before, max_len), targets, before, around)


def shuffled_parts(
    lengths, batch_size: int, n_shards: int, rng, pool: int = 1, least: int = 0
) -> Iterator[list[np.ndarray]]:
    """Yield the indices of each batch's shards: shuffled, cut, and sorted by length inside a batch.

    The parameters are those of `epoch_batches`, with the lengths in place of the histories.
    """
    order = rng.permutation(len(lengths))
    for start in range(0, len(order), pool * batch_size):
        members = order[start : start + pool * batch_size]
        members = members[np.argsort(lengths[members], kind="stable")]
        batches = [members[at : at + batch_size] for at in range(0, len(members), batch_size)]
        for place in rng.permutation(len(batches)) if len(batches) > 1 else range(len(batches)):
            batch = batches[place]
            enough = int(lengths[batch].sum()) // least if least else n_shards
            if enough < 2 <= n_shards:
                parts = np.split(batch, [middle(lengths[batch] - 1)])  # the last is no input
            else:
                parts = np.array_split(batch, min(n_shards, enough))
            yield [part for part in parts if len(part)]


def middle(widths) -> int:
    """Where to cut rows of ascending width into two tables of about the same size."""
    before = np.arange(len(widths))
    narrow, wide = before * np.append(0, widths[:-1]), (len(widths) - before) * widths[-1]
    return int(np.argmin(np.maximum(narrow, wide)))


def rows_of(columns: Columns | None, users) -> Columns:
    """Every column with the rows of these users only, in their order."""
    return {name: [rows[user] for user in users] for name, rows in (columns or {}).items()}
