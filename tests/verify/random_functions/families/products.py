"""Products of matrices, in the ways in which people write them."""

import mpmath
import numpy as np

from tests.verify.random_functions import exactly
from tests.verify.random_functions.drawing import Drawing
from tests.verify.random_functions.families.reductions import has_axis
from tests.verify.random_functions.families.shapes import has_matrix
from tests.verify.random_functions.primitive import constant, family, plain


@family(weight=2)
def matmul(draw: Drawing) -> int:
    """x @ w with a new matrix."""
    x = draw.pick(has_matrix)
    n = np.shape(draw.values[x])[-1]

    def vjp(d, y, x, w):
        rows, d_rows = x.reshape(-1, x.shape[-1]), d.reshape(-1, d.shape[-1])
        return d @ w.T, rows.T @ d_rows

    w = draw.leaf((n, int(draw.rng.integers(1, 4))))
    return draw.add(plain("{0} @ {1}", np.matmul, vjp), x, w)


@family()
def gram(draw: Drawing) -> int:
    """x @ x^T: the same value on both sides."""
    x = draw.pick(has_matrix)
    primitive = plain(
        "{0} @ {0}.swapaxes(-1, -2)",
        lambda x: x @ x.swapaxes(-1, -2),
        lambda d, y, x: (d + d.swapaxes(-1, -2)) @ x,
    )
    return draw.add(primitive, x)


@family()
def rows_times_rows(draw: Drawing) -> int:
    """np.einsum: the dot product of each row of x with that of y."""
    x = draw.pick(has_matrix)
    y = draw.partner_of_shape(x)
    primitive = plain(
        "np.einsum('...i,...i->...', {0}, {1})",
        lambda x, y: np.einsum("...i,...i->...", x, y),
        lambda d, z, x, y: (d[..., None] * y, d[..., None] * x),
        lambda x, y: (x * y).sum(axis=-1),
    )
    return draw.add(primitive, x, y)


@family()
def outer(draw: Drawing) -> int:
    x = draw.pick(lambda value: np.ndim(value) == 1)
    y = draw.leaf((int(draw.rng.integers(1, 4)),))
    primitive = plain(
        "np.outer({0}, {1})", lambda x, y: x[:, None] * y, lambda d, z, x, y: (d @ y, x @ d)
    )
    return draw.add(primitive, x, y)


@family()
def dot(draw: Drawing) -> int:
    x = draw.pick(lambda value: np.ndim(value) == 1)
    y = draw.partner_of_shape(x)
    primitive = plain("{0} @ {1}", lambda x, y: x @ y, lambda d, z, x, y: (d * y, d * x))
    return draw.add(primitive, x, y)


@family()
def quadratic_form(draw: Drawing) -> int:
    """x^T A x with a fixed A that is not symmetric, row by row."""
    x = draw.pick(has_axis)
    n = np.shape(draw.values[x])[-1]
    a = (draw.rng.integers(-8, 9, size=(n, n)) / 4).astype(draw.dtype)
    primitive = plain(
        f"({{0}} @ {a.tolist()} * {{0}}).sum(-1)",
        lambda x: (x @ constant(a, x) * x).sum(axis=-1),
        lambda d, y, x: d[..., None] * (x @ constant(a + a.T, x)),
        lambda x: (x @ exactly.numbers(a) * x).sum(axis=-1),
    )
    return draw.add(primitive, x)


@family()
def convolve(draw: Drawing) -> int:
    x = draw.pick(lambda value: np.ndim(value) == 1 and np.size(value) >= 2)
    w = draw.leaf((2,))

    def vjp(d, y, x, w):
        return np.convolve(d, w[::-1]), np.convolve(x[::-1], d, mode="valid")

    primitive = plain(
        "np.convolve({0}, {1}, mode='valid')",
        lambda x, w: np.convolve(x, w, mode="valid"),
        vjp,
        lambda x, w: x[1:] * w[0] + x[:-1] * w[1],
    )
    return draw.add(primitive, x, w)


@family(weight=0.5)
def solve(draw: Drawing) -> int:
    """np.linalg.solve(m, b) with a fixed m, whose diagonal is large."""
    b = draw.pick(lambda value: np.ndim(value) == 1 and np.size(value) >= 2)
    n = np.size(draw.values[b])
    m = (draw.rng.integers(-4, 5, size=(n, n)) / 4 + 2 * np.eye(n) * n).astype(draw.dtype)

    def exact(b):
        return np.array(list(mpmath.lu_solve(mpmath.matrix(m.tolist()), list(b))), dtype=object)

    primitive = plain(
        f"np.linalg.solve({m.tolist()}, {{0}})",
        lambda b: np.linalg.solve(constant(m, b), b),
        lambda d, y, b: np.linalg.solve(constant(m, b).T, d),
        exact,
    )
    return draw.add(primitive, b)
