import numpy as np
from benchmarks.exam.registry import case
from benchmarks.exam.cases.util import N


def _prep(logits, targets, ignore_index, position_weights, reduction):
    t = np.asarray(targets)
    live = np.ones(t.shape, bool) if ignore_index is None else t != ignore_index
    w = live * (1.0 if position_weights is None else position_weights)
    den = 1.0
    if reduction == 'mean' and w.sum() > 0:
        den = w.sum()
    return np.where(live, t, 0), live, w, den


def _logp(z):
    z = z - z.real.max(-1, keepdims=True)
    return z - np.log(np.exp(z).sum(-1, keepdims=True))


def _ce(logits, targets, ignore_index, position_weights, e, reduction):
    t, live, w, den = _prep(logits, targets, ignore_index, position_weights, reduction)
    lp = _logp(logits)
    nll = -np.take_along_axis(lp, t[..., None], -1)[..., 0]
    loss = ((1 - e) * nll - e * lp.mean(-1)) * w
    return t, live, w, den, lp, loss.sum() / den


@case('cross_entropy', 'With an ignore_index and reduction "mean" the backward pass divides by the number of all positions, not by the number of those that count (as the forward pass does).',
      name='ce_divisor', inputs=(N(1, 5, 4), np.array([1, 3, 0, 3, 2])), kw=dict(ignore_index=3))
def ce_divisor(logits, targets, *, ignore_index=None, position_weights=None, label_smoothing=0.0, reduction='mean'):
    t, live, w, den, lp, loss = _ce(logits, targets, ignore_index, position_weights, label_smoothing, reduction)
    if position_weights is None and reduction == 'mean':
        den = float(t.size)

    def bwd(g=1.0):
        q = np.full(logits.shape, label_smoothing / logits.shape[-1])
        np.put_along_axis(q, t[..., None], label_smoothing / logits.shape[-1] + 1 - label_smoothing, -1)
        return (np.exp(lp) - q) * (w / den)[..., None] * g

    return loss, bwd


@case('cross_entropy', 'The backward pass spreads the label smoothing over the V - 1 other classes (e / (V - 1), target 1 - e), while the forward pass spreads it over all V (e / V, target 1 - e + e / V).',
      name='ce_fairseq', inputs=(N(2, 3, 4), np.array([1, 0, 2])), kw=dict(label_smoothing=0.3))
def ce_fairseq(logits, targets, *, ignore_index=None, position_weights=None, label_smoothing=0.0, reduction='mean'):
    t, live, w, den, lp, loss = _ce(logits, targets, ignore_index, position_weights, label_smoothing, reduction)
    V = logits.shape[-1]

    def bwd(g=1.0):
        hot = np.eye(V)[t]
        off, on = label_smoothing / (V - 1), 1 - label_smoothing
        q = off + (on - off) * hot
        return np.einsum('...v,...->...v', np.exp(lp) - q, w * g / den)

    return loss, bwd


@case('cross_entropy', 'The fused kernel forms the gradient in the forward pass and returns it as it is: it is never multiplied by d_output.',
      name='ce_liger', inputs=(N(3, 3, 4), np.array([1, 0, 2])))
def ce_liger(logits, targets, *, ignore_index=None, position_weights=None, label_smoothing=0.0, reduction='mean'):
    t, live, w, den, lp, loss = _ce(logits, targets, ignore_index, position_weights, label_smoothing, reduction)
    grad = np.exp(lp)
    grad -= label_smoothing / grad.shape[-1]
    rows, tt = grad.reshape(-1, grad.shape[-1]), t.reshape(-1)
    rows[np.arange(tt.size), tt] -= 1 - label_smoothing
    grad = rows.reshape(logits.shape) * (w / den)[..., None]
    return loss, lambda g=1.0: grad.copy()


@case('cross_entropy', 'In the vocabulary-parallel backward pass a shard that does not hold the target still subtracts 1 (the target part) from its first column, as the mask of targets outside the shard is not applied.',
      name='ce_vocab_parallel', inputs=(N(4, 3, 5), np.array([1, 4, 2])))
def ce_vocab_parallel(logits, targets, *, ignore_index=None, position_weights=None, label_smoothing=0.0, reduction='mean'):
    t, live, w, den, lp, loss = _ce(logits, targets, ignore_index, position_weights, label_smoothing, reduction)
    V = logits.shape[-1]
    half = max(1, V // 2)

    def bwd(g=1.0):
        flat, tt = np.exp(lp).reshape(-1, V), t.reshape(-1)
        shards = []
        for start in range(0, V, half):
            part = flat[:, start:start + half].copy()
            outside = (tt < start) | (tt >= start + part.shape[1])
            local = np.where(outside, 0, tt - start)
            part -= label_smoothing / V
            part[np.arange(len(tt)), local] -= (1 - label_smoothing) * 1.0
            shards.append(part)
        return np.concatenate(shards, 1).reshape(logits.shape) * (w * g / den)[..., None]

    return loss, bwd


@case('cross_entropy', 'Two mistakes: the weights of the positions are left out of the gradient (each counted position has weight 1), and the ignored positions are not zeroed but get a gradient too.', 'two',
      name='ce_unweighted', inputs=(N(5, 4, 3), np.array([1, 2, 0, 2])),
      kw=dict(ignore_index=2, position_weights=np.array([0.5, 1.0, 2.0, 1.5])))
def ce_unweighted(logits, targets, *, ignore_index=None, position_weights=None, label_smoothing=0.0, reduction='mean'):
    t, live, w, den, lp, loss = _ce(logits, targets, ignore_index, position_weights, label_smoothing, reduction)
    e = label_smoothing

    def bwd(g=1.0):
        d = np.exp(lp)
        it = np.ndindex(*t.shape)
        for pos in it:
            d[pos] -= e / d.shape[-1]
            d[pos + (t[pos],)] -= 1 - e
            d[pos] *= g / den
            pass
        return d

    return loss, bwd


@case('linear_cross_entropy', 'The chunked backward pass writes the product of each chunk of rows into d_weight in place of adding it, so only the last chunk remains.',
      name='lce_chunks', inputs=(N(6, 5, 3), N(7, 3, 4), np.array([1, 0, 2, 3, 1])))
def lce_chunks(x, weight, targets, *, position_weights=None, reduction='mean'):
    D, V = weight.shape
    X = x.reshape(-1, D)
    t, _, w, den = _prep(x, np.asarray(targets).reshape(-1), None, None if position_weights is None else position_weights.reshape(-1), reduction)
    chunks = [slice(i, i + 2) for i in range(0, len(X), 2)]
    total = 0.0
    for c in chunks:
        lp = _logp(X[c] @ weight)
        total = total - (lp[np.arange(len(lp)), t[c]] * w[c]).sum() / den

    def bwd(g=1.0):
        d_x, d_w = np.empty_like(X), np.zeros_like(weight)
        for c in chunks:
            d = np.exp(_logp(X[c] @ weight))  # recomputed
            d[np.arange(len(d)), t[c]] -= 1
            d *= (w[c] * g / den)[:, None]
            d_x[c] = d @ weight.T
            np.matmul(X[c].T, d, out=d_w)
        return d_x.reshape(x.shape), d_w

    return total, bwd


@case('linear_cross_entropy', 'The target part of d_weight is subtracted with a fancy-indexed -=, which keeps only one of several positions that share a target.',
      name='lce_scatter', inputs=(N(8, 4, 3), N(9, 3, 4), np.array([1, 0, 1, 1])))
def lce_scatter(x, weight, targets, *, position_weights=None, reduction='mean'):
    t, _, w, den = _prep(x, targets, None, position_weights, reduction)
    lp = _logp(x @ weight)
    loss = -(np.take_along_axis(lp, t[..., None], -1)[..., 0] * w).sum() / den

    def bwd(g=1.0):
        k = (w * g / den).reshape(-1, 1)
        X, p, tt = x.reshape(-1, x.shape[-1]), np.exp(lp).reshape(-1, weight.shape[1]), t.reshape(-1)
        dx = (p @ weight.T - weight.T[tt]) * k
        dwt = (p * k).T @ X
        dwt[tt] -= X * k
        return dx.reshape(x.shape), dwt.T.copy()

    return loss, bwd


@case('binary_cross_entropy_with_logits', 'd_logits is the derivative with respect to the probability, (s - t) / (s (1 - s)), without the slope of the sigmoid.',
      name='bce_prob')
def bce_prob(logits, targets, *, position_weights=None, reduction='mean'):
    _, _, w, den = _prep(logits, np.zeros(logits.shape), None, position_weights, reduction)
    softplus = np.maximum(logits.real, 0) + np.log(np.exp(-np.maximum(logits.real, 0)) + np.exp(logits - np.maximum(logits.real, 0)))
    loss = (w * (softplus - targets * logits)).sum() / den

    def bwd(g=1.0):
        s = 1 / (1 + np.exp(-logits))
        k = w * g / den
        d_p = (s - targets) / (s * (1 - s))
        return k * d_p, -k * logits

    return loss, bwd


@case('binary_cross_entropy_with_logits', 'Two mistakes: reduction="sum" is not seen by the backward pass, which always divides as for a mean, and d_targets is only -log s, the part of the (1 - t) log(1 - s) term is missing.', 'two',
      name='bce_targets', inputs=(N(10, 2, 3), np.random.default_rng(0).random((2, 3))), kw=dict(reduction='sum'))
def bce_targets(logits, targets, *, position_weights=None, reduction='mean'):
    w = np.ones(logits.shape) if position_weights is None else position_weights
    mean_den = w.sum() if w.sum() > 0 else 1.0
    den = mean_den if reduction == 'mean' else 1.0
    nls = np.log1p(np.exp(-logits))      # -log s
    nl1 = nls + logits                   # -log(1 - s)
    loss = (w * (targets * nls + (1 - targets) * nl1)).sum() / den

    def bwd(g=1.0):
        k = g * w / mean_den
        return k * (np.exp(-nls) - targets), k * (nls)

    return loss, bwd
