"""Whole models: from the loss to every parameter."""

from dataclasses import asdict
from functools import cache
from itertools import combinations

import pytest

from attention_from_scratch.networks.stages import CHOICES
from attention_from_scratch.proofs.cases import covering, every_pipeline, model_cases
from attention_from_scratch.tree import tree_leaves

CASES = model_cases()
NAMES = [f"{case.title}, {case.note}" for case in CASES]
LOSSES = ("sasrec.catalogue_loss", "sasrec.sampled_loss")
DIRECTIONS = {"pipeline.next_item_loss": 1} | dict.fromkeys(LOSSES, 2)
PIPELINES = [case for case in CASES if case.title == "pipeline.next_item_loss"]
every_case = pytest.mark.parametrize("index", range(len(CASES)), ids=NAMES)


@cache
def report_of(index):
    """Entry by entry; of losses, which are many or large, along directions in each parameter."""
    case = CASES[index]
    return case.check(projections=DIRECTIONS.get(case.title))


def assert_derivatives(report):
    assert report.passed, report
    assert report.error("complex step") <= 1e-12
    assert report.error("central difference") <= 1e-7


@every_case
def test_every_gradient_is_the_derivative(index):
    assert_derivatives(report_of(index))


SAMPLE = ('sasrec.catalogue_loss, norm="pre"', 'sasrec.sampled_loss, norm="paper", dropout')


@pytest.mark.parametrize(
    "index",
    [
        pytest.param(index, marks=() if name in SAMPLE else pytest.mark.long, id=name)
        for index, name in enumerate(NAMES)
        if CASES[index].title in LOSSES
    ],
)
def test_every_gradient_of_sasrec_is_the_derivative_entry_by_entry(index):
    assert_derivatives(CASES[index].check())


EXPECTED = {
    "bidirectional": ("forward.input", "forward.hidden", "reverse.input", "reverse.hidden"),
    "sasrec.embed": ("items", "positions"),
    "pipeline.next_item_loss": ("items.ids", "projections.genre", "behaviour", "positions"),
}
OF_A_BLOCK = ("attention.query", "attention.value", "feed_forward.down", "feed_forward_norm")


@every_case
def test_every_parameter_is_checked(index):
    checked = {row.name for row in report_of(index).rows}
    parameters = {f"params.{path}" for path, _ in tree_leaves(CASES[index].inputs[0])}
    assert parameters <= checked
    for part in EXPECTED.get(CASES[index].title, OF_A_BLOCK):
        assert any(part in name for name in parameters), part


def test_every_norm_and_both_losses_are_among_the_cases():
    titles = [f"{case.title} {case.note}" for case in CASES]
    for loss in LOSSES:
        for norm in ("pre", "post", "paper"):
            assert f'{loss} norm="{norm}"' in titles
    for norm in ("pre", "post"):
        assert f'sasrec.catalogue_loss norm="{norm}", padding attended' in titles


def choices_of(stages):
    """What was chosen, where it makes a difference."""
    chosen = {(name, value) for name, value in asdict(stages).items() if name in CHOICES}
    if stages.attention in ("global", "causal", "local"):
        chosen |= {("scaled", stages.scaled), ("projections", stages.projections)}
    return chosen


def test_any_two_choices_of_the_pipeline_meet_in_one_of_the_cases():
    met = {
        pair
        for case in PIPELINES
        for pair in combinations(sorted(choices_of(case.keywords["stages"])), 2)
    }
    possible = {
        pair for stages in every_pipeline() for pair in combinations(sorted(choices_of(stages)), 2)
    }
    assert met == possible
    assert len(met) == 152


def test_every_pipeline_is_every_combination_that_makes_a_difference_once():
    every = every_pipeline()
    assert len(every) == len(set(every)) == 5 * 4 * (3 * 2 * 4 + 1 + 2)
    assert {choice for stages in every for choice in choices_of(stages)} == {
        *((name, value) for name, values in CHOICES.items() for value in values),
        *((name, value) for name in ("scaled", "projections") for value in (True, False)),
    }
    assert covering(every[:1]) == every[:1]


def test_gradients_in_float32_are_those_of_float64_to_the_digits_it_has():
    for case in model_cases(dtype="float32"):
        report = case.check(tolerances={"complex step": 1e-4}, projections=1)
        assert report.passed, report
