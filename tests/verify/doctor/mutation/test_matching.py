"""A hypothesis explains what it gives at every visit, and nothing that it denies."""

from dataclasses import dataclass

import numpy as np

from attention_from_scratch import ops
from attention_from_scratch.verify.doctor.mutation.derivation import consistent
from attention_from_scratch.verify.doctor.mutation.matching import Match, Question
from attention_from_scratch.verify.doctor.mutation.parting import Either, joined
from attention_from_scratch.verify.doctor.visits import visits_of, wrong_at


@dataclass(frozen=True, eq=False)
class Says:
    """A hypothesis that changes the right gradients by a function."""

    change: object
    words: str = ""
    rank: tuple = (0,)

    def gradients(self, probe):
        return probe.right | self.change(probe)


def linear(x, weight, bias=None):
    output, back = ops.linear(x, weight, bias)

    def backward(d):
        d_x, d_weight, d_bias = back(d)
        return d_x, np.sin(d_weight), 2 * d_bias

    return output, backward


VISITS = visits_of(linear, ops.linear, (), {})
QUESTION = Question(VISITS, wrong_at(VISITS))


def doubled(probe):
    return {"d_bias": 2 * probe.right["d_bias"]}


def test_what_a_hypothesis_leaves_right_is_not_denied():
    match = QUESTION.ask(Says(doubled))
    assert match.factors == {"d_bias": 1.0}
    assert not match.beside
    assert not match.denied


def test_what_it_makes_wrong_in_another_way_is_denied():
    match = QUESTION.ask(Says(lambda p: doubled(p) | {"d_weight": 0 * p.right["d_weight"]}))
    assert match.factors == {"d_bias": 1.0}
    assert match.denied == {"d_weight"}
    assert consistent([match]) == []


def test_a_match_that_denies_what_another_explains_is_kept():
    match = Match(Says(doubled), {"d_bias": 1.0}, frozenset(), frozenset({"d_weight"}))
    other = Match(Says(doubled), {"d_weight": 1.0}, frozenset())
    assert consistent([match, other]) == [match, other]


def test_what_it_would_change_beside_is_told():
    match = QUESTION.ask(Says(lambda p: doubled(p) | {"d_x": -p.right["d_x"]}))
    assert match.beside == {"d_x"}


def test_a_factor_has_to_be_the_same_at_all_visits():
    match = QUESTION.ask(Says(lambda p: {"d_bias": -p.right["d_bias"]}))
    assert match.factors == {"d_bias": -2.0}
    of_size = Says(lambda p: {"d_bias": p.right["d_bias"] * len(p.inputs[0])})
    assert QUESTION.ask(of_size) is None


def test_of_two_that_differ_elsewhere_both_are_told_and_of_two_that_do_not_one():
    probes = [visit.probe for visit in VISITS]
    fours = Says(lambda p: {"d_bias": 4 * p.right["d_bias"]}, "is four times", (1,))
    sizes = Says(lambda p: {"d_bias": p.right["d_bias"] * p.inputs[0].shape[-1]}, "is D times")
    again = Says(lambda p: {"d_bias": 2 * 2 * p.right["d_bias"]}, "is twice twice", (2,))
    matches = [Match(says, {"d_bias": 1.0}, frozenset()) for says in (fours, sizes, again)]
    first, *_ = joined(matches, probes)
    assert isinstance(first.hypothesis, Either)
    assert first.hypothesis.words == "is D times, or is four times"
    assert joined(matches[::2], probes) == [matches[0]]
