import math

import numpy as np
from attention_from_scratch.ops import erfc
from benchmarks.exam.registry import case
from benchmarks.exam.cases.util import N


@case('relu', 'The saved sign bits are packed most significant bit first and unpacked least significant bit first, so within each group of 8 entries the mask of the backward pass is in reverse order.',
      name='relu_bitmask', inputs=(N(1, 3, 5),))
def relu_bitmask(x):
    pos = x.real > 0
    bits = np.packbits(pos.ravel())
    y = x * pos

    def bwd(dy):
        mask = np.unpackbits(bits, bitorder='little')[:y.size].reshape(y.shape)
        return dy * mask.astype(x.real.dtype)

    return y, bwd


@case('relu', 'Where x is negative the backward pass has a slope of 0.01, that of a leaky ReLU, though the forward pass gives 0 there.',
      name='relu_slope', inputs=(np.array([-1.5, 0.3, -0.2, 2.0]),))
def relu_slope(x):
    negative_slope = 0.01
    y = np.clip(x, 0, None) if x.dtype.kind == 'f' else x * (x.real > 0)
    return y, lambda g: np.where(y.real > 0, 1.0, negative_slope).astype(x.real.dtype) * g


@case('sigmoid', 'The derivative is written with the output, y (1 - y), but the kernel has saved the input and puts x in its place: x (1 - x).',
      name='sigmoid_saved')
def sigmoid_saved(x):
    class Ctx:
        pass
    ctx = Ctx()
    y = 0.5 + 0.5 * np.tanh(0.5 * x)
    ctx.saved = x

    def backward(grad):
        t = ctx.saved
        return grad * (1 - t) * t

    return y, backward


@case('sigmoid', 'The slope is e^-x / (1 + e^-x), that is 1 - s: the denominator is not squared, a factor s is missing.',
      name='sigmoid_quotient')
def sigmoid_quotient(x):
    e = np.exp(-x)
    den = 1 + e

    def backward(d):
        return d * e / den

    return 1 / den, backward


@case('tanh', 'The backward pass recomputes tanh of the saved output as if that were the input, so the slope is 1 - tanh(tanh(x))^2.',
      name='tanh_recompute')
def tanh_recompute(x):
    out = np.tanh(x)
    stash = [out]

    def backward(d):
        (t,) = stash
        t = np.tanh(t)
        return d - d * t * t

    return out, backward


@case('gelu', 'In the exact form the density of the normal distribution is twice what it should be (the constant 2/sqrt(pi) * 1/sqrt(2) without the factor 1/2).',
      name='gelu_kbeta')
def gelu_kbeta(x, *, approximate='none'):
    if approximate == 'tanh':
        return _tanh_gelu(x)
    m_2_sqrtpi, m_sqrt1_2 = 2 / math.sqrt(math.pi), math.sqrt(0.5)
    cdf = 0.5 * erfc(-x * m_sqrt1_2)

    def backward(dy):
        pdf = m_2_sqrtpi * m_sqrt1_2 * 1.0 * np.exp(-0.5 * x * x)
        return dy * (cdf + x * pdf)

    return x * cdf, backward


def _tanh_gelu(x, cubic=3.0, inner=math.sqrt(2 / math.pi)):
    c = math.sqrt(2 / math.pi)
    t = np.tanh(c * (x + 0.044715 * x ** 3))

    def backward(dy):
        left = 0.5 * (1 + t)
        right = 0.5 * x * (1 - t * t) * inner * (1 + cubic * 0.044715 * x * x)
        return dy * (left + right)

    return 0.5 * x * (1 + t), backward


def _erf_gelu(x):
    cdf = 0.5 * erfc(-x / math.sqrt(2))
    return x * cdf, lambda dy: dy * (cdf + x * np.exp(-x * x / 2) / math.sqrt(2 * math.pi))


@case('gelu', 'The backward pass of the tanh form is that of the quick GELU x * sigmoid(1.702 x), while the forward pass is the tanh form.',
      name='gelu_quick_bwd', inputs=(N(4, 2, 5) * 1.5,), kw=dict(approximate='tanh'))
def gelu_quick_bwd(x, *, approximate='none'):
    if approximate == 'none':
        return _erf_gelu(x)
    y, bwd = _tanh_gelu(x)

    def quick(dy):
        s = 1 / (1 + np.exp(-1.702 * x))
        return dy * (s + 1.702 * x * s * (1 - s))

    return y, quick


@case('gelu', 'Two mistakes in the tanh form: the derivative of the inner cubic lacks its factor 3, and the factor sqrt(2/pi) of the inner derivative is missing.', 'two',
      name='gelu_tanh_inner', inputs=(N(5, 2, 5) * 1.5,), kw=dict(approximate='tanh'))
def gelu_tanh_inner(x, *, approximate='none'):
    if approximate == 'none':
        return _erf_gelu(x)
    return _tanh_gelu(x, cubic=1.0, inner=1.0)
