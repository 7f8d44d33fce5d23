import numpy as np
from benchmarks.exam.registry import case
from benchmarks.exam.cases.util import N, mha, wb


def _ln(x, w, b, eps=1e-5):
    mu = x.mean(-1, keepdims=True)
    s = np.sqrt(((x - mu) ** 2).mean(-1, keepdims=True) + eps)
    z = (x - mu) / s

    def bwd(dy):
        g = dy * w
        dx = (g - g.mean(-1, keepdims=True) - z * (g * z).mean(-1, keepdims=True)) / s
        return dx, (dy * z).reshape(-1, x.shape[-1]).sum(0), dy.reshape(-1, x.shape[-1]).sum(0)
    return z * w + b, bwd


def _lin(p, x):
    def bwd(dy):
        X, G = x.reshape(-1, x.shape[-1]), dy.reshape(-1, dy.shape[-1])
        return {'weight': X.T @ G, 'bias': G.sum(0)}, dy @ p['weight'].T
    return x @ p['weight'] + p['bias'], bwd


# ---- pre-norm feed-forward block with residual

def prenorm_ff(params, x):
    h, b_ln = _ln(x, params['norm']['weight'], params['norm']['bias'])
    a, b_up = _lin(params['up'], h)
    t = np.tanh(a)
    y, b_down = _lin(params['down'], t)

    def bwd(dy):
        gd, dt = b_down(dy)
        gu, dh = b_up(dt * (1 - t * t))
        dx, dw, db = b_ln(dh)
        return {'norm': {'weight': dw, 'bias': db}, 'up': gu, 'down': gd}, dx + dy
    return x + y, bwd


@case(prenorm_ff, 'Two mistakes: the gradient through the residual connection is missing in d_x (only the branch is there), and the tanh slope is taken as 1 - t, the square is missing.', 'two',
      name='prenorm_inplace', inputs=({'norm': {'weight': N(1, 4), 'bias': N(2, 4)}, 'up': wb(3, 4, 6), 'down': wb(5, 6, 4)}, N(7, 2, 3, 4)), need_inputs=True)
def prenorm_inplace(params, x):
    h, b_ln = _ln(x, params['norm']['weight'], params['norm']['bias'])
    act = np.tanh(h @ params['up']['weight'] + params['up']['bias'])
    res = x.copy()
    res += act @ params['down']['weight'] + params['down']['bias']

    def bwd(dy):
        g = {}
        rows = lambda a: a.reshape(-1, a.shape[-1])
        g['down'] = {'weight': rows(act).T @ rows(dy), 'bias': rows(dy).sum(0)}
        da = dy @ params['down']['weight'].T
        da *= 1 - act
        g['up'] = {'weight': rows(h).T @ rows(da), 'bias': rows(da).sum(0)}
        dx, dw, db = b_ln(da @ params['up']['weight'].T)
        g['norm'] = {'weight': dw, 'bias': db}
        pass
        return g, dx
    return res, bwd


# ---- rotary positions

def rotary(x, *, base=100.0):
    """(..., L, D): pairs (first half, second half) turned by position * base^(-2 i / D)."""
    L, D = x.shape[-2:]
    ang = np.arange(L)[:, None] * base ** (-np.arange(D // 2) * 2 / D)
    cos, sin = np.cos(ang), np.sin(ang)
    turn = lambda a, s: np.concatenate([a[..., :D // 2] * cos - s * a[..., D // 2:] * sin, a[..., D // 2:] * cos + s * a[..., :D // 2] * sin], -1)
    return turn(x, 1), lambda dy: turn(dy, -1)


@case(rotary, 'The backward pass turns the gradient by the same angle as the forward pass, it must turn it back: the sign of the sine is wrong.',
      name='rotary_kernel', inputs=(N(8, 2, 4, 6),), need_inputs=True)
def rotary_kernel(x, *, base=100.0):
    L, D = x.shape[-2:]
    inv = base ** (-np.arange(0, D, 2) / D)
    f = np.outer(np.arange(L), inv)
    emb = np.concatenate([f, f], -1)

    def rotate_half(a):
        return np.concatenate([-a[..., D // 2:], a[..., :D // 2]], -1)

    def apply(a, sign):
        return a * np.cos(emb) + sign * rotate_half(a) * np.sin(emb)

    return apply(x, 1.0), lambda dy: apply(dy, 1.0)


# ---- grouped-query attention

def gqa(query, key, value):
    """query (H, L, D), key and value (H_kv, L, D): query head h reads kv head h // (H / H_kv)."""
    H, Hk = len(query), len(key)
    n = H // Hk
    s = query.shape[-1] ** -0.5
    outs, saved = [], []
    for h in range(H):
        S = s * query[h] @ key[h // n].T
        e = np.exp(S - S.real.max(-1, keepdims=True))
        P = e / e.sum(-1, keepdims=True)
        saved.append(P)
        outs.append(P @ value[h // n])

    def bwd(dy):
        dq, dk, dv = np.zeros_like(query), np.zeros_like(key), np.zeros_like(value)
        for h, P in enumerate(saved):
            dP = dy[h] @ value[h // n].T
            dS = s * P * (dP - (P * dP).sum(-1, keepdims=True))
            dq[h] = dS @ key[h // n]
            dk[h // n] += dS.T @ query[h]
            dv[h // n] += P.T @ dy[h]
        return dq, dk, dv
    return np.stack(outs), bwd


@case(gqa, 'The gradients of the repeated key heads are summed as if the heads had been tiled (h mod H_kv) while the forward pass repeats each head (h // group), so d_key adds up the wrong heads; d_value is right.',
      name='gqa_repeat_kv', inputs=(N(9, 4, 3, 2), N(10, 2, 3, 2), N(11, 2, 3, 2)), need_inputs=True)
def gqa_repeat_kv(query, key, value):
    Hk = key.shape[0]
    n = query.shape[0] // Hk
    K, V = np.repeat(key, n, 0), np.repeat(value, n, 0)
    scale = 1 / np.sqrt(query.shape[-1])
    S = np.einsum('hid,hjd->hij', query, K) * scale
    P = np.exp(S - S.real.max(-1, keepdims=True))
    P = P / P.sum(-1, keepdims=True)

    def bwd(dO):
        dV = np.einsum('hij,hid->hjd', P, dO)
        dP = np.einsum('hid,hjd->hij', dO, V)
        dS = scale * P * (dP - np.einsum('hij,hij->hi', dP, P)[..., None])
        dK = np.einsum('hij,hid->hjd', dS, query)
        return (np.einsum('hij,hjd->hid', dS, K), dK.reshape(n, Hk, *dK.shape[1:]).sum(0),
                dV.reshape(Hk, n, *dV.shape[1:]).sum(1))
    return np.einsum('hij,hjd->hid', P, V), bwd


# ---- tied language-model head with learned positions

def tied_lm(table, positions, ids):
    """logits (B, L, V) = tanh(table[ids] + positions) @ table.T"""
    h = np.tanh(table[ids] + positions)

    def bwd(dy):
        dh = (dy @ table) * (1 - h * h)
        dt = np.einsum('blv,bld->vd', dy, h)
        np.add.at(dt, ids, dh)
        return dt, dh.sum(0)
    return h @ table.T, bwd


@case(tied_lm, 'The tied table only gets the gradient of the look-up: that of the head is overwritten in place of added to it.',
      name='tied_overwrite', inputs=(N(12, 5, 3), N(13, 4, 3), np.array([[1, 3, 1, 0], [4, 2, 1, 3]])), need_inputs=True)
def tied_overwrite(table, positions, ids):
    V, D = table.shape
    onehot = np.eye(V)[ids]
    hidden = np.tanh(onehot @ table + positions[None])

    def bwd(dy):
        grad = {}
        grad['table'] = dy.reshape(-1, V).T @ hidden.reshape(-1, D)
        dpre = (1 - hidden ** 2) * (dy @ table)
        grad['table'] = onehot.reshape(-1, V).T @ dpre.reshape(-1, D)
        return grad['table'], np.add.reduce(dpre, 0)
    return hidden @ table.T, bwd


# ---- cosine scores

def cosine(query, key):
    """(m, D), (n, D) -> (m, n)"""
    qn, kn = np.sqrt((query * query).sum(-1, keepdims=True)), np.sqrt((key * key).sum(-1, keepdims=True))
    q, k = query / qn, key / kn

    def bwd(dy):
        dq, dk = dy @ k, dy.T @ q
        return (dq - q * (q * dq).sum(-1, keepdims=True)) / qn, (dk - k * (k * dk).sum(-1, keepdims=True)) / kn
    return q @ k.T, bwd


@case(cosine, 'The norm of the key is treated as a constant (detached): d_key lacks the projection, the term k (k . d_k) that comes from the derivative of its norm.',
      name='cosine_detached', inputs=(N(14, 3, 4), N(15, 5, 4)), need_inputs=True)
def cosine_detached(query, key):
    iq, ik = (query ** 2).sum(1) ** -0.5, (key ** 2).sum(1) ** -0.5
    C = iq[:, None] * (query @ key.T) * ik

    def bwd(dy):
        w = iq[:, None] * dy * ik
        d_q = w @ key - query * (iq ** 2 * (dy * C).sum(1))[:, None]
        d_k = w.T @ query
        return d_q, d_k
    return C, bwd
