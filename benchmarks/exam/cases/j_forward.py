import math

import numpy as np
from attention_from_scratch.ops import erfc
from benchmarks.exam.registry import case
from benchmarks.exam.cases.util import N, rec

T = lambda a: np.swapaxes(a, -1, -2)


@case('softmax', 'The forward pass is the "quiet" softmax: there is a 1 more (exp(0)) in the denominator, so rows sum to less than 1; the backward pass is the derivative of that.', 'forward', name='fwd_quiet_softmax')
def fwd_quiet_softmax(x, *, axis=-1, where=None):
    z = x if where is None else np.where(where, x, -np.inf)
    m = np.maximum(z.real.max(axis=axis, keepdims=True), 0)
    e = np.exp(z - m)
    den = e.sum(axis=axis, keepdims=True) + np.exp(-m)
    p = e / np.where(den.real == 0, 1, den)

    def bwd(dp):
        return p * dp - p * np.sum(p * dp, axis=axis, keepdims=True)
    return p, bwd


@case('layer_norm', 'The forward pass uses the unbiased variance (divided by D - 1), the backward pass is the derivative of that.', 'forward', name='fwd_unbiased_norm')
def fwd_unbiased_norm(x, weight, bias, *, eps=1e-5):
    n = x.shape[-1]
    div = max(n - 1, 1)
    c = x - x.sum(-1, keepdims=True) / n
    s = np.sqrt((c * c).sum(-1, keepdims=True) / div + eps)
    y = c / s
    out = (y if weight is None else y * weight) + (0 if bias is None else bias)

    def bwd(dy):
        g = dy if weight is None else dy * weight
        dc = g / s - c * (g * c).sum(-1, keepdims=True) / (div * s ** 3)
        red = tuple(range(x.ndim - 1))
        return (dc - dc.mean(-1, keepdims=True), None if weight is None else (dy * y).sum(red), None if bias is None else dy.sum(red))
    return out, bwd


@case('gelu', 'The forward pass is the quick GELU x * sigmoid(1.702 x) in both forms, with its own derivative.', 'forward', name='fwd_quick_gelu')
def fwd_quick_gelu(x, *, approximate='none'):
    s = 1 / (1 + np.exp(-1.702 * x))
    ds = 1.702 * s * (1 - s)
    return x * s, lambda dy: dy * (s + x * ds)


@case('attention_weights', 'The default scale is 1 / D and not 1 / sqrt(D), forward and backward alike.', 'forward', name='fwd_scale')
def fwd_scale(query, key, *, mask=None, scale=None):
    if scale is None:
        scale = 1.0 / query.shape[-1]
    S = scale * np.einsum('...qd,...kd->...qk', query, key)
    if mask is not None:
        S = np.where(mask, S, -np.inf)
    top = S.real.max(-1, keepdims=True)
    A = np.exp(S - np.where(top == -np.inf, 0, top))
    tot = A.sum(-1, keepdims=True)
    A = A / np.where(tot.real == 0, 1, tot)

    def fold(g, shape):
        g = g.sum(axis=tuple(range(g.ndim - len(shape))))
        for i, n in enumerate(shape):
            if n == 1:
                g = g.sum(axis=i, keepdims=True)
        return g

    def bwd(dA):
        dS = scale * A * (dA - (dA * A).sum(-1, keepdims=True))
        return fold(dS @ key, query.shape), fold(T(dS) @ query, key.shape)
    return A, bwd


@case('cross_entropy', 'The mean divides by the number of all positions, also those with the ignore_index (forward and backward alike).', 'forward',
      name='fwd_mean_all', inputs=(N(1, 5, 4), np.array([1, 3, 0, 3, 2])), kw=dict(ignore_index=3))
def fwd_mean_all(logits, targets, *, ignore_index=None, position_weights=None, label_smoothing=0.0, reduction='mean'):
    V = logits.shape[-1]
    targets = np.asarray(targets)
    live = np.ones(targets.shape) if ignore_index is None else (targets != ignore_index).astype(float)
    w = live if position_weights is None else live * position_weights
    norm = 1.0
    if reduction == 'mean':
        full = np.ones(targets.shape) if position_weights is None else position_weights
        norm = full.sum() or 1.0
    q = label_smoothing / V + (1 - label_smoothing) * np.eye(V)[np.where(live > 0, targets, 0)]
    m = logits.real.max(-1, keepdims=True)
    lse = m + np.log(np.exp(logits - m).sum(-1, keepdims=True))
    loss = ((q * (lse - logits)).sum(-1) * w).sum() / norm
    return loss, lambda g=1.0: (np.exp(logits - lse) - q) * (g * w / norm)[..., None]


@case('rnn', 'The non-linearity of the cell is relu and not tanh, forward and backward alike.', 'forward', name='fwd_relu_rnn', inputs=(rec(3, 3, 4, 1), N(4, 2, 5, 3), N(5, 2, 4)))
def fwd_relu_rnn(params, x, initial=None, *, mask=None, last=False):
    Wx, Wh = params['input']['weight'], params['hidden']['weight']
    bx, bh = params['input']['bias'], params['hidden']['bias']
    b = (0 if bx is None else bx) + (0 if bh is None else bh)
    B, L, _ = x.shape
    m = np.ones((B, L)) if mask is None else np.broadcast_to(mask, (B, L)) * 1.0
    hs = [np.zeros((B, len(Wh))) if initial is None else initial]
    slopes = []
    for t in range(L):
        a = x[:, t] @ Wx + hs[-1] @ Wh + b
        new = np.where(a.real > 0, a, 0)
        slopes.append(np.where(a.real > 0, 1.0, 0.0))
        hs.append(m[:, t:t + 1] * new + (1 - m[:, t:t + 1]) * hs[-1])
    out = hs[-1] if last else np.stack(hs[1:], 1) * m[..., None]

    def bwd(dy):
        gWx, gWh, gb, gx = np.zeros_like(Wx), np.zeros_like(Wh), np.zeros(len(Wh)), np.zeros_like(x)
        gh = dy if last else np.zeros((B, len(Wh)))
        for t in range(L - 1, -1, -1):
            mt = m[:, t:t + 1]
            if not last:
                gh = gh + mt * dy[:, t]
            ga = mt * gh * slopes[t]
            gWx, gWh, gb = gWx + x[:, t].T @ ga, gWh + hs[t].T @ ga, gb + ga.sum(0)
            gx[:, t] = ga @ Wx.T
            gh = ga @ Wh.T + (1 - mt) * gh
        return ({'input': {'weight': gWx, 'bias': None if bx is None else gb}, 'hidden': {'weight': gWh, 'bias': None if bh is None else gb.copy()}},
                gx, None if initial is None else gh)
    return out, bwd
