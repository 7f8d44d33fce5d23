"""Whole models: from the loss to every parameter."""

import pytest

from attention_from_scratch.models.cases import model_cases
from attention_from_scratch.tree import tree_leaves

CASES = model_cases()


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.title}, {case.note}")
def test_every_gradient_is_the_derivative(case):
    report = case.check()
    assert report.passed, report
    assert report.error("complex step") <= 1e-12
    assert report.error("central difference") <= 1e-7


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.title}, {case.note}")
def test_every_parameter_is_checked(case):
    checked = {row.name for row in case.check(projections=1).rows}
    parameters = {f"params.{path}" for path, _ in tree_leaves(case.inputs[0])}
    assert parameters <= checked
    expected = ("attention.query", "attention.value", "feed_forward.down", "feed_forward_norm")
    if case.title == "sasrec.embed":
        expected = ("items", "positions")
    assert all(any(part in name for name in parameters) for part in expected)


def test_every_norm_and_both_losses_are_among_the_cases():
    titles = [f"{case.title} {case.note}" for case in CASES]
    for loss in ("sasrec.catalogue_loss", "sasrec.sampled_loss"):
        for norm in ("pre", "post", "paper"):
            assert f'{loss} norm="{norm}"' in titles
    for norm in ("pre", "post"):
        assert f'sasrec.catalogue_loss norm="{norm}", padding attended' in titles


def test_gradients_in_float32_are_those_of_float64_to_the_digits_it_has():
    for case in model_cases(dtype="float32"):
        report = case.check(tolerances={"complex step": 1e-4}, projections=1)
        assert report.passed, report
