import math

import numpy as np
from attention_from_scratch.ops import erfc
from benchmarks.exam.registry import case
from benchmarks.exam.cases.util import N, keep as draw, mha, rec

OK = 'Nothing is wrong.'
T = lambda a: np.swapaxes(a, -1, -2)


@case('softmax', OK, 'right', name='right_softmax_jacobian')
def right_softmax_jacobian(x, *, axis=-1, where=None):
    rows = np.moveaxis(x, axis, -1)
    on = np.ones(rows.shape, bool) if where is None else np.moveaxis(np.broadcast_to(where, x.shape), axis, -1)
    peak = np.max(rows.real, -1, where=on, initial=-1e300, keepdims=True)
    e = np.exp(np.where(on, rows - peak, 0)) * on
    tot = e.sum(-1, keepdims=True)
    p = e / np.where(on.any(-1, keepdims=True), tot, 1)

    def bwd(dy):
        J = p[..., :, None] * np.eye(p.shape[-1]) - p[..., :, None] * p[..., None, :]
        return np.moveaxis(np.einsum('...i,...ij->...j', np.moveaxis(dy, axis, -1), J), -1, axis)
    return np.moveaxis(p, -1, axis), bwd


@case('log_softmax', OK, 'right', name='right_log_softmax_pairs')
def right_log_softmax_pairs(x, *, axis=-1):
    """log p_i = -log sum_j exp(x_j - x_i), all pairs of differences."""
    z = np.moveaxis(x, axis, -1)
    diff = z[..., None, :] - z[..., :, None]          # i, j
    top = diff.real.max(-1, keepdims=True)
    E = np.exp(diff - top)
    S = E.sum(-1, keepdims=True)
    y = -(np.log(S) + top)[..., 0]

    def bwd(dy):
        A = np.moveaxis(dy, axis, -1)[..., None] * (E / S)
        return np.moveaxis(A.sum(-1) - A.sum(-2), -1, axis)
    return np.moveaxis(y, -1, axis), bwd


@case('relu', OK, 'right', name='right_relu_inplace')
def right_relu_inplace(x):
    y = np.array(x)
    y[y.real < 0] = 0
    bits = np.packbits((y.real > 0).ravel(), bitorder='little')

    def bwd(dy):
        d = np.array(dy)
        d[np.unpackbits(bits, count=d.size, bitorder='little').reshape(d.shape) == 0] = 0
        return d
    return y, bwd


@case('gelu', OK, 'right', name='right_gelu_silu')
def right_gelu_silu(x, *, approximate='none'):
    if approximate == 'tanh':                          # (1 + tanh u) / 2 = sigmoid(2 u)
        k = math.sqrt(8 / math.pi)
        P = 1 / (1 + np.exp(-k * x * (1 + 0.044715 * x * x)))
        return x * P, lambda g: g * P * (1 + x * (1 - P) * k * (1 + 0.134145 * x * x))
    P = 1 - 0.5 * erfc(x / math.sqrt(2))
    return x * P, lambda g: g * (P + x * np.exp(-0.5 * x ** 2) * 0.3989422804014327)


@case('sigmoid', OK, 'right', name='right_sigmoid_cosh')
def right_sigmoid_cosh(x):
    return 0.5 * (1 + np.tanh(x / 2)), lambda d: d / (2 + 2 * np.cosh(x))


@case('tanh', OK, 'right', name='right_tanh_by_sigmoid')
def right_tanh_by_sigmoid(x):
    s = 1 / (1 + np.exp(-2 * x))
    return s - (1 - s), lambda d: 4 * d * s * (1 - s)


@case('cross_entropy', OK, 'right', name='right_ce_softmax_vjp')
def right_ce_softmax_vjp(logits, targets, *, ignore_index=None, position_weights=None, label_smoothing=0.0, reduction='mean'):
    V, t = logits.shape[-1], np.asarray(targets).ravel()
    Z = logits.reshape(-1, V)
    w = np.ones(len(t)) if position_weights is None else np.array(position_weights, float).ravel()
    rows = [r for r in range(len(t)) if ignore_index is None or t[r] != ignore_index]
    total = sum(w[r] for r in rows)
    div = total if reduction == 'mean' and total > 0 else 1.0
    loss, keep = Z.dtype.type(0), {}
    for r in rows:
        e = np.exp(Z[r] - Z[r].real.max())
        p = e / e.sum()
        q = np.full(V, label_smoothing / V)
        q[t[r]] += 1 - label_smoothing
        loss = loss - w[r] / div * (q * np.log(p)).sum()
        keep[r] = p, q

    def bwd(g=1.0):
        out = np.zeros(Z.shape, Z.dtype)
        for r, (p, q) in keep.items():
            dp = -q / p
            out[r] = g * w[r] / div * p * (dp - (dp * p).sum())
        return out.reshape(logits.shape)
    return np.asarray(loss)[()], bwd


@case('linear_cross_entropy', OK, 'right', name='right_lce_chunks')
def right_lce_chunks(x, weight, targets, *, position_weights=None, reduction='mean'):
    X, t = x.reshape(-1, weight.shape[0]), np.asarray(targets).reshape(-1)
    w = np.ones(len(t)) if position_weights is None else np.reshape(position_weights, -1)
    w = w / w.sum() if reduction == 'mean' and w.sum() > 0 else w
    V = weight.shape[1]
    m = np.full(len(X), -np.inf)
    s = np.zeros(len(X), X.dtype)
    at = np.zeros(len(X), X.dtype)
    for a in range(0, V, 2):                           # online log-sum-exp over the catalogue
        z = X @ weight[:, a:a + 2]
        new = np.maximum(m, z.real.max(1))
        s = s * np.exp(m - new) + np.exp(z - new[:, None]).sum(1)
        m = new
        here = (t >= a) & (t < a + 2)
        at[here] = z[here, t[here] - a]
    lse = m + np.log(s)

    def bwd(g=1.0):
        dX, dW = np.zeros_like(X), np.zeros_like(weight)
        for a in range(0, V, 2):
            W = weight[:, a:a + 2]
            d = np.exp(X @ W - lse[:, None]) - (t[:, None] == np.arange(a, a + W.shape[1]))
            d = d * (g * w)[:, None]
            dX += d @ W.T
            dW[:, a:a + 2] = X.T @ d
        return dX.reshape(x.shape), dW
    return (w * (lse - at)).sum(), bwd


@case('binary_cross_entropy_with_logits', OK, 'right', name='right_bce_softplus')
def right_bce_softplus(logits, targets, *, position_weights=None, reduction='mean'):
    w = np.ones(logits.shape) if position_weights is None else position_weights
    W = w.sum() if reduction == 'mean' and w.sum() > 0 else 1
    m = np.maximum(-logits.real, 0)
    nls = m + np.log(np.exp(-m) + np.exp(-logits - m))
    loss = np.sum(w * ((1 - targets) * logits + nls)) / W

    def bwd(d=1.0):
        c = d / W * w
        return c * ((1 - targets) - (1 - np.exp(-nls))), c * -logits
    return loss, bwd


@case('layer_norm', OK, 'right', name='right_ln_matrix')
def right_ln_matrix(x, weight, bias, *, eps=1e-5):
    D = x.shape[-1]
    X = x.reshape(-1, D)
    Y, Js, Zs = [], [], []
    w, b = (np.ones(D) if weight is None else weight), (np.zeros(D) if bias is None else bias)
    for row in X:
        c = row - row.sum() / D
        v = c @ c / D + eps
        Zs.append(c / v ** 0.5)
        Js.append((np.eye(D) - 1 / D - np.outer(c, c) / (D * v)) / v ** 0.5 * w[:, None])
        Y.append(Zs[-1] * w + b)

    def bwd(dy):
        G = dy.reshape(-1, D)
        dX = np.array([g @ J for g, J in zip(G, Js)])
        return dX.reshape(x.shape), None if weight is None else sum(g * z for g, z in zip(G, Zs)), None if bias is None else G.sum(0)
    return np.array(Y).reshape(x.shape), bwd


@case('linear', OK, 'right', name='right_linear_outer')
def right_linear_outer(x, weight, bias=None):
    y = sum(x[..., i, None] * weight[i] for i in range(len(weight)))
    if bias is not None:
        y = y + bias

    def bwd(dy):
        dx = np.stack([(dy * weight[i]).sum(-1) for i in range(len(weight))], -1)
        dw, db = np.zeros_like(weight), None if bias is None else np.zeros_like(bias)
        for pos in np.ndindex(*x.shape[:-1]):
            dw += np.outer(x[pos], dy[pos])
            if db is not None:
                db += dy[pos]
        return dx, dw, db
    return y, bwd


@case('embedding', OK, 'right', name='right_embedding_bincount')
def right_embedding_bincount(ids, weight, *, padding_id=0):
    ids = np.asarray(ids)
    table = weight if padding_id is None else np.where(np.arange(len(weight))[:, None] == padding_id, 0, weight)

    def bwd(dy):
        order = np.argsort(ids.ravel(), kind='stable')
        g, k = dy.reshape(ids.size, -1)[order], ids.ravel()[order]
        cut = np.searchsorted(k, np.arange(len(weight) + 1))
        acc = np.concatenate([np.zeros((1, weight.shape[1]), g.dtype), np.cumsum(g, 0)])
        d = np.stack([g[a:b].sum(0) for a, b in zip(cut[:-1], cut[1:])]) + 0 * acc[:1]
        return d if padding_id is None else d * (np.arange(len(weight)) != padding_id)[:, None]
    return table[ids], bwd


@case('scaled_dot_product_attention', OK, 'right', name='right_flash',
      inputs=(N(1, 2, 3, 4), N(2, 2, 5, 4), N(3, 2, 5, 3)), kw=dict(dropout_p=0.4, keep=draw(4, 2, 3, 5), scale=0.8))
def right_flash(query, key, value, *, mask=None, scale=None, dropout_p=0.0, rng=None, keep=None):
    lead = np.broadcast_shapes(query.shape[:-2], key.shape[:-2], value.shape[:-2])
    wlead = np.broadcast_shapes(query.shape[:-2], key.shape[:-2])
    Lq, Lk = query.shape[-2], key.shape[-2]
    c = scale if scale is not None else 1 / math.sqrt(query.shape[-1])
    if keep is None and rng is not None and dropout_p:
        keep = rng.random(wlead + (Lq, Lk), dtype=np.float32) >= dropout_p
    z = np.ones(wlead + (Lq, Lk)) if keep is None else np.broadcast_to(keep, wlead + (Lq, Lk)) / (1 - dropout_p)
    ok = np.broadcast_to(True if mask is None else mask, wlead + (Lq, Lk))
    Q, K, V = (np.broadcast_to(a, lead + a.shape[-2:]) for a in (query, key, value))
    z, ok = np.broadcast_to(z, lead + z.shape[-2:]), np.broadcast_to(ok, lead + ok.shape[-2:])
    O = np.zeros(lead + (Lq, V.shape[-1]), Q.dtype)
    m, l = np.full(lead + (Lq, 1), -1e300), np.zeros(lead + (Lq, 1), Q.dtype)
    tiles = [slice(j, j + 2) for j in range(0, Lk, 2)]
    for j in tiles:
        S = c * Q @ T(K[..., j, :])
        new = np.maximum(m, np.where(ok[..., j], S.real, -1e300).max(-1, keepdims=True))
        e = np.where(ok[..., j], np.exp(np.where(ok[..., j], S - new, 0)), 0)
        fix = np.exp(m - new)
        l, O, m = l * fix + e.sum(-1, keepdims=True), O * fix + (e * z[..., j]) @ V[..., j, :], new
    safe = np.where(l.real == 0, 1, l)
    O = O / safe

    def fold(g, like):
        g = g.sum(tuple(range(g.ndim - like.ndim)))
        return g.sum(tuple(i for i, n in enumerate(like.shape) if n == 1 and g.shape[i] > 1), keepdims=True)

    def bwd(dO):
        delta = (dO * O).sum(-1, keepdims=True)
        dQ, dK, dV = np.zeros(Q.shape, O.dtype), np.zeros(K.shape, O.dtype), np.zeros(V.shape, O.dtype)
        for j in tiles:
            S = c * Q @ T(K[..., j, :])
            P = np.where(ok[..., j], np.exp(np.where(ok[..., j], S - m, 0)), 0) / safe
            dV[..., j, :] += T(P * z[..., j]) @ dO
            dS = c * P * (z[..., j] * (dO @ T(V[..., j, :])) - delta)
            dQ += dS @ K[..., j, :]
            dK[..., j, :] += T(dS) @ Q
        return fold(dQ, query), fold(dK, key), fold(dV, value)
    return O, bwd


@case('multi_head_attention', OK, 'right', name='right_mha_per_head', inputs=(mha(5, 4), N(6, 2, 3, 4), N(7, 2, 5, 4), N(8, 2, 5, 4)), kw=dict(n_heads=2))
def right_mha_per_head(params, query, key, value, *, n_heads, mask=None, scale=None, dropout_p=0.0, rng=None, keep=None):
    names, ins = ('query', 'key', 'value'), (query, key, value)

    def part(n, h):
        p = params[n]
        d = p['weight'].shape[1] // n_heads
        s = slice(h * d, (h + 1) * d)
        return s, p['weight'][:, s], 0 if p['bias'] is None else p['bias'][s]

    heads, stash = [], []
    lead = np.broadcast_shapes(query.shape[:-2], key.shape[:-2])
    full = lead + (n_heads, query.shape[-2], key.shape[-2])
    if keep is None and rng is not None and dropout_p:
        keep = rng.random(full, dtype=np.float32) >= dropout_p
    Z = np.ones(full) if keep is None else np.broadcast_to(keep, full) / (1 - dropout_p)
    for h in range(n_heads):
        q, k, v = (a @ part(n, h)[1] + part(n, h)[2] for n, a in zip(names, ins))
        c = q.shape[-1] ** -0.5 if scale is None else scale
        S = c * np.einsum('...id,...jd->...ij', q, k)
        ok = np.broadcast_to(True if mask is None else mask, S.shape)
        m = np.where(ok, S.real, -1e300).max(-1, keepdims=True)
        E = np.where(ok, np.exp(np.where(ok, S - m, 0)), 0)
        A = E / np.where(ok.any(-1, keepdims=True), E.sum(-1, keepdims=True), 1)
        stash.append((q, k, v, A, c, Z[..., h, :, :]))
        heads.append((A * Z[..., h, :, :]) @ v)
    cat = np.concatenate(heads, -1)
    po = params['output']
    out = cat if po is None else cat @ po['weight'] + (0 if po['bias'] is None else po['bias'])
    rows = lambda a: a.reshape(-1, a.shape[-1])

    def bwd(dy):
        G = {n: {'weight': np.zeros_like(params[n]['weight']), 'bias': None if params[n]['bias'] is None else np.zeros_like(params[n]['bias'])} for n in names}
        G['output'] = None if po is None else {'weight': rows(cat).T @ rows(dy), 'bias': None if po['bias'] is None else rows(dy).sum(0)}
        dcat = dy if po is None else dy @ po['weight'].T
        dins = [np.zeros_like(a) for a in ins]
        for h, (q, k, v, A, c, z) in enumerate(stash):
            do = dcat[..., part('value', h)[0]]
            dA = z * np.einsum('...id,...jd->...ij', do, v)
            dS = A * c * (dA - (A * dA).sum(-1, keepdims=True))
            for i, (n, g) in enumerate(zip(names, (dS @ k, T(dS) @ q, T(A * z) @ do))):
                s, W, _ = part(n, h)
                G[n]['weight'][:, s] = rows(ins[i]).T @ rows(g)
                if G[n]['bias'] is not None:
                    G[n]['bias'][s] = rows(g).sum(0)
                dins[i] = dins[i] + g @ W.T
        return G, *dins
    return out, bwd


@case('lstm', OK, 'right', name='right_lstm_closures', inputs=(rec(9, 3, 4, 4), N(10, 2, 5, 3), N(11, 2, 8)))
def right_lstm_closures(params, x, initial=None, *, mask=None, last=False):
    Wx, Wh = params['input']['weight'], params['hidden']['weight']
    B, L, _ = x.shape
    H = len(Wh)
    b = sum((p['bias'] for p in params.values() if p['bias'] is not None), np.zeros(4 * H))
    m = np.broadcast_to(True if mask is None else mask, (B, L)) * 1.0
    h, c = (np.zeros((B, H)),) * 2 if initial is None else (initial[:, :H], initial[:, H:])
    undo, outs = [], np.zeros((B, L, H), np.result_type(x, Wx))
    acc = {}

    def step(t, h, c):
        k = m[:, [t]]
        a = x[:, t] @ Wx + h @ Wh + b
        S = 0.5 + 0.5 * np.tanh(a / 2)
        i, f, o, g = S[:, :H], S[:, H:2 * H], S[:, 3 * H:], np.tanh(a[:, 2 * H:3 * H])
        c1 = f * c + i * g
        y = np.tanh(c1)

        def back(gh, gc):
            gc1 = k * (gc + gh * o * (1 - y * y))
            ga = np.concatenate([gc1 * g, gc1 * c, gc1 * i, k * gh * y], 1)
            ga *= np.concatenate([i * (1 - i), f * (1 - f), 1 - g * g, o * (1 - o)], 1)
            acc['x'][:, t] = ga @ Wx.T
            acc['Wx'] += x[:, t].T @ ga
            acc['Wh'] += h.T @ ga
            acc['b'] += ga.sum(0)
            return ga @ Wh.T + (1 - k) * gh, gc1 * f + (1 - k) * gc
        return k * o * y + (1 - k) * h, k * c1 + (1 - k) * c, back

    for t in range(L):
        h, c, back = step(t, h, c)
        undo.append(back)
        outs[:, t] = m[:, [t]] * h
    out = h if last else outs

    def bwd(dy):
        acc.update(x=np.zeros_like(x), Wx=np.zeros_like(Wx), Wh=np.zeros_like(Wh), b=np.zeros(4 * H))
        gh, gc = (dy, 0 * dy) if last else (np.zeros((B, H)),) * 2
        for t in range(L)[::-1]:
            gh, gc = undo[t](gh if last else gh + m[:, [t]] * dy[:, t], gc)
        bias = lambda n: None if params[n]['bias'] is None else acc['b'].copy()
        return ({'input': {'weight': acc['Wx'], 'bias': bias('input')}, 'hidden': {'weight': acc['Wh'], 'bias': bias('hidden')}},
                acc['x'], None if initial is None else np.hstack([gh, gc]))
    return out, bwd


def rms_norm(x, weight, *, eps=1e-6):
    """x / sqrt(mean(x^2) + eps) * weight"""
    r = 1 / np.sqrt((x * x).mean(-1, keepdims=True) + eps)
    z = x * r

    def bwd(dy):
        g = dy * weight
        return r * (g - z * (g * z).mean(-1, keepdims=True)), (dy * z).reshape(-1, x.shape[-1]).sum(0)
    return z * weight, bwd


@case(rms_norm, OK, 'right', name='right_rms_norm', inputs=(N(12, 2, 3, 4), N(13, 4)), need_inputs=True)
def right_rms_norm(x, weight, *, eps=1e-6):
    n = x.shape[-1]
    ms = np.einsum('...i,...i->...', x, x)[..., None] / n + eps
    out = x * ms ** -0.5 * weight

    def bwd(dy):
        dms = -0.5 * (dy * weight * x).sum(-1, keepdims=True) * ms ** -1.5
        return dy * weight * ms ** -0.5 + dms * 2 * x / n, np.einsum('ri,ri->i', dy.reshape(-1, n), (x * ms ** -0.5).reshape(-1, n))
    return out, bwd
