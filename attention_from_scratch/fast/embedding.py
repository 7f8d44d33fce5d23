"""The lookup table; its gradient as sums over sorted segments."""

import numpy as np

from attention_from_scratch.ops.contract import check_d_output
from attention_from_scratch.ops.embedding import check_table


def embedding(ids, weight, *, padding_id=0):
    """As `ops.embedding`.

    Sorted by id, the positions that hold the same item stand side by side: the gradient of its row
    is the sum of one segment.
    """
    ids = check_table(ids, weight, padding_id)
    output = weight[ids]
    if padding_id is not None:
        output[ids == padding_id] = 0

    def backward(d_output):
        check_d_output(d_output, output)
        short = ids.reshape(-1).astype(
            np.min_scalar_type(len(weight))
        )  # 16 bits are sorted fastest
        order = np.argsort(short, kind="stable")
        in_order = ids.reshape(-1)[order]
        starts = np.flatnonzero(np.diff(in_order, prepend=-1))
        d_rows = d_output.reshape(-1, weight.shape[1]).take(order, axis=0)
        d_weight = np.zeros_like(weight)
        if len(starts):
            d_weight[in_order[starts]] = np.add.reduceat(d_rows, starts, axis=0)
        if padding_id is not None:
            d_weight[padding_id] = 0
        return d_weight

    return output, backward
