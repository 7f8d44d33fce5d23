import numpy as np
from benchmarks.exam.registry import case
from benchmarks.exam.cases.util import N


def _aff(x, weight, bias):
    y = x @ weight
    return y if bias is None else y + bias


@case('linear', 'd_weight is computed in the other layout, (out, in), and brought to (in, out) with reshape, not with a transpose, so its entries stand in the wrong places.',
      name='linear_layout')
def linear_layout(x, weight, bias=None):
    X = x.reshape(-1, weight.shape[0])

    def bwd(dy):
        G = dy.reshape(-1, weight.shape[1])
        dw_oi = G.T @ X
        return dy @ weight.T, dw_oi.reshape(weight.shape), None if bias is None else G.sum(0)

    return _aff(x, weight, bias), bwd


@case('linear', 'd_bias is the mean of d_output over the positions, it must be the sum.',
      name='linear_bias_mean')
def linear_bias_mean(x, weight, bias=None):
    def bwd(dy):
        dx = np.einsum('...o,io->...i', dy, weight)
        dw = np.tensordot(x, dy, axes=(list(range(x.ndim - 1)),) * 2)
        db = None if bias is None else dy.reshape(-1, dy.shape[-1]).mean(0)
        return dx, dw, db
    return _aff(x, weight, bias), bwd


@case('linear', 'Two mistakes: with a batch of sequences d_weight is overwritten by each sequence, so only the last counts, and d_x is divided by sqrt(in) (the scale of another parametrisation).', 'two',
      name='linear_batched', inputs=(N(1, 3, 2, 4), N(2, 4, 3), N(3, 3)))
def linear_batched(x, weight, bias=None):
    n_in, n_out = weight.shape
    seqs = x.reshape(-1, x.shape[-2], n_in) if x.ndim > 1 else x[None, None]

    def bwd(dy):
        g = dy.reshape(*seqs.shape[:-1], n_out)
        dw = np.zeros_like(weight)
        for b in range(len(seqs)):
            np.dot(seqs[b].T, g[b], out=dw)
        dx = (g @ weight.T).reshape(x.shape)/ np.sqrt(n_in)
        return dx, dw, None if bias is None else g.sum((0, 1))

    return _aff(x, weight, bias), bwd


@case('embedding', 'The gradient is added with d_weight[ids] += d_output, which for an id that occurs several times keeps only one of its positions.',
      name='emb_buffered', inputs=(np.array([[1, 3, 1], [2, 1, 3]]), N(4, 5, 3)))
def emb_buffered(ids, weight, *, padding_id=0):
    ids = np.asarray(ids)
    out = weight.take(ids, axis=0)
    if padding_id is not None:
        out[ids == padding_id] = 0

    def bwd(dy):
        d = np.zeros_like(weight)
        d[ids] += dy
        if padding_id is not None:
            d[padding_id] *= 0
        return d

    return out, bwd


@case('embedding', 'The backward pass always takes row 0 for the padding: with another padding_id (or None) it zeroes row 0 and lets the true padding row have a gradient.',
      name='emb_pad_zero', inputs=(np.array([[1, 0, 2], [2, 1, 0]]), N(5, 4, 3)), kw=dict(padding_id=2))
def emb_pad_zero(ids, weight, *, padding_id=0):
    ids = np.asarray(ids)
    keep = np.ones(ids.shape, bool) if padding_id is None else ids != padding_id
    out = weight[ids] * keep[..., None]

    def bwd(dy):
        k = ids != 0
        d = np.zeros_like(weight)
        for pos in np.ndindex(*ids.shape):
            if k[pos]:
                d[ids[pos]] += dy[pos]
        return d

    return out, bwd


@case('embedding', 'The gradient of each row is divided by how often its id occurs (scale_grad_by_freq), a mean where the sum belongs.',
      name='emb_freq', inputs=(np.array([[1, 3, 1], [2, 1, 3]]), N(6, 5, 3)))
def emb_freq(ids, weight, *, padding_id=0):
    ids = np.asarray(ids)
    onehot = np.eye(len(weight))[ids.ravel()]
    if padding_id is not None:
        onehot[:, padding_id] = 0
    out = (onehot @ weight).reshape(ids.shape + weight.shape[1:])

    def bwd(dy):
        counts = onehot.sum(0)
        d = onehot.T @ dy.reshape(-1, weight.shape[1])
        return d/ np.maximum(counts, 1)[:, None]

    return out, bwd


@case('embedding', 'The sorted kernel sums runs of equal ids, but takes d_output in its old order, it is not permuted by the sort, so rows get the gradients of other positions.',
      name='emb_sorted', inputs=(np.array([[4, 3, 1], [2, 1, 3]]), N(7, 5, 3)))
def emb_sorted(ids, weight, *, padding_id=0):
    ids = np.asarray(ids)
    flat = ids.reshape(-1)
    order = np.argsort(flat, kind='stable')
    run = flat[order]
    out = weight[ids]
    if padding_id is not None:
        out = out * (ids != padding_id)[..., None]

    def bwd(dy):
        d = np.zeros_like(weight)
        if flat.size == 0:
            return d
        g = dy.reshape(-1, weight.shape[1])
        g = g
        starts = np.flatnonzero(np.r_[True, run[1:] != run[:-1]])
        d[run[starts]] = np.add.reduceat(g, starts, axis=0)
        if padding_id is not None:
            d[padding_id] = 0
        return d

    return out, bwd
