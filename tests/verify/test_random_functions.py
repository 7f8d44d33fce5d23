"""Random right functions are not accused, and errors planted in them do not pass.

The functions, the errors and the truth are those of tests/verify/random_functions, which was
written without sight of the checker. The seed is a new one each time, and stands in the message;
the long test has one of its own, so that its rates are those of the code and not of the draw.
"""

import secrets
import warnings

import numpy as np
import pytest

from attention_from_scratch.verify import check_gradients
from tests.verify.random_functions import plant, random_function


def drawn(n_functions, seed=None):
    """Yield (name, function, a wrong op) of random functions, half of them in float32."""
    seed = secrets.randbits(32) if seed is None else seed
    for number in range(n_functions):
        rng = np.random.default_rng([seed, number])
        function = random_function(rng, ["float64", "float32"][number % 2])
        name = f"seed {seed}, number {number}:\n{function.describe()}"
        yield name, function, plant(function, rng).op


def verdict(op, function):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # random functions overflow where a step is large
        return check_gradients(op, *function.inputs, **function.keywords).verdict


def test_no_right_function_is_accused_and_hardly_any_error_passes():
    verdicts = [
        (name, verdict(function.op, function), verdict(wrong, function))
        for name, function, wrong in drawn(30)
    ]
    for name, of_right, _ in verdicts:
        assert of_right != "wrong", name
    passed = [name for name, _, of_wrong in verdicts if of_wrong != "wrong"]
    assert len(passed) <= 4, "\n".join(passed)


@pytest.mark.long
def test_the_rates_hold_for_five_hundred_functions():
    counts = {}
    for name, function, wrong in drawn(500, seed=20261130):
        of_right = verdict(function.op, function)
        assert of_right != "wrong", name
        of_kind = counts.setdefault(function.analytic, [])
        of_kind.append((of_right == "cannot tell", verdict(wrong, function) != "wrong"))
    for analytic, limits in ((True, (0.01, 0.01)), (False, (0.05, 0.05))):
        rates = np.mean(counts[analytic], axis=0)
        assert (rates <= limits).all(), (analytic, rates)
