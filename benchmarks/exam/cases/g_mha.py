import numpy as np
from benchmarks.exam.registry import case
from benchmarks.exam.cases.util import N, mha

T = lambda a: np.swapaxes(a, -1, -2)


def _proj(p, x):
    if p is None:
        return x
    y = x @ p['weight']
    return y if p['bias'] is None else y + p['bias']


def _dproj(p, x, g):
    """grads, d_x"""
    if p is None:
        return None, g
    X, G = x.reshape(-1, x.shape[-1]), g.reshape(-1, g.shape[-1])
    return {'weight': X.T @ G, 'bias': None if p['bias'] is None else G.sum(0)}, g @ p['weight'].T


def _split(x, h):
    return x.reshape(*x.shape[:-1], h, -1).swapaxes(-2, -3)


def _merge(x):
    y = x.swapaxes(-2, -3)
    return y.reshape(*y.shape[:-2], -1)


def _soft(s, mask):
    if mask is not None:
        s = np.where(mask if mask.ndim <= 2 else mask[..., None, :, :], s, -np.inf)
    top = s.real.max(-1, keepdims=True)
    e = np.exp(s - np.where(np.isfinite(top), top, 0))
    tot = e.sum(-1, keepdims=True)
    return e / np.where(tot.real == 0, 1, tot)


def _zed(shape, p, rng, keep):
    if keep is None:
        if rng is None or p == 0:
            return np.ones(shape)
        keep = rng.random(shape, dtype=np.float32) >= p
    return keep / (1 - p)


INPUTS = (mha(1, 4), N(2, 2, 3, 4), N(3, 2, 5, 4), N(4, 2, 5, 4))
KW = dict(n_heads=2)


def _build(params, query, key, value, n_heads, mask, scale, dropout_p, rng, keep, *, back_scale=None,
           kv_fused=False, swap=False, v_input=None, bias_mean=False):
    q, k, v = (_split(_proj(params[n], a), n_heads) for n, a in (('query', query), ('key', key), ('value', value)))
    sm = q.shape[-1] ** -0.5 if scale is None else scale
    P = _soft(sm * (q @ T(k)), mask)
    Z = _zed(P.shape, dropout_p, rng, keep)
    ctx = (P * Z) @ v
    merged = _merge(ctx)
    out = _proj(params['output'], merged)

    def bwd(dy):
        go, dm = _dproj(params['output'], merged, dy)
        if bias_mean and go is not None and go['bias'] is not None:
            go['bias'] = go['bias'] / (dy.size // dy.shape[-1])
        dctx = _split(dm, n_heads)
        dP = (dctx @ T(v)) * Z
        dS = P * (dP - (P * dP).sum(-1, keepdims=True)) * (sm if back_scale is None else back_scale(q))
        gq, dq = _dproj(params['query'], query, _merge(dS @ k))
        gk, dk = _dproj(params['key'], key, _merge(T(dS) @ q))
        gv, dv = _dproj(params['value'], value if v_input is None else v_input, _merge(T(P * Z) @ dctx))
        if kv_fused:
            dk = dk + dv
        if swap:
            gq['weight'], gk['weight'] = gk['weight'], gq['weight']
        return {'query': gq, 'key': gk, 'value': gv, 'output': go}, dq, dk, dv

    return out, bwd


@case('multi_head_attention', 'The gradient of the value heads (H, L, D/H) is merged with a bare reshape to (L, D), without swapping the head and position axes first, so what goes to the value projection is scrambled.',
      name='mha_view', inputs=INPUTS, kw=KW)
def mha_view(params, query, key, value, *, n_heads, mask=None, scale=None, dropout_p=0.0, rng=None, keep=None):
    lin = lambda n, a: np.einsum('...i,io->...o', a, params[n]['weight']) + (0 if params[n]['bias'] is None else params[n]['bias'])
    heads = lambda a: a.reshape(*a.shape[:-1], n_heads, a.shape[-1] // n_heads)        # (..., L, H, d)
    q, k, v = heads(lin('query', query)), heads(lin('key', key)), heads(lin('value', value))
    c = q.shape[-1] ** -0.5 if scale is None else scale
    A = _soft(np.einsum('...ihd,...jhd->...hij', q, k) * c, mask)
    Z = _zed(A.shape, dropout_p, rng, keep)
    O = np.einsum('...hij,...jhd->...ihd', A * Z, v)
    flat = O.reshape(*O.shape[:-2], -1)
    y = flat if params['output'] is None else lin('output', flat)

    def bwd(dy):
        def dlin(n, a, g):
            if params[n] is None:
                return None, g
            lead = list(range(a.ndim - 1))
            b = None if params[n]['bias'] is None else g.sum(tuple(lead))
            return {'weight': np.tensordot(a, g, (lead, lead)), 'bias': b}, np.einsum('...o,io->...i', g, params[n]['weight'])
        G = {}
        G['output'], dflat = dlin('output', flat, dy)
        dO = heads(dflat)
        dv = np.einsum('...hij,...ihd->...hjd', A * Z, dO)                              # (..., H, L, d)
        dv = dv
        dA = np.einsum('...ihd,...jhd->...hij', dO, v) * Z
        dS = c * A * (dA - np.einsum('...hij,...hij->...hi', A, dA)[..., None])
        dq, dk = np.einsum('...hij,...jhd->...ihd', dS, k), np.einsum('...hij,...ihd->...jhd', dS, q)
        outs = []
        for n, a, g in (('query', query, dq), ('key', key, dk), ('value', value, dv)):
            G[n], d = dlin(n, a, g.reshape(*a.shape[:-1], -1))
            outs.append(d)
        return {n: G[n] for n in ('query', 'key', 'value', 'output')}, *outs

    return y, bwd


@case('multi_head_attention', 'The packed projection is unpacked in the wrong order: the gradients of the weights of the query and the key projection are exchanged (the biases are right) in the tree that is returned.',
      name='mha_packed', inputs=INPUTS, kw=KW)
def mha_packed(params, query, key, value, *, n_heads, mask=None, scale=None, dropout_p=0.0, rng=None, keep=None):
    return _build(params, query, key, value, n_heads, mask, scale, dropout_p, rng, keep, swap=True)


@case('multi_head_attention', 'The backward pass scales the scores by 1 / sqrt(D), the full width, where the forward pass has 1 / sqrt(D / H), the width of one head.',
      name='mha_scale_full', inputs=INPUTS, kw=KW)
def mha_scale_full(params, query, key, value, *, n_heads, mask=None, scale=None, dropout_p=0.0, rng=None, keep=None):
    full = lambda q: (q.shape[-1] * n_heads) ** -0.5
    return _build(params, query, key, value, n_heads, mask, scale, dropout_p, rng, keep,
                  back_scale=full if scale is None else None)


@case('multi_head_attention', 'Ported from a layer whose keys and values are one memory: d_key also contains d_value (the two are added), though key and value are separate arguments.',
      name='mha_memory', inputs=INPUTS, kw=KW)
def mha_memory(params, query, key, value, *, n_heads, mask=None, scale=None, dropout_p=0.0, rng=None, keep=None):
    return _build(params, query, key, value, n_heads, mask, scale, dropout_p, rng, keep, kv_fused=True)


@case('multi_head_attention', 'Two mistakes: the weight gradient of the value projection is made with the key input in place of the value input, and the bias gradient of the output projection is a mean over positions, not a sum.', 'two',
      name='mha_inputs', inputs=INPUTS, kw=KW)
def mha_inputs(params, query, key, value, *, n_heads, mask=None, scale=None, dropout_p=0.0, rng=None, keep=None):
    return _build(params, query, key, value, n_heads, mask, scale, dropout_p, rng, keep, v_input=key, bias_mean=True)
