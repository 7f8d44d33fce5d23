"""A factor is told with its size or its name, and not where there is none."""

import numpy as np

from attention_from_scratch import ops
from attention_from_scratch.verify import diagnose
from attention_from_scratch.verify.doctor.factors import SCALE, scale_of
from attention_from_scratch.verify.doctor.mistakes import Probe


def normal(*shape, dtype=np.float64):
    return np.random.default_rng(0).standard_normal(shape).astype(dtype)


def test_a_factor_is_told_with_its_size():
    def op(x, weight, bias=None):
        output, back = ops.linear(x, weight, bias)
        return output, lambda d: (3 * back(d)[0], *back(d)[1:])

    (finding,) = diagnose(op, ops.linear).findings
    assert (finding.mistake, finding.factor, finding.arguments) == (
        "constant_factor",
        "3",
        ("d_x",),
    )


def test_a_factor_that_follows_a_size_is_told_with_its_name():
    def op(x, weight, bias=None):
        output, back = ops.linear(x, weight, bias)
        return output, lambda d: tuple(g / len(x) for g in back(d))

    assert "divided by the batch size" in str(diagnose(op, ops.linear))


def test_root_d_and_2_are_told_apart_though_d_is_4_where_it_is_called():
    def halved(query, key, value, *, mask=None, scale=None):
        output, back = ops.scaled_dot_product_attention(query, key, value, mask=mask)
        return output, lambda d: (back(d)[0] / 2, back(d)[1] / 2, back(d)[2])

    x = np.random.default_rng(0).standard_normal((2, 3, 4))
    assert diagnose(halved, ops.scaled_dot_product_attention, x, x, x).mistakes == {
        "constant_factor"
    }


def test_a_single_number_has_no_constant_factor():
    def only_here(x):
        if x.shape != (1,):
            raise ValueError
        output, back = ops.tanh(x)
        return output, lambda d: back(d) * 1.2345

    diagnosis = diagnose(only_here, ops.tanh, normal(1))
    assert diagnosis.wrong
    assert not diagnosis.findings


def test_a_zero_gradient_is_no_constant_factor():
    def cut(x):
        return ops.softmax(x)[0], np.zeros_like

    assert diagnose(cut, ops.softmax).mistakes == {"zero_gradient"}


def test_in_float32_a_factor_is_told():
    def doubled(x):
        output, back = ops.softmax(x)
        return output, lambda d: 2 * back(d)

    (finding,) = diagnose(doubled, ops.softmax, normal(3, 4, dtype=np.float32)).findings
    assert finding.factor == "2"


def test_only_an_attention_has_a_scale():
    x = np.ones((2, 4))
    gradients = {"d_query": x, "d_key": x}
    assert scale_of(Probe((x, x), {}, x, x, gradients)) == {SCALE: 0.5}
    assert scale_of(Probe((x, x), {"scale": 0.3}, x, x, gradients)) == {SCALE: 0.3}
    assert scale_of(Probe((x, x), {}, x, x, {"d_logits": x})) == {}
