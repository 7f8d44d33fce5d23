"""Right code is not accused, and wrong code does not hide, whatever the size of its numbers."""

from collections import namedtuple

import numpy as np
import pytest

from attention_from_scratch import ops
from attention_from_scratch.verify import GradientError, assert_gradients, check_gradients


def normal(*shape, seed=1):
    return np.random.default_rng(seed).standard_normal(shape)


def self_attention_with_a_bias_on_the_keys(x, bias):
    """A bias that all keys share changes no weight: its gradient is 0, but for rounding."""
    output, back = ops.scaled_dot_product_attention(x, x + bias, x)

    def backward(d_output):
        d_query, d_key, d_value = back(d_output)
        return d_query + d_key + d_value, d_key.sum(axis=(0, 1))

    return output, backward


def norm_of_a_shifted(x, shift):
    """A layer norm takes the mean away, and with it whatever was added to all."""
    output, back = ops.layer_norm(x + shift, None, None)

    def backward(d_output):
        d_x = back(d_output)
        d_x = d_x[0] if isinstance(d_x, tuple) else d_x
        return d_x, d_x.sum()

    return output, backward


def divergence(p, q):
    """The Kullback-Leibler divergence of two distributions."""
    return (p * np.log(p / q)).sum(), lambda d=1.0: (d * (np.log(p / q) + 1), -d * p / q)


def sine(x):
    return np.sin(1000 * x), lambda d: d * 1000 * np.cos(1000 * x)


def root(x):
    return np.sqrt(x), lambda d: d / (2 * np.sqrt(x))


def lstm(params, x):
    return ops.lstm(params, x)


def lstm_of_twenty(seed):
    """An LSTM whose weights are so large that it saturates, in float32."""
    sizes = {"input": 3, "hidden": 20}
    params = {
        name: {"weight": normal(n, 80, seed=seed + n), "bias": normal(80, seed=seed)}
        for name, n in sizes.items()
    }
    as_float32 = {
        name: {key: value.astype(np.float32) for key, value in linear.items()}
        for name, linear in params.items()
    }
    return as_float32, normal(2, 3, 3, seed=seed).astype(np.float32)


def probabilities(seed):
    return ops.softmax(normal(2, 5, seed=seed))[0]


def saturated(seed):
    x = (7 + seed) * normal(5, 8, seed=seed)
    return x, x, normal(5, 8, seed=seed + 50)


RIGHT = {
    "a bias on the keys": lambda seed: (
        self_attention_with_a_bias_on_the_keys,
        normal(2, 4, 3, seed=seed),
        normal(3, seed=seed + 1),
    ),
    "a layer norm of what is shifted": lambda seed: (
        norm_of_a_shifted,
        normal(2, 5, seed=seed),
        np.array(0.7),
    ),
    "saturated attention": lambda seed: (ops.scaled_dot_product_attention, *saturated(seed)),
    "logits around 1000": lambda seed: (ops.softmax, 1000 + normal(2, 4, seed=seed)),
    "a divergence": lambda seed: (divergence, probabilities(seed), probabilities(seed + 1)),
    "a fast sine": lambda seed: (sine, normal(2, 3, seed=seed)),
    "a root near 0": lambda seed: (root, 1e-9 * normal(4, seed=seed) ** 2),
    "an LSTM in float32": lambda seed: (lstm, *lstm_of_twenty(seed)),
}


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("case", RIGHT.values(), ids=RIGHT)
def test_right_code_is_not_accused(case, seed):
    op, *inputs = case(seed)
    assert_gradients(op, *inputs, projections=3 if op is lstm else None)


def test_a_cross_entropy_with_an_additive_mask_is_right():
    logits = np.array([[1.0, 2.0, -1e4], [0.3, -0.2, 0.5]])
    assert_gradients(ops.cross_entropy, logits, np.array([0, 1]))


def small_leaf(params, x):
    """A tree with a large and a small leaf; the gradient of the small one is thrown away."""
    y = params["big"] * x * 1e5 + np.sin(params["small"]) * x * 0.1

    def backward(d):
        d_x = (d * (params["big"] * 1e5 + np.sin(params["small"]) * 0.1)).astype(x.dtype)
        d_big = (d * x * 1e5).sum(keepdims=True).astype(x.dtype)
        return {"big": d_big, "small": np.zeros_like(params["small"])}, d_x

    return y, backward


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_small_leaf_does_not_hide_behind_a_large_one(dtype):
    params = {"big": np.array([0.5], dtype), "small": np.array([0.3], dtype)}
    report = check_gradients(small_leaf, params, normal(4).astype(dtype))
    assert [row.name for row in report.rows if row.verdict == "wrong"] == ["params.small"]


def test_a_small_entry_does_not_hide_behind_a_large_one():
    slopes = np.array([1e8, 1.0])

    def op(x):
        return x * slopes, lambda d: d * slopes * [1, 0]

    report = check_gradients(op, normal(2))
    assert report.rows[0].where == (1,)
    assert report.verdict == "wrong"


def test_another_slope_at_a_kink_is_right_and_one_beyond_is_wrong():
    x = np.array([-1.0, 0.0, 2.0])

    def relu_with(slope):
        return lambda x: (np.maximum(x, 0), lambda d: d * np.where(x == 0, slope, x > 0))

    for slope in (0, 0.3, 1):
        report = check_gradients(relu_with(slope), x, raise_on_failure=True)
        assert report.rows[0].kinks.tolist() == [False, True, False]
        assert "a kink at (1,)" in str(report)
    for slope in (-0.1, 1.1):
        assert check_gradients(relu_with(slope), x).verdict == "wrong"


@pytest.mark.parametrize("distance", [1e-9, 1e-6, 1e-3])
@pytest.mark.parametrize("analytic", [True, False])
def test_near_a_kink_the_slope_of_the_other_side_is_wrong(distance, analytic):
    def op(right):
        def relu(x):
            output = np.maximum(x, 0) if analytic else (np.abs(x) + x) / 2
            return output, lambda d: d * ((x > 0) == right)

        return relu

    x = np.array([distance, -distance, 1.0])
    assert check_gradients(op(True), x).passed
    assert check_gradients(op(False), x).verdict == "wrong"


def test_an_op_that_draws_anew_at_each_call_is_called_random_not_wrong():
    def dropout(x):
        keep = np.random.default_rng().random(x.shape) < 0.5
        return x * keep / 0.5, lambda d: d * keep / 0.5

    with pytest.raises(GradientError, match=r"another output when it is called again.*random"):
        check_gradients(dropout, normal(3, 4))


# -- constants, and what people bring ------------------------------------------------------------


def bce(logits, targets):
    p = 1 / (1 + np.exp(-logits))
    loss = -(targets * np.log(p) + (1 - targets) * np.log(1 - p)).mean()
    return loss, lambda d=1.0: d * (p - targets) / logits.size


def test_targets_may_have_no_gradient():
    logits, targets = normal(2, 3), (normal(2, 3, seed=2) > 0).astype(float)
    assert check_gradients(bce, logits, targets.astype(int)).passed
    assert check_gradients(bce, logits, targets > 0).passed
    report = check_gradients(bce, logits, targets, constant=("targets",))
    assert report.passed
    assert "targets has no gradient: taken for a constant" in str(report)
    with pytest.raises(GradientError, match=r"name those that have no gradient: constant="):
        check_gradients(bce, logits, targets)
    with pytest.raises(ValueError, match="constant was 'target', but must be among logits"):
        check_gradients(bce, logits, targets, constant="target")


def test_an_input_whose_gradient_is_none_is_a_constant():
    def with_none(logits, targets):
        loss, back = bce(logits, targets)
        return loss, lambda d=1.0: (back(d), None)

    report = check_gradients(with_none, normal(2, 3), np.ones((2, 3)))
    assert [row.name for row in report.rows] == ["logits"]
    assert report.passed


def test_numbers_are_constants_unless_they_are_all_there_is():
    def scaled(x, factor):
        return x * factor, lambda d: d * factor

    assert check_gradients(scaled, normal(3), 2.5).passed
    assert check_gradients(scaled, normal(3), 2).passed

    def square(x):
        return x * x, lambda d=1.0: d * 2 * x

    for x in (3.0, np.float64(3.0), np.float32(3.0)):
        assert check_gradients(square, x).passed
        assert not check_gradients(lambda x: (square(x)[0], lambda d=1.0: d * x), x).passed


def test_several_outputs_take_several_d_outputs():
    def both(x):
        return (np.sin(x), x.sum()), lambda d_sine, d_sum: d_sine * np.cos(x) + d_sum

    def in_a_tuple(x):
        return (np.sin(x), x.sum()), lambda d: d[0] * np.cos(x) + d[1]

    def wrong(x):
        return (np.sin(x), x.sum()), lambda d_sine, d_sum: d_sine * np.cos(x)

    assert check_gradients(both, normal(3)).passed
    assert check_gradients(in_a_tuple, normal(3)).passed
    assert check_gradients(wrong, normal(3)).verdict == "wrong"


def test_tuples_and_namedtuples_are_trees():
    Pair = namedtuple("Pair", "a b")

    def product(pair):
        return pair[0] * pair[1], lambda d: type(pair)(*(Pair(d * pair[1], d * pair[0])))

    def plain(pair):
        return pair[0] * pair[1], lambda d: (d * pair[1], d * pair[0])

    report = check_gradients(product, Pair(normal(3), normal(3, seed=2)))
    assert report.passed
    assert [row.name for row in report.rows] == ["pair.0", "pair.1"]
    assert check_gradients(plain, (normal(3), normal(3, seed=2))).passed


def affine_forward(x, w, b):
    return x @ w + b, (x, w, b)


def affine_backward(d_output, cache):
    x, w, _ = cache
    return d_output @ w.T, x.T @ d_output, d_output.sum(axis=0)


class Tanh:
    """A layer that remembers its last output."""

    def forward(self, x):
        self.output = np.tanh(x)
        return self.output

    def backward(self, d_output):
        return d_output * (1 - self.output**2)


def test_the_forms_of_courses_are_taken():
    inputs = normal(3, 4), normal(4, 2), normal(2)
    assert check_gradients((affine_forward, affine_backward), *inputs).passed
    layer = Tanh()
    for code in (layer, (layer.forward, layer.backward)):
        assert check_gradients(code, normal(3)).passed
    assert check_gradients(layer, normal(3)).op == "Tanh"
    with pytest.raises(TypeError, match=r"returned \(output, cache\).*\(affine_forward, its back"):
        check_gradients(affine_forward, *inputs)


def test_a_keyword_called_seed_is_the_ops():
    def dropout(x, *, seed):
        keep = np.random.default_rng(seed).random(x.shape) < 0.5
        assert seed == 7
        return x * keep, lambda d: d * keep

    assert check_gradients(dropout, normal(3), seed=7).passed


def test_complex_inputs_are_refused():
    with pytest.raises(TypeError, match="an input is complex, but must be real"):
        check_gradients(ops.relu, normal(3) + 1j)


def test_the_size_of_numbers_in_an_array_of_its_own_is_judged_by_differences():
    def size(x):
        hidden = np.empty(x.shape, x.dtype)
        hidden[...] = x - 1.0
        return x**2 + np.abs(hidden), lambda d_output: (d_output * (2 * x + np.sign(x - 1.0)),)

    def without_the_size(x):
        output, _ = size(x)
        return output, lambda d_output: (2 * x * d_output,)

    x = np.array([1.5, 0.7, 4.0])
    report = check_gradients(size, x)
    assert report.verdict == "right"
    assert "differences contradict the complex step" in str(report)
    assert check_gradients(without_the_size, x).verdict == "cannot tell"


def test_ties_that_rounding_hides_from_differences_are_not_called_wrong():
    def twice_sorted(x, targets):
        first = np.argsort(x, kind="stable")
        squared = x[first] ** 2
        second = np.argsort(squared, kind="stable")
        factor = x.dtype.type(3e-11)
        loss, backward_loss = ops.binary_cross_entropy_with_logits(
            factor * squared, targets, reduction="sum"
        )

        def backward(d_output):
            d_logits, d_targets = backward_loss(d_output.sum())
            d_squared = factor * d_logits
            d_squared[second] += d_output
            d_x = np.empty_like(x)
            d_x[first] = 2 * x[first] * d_squared
            return d_x, d_targets

        return loss + squared[second], backward

    x = np.array([-0.002, -0.002, -0.002, -4e5], np.float32)
    targets = np.array([0.56, 0.66, 0.28, 0.04], np.float32)
    assert check_gradients(twice_sorted, x, targets).verdict != "wrong"
    negated = negative_of(twice_sorted)
    assert check_gradients(negated, x, targets).verdict == "wrong"


def test_the_square_of_the_complex_step_is_no_slope():
    def cube(x):
        return (x**3).sum(), lambda d_output: (3 * x**2 * d_output,)

    assert check_gradients(cube, np.array([0.0, 2.0])).verdict == "right"


def test_right_code_of_which_several_ties_meet_is_not_called_wrong():
    def twice_used(x):
        order = np.argsort(x, kind="stable")
        weights = np.array([1.0, 20.0, 4000.0, 300.0])

        def backward(d_output):
            d_x = np.zeros_like(x)
            d_x[order] = weights * d_output
            return (d_x + 2 * x * d_output,)

        return (np.sort(x) * weights).sum() + (x * x).sum(), backward

    ties = np.array([2.0, 2.0, 0.5, 2.0])
    assert check_gradients(twice_used, ties).verdict == "right"
    assert check_gradients(negative_of(twice_used), ties).verdict == "wrong"


def negative_of(op):
    def negated(*inputs):
        output, backward = op(*inputs)
        return output, lambda d_output: tuple(-gradient for gradient in backward(d_output))

    return negated


def test_an_op_that_takes_no_complex_numbers_beside_a_tie_is_judged_all_the_same():
    def sort(x):
        if np.iscomplexobj(x) and len(set(x.real)) > 1:
            raise TypeError("no complex numbers here")
        order = np.argsort(x, kind="stable")
        return x[order], lambda d_output: (d_output[np.argsort(order)],)

    assert check_gradients(sort, np.ones(3)).verdict != "wrong"


def test_a_tie_of_three_that_no_single_step_shows_is_not_called_wrong():
    def clipped(x, low):
        order = np.argsort(x, kind="stable")
        least = x[order[0]]

        def backward(d_output):
            d_x = np.zeros_like(x)
            d_x[order[0]] = d_output * (least >= low)
            return d_x, np.asarray(d_output * (least < low), low.dtype)

        return np.maximum(least, low), backward

    ties = np.array([1.5, 1.5]), np.array(1.5)
    assert check_gradients(clipped, *ties).verdict != "wrong"
    assert check_gradients(negative_of(clipped), *ties).verdict != "right"
    assert (
        check_gradients(negative_of(clipped), np.array([1.5, 1.6]), ties[1] - 1).verdict == "wrong"
    )


def test_a_function_that_bends_within_a_small_part_of_its_size_is_not_judged_by_large_steps():
    """Of numbers of 1e4, large steps see a straight line to both sides of a short steep piece."""

    def steep(x):
        u = x - 11028.25
        bump = np.exp(-((100 * u) ** 2))
        slope = 1 + 5 * bump * (1 - 2 * (100 * u) ** 2)
        return u + 5 * u * bump + 0 * np.abs(u), lambda d_output: (d_output * slope,)

    x = np.full(3, 11028.25)
    assert check_gradients(steep, x).verdict == "right"
    assert check_gradients(negative_of(steep), x).verdict == "wrong"


def test_that_numpys_complex_log1p_loses_digits_accuses_nobody():
    def tiny(x, weight):
        h = np.log1p(x)
        backward = lambda d_output: (d_output * weight / (1 + x), d_output * h)
        return h * weight + 7e5, backward  # so that differences do not see it

    x, weight = np.array([1e-9, 3e-8]), np.array([0.4, -0.7])
    assert check_gradients(tiny, x, weight).verdict != "wrong"
    assert check_gradients(negative_of(tiny), x, weight).verdict == "wrong"


def test_the_middle_of_three_equal_numbers_may_have_the_steepest_slope():
    slopes = np.array([138853.0, 300995.0, 138850.0])

    def ordered(x):
        order = np.argsort(x, kind="stable")
        return (x[order] * slopes).sum(), lambda d: ((d * slopes)[np.argsort(order)],)

    ties = np.full(3, 0.59)
    assert check_gradients(ordered, ties).verdict != "wrong"
    assert check_gradients(negative_of(ordered), ties).verdict == "wrong"


def test_rounding_explains_nothing_where_nothing_is_rounded():
    """The variance of a single number is 0 to the last digit, and so is its gradient."""

    def variance(x):
        d_x = lambda d_output: 2 * d_output * (x - x.mean(axis=0)) / len(x)
        return ((x - x.mean(axis=0)) ** 2).mean(axis=0) + x[0] * 1e-13, d_x

    x = np.array([[8192.7, -3e4]])
    right = lambda d_output, d_x: d_x + d_output * np.array([[1e-13, 1e-13]])
    assert check_gradients(with_gradient(variance, right), x).verdict == "right"
    assert check_gradients(with_gradient(variance, lambda d, d_x: d_x), x).verdict == "wrong"


def with_gradient(op, change):
    """The op with a gradient made of d_output and its own."""

    def changed(x):
        output, backward = op(x)
        return output, lambda d_output: change(d_output, backward(d_output))

    return changed


def test_a_small_part_that_is_not_linear_in_d_output_is_found():
    weights = np.array([1.0, 1e-8])

    def bent(x):
        backward = lambda d: np.asarray(d * weights[0] + np.abs(d) * weights[1], x.dtype)
        return x * weights.sum(), backward

    report = check_gradients(bent, np.array(2.0))
    assert report.verdict == "wrong"
    assert "backward is not linear" in str(report)
