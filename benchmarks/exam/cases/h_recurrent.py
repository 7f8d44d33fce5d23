import numpy as np
from benchmarks.exam.registry import case
from benchmarks.exam.cases.util import N, rec

sig = lambda a: 1 / (1 + np.exp(-a))
INP = lambda g, s: (rec(s, 3, 4, g), N(s + 30, 2, 5, 3), N(s + 31, 2, 4))
MASK = np.array([[True, True, False, True, True], [False, True, True, True, False]])


def _lin(p, x):
    y = x @ p['weight']
    return y if p['bias'] is None else y + p['bias']


def _acc(p, xs, gs):
    """Gradients of a projection applied to many rows."""
    X, G = xs.reshape(-1, xs.shape[-1]), gs.reshape(-1, gs.shape[-1])
    return {'weight': X.T @ G, 'bias': None if p['bias'] is None else G.sum(0)}


def _real(mask, x):
    return np.ones(x.shape[:2], bool) if mask is None else np.broadcast_to(mask, x.shape[:2])


class RNN:
    """Forward keeps the states; backward in one sweep, the products with the parameters afterwards."""

    def __init__(self, params, x, initial, mask, last):
        self.p, self.x, self.initial, self.last, self.m = params, x, initial, last, _real(mask, x)
        a = _lin(params['input'], x)
        h = np.zeros((len(x), len(params['hidden']['weight'])), a.dtype) if initial is None else initial
        self.hs = [h]
        for t in range(x.shape[1]):
            n = np.tanh(a[:, t] + _lin(params['hidden'], h))
            h = np.where(self.m[:, t, None], n, h)
            self.hs.append(h)
        self.hs = np.stack(self.hs, 1)
        self.out = h if last else self.hs[:, 1:] * self.m[..., None]

    def carried(self, dh, da, on):
        return np.where(on, da @ self.p['hidden']['weight'].T, dh)

    def join(self, seen, carry):
        return seen + carry

    def backward(self, dy):
        L = self.x.shape[1]
        seen = np.zeros_like(self.hs[:, 1:])
        if self.last:
            if L:
                seen[:, -1] = dy
        else:
            seen = dy * self.m[..., None]
        das, carry = np.zeros_like(seen), np.zeros_like(self.hs[:, 0])
        for t in range(L - 1, -1, -1):
            dh = self.join(seen[:, t], carry)
            on = self.m[:, t, None]
            das[:, t] = np.where(on, dh * (1 - self.hs[:, t + 1] ** 2), 0)
            carry = self.carried(dh, das[:, t], on)
        grads = {'input': _acc(self.p['input'], self.x, das), 'hidden': _acc(self.p['hidden'], self.hs[:, :-1], das)}
        return grads, das @ self.p['input']['weight'].T, None if self.initial is None else carry


@case('rnn', 'The gradient that step t + 1 sends back to the state is not added to d_output_t but dropped (each step is treated alone, truncated after one step): nothing flows from step to step.',
      name='rnn_truncated', inputs=INP(1, 1))
def rnn_truncated(params, x, initial=None, *, mask=None, last=False):
    class Net(RNN):
        def join(self, seen, carry):
            return seen
    net = Net(params, x, initial, mask, last)
    return net.out, net.backward


@case('rnn', 'At a step without an event the gradient of the state is lost (set to 0) on its way back, though the state was passed on as it was and its gradient must be too.',
      name='rnn_masked_carry', inputs=INP(1, 2), kw=dict(mask=MASK))
def rnn_masked_carry(params, x, initial=None, *, mask=None, last=False):
    class Net(RNN):
        def carried(self, dh, da, on):
            back = da @ self.p['hidden']['weight'].T
            return back
    net = Net(params, x, initial, mask, last)
    return net.out, net.backward


def _gru(params, x, initial, mask, last, *, hidden_n=None, init_path=None, bias_from=None):
    m = _real(mask, x)
    B, L = m.shape
    after = 'candidate' not in params
    H = len(params['hidden']['weight'])
    xg = _lin(params['input'], x)
    h = np.zeros((B, H), xg.dtype) if initial is None else initial
    tape = []
    outs = np.zeros((B, L, H), xg.dtype)
    for t in range(L):
        hg = _lin(params['hidden'], h)
        r, z = sig(xg[:, t, :H] + hg[:, :H]), sig(xg[:, t, H:2 * H] + hg[:, H:2 * H])
        hn = hg[:, 2 * H:] if after else _lin(params['candidate'], r * h)
        n = np.tanh(xg[:, t, 2 * H:] + (r * hn if after else hn))
        on = m[:, t, None]
        tape.append((h, r, z, n, hn, on))
        h = np.where(on, n + z * (h - n), h)
        outs[:, t] = h * on
    out = h if last else outs

    def bwd(dy):
        dxg = np.zeros_like(xg)
        dhg = np.zeros((B, L, (3 if after else 2) * H), xg.dtype)
        dcand, hist, rh = np.zeros((B, L, H), xg.dtype), np.zeros((B, L, H), xg.dtype), np.zeros((B, L, H), xg.dtype)
        carry = dy if last else np.zeros((B, H), xg.dtype)
        for t in reversed(range(L)):
            h0, r, z, n, hn, on = tape[t]
            dh = carry + (0 if last else dy[:, t] * on)
            d = dh * on
            dn = d * (1 - z) * (1 - n * n)
            dz = d * (h0 - n) * z * (1 - z)
            hist[:, t], rh[:, t] = h0, r * h0
            if after:
                dr = dn * hn * r * (1 - r)
                dhn = dn * r if hidden_n is None else hidden_n(dn, r)
                dhg[:, t] = np.hstack([dr, dz, dhn])
                back = dhg[:, t] @ params['hidden']['weight'].T
            else:
                dcand[:, t] = dn
                drh = dn @ params['candidate']['weight'].T
                dr = drh * h0 * r * (1 - r)
                dhg[:, t] = np.hstack([dr, dz])
                back = dhg[:, t] @ params['hidden']['weight'].T + drh * r
            dxg[:, t] = np.hstack([dr, dz, dn])
            direct = d * z
            if t == 0 and init_path is not None:
                direct = init_path(direct)
            carry = np.where(on, back + direct, dh)
        grads = {'input': _acc(params['input'], x, dxg), 'hidden': _acc(params['hidden'], hist, dhg)}
        if not after:
            grads['candidate'] = _acc(params['candidate'], rh, dcand)
        if bias_from is not None and after and grads['hidden']['bias'] is not None:
            grads['hidden']['bias'] = bias_from(dhg, dxg)
        return grads, dxg @ params['input']['weight'].T, None if initial is None else carry

    return out, bwd


@case('gru', 'The part of the new state: what goes back into h W_hn + b_hn is d_n without the factor r (the reset gate), as in the form where r acts before the product.',
      name='gru_reset', inputs=INP(3, 3))
def gru_reset(params, x, initial=None, *, mask=None, last=False):
    return _gru(params, x, initial, mask, last, hidden_n=lambda dn, r: dn)


@case('gru', 'The gradient of the update gate has the wrong sign: it is d (n - h), for the convention z n + (1 - z) h, but here the state is (1 - z) n + z h, so it is d (h - n).',
      name='gru_update', inputs=INP(3, 4))
def gru_update(params, x, initial=None, *, mask=None, last=False):
    """A small tape: every node knows its parents and how to send its gradient to them."""
    class Node:
        def __init__(self, v, parents=()):
            self.v, self.parents = v, parents

    def mm(a, w): return Node(a.v @ w.v, ((a, lambda g: g @ w.v.T), (w, lambda g: a.v.T @ g)))
    def add(a, b): return Node(a.v + b.v, ((a, lambda g: g), (b, lambda g: g if b.v.ndim == 2 else g.sum(0))))
    def mul(a, b): return Node(a.v * b.v, ((a, lambda g: g * b.v), (b, lambda g: g * a.v)))
    def unary(y, slope, a): return Node(y, ((a, lambda g: g * slope),))
    def sigmoid(a): y = sig(a.v); return unary(y, y * (1 - y), a)
    def tanh(a): y = np.tanh(a.v); return unary(y, 1 - y * y, a)

    def lerp(start, end, w):
        return Node(start.v + w.v * (end.v - start.v), (
            (start, lambda g: g * (1 - w.v)), (end, lambda g: g * w.v), (w, lambda g: g * (start.v - end.v))))

    def select(on, a, b): return Node(np.where(on, a.v, b.v), ((a, lambda g: g * on), (b, lambda g: g * ~on)))

    def cols(a, lo, hi):
        def back(g):
            full = np.zeros_like(a.v)
            full[:, lo:hi] = g
            return full
        return Node(a.v[:, lo:hi], ((a, back),))

    def affine(p, a): return mm(a, p['weight']) if p['bias'] is None else add(mm(a, p['weight']), p['bias'])

    P = {n: {k: None if a is None else Node(a) for k, a in p.items()} for n, p in params.items()}
    B, L = x.shape[:2]
    H = len(params['hidden']['weight'])
    m = _real(mask, x)
    h = h0 = Node(np.zeros((B, H), x.dtype) if initial is None else initial)
    steps, nodes = [Node(x[:, k]) for k in range(L)], []
    for k, xt in enumerate(steps):
        gx, gh = affine(P['input'], xt), affine(P['hidden'], h)
        r, z = (sigmoid(add(cols(gx, j * H, j * H + H), cols(gh, j * H, j * H + H))) for j in (0, 1))
        hn = affine(P['candidate'], mul(r, h)) if 'candidate' in P else mul(r, cols(gh, 2 * H, 3 * H))
        n = tanh(add(cols(gx, 2 * H, 3 * H), hn))
        h = select(m[:, k, None], lerp(n, h, z), h)
        nodes.append(h)

    def topo(node, seen, out):
        if id(node) not in seen:
            seen.add(id(node))
            for parent, _ in node.parents:
                topo(parent, seen, out)
            out.append(node)
        return out

    def bwd(dy):
        grad = {id(n): dy[:, k] * m[:, k, None] for k, n in enumerate(nodes)} if not last else {id(h): dy}
        for node in reversed(topo(h, set(), [])):
            for parent, back in node.parents:
                if id(node) in grad:
                    grad[id(parent)] = grad.get(id(parent), 0) + back(grad[id(node)])
        of = lambda n: grad.get(id(n), np.zeros_like(n.v)) + np.zeros_like(n.v)
        tree = {name: {k: None if a is None else of(a) for k, a in p.items()} for name, p in P.items()}
        return tree, np.stack([of(a) for a in steps], 1), None if initial is None else of(h0)

    return (h.v if last else np.stack([n.v for n in nodes], 1) * m[..., None]), bwd


@case('gru', 'Two mistakes: the bias of "hidden" gets the same gradient as the bias of "input" (its n part lacks the factor r), and d_initial lacks the direct path through z.', 'two',
      name='gru_biases', inputs=INP(3, 5))
def gru_biases(params, x, initial=None, *, mask=None, last=False):
    return _gru(params, x, initial, mask, last, init_path=lambda d: 0 * d, bias_from=lambda dh, dx: dx.sum((0, 1)))


def _lstm(params, x, initial, mask, last, *, order=None, forget_of=None):
    m = _real(mask, x)
    B, L = m.shape
    H = params['hidden']['weight'].shape[0]
    gx = _lin(params['input'], x)
    h = np.zeros((B, H), gx.dtype) if initial is None else initial[:, :H]
    c = np.zeros((B, H), gx.dtype) if initial is None else initial[:, H:]
    S = []
    outs = np.zeros((B, L, H), gx.dtype)
    for t in range(L):
        a = (gx[:, t] + _lin(params['hidden'], h)).reshape(B, 4, H)
        i, f, o = (sig(a[:, k]) for k in (0, 1, 3))
        g = np.tanh(a[:, 2])
        on = m[:, t, None]
        cn = f * c + i * g
        tc = np.tanh(cn)
        S.append((h, c, i, f, g, o, tc, on))
        h, c = np.where(on, o * tc, h), np.where(on, cn, c)
        outs[:, t] = np.where(on, h, 0)
    out = h if last else outs

    def bwd(dy):
        dh = np.zeros((B, H), gx.dtype) + (dy if last else 0)
        dc = np.zeros((B, H), gx.dtype)
        dg_all, hs = np.zeros((B, L, 4, H), gx.dtype), np.zeros((B, L, H), gx.dtype)
        for t in range(L)[::-1]:
            h0, c0, i, f, g, o, tc, on = S[t]
            if not last:
                dh = dh + dy[:, t] * on
            dct = (dc + dh * o * (1 - tc ** 2))
            dg_all[:, t, 0] = on * dct * g * i * (1 - i)
            dg_all[:, t, 1] = on * dct * c0 * f * (1 - f)
            dg_all[:, t, 2] = on * dct * i * (1 - g * g)
            dg_all[:, t, 3] = on * dh * tc * o * (1 - o)
            hs[:, t] = h0
            flat = dg_all[:, t].reshape(B, 4 * H)
            dh = np.where(on, flat @ params['hidden']['weight'].T, dh)
            dc = np.where(on, dct * (f if forget_of is None else forget_of(S, t)), dc)
        D = dg_all.reshape(B, L, 4 * H)
        Dh = D if order is None else dg_all[:, :, order].reshape(B, L, 4 * H)
        grads = {'input': _acc(params['input'], x, D), 'hidden': _acc(params['hidden'], hs, Dh)}
        d0 = None if initial is None else np.hstack([dh, dc])
        return grads, D @ params['input']['weight'].T, d0

    return out, bwd


def _linp(s):
    return rec(s, 3, 4, 4), N(s + 30, 2, 5, 3), N(s + 31, 2, 8)


@case('lstm', 'The gradients of the gates for the "hidden" parameters stand in the order i, f, o, g (that of another library): the columns of g and o are exchanged in its weight and bias.',
      name='lstm_order', inputs=_linp(6))
def lstm_order(params, x, initial=None, *, mask=None, last=False):
    return _lstm(params, x, initial, mask, last, order=[0, 1, 3, 2])


@case('lstm', 'The gradient of the cell is handed back with the forget gate of the next step, f_{t+1}, in place of that of the step itself, f_t.',
      name='lstm_forget', inputs=_linp(7))
def lstm_forget(params, x, initial=None, *, mask=None, last=False):
    return _lstm(params, x, initial, mask, last, forget_of=lambda S, t: S[min(t + 1, len(S) - 1)][3])
