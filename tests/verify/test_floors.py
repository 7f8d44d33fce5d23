"""Verdicts on differences beside their floors."""

import numpy as np

from attention_from_scratch.verify.floors import RIGHT, WRONG, judge


def test_between_right_and_wrong_it_is_open():
    difference = np.array([0.0, RIGHT, RIGHT + 1, WRONG, WRONG + 1])
    verdicts = judge(difference, np.ones(5))
    assert list(verdicts) == ["right", "right", "open", "open", "wrong"]


def test_without_a_floor_only_what_does_not_differ_is_right_and_what_is_no_number_is_wrong():
    verdicts = judge(np.array([0.0, 1.0, np.nan]), np.full(3, np.nan))
    assert list(verdicts) == ["right", "open", "wrong"]
