"""Many numbers to one, or to few: sums, means, products, and what is made of them."""

import numpy as np

from tests.verify.random_functions import exactly
from tests.verify.random_functions.drawing import Drawing
from tests.verify.random_functions.primitive import constant, family, plain


def has_axis(value: np.ndarray) -> bool:
    return np.ndim(value) > 0


def back(d: np.ndarray, x: np.ndarray, axis: int) -> np.ndarray:
    """Repeat the gradient of a sum along the axis that was summed."""
    return np.broadcast_to(np.expand_dims(d, axis), x.shape)


@family(weight=2)
def sum_over_axis(draw: Drawing) -> int:
    x = draw.pick(has_axis)
    axis = draw.axis(x)
    primitive = plain(
        f"{{0}}.sum(axis={axis})", lambda x: x.sum(axis=axis), lambda d, y, x: back(d, x, axis)
    )
    return draw.add(primitive, x)


@family(weight=2)
def mean_over_axis(draw: Drawing) -> int:
    x = draw.pick(has_axis)
    axis = draw.axis(x)
    primitive = plain(
        f"{{0}}.mean(axis={axis}, keepdims=True)",
        lambda x: x.mean(axis=axis, keepdims=True),
        lambda d, y, x: np.broadcast_to(d / x.shape[axis], x.shape),
        lambda x: x.sum(axis=axis, keepdims=True) / x.shape[axis],
    )
    return draw.add(primitive, x)


@family()
def sum_of_all(draw: Drawing) -> int:
    x = draw.pick(has_axis)
    primitive = plain("{0}.sum()", np.sum, lambda d, y, x: np.broadcast_to(d, x.shape))
    return draw.add(primitive, x)


@family()
def mean_of_squares(draw: Drawing) -> int:
    """((x - y) ** 2).mean(): a loss."""
    x = draw.pick(has_axis)
    shape = np.shape(draw.values[x])

    def vjp(d, z, x, y):
        d_x = d * 2 * (x - y) / x.size
        return d_x, -d_x

    primitive = plain(
        "(({0} - {1}) ** 2).mean()",
        lambda x, y: ((x - y) ** 2).mean(),
        vjp,
        lambda x, y: ((x - y) ** 2).sum() / x.size,
    )
    return draw.add(primitive, x, draw.leaf(shape))


@family()
def product(draw: Drawing) -> int:
    """x.prod(axis), with the others' product as y / x."""
    x = draw.tame(draw.pick(lambda value: has_axis(value) and np.all(value != 0)), 10)
    axis = draw.axis(x)
    primitive = plain(
        f"{{0}}.prod(axis={axis})",
        lambda x: x.prod(axis=axis),
        lambda d, y, x: back(d * y, x, axis) / x,
    )
    return draw.add(primitive, x)


@family()
def log_sum_exp(draw: Drawing) -> int:
    x = draw.tame(draw.pick(has_axis), 30)
    axis = draw.axis(x)

    def forward(x):
        top = x.real.max(axis=axis, keepdims=True)
        return np.log(np.exp(x - top).sum(axis=axis)) + top.squeeze(axis)

    primitive = plain(
        f"logsumexp({{0}}, axis={axis})",
        forward,
        lambda d, y, x: back(d, x, axis) * np.exp(x - np.expand_dims(y, axis)),
        lambda x: exactly.log(np.sum(exactly.exp(x), axis=axis)),
    )
    return draw.add(primitive, x)


@family()
def variance_by_hand(draw: Drawing) -> int:
    """((x - x.mean()) ** 2).mean() over an axis, which a complex step goes through."""
    x = draw.pick(has_axis)
    axis = draw.axis(x)

    def forward(x):
        centred = x - x.mean(axis=axis, keepdims=True)
        return (centred**2).mean(axis=axis)

    def vjp(d, y, x):
        centred = x - x.mean(axis=axis, keepdims=True)
        return back(d, x, axis) * 2 * centred / x.shape[axis]

    def exact(x):
        n = x.shape[axis]
        centred = x - x.sum(axis=axis, keepdims=True) / n
        return (centred * centred).sum(axis=axis) / n

    formula = f"(({{0}} - {{0}}.mean({axis}, keepdims=True)) ** 2).mean({axis})"
    return draw.add(plain(formula, forward, vjp, exact), x)


@family()
def root_mean_square(draw: Drawing) -> int:
    """x / sqrt(mean(x^2) + c) over the last axis: RMS norm."""
    x, c = draw.pick(has_axis), draw.number()

    def size(x):
        return np.sqrt((x * x).mean(axis=-1, keepdims=True) + c)

    def vjp(d, y, x):
        return (d - y * (d * y).mean(axis=-1, keepdims=True)) / size(x)

    def exact(x):
        n = x.shape[-1]
        return x / exactly.sqrt((x * x).sum(axis=-1, keepdims=True) / n + c)

    formula = f"{{0}} / np.sqrt(({{0}} ** 2).mean(-1, keepdims=True) + {c})"
    return draw.add(plain(formula, lambda x: x / size(x), vjp, exact), x)


@family()
def weighted_sum(draw: Drawing) -> int:
    """(x * w).sum(axis) with fixed weights, some of them zero."""
    x = draw.pick(has_axis)
    axis = draw.axis(x)
    shape = np.shape(draw.values[x])
    w = np.where(draw.rng.random(shape) < 0.3, 0, draw.rng.integers(-8, 9, size=shape) / 4)
    w = w.astype(draw.dtype)
    primitive = plain(
        f"({{0}} * {w.tolist()}).sum({axis})",
        lambda x: (x * constant(w, x)).sum(axis=axis),
        lambda d, y, x: back(d, x, axis) * constant(w, x),
        lambda x: (x * exactly.numbers(w)).sum(axis=axis),
    )
    return draw.add(primitive, x)


@family()
def cumulative_sum(draw: Drawing) -> int:
    x = draw.pick(has_axis)
    axis = draw.axis(x)
    primitive = plain(
        f"np.cumsum({{0}}, axis={axis})",
        lambda x: np.cumsum(x, axis=axis),
        lambda d, y, x: np.flip(np.cumsum(np.flip(d, axis), axis=axis), axis),
    )
    return draw.add(primitive, x)
