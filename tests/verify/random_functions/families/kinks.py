"""Functions with corners, at points away from a corner, close to it and exactly at it.

All are written so that a complex step goes through them: comparisons look at real parts.
"""

import numpy as np

from tests.verify.random_functions.drawing import Drawing
from tests.verify.random_functions.families.reductions import has_axis
from tests.verify.random_functions.primitive import constant, family, plain


@family(kinked=True, weight=2)
def positive_part(draw: Drawing) -> int:
    """np.where(x > 0, x, slope x): relu, or a leaky one."""
    x = draw.near(draw.pick(), 0)
    slope = float(draw.rng.choice([0, 0.25]))
    primitive = plain(
        f"np.where({{0}}.real > 0, {{0}}, {slope} * {{0}})",
        lambda x: np.where(x.real > 0, x, slope * x),
        lambda d, y, x: np.where(x.real > 0, d, slope * d),
        lambda x: np.where(x > 0, x, slope * x),
    )
    return draw.add(primitive, x)


@family(kinked=True, weight=2)
def larger_of_two(draw: Drawing) -> int:
    """np.maximum(x, y); at a tie all of the gradient goes to x."""
    x = draw.pick()
    y = draw.partner_of_shape(x)
    x = draw.near(x, draw.values[y]) if x != y else x

    def vjp(d, z, x, y):
        first = x.real >= y.real
        return np.where(first, d, 0), np.where(first, 0, d)

    primitive = plain("np.maximum({0}, {1})", np.maximum, vjp, lambda x, y: np.where(x >= y, x, y))
    return draw.add(primitive, x, y)


@family(kinked=True)
def largest(draw: Drawing) -> int:
    """x.max(axis); ties share the gradient."""
    x = draw.pick(has_axis)
    axis = draw.axis(x)
    x = draw.near(x, np.max(draw.values[x], axis=axis, keepdims=True))

    def vjp(d, y, x):
        top = x.real == np.expand_dims(y.real, axis)
        shared = top / constant(top.sum(axis=axis, keepdims=True), x)
        return np.expand_dims(d, axis) * shared

    primitive = plain(f"{{0}}.max(axis={axis})", lambda x: x.max(axis=axis), vjp)
    return draw.add(primitive, x)


@family(kinked=True)
def clip(draw: Drawing) -> int:
    x = draw.tame(draw.pick(), 4)
    high = draw.number(0.25, 2)
    x = draw.near(x, high)
    primitive = plain(
        f"np.clip({{0}}, {-high}, {high})",
        lambda x: np.where(abs(x.real) <= high, x, high * np.sign(x.real)),
        lambda d, y, x: np.where(abs(x.real) <= high, d, 0),
        lambda x: np.where(abs(x) <= high, x, np.where(x > 0, high, -high)),
    )
    return draw.add(primitive, x)


@family(kinked=True)
def hinge(draw: Drawing) -> int:
    """np.maximum(0, c - x).sum(): the loss of a support vector machine."""
    x = draw.tame(draw.pick(has_axis), 4)
    c = draw.number(0.5, 2)
    x = draw.near(x, c)
    primitive = plain(
        f"np.maximum(0, {c} - {{0}}).sum()",
        lambda x: np.where(x.real < c, c - x, 0).sum(),
        lambda d, y, x: np.where(x.real < c, -d, 0),
        lambda x: np.where(x < c, c - x, 0).sum(),
    )
    return draw.add(primitive, x)


@family(kinked=True)
def huber(draw: Drawing) -> int:
    """x^2 / 2 within c, c |x| - c^2 / 2 outside: two pieces that meet without a corner."""
    x = draw.tame(draw.pick(), 4)
    c = draw.number(0.25, 2)
    x = draw.near(x, c)

    def forward(x):
        return np.where(abs(x.real) <= c, x**2 / 2, c * (x * np.sign(x.real) - c / 2))

    primitive = plain(
        f"huber({{0}}, {c})",
        forward,
        lambda d, y, x: d * np.where(abs(x.real) <= c, x, c * np.sign(x.real)),
        lambda x: np.where(abs(x) <= c, x * x / 2, c * (abs(x) - c / 2)),
    )
    return draw.add(primitive, x)


@family(kinked=True)
def sort(draw: Drawing) -> int:
    """np.sort along the last axis."""
    x = draw.pick(has_axis)
    x = draw.near(x, np.asarray(draw.values[x])[..., :1])

    def vjp(d, y, x):
        d_x = np.zeros_like(x)
        np.put_along_axis(d_x, np.argsort(x.real, axis=-1, kind="stable"), d, axis=-1)
        return d_x

    return draw.add(plain("np.sort({0})", lambda x: np.sort(x, kind="stable"), vjp), x)


@family(weight=0.5)
def chosen(draw: Drawing) -> int:
    """np.where(mask, x, y) with a fixed mask: what is not chosen gets a gradient of zero."""
    x = draw.pick()
    y = draw.partner_of_shape(x)
    mask = draw.rng.random(np.shape(draw.values[x])) < 0.5
    primitive = plain(
        f"np.where({mask.tolist()}, {{0}}, {{1}})",
        lambda x, y: np.where(mask, x, y),
        lambda d, z, x, y: (np.where(mask, d, 0), np.where(mask, 0, d)),
    )
    return draw.add(primitive, x, y)
