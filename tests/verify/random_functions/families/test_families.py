import numpy as np
import pytest

from attention_from_scratch.tree import leaves
from tests.verify.random_functions import distances, generator, judge
from tests.verify.random_functions import drawing as drawing_module
from tests.verify.random_functions.drawing import Drawing
from tests.verify.random_functions.families import FAMILIES
from tests.verify.random_functions.families.elementwise import CURVES
from tests.verify.random_functions.made_by_hand import one_step
from tests.verify.random_functions.primitive import NoFitError, plain


def tame_array(rng, shape, dtype):
    """Numbers of one size and away from zero, half of the arrays positive."""
    array = rng.uniform(0.4, 1.6, size=shape)
    signs = rng.choice([-1, 1], size=shape) if rng.random() < 0.5 else 1
    return np.asarray(array * signs, dtype)


def functions_of(family, n):
    """Functions that are one step of this family, at tame inputs and away from corners."""
    rng = np.random.default_rng(8)
    while n:
        drawing = Drawing(rng, "float64", analytic=False)
        drawing.kinks = "away"
        shape = generator.random_shape(rng)
        for _ in range(2):
            drawing.given(tame_array(rng, shape, "float64"))
        if not drawing.attempt(family):
            continue
        try:
            yield generator.completed(drawing)
        except NoFitError:
            continue
        n -= 1


@pytest.mark.parametrize("name", FAMILIES)
def test_every_family_alone_is_right(name, monkeypatch):
    """So that none of them is missing among the random functions because it is wrong.

    Rounding that no change of the inputs shows may be many floors, but is small at such inputs.
    """
    monkeypatch.setattr(drawing_module, "random_array", tame_array)
    for function in functions_of(FAMILIES[name], 6):
        judged, rounding = judge(function), 1e-11 * np.max(np.abs(function.d_output))
        away = distances(judged.gradient, judged.exact)
        for off, u in zip(away, leaves(judged.floor), strict=True):
            assert (off <= generator.RIGHT * u + rounding).all(), function.describe()


@pytest.mark.parametrize("curve", CURVES, ids=lambda curve: curve.formula)
def test_every_curve_is_right(curve):
    low, high = max(curve.low, -2), min(curve.high, 2)
    x = np.linspace(max(low, 0.1) if curve.low > 0 else low * 0.9, high * 0.9, 6)
    vjp = lambda d, y, x: d * curve.slope(x, y)
    function = one_step(plain("", curve.f, vjp, curve.exact), x, d_output=np.ones(6))
    assert generator.is_right(function)
