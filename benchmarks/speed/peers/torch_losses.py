"""Our losses in PyTorch: sums over the targets of a part of a batch, for any model with `items`."""

import torch.nn.functional as F
from torch import nn


def binary(model, ids, targets, negatives):
    """The sum of the binary cross-entropies of targets and of one negative each, mean over both."""
    hidden = model(ids)
    rows = (targets != 0).nonzero(as_tuple=True)
    query = hidden[rows]
    right = (query * model.items(targets[rows])).sum(-1)
    wrong = (query * model.items(negatives[rows][:, 0])).sum(-1)
    return F.softplus(-right).sum() + F.softplus(wrong).sum()


def catalogue(model, ids, targets, negatives, *, chunked):
    """The sum of the cross-entropies over the whole catalogue."""
    hidden = model(ids)
    rows = (targets != 0).nonzero(as_tuple=True)
    query, table, at = hidden[rows], model.items.weight[1:], targets[rows] - 1
    if chunked:
        options = nn.LinearCrossEntropyOptions()
        return F.linear_cross_entropy(query, table, at, reduction="sum", options=options)
    return F.cross_entropy(query @ table.T, at, reduction="sum")
