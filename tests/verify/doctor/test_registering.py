"""A reader's own op, with probes and mistakes of its own, is known as ours are."""

import numpy as np
import pytest

from attention_from_scratch import ops
from attention_from_scratch.verify import check_gradients, compare, diagnose, register
from attention_from_scratch.verify.doctor import registering
from attention_from_scratch.verify.doctor.mistakes import EXPLANATIONS
from attention_from_scratch.verify.doctor.mistakes import MISTAKES as KNOWN
from attention_from_scratch.verify.doctor.probes import PROBES as PROBES_OF
from attention_from_scratch.verify.doctor.probes import REGISTERED


def rms_norm(x, weight):
    """x over the root of the mean of its squares, times a weight."""
    rms = np.sqrt((x * x).mean(axis=-1, keepdims=True) + 1e-6)
    z = x / rms

    def backward(d_output):
        d_z = d_output * weight
        d_x = (d_z - z * (d_z * z).mean(axis=-1, keepdims=True)) / rms
        return d_x, (d_output * z).reshape(-1, len(weight)).sum(axis=0)

    return z * weight, backward


def squares_not_averaged(probe):
    """The gradients of the wrong op below."""
    x, weight = probe.inputs
    rms = np.sqrt((x * x).mean(axis=-1, keepdims=True) + 1e-6)
    d_z, z = probe.d_output * weight, x / rms
    return {"d_x": (d_z - z * (d_z * z).sum(axis=-1, keepdims=True)) / rms}


def with_a_sum(x, weight):
    output, backward = rms_norm(x, weight)
    rms = np.sqrt((x * x).mean(axis=-1, keepdims=True) + 1e-6)

    def back(d_output):
        d_z, z = d_output * weight, x / rms
        total = np.einsum("...i,...i->...", d_z, z)[..., None]
        return (d_z - z * total) / rms, backward(d_output)[1]

    return output, back


NORMAL = np.random.default_rng(0).standard_normal
PROBES = [((NORMAL((2, 3, 5)), NORMAL(5)), {}), ((NORMAL((7, 4)), NORMAL(4)), {})]
WORDS = "z * d_z is added up over the features, not averaged: {z}"
MISTAKES = {"squares_not_averaged": (WORDS, squares_not_averaged)}


@pytest.fixture(autouse=True)
def tables_as_they_were():
    tables = REGISTERED, registering.OWN, PROBES_OF, KNOWN, EXPLANATIONS
    before = [dict(table) for table in tables]
    yield
    for table, kept in zip(tables, before, strict=True):
        table.clear()
        table.update(kept)


def test_its_mistake_is_named_without_inputs():
    register(rms_norm, PROBES, MISTAKES)
    found = diagnose(with_a_sum, rms_norm)
    assert found.mistakes == {"squares_not_averaged"}
    assert WORDS in str(found)
    assert not diagnose(rms_norm, rms_norm).wrong


def test_without_mistakes_of_its_own_it_has_those_of_any_op():
    register(rms_norm, PROBES)

    def negative(x, weight):
        output, backward = rms_norm(x, weight)
        return output, lambda d_output: tuple(-gradient for gradient in backward(d_output))

    assert diagnose(negative, rms_norm).mistakes == {"wrong_sign"}


def test_it_may_be_registered_again():
    register(rms_norm, PROBES, MISTAKES)
    register(rms_norm, PROBES[:1], MISTAKES)
    assert diagnose(rms_norm, rms_norm).probes == 1


def test_it_is_known_by_its_output_and_by_its_name():
    register(rms_norm, PROBES, MISTAKES)
    x, weight = PROBES[0][0]
    assert "its output is that of rms_norm" in str(diagnose(with_a_sum, x, weight))
    assert diagnose(with_a_sum, "rms_norm").mistakes == {"squares_not_averaged"}


def test_reports_of_other_checks_have_its_mistakes():
    register(rms_norm, PROBES, MISTAKES)
    x, weight = PROBES[0][0]

    def of_that_name(x, weight):
        return with_a_sum(x, weight)

    of_that_name.__name__ = "rms_norm"
    assert WORDS in str(check_gradients(of_that_name, x, weight))
    assert WORDS in str(compare(of_that_name, rms_norm, x, weight))
    assert check_gradients(rms_norm, x, weight).passed


def softmax(x):
    return ops.softmax(x)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((softmax, PROBES), "op was called softmax, but must have a name that no other op has"),
        ((lambda x: x, PROBES), "but must be a function with a name"),
        ((rms_norm, []), "probes was empty"),
        ((rms_norm, PROBES, {"wrong_sign": (WORDS, squares_not_averaged)}), "another mistake"),
    ],
)
def test_what_cannot_be_registered_is_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        register(*arguments)
