"""Steps that move numbers and leave them as they are: the same code for mpmath numbers."""

import numpy as np

from attention_from_scratch.ops.contract import unbroadcast
from tests.verify.random_functions.drawing import MAX_FLOATS, Drawing
from tests.verify.random_functions.families.reductions import has_axis
from tests.verify.random_functions.primitive import NoFitError, family, plain


def has_matrix(value: np.ndarray) -> bool:
    return np.ndim(value) >= 2


@family()
def reshape(draw: Drawing) -> int:
    x = draw.pick(has_axis)
    size = np.size(draw.values[x])
    rows = int(draw.rng.choice([n for n in range(1, size + 1) if size % n == 0]))
    primitive = plain(
        f"{{0}}.reshape({rows}, -1)",
        lambda x: x.reshape(rows, -1),
        lambda d, y, x: d.reshape(x.shape),
    )
    return draw.add(primitive, x)


def reshaped(draw: Drawing, x: int, shape: tuple[int, ...]) -> int:
    """The value in this shape, by a step of its own where it has another."""
    if np.shape(draw.values[x]) == shape:
        return x
    primitive = plain(
        f"{{0}}.reshape{shape}", lambda x: x.reshape(shape), lambda d, y, x: d.reshape(x.shape)
    )
    return draw.add(primitive, x)


@family()
def transpose(draw: Drawing) -> int:
    x = draw.pick(has_matrix)
    axes = tuple(int(i) for i in draw.rng.permutation(np.ndim(draw.values[x])))
    primitive = plain(
        f"{{0}}.transpose{axes}",
        lambda x: x.transpose(axes),
        lambda d, y, x: d.transpose(np.argsort(axes)),
    )
    return draw.add(primitive, x)


@family()
def rows_between(draw: Drawing) -> int:
    """x[start::step]: the entries that are left out get a gradient of zero."""
    x = draw.pick(lambda value: has_axis(value) and len(value) > 1)
    start, stride = int(draw.rng.integers(2)), int(draw.rng.integers(1, 3))

    def vjp(d, y, x):
        d_x = np.zeros_like(x)
        d_x[start::stride] = d
        return d_x

    return draw.add(plain(f"{{0}}[{start}::{stride}]", lambda x: x[start::stride], vjp), x)


@family()
def last_column(draw: Drawing) -> int:
    x = draw.pick(has_axis)

    def vjp(d, y, x):
        d_x = np.zeros_like(x)
        d_x[..., -1] = d
        return d_x

    return draw.add(plain("{0}[..., -1]", lambda x: x[..., -1], vjp), x)


@family()
def take(draw: Drawing) -> int:
    """x[index], where the index names some entries twice and others never; an integer input."""
    x = draw.pick(has_axis)
    index = draw.ids((int(draw.rng.integers(1, 5)),), len(draw.values[x]))

    def vjp(d, y, x, index):
        d_x = np.zeros_like(x)
        np.add.at(d_x, index, d)
        return d_x

    return draw.add(plain("{0}[{1}]", lambda x, index: x[index], vjp), x, index)


@family()
def scatter(draw: Drawing) -> int:
    """np.add.at(zeros, ids, x): rows with the same id are summed."""
    x = draw.pick(has_axis)
    n_rows = int(draw.rng.integers(2, 5))
    ids = draw.ids((len(draw.values[x]),), n_rows)

    def forward(x, ids):
        table = np.zeros((n_rows, *x.shape[1:]), x.dtype)
        for row, i in zip(x, ids, strict=True):
            table[i] = table[i] + row
        return table

    primitive = plain(
        f"add_at(zeros({n_rows}), {{1}}, {{0}})", forward, lambda d, y, x, ids: d[ids]
    )
    return draw.add(primitive, x, ids)


@family()
def concatenate(draw: Drawing) -> int:
    x = draw.pick(has_axis)
    shape = np.shape(draw.values[x])
    y = draw.pick(lambda value: has_axis(value) and np.shape(value)[1:] == shape[1:])
    if np.size(draw.values[x]) + np.size(draw.values[y]) > MAX_FLOATS // 2:
        raise NoFitError
    primitive = plain(
        "np.concatenate([{0}, {1}])",
        lambda x, y: np.concatenate([x, y]),
        lambda d, z, x, y: (d[: len(x)], d[len(x) :]),
    )
    return draw.add(primitive, x, y)


@family()
def stack(draw: Drawing) -> int:
    x = draw.pick()
    y = draw.pick(lambda value: np.shape(value) == np.shape(draw.values[x]))
    primitive = plain(
        "np.stack([{0}, {1}], axis=-1)",
        lambda x, y: np.stack([x, y], axis=-1),
        lambda d, z, x, y: (d[..., 0], d[..., 1]),
    )
    return draw.add(primitive, x, y)


@family()
def broadcast(draw: Drawing) -> int:
    x = draw.pick(lambda value: np.size(value) <= 6)
    shape = (2, *np.shape(draw.values[x]))
    primitive = plain(
        f"np.broadcast_to({{0}}, {shape})",
        lambda x: np.broadcast_to(x, shape),
        lambda d, y, x: unbroadcast(d, np.shape(x)),
    )
    return draw.add(primitive, x)


@family()
def roll(draw: Drawing) -> int:
    x = draw.pick(has_axis)
    by, axis = int(draw.rng.integers(1, 3)), draw.axis(x)
    primitive = plain(
        f"np.roll({{0}}, {by}, {axis})",
        lambda x: np.roll(x, by, axis),
        lambda d, y, x: np.roll(d, -by, axis),
    )
    return draw.add(primitive, x)


@family()
def difference(draw: Drawing) -> int:
    """np.diff along the last axis."""
    x = draw.pick(lambda value: has_axis(value) and np.shape(value)[-1] > 1)

    def vjp(d, y, x):
        d_x = np.zeros_like(x)
        d_x[..., 1:] += d
        d_x[..., :-1] -= d
        return d_x

    return draw.add(plain("np.diff({0})", lambda x: x[..., 1:] - x[..., :-1], vjp), x)


@family()
def repeat(draw: Drawing) -> int:
    x = draw.pick(lambda value: has_axis(value) and np.size(value) <= 6)
    primitive = plain(
        "np.repeat({0}, 2, axis=0)",
        lambda x: np.repeat(x, 2, axis=0),
        lambda d, y, x: d[0::2] + d[1::2],
    )
    return draw.add(primitive, x)


@family()
def lower_triangle(draw: Drawing) -> int:
    x = draw.pick(has_matrix)
    primitive = plain(
        "np.tril({0})",
        lambda x: np.where(np.tri(*x.shape[-2:], dtype=bool), x, 0),
        lambda d, y, x: np.tril(d),
    )
    return draw.add(primitive, x)
