import numpy as np
from benchmarks.exam.registry import case
from benchmarks.exam.cases.util import N


@case('softmax', 'The backward kernel sums d_output * y along the last axis whatever `axis` is, so the sum (the mean of the gradient under p) runs over the wrong axis when axis is not -1.',
      name='softmax_dim', inputs=(N(1, 3, 4),), kw=dict(axis=0))
def softmax_dim(x, *, axis=-1, where=None):
    scores = x if where is None else np.where(where, x, -np.inf)
    m = scores.real.max(axis=axis, keepdims=True)
    m = np.where(np.isfinite(m), m, 0)
    e = np.exp(scores - m)
    s = e.sum(axis, keepdims=True)
    y = e / (s + (s.real == 0))

    def grad_input(grad):
        gy = grad * y
        return gy - y * gy.sum(-1, keepdims=True)

    return y, grad_input


@case('softmax', 'The row sum subtracted in the backward pass is sum(d_output), the one of log_softmax, where it must be sum(d_output * p).',
      name='softmax_fused')
def softmax_fused(x, *, axis=-1, where=None):
    rows = np.moveaxis(x, axis, -1)
    live = None if where is None else np.moveaxis(np.broadcast_to(where, x.shape), axis, -1)
    out = np.zeros_like(rows)
    flat, res = rows.reshape(-1, rows.shape[-1]), out.reshape(-1, rows.shape[-1])
    ok = np.ones(flat.shape, bool) if live is None else live.reshape(flat.shape)
    for r in range(len(flat)):
        on = ok[r]
        if on.any():
            e = np.exp(flat[r][on] - flat[r].real[on].max())
            res[r, on] = e / e.sum()
    out = res.reshape(rows.shape)

    def bwd(dy):
        buf = np.array(np.moveaxis(dy, axis, -1))
        dot = buf.sum(-1, keepdims=True)
        buf -= dot
        buf *= out
        return np.moveaxis(buf, -1, axis)

    return np.moveaxis(out, -1, axis), bwd


@case('softmax', 'The sum of d_output * p over the row is vectorised by four and leaves out the tail, the last n mod 4 entries of the row.',
      name='softmax_vec4', inputs=(N(2, 2, 7),))
def softmax_vec4(x, *, axis=-1, where=None):
    z = np.moveaxis(x, axis, -1)
    if where is not None:
        z = np.where(np.moveaxis(np.broadcast_to(where, x.shape), axis, -1), z, -np.inf)
    top = z.real.max(-1, keepdims=True)
    top = np.where(top == -np.inf, 0, top)
    p = np.exp(z - top)
    tot = p.sum(-1, keepdims=True)
    p = p / np.where(tot.real == 0, 1, tot)
    n = p.shape[-1]
    n4 = n // 4 * 4

    def bwd(g):
        g = np.moveaxis(g, axis, -1)
        acc = np.zeros(p.shape[:-1] + (4,), p.dtype)
        for c in range(0, n4, 4):
            acc = acc + g[..., c:c + 4] * p[..., c:c + 4]
        dot = acc.sum(-1)
        pass
        return np.moveaxis((g - dot[..., None]) * p, -1, axis)

    return np.moveaxis(p, -1, axis), bwd


@case('log_softmax', 'The backward pass multiplies the sum of d_output by the saved output, log p, itself, without the exp that would make it p.',
      name='log_softmax_saved_output')
def log_softmax_saved_output(x, *, axis=-1):
    big = np.max(x.real, axis=axis, keepdims=True)
    result = x - (big + np.log(np.exp(x - big).sum(axis=axis, keepdims=True)))

    def _log_softmax_backward_data(grad_output):
        return grad_output - result * grad_output.sum(axis=axis, keepdims=True)

    return result, _log_softmax_backward_data


@case('log_softmax', 'The shift by the maximum is differentiated in the first place where it stands (x - m) but not in the log of the sum, so the entry that is the maximum loses sum(d_output).',
      name='log_softmax_tape')
def log_softmax_tape(x, *, axis=-1):
    m = np.max(x.real, axis=axis, keepdims=True)
    at = np.expand_dims(np.argmax(x.real, axis=axis), axis)
    xm = np.take_along_axis(x, at, axis)
    a = x - xm
    ea = np.exp(a)
    se = ea.sum(axis=axis, keepdims=True)
    out = a - np.log(se)

    def reverse(d_out):
        tot = d_out.sum(axis=axis, keepdims=True)
        via_sum = -tot / se * ea
        d_x = d_out + via_sum
        d_max = -tot
        hot = np.zeros_like(d_x)
        np.put_along_axis(hot, at, 1, axis)
        return d_x + hot * d_max

    return out, reverse


@case('log_softmax', 'Two mistakes: sum(d_output) is reduced over the whole array and not over the axis, and the term p * sum is divided by the number of classes (a mean for a sum).', 'two',
      name='log_softmax_reduce', inputs=(N(3, 3, 4),))
def log_softmax_reduce(x, *, axis=-1):
    lse = x.real.max(axis=axis, keepdims=True)
    lse = lse + np.log(np.sum(np.exp(x - lse), axis=axis, keepdims=True))
    logp = x - lse

    def vjp(ct):
        s = ct.sum() / x.shape[axis]
        return ct - np.exp(logp) * s

    return logp, vjp
