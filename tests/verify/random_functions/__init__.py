"""Random right functions with backward passes by hand, planted errors, and the exact truth.

For a property test of a gradient checker:

    rng = np.random.default_rng(seed)
    function = random_function(rng, "float64")
    function.op(*function.inputs, **function.keywords)      must be called right
    op, description, changed = plant(function, rng)
    op(*function.inputs, **function.keywords)               must be called wrong, where changed

`judge(function)` has the truth, the floors and the kinks at the function's own inputs and d_output,
for which it was found to be right; `dataclasses.replace(function, d_output=...)` is the function
at another one, for which one in some hundreds is not. `python -m tests.verify.random_functions`
draws many and says what they are.
"""

from tests.verify.random_functions.floor import distances, floor
from tests.verify.random_functions.function import Function
from tests.verify.random_functions.generator import RIGHT, Judged, Redraws, judge, random_function
from tests.verify.random_functions.plants import WRONG, Plant, plant
from tests.verify.random_functions.truth import Truth, truth

__all__ = [
    "RIGHT",
    "WRONG",
    "Function",
    "Judged",
    "Plant",
    "Redraws",
    "Truth",
    "distances",
    "floor",
    "judge",
    "plant",
    "random_function",
    "truth",
]
