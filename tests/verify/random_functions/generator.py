"""Random functions whose backward pass is right, which is to say: right as far as rounding goes."""

from collections import Counter
from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np

from attention_from_scratch.ops.contract import unbroadcast
from attention_from_scratch.tree import Tree, leaves
from tests.verify.random_functions.drawing import Drawing, random_d_output
from tests.verify.random_functions.families import FAMILIES
from tests.verify.random_functions.families.not_analytic import python_float
from tests.verify.random_functions.floor import distances, floor_around
from tests.verify.random_functions.function import Function, is_float
from tests.verify.random_functions.inputs import MAX_ENTRIES, random_array, random_shape
from tests.verify.random_functions.primitive import Family, NoFitError, plain
from tests.verify.random_functions.truth import Truth, truth

RIGHT = 16  # floors from the truth: as far as a right gradient may be
PLAIN = 4000  # floors from zero: a slope whose doubling shows

SHARE_ANALYTIC, SHARE_UNUSED = 0.66, 0.04

NOT_ANALYTIC = [family for family in FAMILIES.values() if not family.analytic]


@dataclass(frozen=True)
class Judged:
    """What is known of a function at its own inputs and d_output.

    `exact` is the truth, `floor` the error model's u (a tuple with a tree for each float input),
    `gradient` what the op's backward pass says, and `worst` its largest distance in floors.
    """

    exact: Truth
    floor: tuple[Tree, ...]
    gradient: Tree
    worst: float

    @property
    def has_slope(self) -> bool:
        """Whether some entry, not at a kink, stands out of the rounding."""
        each = map(leaves, (self.exact.gradient, self.floor, self.exact.kinks))
        return any(
            bool(np.any((np.abs(r) > PLAIN * u) & ~kinks))
            for r, u, kinks in zip(*each, strict=True)
        )


@dataclass
class Redraws:
    """How many functions were drawn, and how many of them again: poor ones and flat ones."""

    drawn: int = 0
    poor: int = 0
    flat: int = 0
    families: Counter = field(default_factory=Counter)  # in all of them
    poor_families: Counter = field(default_factory=Counter)


def random_function(
    rng: np.random.Generator, dtype: str, redraws: Redraws | None = None
) -> Function:
    """Draw a function whose backward pass is right: within 16 floors of the truth everywhere.

    The formulas of all steps are right. But a right formula may lose digits inside in a way that
    no change of the inputs shows (1 - tanh(x)^2 where tanh is nearly 1, or the float forward pass
    on the other side of a kink), and then what the backward pass says is not the derivative to the
    precision that the inputs allow. Such functions are poor and drawn again: "right" means right.
    So are flat ones, whose gradient stands out of the rounding nowhere but at kinks.

    At a kink along an entry, right is what lies between the slopes on the two sides.

    Parameters
    ----------
    rng : numpy.random.Generator
    dtype : "float64" or "float32"
    redraws : Redraws or None
        Counts what was drawn again.
    """
    redraws = Redraws() if redraws is None else redraws
    while True:
        function = draw_function(rng, dtype)
        families = {step.family for step in function.steps}
        redraws.drawn += 1
        redraws.families.update(families)
        if not is_right(function):
            redraws.poor += 1
            redraws.poor_families.update(families)
        elif not judge(function).has_slope:
            redraws.flat += 1
        else:
            return function


def is_right(function: Function) -> bool:
    """Whether the backward pass is within 16 floors of the truth, which must exist close by."""
    try:
        return judge(function).worst <= RIGHT
    except ArithmeticError:  # a logarithm of what rounding makes negative, and the like
        return False


@lru_cache(maxsize=8)
def judge(function: Function) -> Judged:
    """Truth, floor and gradient of a function at its own inputs and d_output."""
    exact = truth(function, function.inputs, function.d_output)
    with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
        u = floor_around(function, function.inputs, function.d_output, exact)
    gradient = function.gradient(function.inputs, function.d_output)
    return Judged(exact, u, gradient, in_floors(distances(gradient, exact), leaves(u)))


def in_floors(distance: list[np.ndarray], floors: list[np.ndarray]) -> float:
    """The largest distance, counted in floors; infinite where the floor is 0 and it is not."""
    worst = 0.0
    for away, u in zip(distance, floors, strict=True):
        with np.errstate(divide="ignore", invalid="ignore"):
            ratio = np.where(away == 0, 0, away / u)
        worst = max(worst, float(np.max(np.where(np.isnan(ratio), np.inf, ratio), initial=0)))
    return worst


def draw_function(rng: np.random.Generator, dtype: str) -> Function:
    """Draw a function with right formulas, finite at its inputs and in its gradients."""
    while True:
        drawing = Drawing(rng, dtype, analytic=bool(rng.random() < SHARE_ANALYTIC))
        try:
            return drawn(drawing)
        except NoFitError:
            continue


def drawn(drawing: Drawing) -> Function:
    """Two to six steps, and what joins their loose ends."""
    rng, dtype = drawing.rng, drawing.dtype
    drawing.given(random_array(rng, random_shape(rng), dtype))
    n_steps = int(rng.integers(2, 7))
    forced = None if drawing.analytic else int(rng.integers(n_steps - 1))
    if drawing.kinks != "away" and rng.random() < 0.6:  # an input can be put at a corner
        grow(drawing, [family for family in FAMILIES.values() if family.kinked])
    for number in range(n_steps - len(drawing.steps)):
        grow(drawing, NOT_ANALYTIC if number == forced else list(FAMILIES.values()))
    if rng.random() < SHARE_UNUSED:
        drawing.given(random_array(rng, random_shape(rng), dtype))
    return completed(drawing)


def completed(drawing: Drawing) -> Function:
    """The function of the steps drawn, with loose ends joined; NoFitError where not finite."""
    while len(drawing.dangling()) > 1:
        join(drawing, *drawing.dangling()[:2])
    finish(drawing, drawing.dangling()[0])
    output = drawing.values[drawing.steps[-1].result]
    function = drawing.function(random_d_output(drawing.rng, output, drawing.dtype))
    require_gradient(function)
    return function


def grow(drawing: Drawing, families: list[Family]) -> None:
    """Add a step of one of the families that fit, or NoFitError where none does."""
    weights = np.array([family.weight for family in families])
    order = drawing.rng.choice(
        len(families), size=len(families), replace=False, p=weights / weights.sum()
    )
    if not any(drawing.attempt(families[i]) for i in order):
        raise NoFitError


def join(drawing: Drawing, a: int, b: int) -> int:
    """A sum of two loose ends where they broadcast, else their entries side by side."""
    drawing.family = "join"
    shape_a, shape_b = (np.shape(drawing.values[slot]) for slot in (a, b))
    if shape_a == shape_b or 1 in (np.size(drawing.values[a]), np.size(drawing.values[b])):
        primitive = plain(
            "{0} + {1}",
            lambda x, y: x + y,
            lambda d, z, x, y: (unbroadcast(d, np.shape(x)), unbroadcast(d, np.shape(y))),
        )
        return drawing.add(primitive, a, b)
    primitive = plain(
        "np.concatenate([{0}.ravel(), {1}.ravel()])",
        lambda x, y: np.concatenate([x.ravel(), y.ravel()]),
        lambda d, z, x, y: (d[: x.size].reshape(x.shape), d[x.size :].reshape(y.shape)),
    )
    return drawing.add(primitive, a, b)


def finish(drawing: Drawing, last: int) -> None:
    """Sum up a long output, and sometimes any; a single number may become a Python float."""
    value, rng = drawing.values[last], drawing.rng
    drawing.family = "finish"
    if np.ndim(value) and (np.size(value) > MAX_ENTRIES or rng.random() < 0.15):
        total = plain("{0}.sum()", np.sum, lambda d, y, x: np.broadcast_to(d, x.shape))
        last = drawing.add(total, last)
    if np.ndim(drawing.values[last]) == 0 and not drawing.analytic and rng.random() < 0.4:
        python_float(drawing, last)


def require_gradient(function: Function) -> None:
    """NoFitError unless the gradients are finite; they must be arrays like the inputs."""
    try:
        with np.errstate(over="raise", divide="raise"):
            found = leaves(function.gradient(function.inputs, function.d_output))
    except FloatingPointError:
        raise NoFitError from None
    expected = [leaf for _, leaf in function.placed(function.inputs) if is_float(leaf)]
    for gradient, leaf in zip(found, expected, strict=True):
        if np.shape(gradient) != leaf.shape or gradient.dtype != leaf.dtype:
            raise AssertionError(
                f"a gradient is {gradient.dtype} {np.shape(gradient)}, but its input "
                f"{leaf.dtype} {leaf.shape}:\n{function.describe()}"
            )
        if not np.isfinite(gradient).all():
            raise NoFitError
