import numpy as np

from attention_from_scratch.tree import leaves
from tests.verify.random_functions import distances, floor, truth
from tests.verify.random_functions.floor import perturbed, random_signs
from tests.verify.random_functions.made_by_hand import one_step
from tests.verify.random_functions.primitive import plain

EPS = np.finfo(float).eps
SQUARE = plain("{0} ** 2", lambda x: x * x, lambda d, y, x: d * 2 * x)


def test_the_floor_of_a_square_is_that_of_three_roundings():
    """r = 2 x d moves by eps for x and by eps for d_output, and there is eps |r| besides."""
    x = np.array([1.0, -1e6, 0.0, 1e-6])
    function = one_step(SQUARE, x, d_output=np.ones(4))
    (u,) = floor(function, function.inputs, function.d_output)
    r = np.abs(2 * x)
    assert ((1 * EPS * r <= u) & (u <= 3.5 * EPS * r)).all()
    assert (u[r > 0] >= 2 * EPS * r[r > 0]).all()
    assert u[2] == 0


def test_the_floor_is_that_of_the_dtype():
    x = np.float32([1.0, 3.0])
    function = one_step(SQUARE, x, d_output=np.ones(2))
    (u,) = floor(function, function.inputs, function.d_output)
    assert (u > 1e-7).all()


def test_the_floor_sees_what_cancels_in_the_function():
    """(x - y) ** 2 of two numbers that nearly agree: its slope is known to few digits."""
    forward, vjp = lambda x, y: (x - y) ** 2, lambda d, z, x, y: (2 * d * (x - y), -2 * d * (x - y))
    x, y = np.array([1.0]), np.array([1.0 + 1e-10])
    function = one_step(plain("", forward, vjp), x, y, d_output=[1.0])
    u = leaves(floor(function, function.inputs, function.d_output))
    assert all(2 * EPS <= leaf[0] <= 5 * EPS for leaf in u)  # of a slope of 2e-10


def test_the_floor_sees_what_the_backward_pass_itself_loses():
    """A gradient that is truly zero and comes out as rounding: r stays, g moves."""
    vjp = lambda d, y, x: d * ((x + 1e3) - 1e3 - x)
    function = one_step(plain("", lambda x: x * 0, vjp), np.array([0.1, 0.7]), d_output=[1.0, 1.0])
    (u,) = floor(function, function.inputs, function.d_output)
    assert (u > 0).all()


def test_no_two_entries_move_together_in_all_runs():
    signs = random_signs(np.random.default_rng(0), 40)
    agreement = np.abs(signs.T @ signs) / len(signs)
    assert (agreement[~np.eye(40, dtype=bool)] < 1).all()
    assert abs(signs.mean()) < 0.2


def test_perturbed_keeps_zeros_integers_and_dtypes():
    x, ids = np.float32([0.0, 1.0, -1e-6]), np.array([1, 2])
    moved, same = perturbed((x, ids), np.array([1, -1, 1]))
    assert moved.dtype == np.float32
    assert moved[0] == 0
    assert (np.abs(moved[1:] / x[1:] - 1) < 3e-7).all()
    assert (moved[1:] != x[1:]).all()
    assert same is ids


def test_at_a_corner_what_lies_between_the_slopes_is_right():
    absolute = plain("abs", abs, lambda d, y, x: d * np.sign(x))
    function = one_step(absolute, np.array([0.0, 0.0, 0.0, 1.0]), d_output=np.ones(4))
    exact = truth(function, function.inputs, function.d_output)
    (away,) = distances(np.array([0.0, -1.0, 1.5, 1.5]), exact)
    assert away.tolist() == [0.0, 0.0, 0.5, 0.5]
