"""The lookup table; its gradient as sums over the rows that belong together."""

import numpy as np

from attention_from_scratch.fast.linear import sum_of_rows
from attention_from_scratch.ops.contract import Backward, check_d_output
from attention_from_scratch.ops.embedding import check_table


def embedding(
    ids: np.ndarray, weight: np.ndarray, *, padding_id: int | None = 0
) -> tuple[np.ndarray, Backward]:
    """weight[ids], whose gradient adds up the rows of all items at once, not entry by entry.

    Parameters and returns are those of `ops.embedding`; see `sums_by_id` for the sums.
    """
    ids = check_table(ids, weight, padding_id)
    output = weight.take(ids, axis=0)
    if padding_id is not None:
        output[ids == padding_id] = 0

    def backward(d_output):
        check_d_output(d_output, output)
        d_weight = np.zeros_like(weight)
        # NumPy sorts integers of 16 bits fastest.
        short = ids.reshape(-1).astype(np.min_scalar_type(len(weight)))
        rows = d_output.reshape(ids.size, weight.shape[1])
        items, sums = sums_by_id(short, rows, left_out=padding_id)
        d_weight[items] = sums
        return d_weight

    return output, backward


def sums_by_id(
    ids: np.ndarray, rows: np.ndarray, *, left_out: int | None = None, rounds: int = 32
) -> tuple[np.ndarray, np.ndarray]:
    """The distinct ids but `left_out`, and the sum of the rows of each.

    ids (N,), rows (N, D) -> (n,), (n, D)

    Sorted by id, the rows of an id are a run. The n-th round adds the n-th row of every run that
    has one, all at once; with the longest run first, these runs are a prefix of all. What a run has
    left after the last round is added up by itself. The ids come back in the order of the runs.
    """
    order = np.argsort(ids, kind="stable")
    in_order = ids[order]
    if left_out is not None:
        stays = in_order != left_out
        order, in_order = order[stays], in_order[stays]
    if not order.size:
        return in_order, rows[order]
    starts = np.flatnonzero(np.append(True, in_order[1:] != in_order[:-1]))
    lengths = np.diff(starts, append=len(order))
    longest_first = np.argsort(-lengths, kind="stable")
    starts, lengths = starts[longest_first], lengths[longest_first]

    sums = rows.take(order[starts], axis=0)
    for nth in range(1, min(lengths[0], rounds)):
        n_runs = np.count_nonzero(lengths > nth)
        sums[:n_runs] += rows.take(order[starts[:n_runs] + nth], axis=0)
    for run in range(np.count_nonzero(lengths > rounds)):
        rest = order[starts[run] + rounds : starts[run] + lengths[run]]
        sums[run] += sum_of_rows(rows.take(rest, axis=0))
    return in_order[starts], sums
