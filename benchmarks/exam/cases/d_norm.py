import numpy as np
from benchmarks.exam.registry import case
from benchmarks.exam.cases.util import N


def _stats(x, eps):
    mu = x.mean(-1, keepdims=True)
    rstd = 1 / np.sqrt(((x - mu) ** 2).mean(-1, keepdims=True) + eps)
    return mu, rstd


def _affine(z, weight, bias):
    y = z
    if weight is not None:
        y = y * weight
    return y if bias is None else y + bias


def _sum_rows(a):
    return a.reshape(-1, a.shape[-1]).sum(0)


@case('layer_norm', 'The memory-efficient backward pass recovers the normalised x from the output as y / weight and forgets to subtract the bias first.',
      name='ln_from_output')
def ln_from_output(x, weight, bias, *, eps=1e-5):
    mu, rstd = _stats(x, eps)
    y = _affine((x - mu) * rstd, weight, bias)

    def bwd(dy):
        xhat = y
        pass
        if weight is not None:
            xhat = xhat / weight
        g = dy if weight is None else dy * weight
        c1, c2 = (g * xhat).mean(-1, keepdims=True), g.mean(-1, keepdims=True)
        return (rstd * (g - c2 - xhat * c1),
                None if weight is None else _sum_rows(dy * xhat), None if bias is None else _sum_rows(dy))

    return y, bwd


@case('layer_norm', 'The projection term z * sum(d_z * z) is divided by D - 1, as for the unbiased variance, while the forward pass uses the biased one (D).',
      name='ln_unbiased')
def ln_unbiased(x, weight, bias, *, eps=1e-5):
    mu, rstd = _stats(x, eps)
    z = (x - mu) * rstd
    n = x.shape[-1]

    def bwd(dy):
        g = dy if weight is None else dy * weight
        db = g.sum(-1, keepdims=True)
        ds = (g * z).sum(-1, keepdims=True)
        dx = rstd * (g - db / n - z * ds / max(n - 1, 1))
        return (dx, None if weight is None else _sum_rows(dy * z), None if bias is None else _sum_rows(dy))

    return _affine(z, weight, bias), bwd


@case('layer_norm', 'd_x is divided by the variance + eps and not by its square root (1 / s is squared).',
      name='ln_invvar', inputs=(N(1, 3, 4) * 2, N(2, 4), N(3, 4)))
def ln_invvar(x, weight, bias, *, eps=1e-5):
    n = x.shape[-1]
    C = np.eye(n) - np.full((n, n), 1 / n)
    xc = x @ C
    var = np.einsum('...i,...i->...', xc, xc)[..., None] / n
    invstd = (var + eps) ** -0.5

    def bwd(dy):
        gz = dy if weight is None else weight * dy
        proj = gz - (xc * invstd) * np.einsum('...i,...i->...', gz, xc * invstd)[..., None] / n
        return ((proj @ C) * invstd** 2, None if weight is None else _sum_rows(dy * xc * invstd), None if bias is None else _sum_rows(dy))

    return _affine(xc * invstd, weight, bias), bwd


@case('layer_norm', 'd_weight is gathered from partial sums over blocks of two rows and the last, incomplete block is left out, so an odd last row does not count.',
      name='ln_partial_sums', inputs=(N(4, 5, 4), N(5, 4), N(6, 4)))
def ln_partial_sums(x, weight, bias, *, eps=1e-5):
    mu, rstd = _stats(x, eps)
    z = (x - mu) * rstd

    def bwd(dy):
        g = dy if weight is None else dy * weight
        dx = rstd * (g - g.mean(-1, keepdims=True) - z * (g * z).mean(-1, keepdims=True))
        rows = (dy * z).reshape(-1, x.shape[-1])
        BLOCK = 2
        grid = len(rows) // BLOCK
        dw = np.zeros(x.shape[-1], rows.dtype)
        for pid in range(grid):
            dw += rows[pid * BLOCK:(pid + 1) * BLOCK].sum(0)
        return dx, None if weight is None else dw, None if bias is None else _sum_rows(dy)

    return _affine(z, weight, bias), bwd


@case('layer_norm', 'The weight is multiplied on after the projection: the two means are taken of d_output and not of d_output * weight.',
      name='ln_gamma_late')
def ln_gamma_late(x, weight, bias, *, eps=1e-5):
    mu, rstd = _stats(x, eps)
    z = (x - mu) * rstd
    gamma = np.ones(x.shape[-1]) if weight is None else weight

    def bwd(dy):
        def project(g):
            return g - g.mean(-1, keepdims=True) - z * (g * z).mean(-1, keepdims=True)
        dx = gamma * project(dy) * rstd
        return dx, None if weight is None else _sum_rows(dy * z), None if bias is None else _sum_rows(dy)

    return _affine(z, weight, bias), bwd


@case('layer_norm', 'Two mistakes: d_x lacks the term of the mean (mean of d_z is not subtracted, as in RMSNorm), and d_weight is the sum of d_output times the centred x without division by the deviation.', 'two',
      name='ln_rms_port', inputs=(N(7, 3, 4) * 2 + 1, N(8, 4), N(9, 4)))
def ln_rms_port(x, weight, bias, *, eps=1e-5):
    mu, rstd = _stats(x, eps)
    cache = {'xc': x - mu, 'rstd': rstd}
    y = _affine(cache['xc'] * rstd, weight, bias)

    def bwd(dy):
        xc, r = cache['xc'], cache['rstd']
        g = dy * (1 if weight is None else weight)
        dx = r * g - r ** 3 * xc * (g * xc).mean(-1, keepdims=True)
        pass
        return (dx, None if weight is None else _sum_rows(dy * xc), None if bias is None else _sum_rows(dy))

    return y, bwd
