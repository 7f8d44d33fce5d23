import numpy as np
from attention_from_scratch.ops.contract import unbroadcast
from benchmarks.exam.registry import case
from benchmarks.exam.cases.util import N, keep as draw

T = lambda a: np.swapaxes(a, -1, -2)


def _softmax(s, mask):
    if mask is not None:
        s = np.where(mask, s, -np.inf)
    top = s.real.max(-1, keepdims=True)
    top = np.where(np.isfinite(top), top, 0)
    e = np.exp(s - top)
    tot = e.sum(-1, keepdims=True)
    return e / np.where(tot.real == 0, 1, tot)


def _drop(shape, p, rng, keep):
    if keep is None:
        if rng is None or p == 0:
            return np.ones(shape)
        keep = rng.random(shape, dtype=np.float32) >= p
    return np.broadcast_to(keep, shape) / (1 - p)


CAUSAL = np.tri(4, dtype=bool)


@case('attention_weights', 'The query is scaled beforehand, and d_key uses the query as it was before scaling: the factor scale is missing in d_key.',
      name='aw_prescaled')
def aw_prescaled(query, key, *, mask=None, scale=None):
    scale = query.shape[-1] ** -0.5 if scale is None else scale
    q = query * scale
    P = _softmax(np.einsum('...id,...jd->...ij', q, key), mask)

    def bwd(dP):
        dS = P * (dP - np.einsum('...ij,...ij->...i', P, dP)[..., None])
        dq = np.einsum('...ij,...jd->...id', dS, key) * scale
        dk = np.einsum('...ij,...id->...jd', dS, query)
        return unbroadcast(dq, query.shape), unbroadcast(dk, key.shape)

    return P, bwd


@case('attention_weights', 'The backward pass recomputes the weights from the scores without the mask, so masked keys take part in the softmax there.',
      name='aw_recompute', inputs=(N(1, 2, 4, 3), N(2, 2, 4, 3)), kw=dict(mask=CAUSAL))
def aw_recompute(query, key, *, mask=None, scale=None):
    alpha = float(scale) if scale is not None else 1 / np.sqrt(query.shape[-1])

    def fwd(m):
        return _softmax(query @ T(key) * alpha, m)

    def bwd(dP):
        P = fwd(None)
        dS = (dP - (dP * P).sum(-1, keepdims=True)) * P * alpha
        return unbroadcast(dS @ key, query.shape), unbroadcast(T(dS) @ query, key.shape)

    return fwd(mask), bwd


@case('scaled_dot_product_attention', 'With dropout the row term of the softmax is the sum of weights times the gradient of the dropped weights (before it has gone back through dropout), so delta is not that of the softmax output.',
      name='sdpa_delta', inputs=(N(3, 3, 4), N(4, 5, 4), N(5, 5, 2)), kw=dict(dropout_p=0.3, keep=draw(1, 3, 5)))
def sdpa_delta(query, key, value, *, mask=None, scale=None, dropout_p=0.0, rng=None, keep=None):
    sm = query.shape[-1] ** -0.5 if scale is None else scale
    S = sm * (query @ T(key))
    P = _softmax(S, mask)
    Z = _drop(P.shape, dropout_p, rng, keep)
    O = (P * Z) @ value

    def bwd(dO):
        dV = T(P * Z) @ dO
        dPdrop = unbroadcast(dO @ T(value), P.shape)
        dP = dPdrop * Z
        delta = (P * dPdrop).sum(-1, keepdims=True)
        dS = P * (dP - delta)
        return (unbroadcast(sm * dS @ key, query.shape), unbroadcast(sm * T(dS) @ query, key.shape), unbroadcast(dV, value.shape))

    return O, bwd


@case('scaled_dot_product_attention', 'd_value is computed with the weights before dropout, not with those that were dropped and rescaled in the forward pass.',
      name='sdpa_dv', inputs=(N(6, 3, 4), N(7, 5, 4), N(8, 5, 2)), kw=dict(dropout_p=0.3, keep=draw(2, 3, 5)))
def sdpa_dv(query, key, value, *, mask=None, scale=None, dropout_p=0.0, rng=None, keep=None):
    c = 1 / np.sqrt(query.shape[-1]) if scale is None else scale
    A = _softmax(np.matmul(query, T(key)) * c, mask)
    D = _drop(A.shape, dropout_p, rng, keep)
    Ad = A * D

    def bwd(g):
        gV = np.einsum('...ij,...id->...jd', A, g)
        gA = unbroadcast(np.einsum('...id,...jd->...ij', g, value), A.shape) * D
        gS = c * A * (gA - np.einsum('...ij,...ij->...i', gA, A)[..., None])
        gQ, gK = gS @ key, np.einsum('...ij,...id->...jd', gS, query)
        return unbroadcast(gQ, query.shape), unbroadcast(gK, key.shape), unbroadcast(gV, value.shape)

    return np.einsum('...ij,...jd->...id', Ad, value), bwd


@case('scaled_dot_product_attention', 'The backward pass uses 1 / sqrt(D) whatever `scale` was given, so d_query and d_key are off by a factor when a scale is passed.',
      name='sdpa_scale', inputs=(N(9, 3, 4), N(10, 5, 4), N(11, 5, 2)), kw=dict(scale=0.9))
def sdpa_scale(query, key, value, *, mask=None, scale=None, dropout_p=0.0, rng=None, keep=None):
    default = 1 / np.sqrt(query.shape[-1])

    class Saved:
        s = default if scale is None else scale
        p = _softmax((default if scale is None else scale) * (query @ T(key)), mask)
    Saved.z = _drop(Saved.p.shape, dropout_p, rng, keep)

    def bwd(do):
        p, z = Saved.p, Saved.z
        dp = z * unbroadcast(do @ T(value), p.shape)
        ds = default * p * (dp - (dp * p).sum(-1)[..., None])
        return unbroadcast(ds @ key, query.shape), unbroadcast(T(ds) @ query, key.shape), unbroadcast(T(p * z) @ do, value.shape)

    return (Saved.p * Saved.z) @ value, bwd


@case('scaled_dot_product_attention', 'The tiled backward pass goes over blocks of two queries and stores d_key of each block in place of adding it: only the last block of queries reaches the keys.',
      name='sdpa_tiles', inputs=(N(12, 5, 4), N(13, 4, 4), N(14, 4, 2)))
def sdpa_tiles(query, key, value, *, mask=None, scale=None, dropout_p=0.0, rng=None, keep=None):
    scale = query.shape[-1] ** -0.5 if scale is None else scale
    lead = np.broadcast_shapes(query.shape[:-2], key.shape[:-2])
    P0 = _softmax(scale * (query @ T(key)), mask)
    Z = _drop(P0.shape, dropout_p, rng, keep)
    O = (P0 * Z) @ value

    def bwd(dO):
        Q = np.broadcast_to(query, lead + query.shape[-2:])
        dQ, dK, dV = np.zeros(Q.shape, O.dtype), np.zeros(lead + key.shape[-2:], O.dtype), 0
        for i in range(0, Q.shape[-2], 2):
            b = slice(i, i + 2)
            P, dOi = P0[..., b, :], dO[..., b, :]
            D = unbroadcast((dOi * O[..., b, :]).sum(-1, keepdims=True), P.shape[:-1] + (1,))
            dP = unbroadcast(dOi @ T(value), P.shape) * Z[..., b, :]
            dS = P * (dP - D) * scale
            dV = dV + T(P * Z[..., b, :]) @ dOi
            dQ[..., b, :] = dS @ key
            dK = T(dS) @ Q[..., b, :]
        return unbroadcast(dQ, query.shape), unbroadcast(dK, key.shape), unbroadcast(dV, value.shape)

    return O, bwd


@case('scaled_dot_product_attention', 'Where keys and values are shared by several batches (broadcast leading axes), their gradients are averaged over the copies in place of summed.',
      name='sdpa_shared_kv', inputs=(N(15, 3, 2, 4), N(16, 3, 4), N(17, 3, 2)))
def sdpa_shared_kv(query, key, value, *, mask=None, scale=None, dropout_p=0.0, rng=None, keep=None):
    scale = query.shape[-1] ** -0.5 if scale is None else scale
    w = _softmax(scale * (query @ T(key)), mask)
    z = _drop(w.shape, dropout_p, rng, keep)

    def fold(g, like):
        n = int(np.prod(g.shape)) / max(1, like.size)
        return unbroadcast(g, like.shape)/ n

    def bwd(dy):
        dw = unbroadcast(dy @ T(value), w.shape) * z
        ds = w * (dw - (w * dw).sum(-1, keepdims=True))
        return unbroadcast(scale * (ds @ key), query.shape), fold(scale * (T(ds) @ query), key), fold(T(w * z) @ dy, value)

    return (w * z) @ value, bwd


@case('scaled_dot_product_attention', 'Two mistakes: the buffer of the weights is overwritten with d_weights before the softmax backward, so d_scores = dP (dP - delta) with dP in the place of the weights, and d_query lacks the factor scale.', 'two',
      name='sdpa_inplace')
def sdpa_inplace(query, key, value, *, mask=None, scale=None, dropout_p=0.0, rng=None, keep=None):
    f = query.shape[-1] ** -0.5 if scale is None else scale
    P = _softmax(query @ T(key) * f, mask)
    Z = _drop(P.shape, dropout_p, rng, keep)

    def bwd(dO):
        ws = P.copy()
        dV = T(ws * Z) @ dO
        dP = unbroadcast(dO @ T(value), P.shape) * Z
        delta = (dP * ws).sum(-1, keepdims=True)
        ws[...] = dP
        dP -= delta
        ws *= dP
        return (unbroadcast(ws @ key, query.shape), unbroadcast(T(ws) @ query * f, key.shape), unbroadcast(dV, value.shape))

    return (P * Z) @ value, bwd
