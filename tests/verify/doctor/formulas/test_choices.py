"""Options of parts are tried alone, two by two, and with a factor; the fewest are told."""

from dataclasses import replace

import numpy as np
import pytest

from attention_from_scratch import ops
from attention_from_scratch.verify.doctor.formulas.asked import Asked
from attention_from_scratch.verify.doctor.formulas.choices import RIGHT, Choices
from attention_from_scratch.verify.doctor.visits import examine


def formula(probe):
    x, d = probe.inputs[0], probe.d_output
    parts = {
        "what": {RIGHT: d, "x": d * x, "|x|": d * np.abs(x)},
        "mask": {RIGHT: x > 0, "all": x > -np.inf, "none": x < 0},
    }
    if x.ndim > 2:
        parts["mask"] |= {"first": (x > 0) * (np.arange(len(x)) == 0)[:, None, None]}
    sizes = {"n": float(x.size)}
    return Choices(parts, lambda what, mask: what * mask, "d where x > 0", sizes)


def asked(wrong):
    """Two visits of a relu with this gradient, a function of x and d."""
    visits = []
    for seed, shape in enumerate(((2, 3, 4), (5, 3))):
        x = np.random.default_rng(seed).standard_normal(shape)
        visit = examine(ops.relu, ops.relu, (x,), {}, seed=seed)
        visits.append(replace(visit, found={"d_x": wrong(x, visit.probe.d_output)}))
    return Asked(visits, "d_x")


@pytest.mark.parametrize(
    ("wrong", "words", "changes"),
    [
        (lambda x, d: d, "all", 1),
        (lambda x, d: d * x, "two mistakes at once: x; and all", 2),
        (lambda x, d: 3 * d, "two mistakes at once: all; and it is times 3", 2),
        (lambda x, d: -d * (x > 0), "it has the other sign", 1),
        (lambda x, d: d * (x > 0) / x.size, "it is times 1 / n", 1),
    ],
)
def test_the_fewest_options_that_fit_are_told(wrong, words, changes):
    fit = asked(wrong).fit(formula)
    assert fit.words == f"{words} (right: d where x > 0)"
    assert fit.changes == changes


def test_what_no_option_gives_is_told_by_none():
    assert asked(lambda x, d: d * np.cos(x)).fit(formula) is None


def test_an_option_that_makes_no_sense_at_a_call_fits_only_if_the_op_is_right_there():
    def first_alone(x, d):
        kept = (np.arange(len(x)) == 0)[:, None, None] if x.ndim > 2 else 1
        return d * (x > 0) * kept

    assert asked(first_alone).fit(formula).words.startswith("first")
    wrong_there = asked(lambda x, d: first_alone(x, d) if x.ndim > 2 else d * np.cos(x))
    assert wrong_there.fit(formula) is None
