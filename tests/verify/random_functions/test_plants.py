import numpy as np
import pytest

from attention_from_scratch.tree import leaves
from tests.verify.random_functions import WRONG, distances, judge, plant, random_function
from tests.verify.random_functions.made_by_hand import one_step
from tests.verify.random_functions.primitive import plain


@pytest.mark.parametrize("number", range(8))
def test_a_planted_error_is_off_where_it_says_and_nowhere_else(number):
    rng = np.random.default_rng([30, number])
    function = random_function(rng, "float64")
    planted = plant(function, rng)
    output, backward = planted.op(*function.inputs, **function.keywords)
    np.testing.assert_array_equal(output, function.output(function.inputs))
    away = distances(backward(function.d_output), judge(function).exact)
    floors, changed = leaves(judge(function).floor), leaves(planted.changed)
    assert any(leaf.any() for leaf in changed)
    for off, u, says in zip(away, floors, changed, strict=True):
        np.testing.assert_array_equal(off > WRONG * u, says)


def test_many_plants_of_one_function_are_of_many_kinds():
    rng = np.random.default_rng(4)
    product = plain("{0} @ {1}", np.matmul, lambda d, z, x, y: (d @ y.T, x.T @ d))
    x, y, d_output = rng.standard_normal((3, 3, 3))
    function = one_step(product, x, y, d_output=d_output)
    descriptions = {plant(function, rng).description for _ in range(100)}
    assert len(descriptions) > 30
    for part in ("transposed", "lost", "all zero", "times", "swapped", "gradient of x1"):
        assert any(part in description for description in descriptions)


def test_where_nothing_can_show_there_is_no_plant():
    double = plain("2 * {0}", lambda x: 2 * x, lambda d, y, x: 2 * d)
    function = one_step(double, np.array([1.0, 2.0]), d_output=[0.0, 0.0])
    with pytest.raises(ValueError, match="no planted error shows"):
        plant(function, np.random.default_rng(0))
