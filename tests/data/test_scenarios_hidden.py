from itertools import pairwise, product

import numpy as np
import pytest

from attention_from_scratch.data.scenarios.hidden import expected, forward

BEGIN = np.array([0.2, 0.8])
CHANGE = np.array([[0.9, 0.1], [0.3, 0.7]])
EMIT = np.array([[0.6, 0.3, 0.1], [0.1, 0.2, 0.7]])


def step(state, seen):
    return [
        ((BEGIN if state is None else CHANGE[state])[new] * EMIT[new, seen], new) for new in (0, 1)
    ]


def test_forward_is_the_sum_over_all_paths():
    seen, total = [0, 2, 1, 1], np.zeros(2)
    for path in product((0, 1), repeat=4):
        p = BEGIN[path[0]] * np.prod([CHANGE[a, b] for a, b in pairwise(path)])
        total[path[-1]] += p * np.prod(EMIT[list(path), seen])
    belief = forward(None, seen, step)
    np.testing.assert_allclose([belief[0], belief[1]], total / total.sum(), rtol=1e-14)


def test_before_any_event_the_start_is_certain():
    assert forward("start", [], step) == {"start": 1.0}


def test_one_way_on_is_certain_however_unlikely():
    assert forward(0, "ab", lambda state, event: [(0.0, event)]) == {"b": 1.0}


def test_an_event_that_no_way_leads_to_is_an_error():
    with pytest.raises(ValueError, match="event 1 cannot have happened"):
        forward(0, [1, 0], lambda state, event: [(event, 1), (event, 2)])


def test_states_of_probability_zero_are_dropped():
    assert forward(0, [0], lambda state, event: [(0.0, 1), (0.5, 2)]) == {2: 1.0}


def test_expected_is_the_mean_of_the_table_under_the_belief():
    table = np.arange(12.0).reshape(2, 3, 2)
    np.testing.assert_allclose(
        expected({(0, 1): 0.25, (1, 2): 0.75}, table), 0.25 * table[0, 1] + 0.75 * table[1, 2]
    )
