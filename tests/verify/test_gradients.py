"""check_gradients: right backward passes pass, planted mistakes are found and named."""

import functools
import math

import numpy as np
import pytest

from attention_from_scratch.ops import (
    cross_entropy,
    dropout,
    embedding,
    layer_norm,
    linear,
    multi_head_attention,
    relu,
    softmax,
)
from attention_from_scratch.verify import GradientError, assert_gradients, check_gradients

METHODS = ["complex step", "central difference"]


def normal(*shape, seed=1):
    return np.random.default_rng(seed).standard_normal(shape)


def planted(op, change):
    """`op` with its gradients passed through `change`."""

    @functools.wraps(op)
    def wrong(*inputs, **keywords):
        output, backward = op(*inputs, **keywords)
        return output, lambda *d_output: change(backward(*d_output))

    wrong.__name__ = f"wrong_{op.__name__}"
    return wrong


def with_entry(array, index, value):
    """A copy in which one entry has this value."""
    array = array.copy()
    array[index] = value
    return array


def product(x, y):
    """x * y: two inputs of one shape, whose gradients are easily swapped."""
    return x * y, lambda d_output: (d_output * y, d_output * x)


def three_times(x):
    """(x, x, x) of a number: the gradient is a sum."""
    return np.stack([x, x, x]), lambda d_output: d_output.sum()


def softmax_without_its_mean(x):
    weights, _ = softmax(x)
    return weights, lambda d_weights: weights * d_weights


def layer_norm_without(term):
    """layer_norm's gradient with respect to x, one of its three terms left out."""

    def op(x):
        output, _ = layer_norm(x, None, None)
        deviation = np.sqrt(x.var(axis=-1, keepdims=True) + 1e-5) if x.dtype.kind == "f" else None

        def backward(d_z):
            mean = 0 if term == "mean" else d_z.mean(axis=-1, keepdims=True)
            stretch = 0 if term == "variance" else (d_z * output).mean(axis=-1, keepdims=True)
            return (d_z - mean - output * stretch) / deviation

        return output, backward

    return op


# -- what is right passes ------------------------------------------------------------------------

RIGHT = {
    "one input": (relu, normal(3, 4)),
    "several inputs": (linear, normal(2, 3), normal(3, 4), normal(4)),
    "an input that is None": (linear, normal(2, 3), normal(3, 4), None),
    "ids first": (embedding, np.array([[0, 2, 2]]), normal(4, 3)),
    "ids last, and a scalar": (cross_entropy, normal(2, 5), np.array([1, 4])),
    "an input of shape ()": (three_times, normal()),
}


@pytest.mark.parametrize("case", RIGHT.values(), ids=RIGHT)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("projections", [None, 2])
def test_a_right_op_passes_by_both_methods(case, dtype, projections):
    op, *inputs = case
    inputs = [a.astype(dtype) if getattr(a, "dtype", None) == np.float64 else a for a in inputs]
    report = check_gradients(op, *inputs, projections=projections, raise_on_failure=True)
    assert report.passed
    floats = [a for a in inputs if a is not None and a.dtype == dtype]
    assert [list(row.errors) for row in report.rows] == [METHODS[::-1]] * len(floats)


def test_float64_is_held_to_the_digits_that_were_promised():
    report = check_gradients(linear, normal(2, 3), normal(3, 4), normal(4))
    assert all(row.allowed <= 1e-12 for row in report.rows)
    assert report.error() <= 1e-15
    assert report.error("central difference") <= 1e-7


def test_keywords_reach_the_op():
    keep = np.array([True, False, True])
    report = check_gradients(dropout, normal(2, 3), p=0.5, keep=keep)
    assert report.passed
    with pytest.raises(ValueError, match="p was 2"):
        check_gradients(dropout, normal(2, 3), p=2)


def test_an_input_that_came_from_the_same_seed_is_checked_along_another_direction():
    # Were d_output the input itself, layer_norm's gradient would vanish: it ignores a stretch.
    x = np.random.default_rng(0).standard_normal((3, 5))
    check_gradients(layer_norm, x, None, None, seed=0, raise_on_failure=True)


def test_tolerances_choose_the_methods():
    report = check_gradients(relu, normal(3), tolerances={"central difference": 1e-3})
    assert [(row.method, list(row.errors)) for row in report.rows] == [(METHODS[1], METHODS[1:])]
    almost = planted(relu, lambda d_x: d_x * 1.0001)
    assert check_gradients(almost, normal(3), tolerances={METHODS[1]: 1e-3}).passed
    assert not check_gradients(almost, normal(3)).passed
    with pytest.raises(ValueError, match="tolerances has 'forward'"):
        check_gradients(relu, normal(3), tolerances={"forward": 1e-3})


def test_nothing_to_compare_is_nothing_proven():
    report = check_gradients(relu, np.zeros((0, 3)))
    assert report.rows == []
    assert not report.passed


# -- what is wrong is found ----------------------------------------------------------------------

WRONG = {
    "wrong scale": (planted(relu, lambda d_x: d_x * 1.001), normal(3, 4)),
    "wrong sign": (planted(relu, lambda d_x: -d_x), normal(3, 4)),
    "zero": (planted(relu, lambda d_x: d_x * 0), normal(3, 4)),
    "NaN": (planted(relu, lambda d_x: d_x * np.nan), normal(3, 4)),
    "one entry infinite": (
        planted(relu, lambda d_x: with_entry(d_x, (1, 2), np.inf)),
        normal(3, 4),
    ),
    "swapped gradients": (planted(product, lambda d: d[::-1]), normal(3, 4), normal(3, 4, seed=2)),
    "transposed": (planted(linear, lambda d: (d[0], d[1].T)), normal(2, 3), normal(3, 3)),
    "softmax without its mean": (softmax_without_its_mean, normal(3, 4)),
    "layer_norm without its mean": (layer_norm_without("mean"), normal(3, 4)),
    "layer_norm without its variance": (layer_norm_without("variance"), normal(3, 4)),
    "a scalar's gradient doubled": (
        planted(cross_entropy, lambda d_logits: 2 * d_logits),
        *(normal(2, 5), np.array([1, 4])),
    ),
}


@pytest.mark.parametrize("case", WRONG.values(), ids=WRONG)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("projections", [None, 2])
def test_a_planted_mistake_is_found(case, dtype, projections):
    op, *inputs = case
    inputs = [a.astype(dtype) if a.dtype == np.float64 else a for a in inputs]
    # A central difference in float32 could not see an error of 1 in 1000; the complex step can.
    tolerances = {"complex step": 1e-12 if dtype == np.float64 else 1e-4}
    report = check_gradients(op, *inputs, projections=projections, tolerances=tolerances)
    assert not report.passed


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("projections", [None, 2])
def test_either_method_alone_finds_it(method, projections):
    op, x = WRONG["wrong scale"]
    report = check_gradients(op, x, tolerances={method: 1e-7}, projections=projections)
    assert not report.passed


def test_layer_norm_with_all_its_terms_passes():
    check_gradients(layer_norm_without(None), normal(3, 4), raise_on_failure=True)


def test_only_the_wrong_input_is_blamed():
    op = planted(linear, lambda d: (d[0], d[1] * 1.01, d[2]))
    report = check_gradients(op, normal(2, 3), normal(3, 4), normal(4))
    assert {row.name for row in report.rows if not row.passed} == {"weight"}
    assert {row.name for row in report.rows} == {"x", "weight", "bias"}
    assert report.worst.name == "weight"


def test_the_worst_entry_is_shown_with_both_values():
    op = planted(softmax, lambda d_x: with_entry(d_x, (1, 2), d_x[1, 2] + 5))
    report = check_gradients(op, normal(3, 4))
    for row in report.rows:
        assert row.where == (1, 2)
        np.testing.assert_allclose(row.backward - row.numerical, 5, atol=1e-6)
        assert not row.passed


def test_a_method_s_error_is_relative_to_the_largest_entry():
    def op(x):
        slopes = np.array([1e-9, 2000.0])
        return x * slopes, lambda d_output: d_output * slopes * [1, 1.5]

    report = check_gradients(op, np.ones(2))
    np.testing.assert_allclose(report.error(), 0.5, rtol=1e-9)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_one_entry_that_is_no_number_is_found_where_it_is(value):
    op = planted(softmax, lambda d_x: with_entry(d_x, (1, 2), value))
    for row in check_gradients(op, normal(3, 4)).rows:
        assert row.where == (1, 2)
        assert not np.isfinite(row.backward)
        assert np.isfinite(row.numerical)
        assert not row.passed


def test_nan_is_the_worst_row():
    op = planted(product, lambda d: (d[0] * 2, d[1] * np.nan))
    assert check_gradients(op, normal(3), normal(3)).worst.name == "y"


# -- trees ---------------------------------------------------------------------------------------


def big_model(width=8):
    """(params, query, key, value) of attention: 4 * (8 * 8 + 8) parameters in one tree."""
    params = {
        name: {"weight": normal(width, width, seed=s), "bias": normal(width, seed=s)}
        for s, name in enumerate(("query", "key", "value", "output"), start=1)
    }
    return params, *normal(3, 2, 5, width)


def test_a_tree_is_checked_leaf_by_leaf_under_its_path():
    params, *inputs = big_model(4)
    report = check_gradients(multi_head_attention, params, *inputs, n_heads=2)
    assert report.passed
    names = {row.name for row in report.rows}
    assert len(names) == 8 + 3
    assert {"params.query.weight", "params.output.bias", "query", "value"} <= names


@pytest.mark.parametrize("branch", ["query", "value", "output"])
def test_projections_find_a_single_wrong_entry_in_a_big_tree(branch):
    def one_wrong(gradients):
        grads, *d_inputs = gradients
        weight = grads[branch]["weight"]
        weight = with_entry(weight, (6, 3), weight[6, 3] * (1 + 1e-5))
        return grads | {branch: grads[branch] | {"weight": weight}}, *d_inputs

    op = planted(multi_head_attention, one_wrong)
    report = check_gradients(
        op, *big_model(), n_heads=2, projections=2, tolerances={"complex step": 1e-10}
    )
    assert {row.name for row in report.rows if not row.passed} == {f"params.{branch}.weight"}


def test_projections_cost_as_much_for_a_large_array_as_for_a_small_one():
    calls = []

    def op(x):
        calls.append(x.size)
        return softmax(x)

    for shape in ((50, 40), (2, 3)):
        check_gradients(op, normal(*shape), projections=1)
    assert calls.count(2000) == calls.count(6) <= 40


def test_lists_tuples_and_none_make_a_tree_too():
    def op(params):
        first, (second, nothing) = params["layers"]
        assert nothing is None

        def backward(d_output):
            return {"layers": [d_output * second, (d_output * first, None)]}

        return first * second, backward

    report = check_gradients(op, {"layers": [normal(3), (normal(3, seed=2), None)]})
    assert report.passed
    names = [row.name for row in report.rows]
    assert names == ["params.layers.0", "params.layers.1.0"]


# -- what breaks the contract is an error --------------------------------------------------------

BROKEN = {
    "too few gradients": (
        planted(linear, lambda d: d[:2]),
        "backward returned 2 gradients, but the op has 3",
    ),
    "too many gradients": (planted(linear, lambda d: (*d, d[0])), "backward returned 4 gradients"),
    "wrong shape": (
        planted(linear, lambda d: (d[0], d[1].T, d[2])),
        r"the gradient of weight has shape \(4, 3\) and dtype float64, but the input has \(3, 4\)",
    ),
    "a list": (planted(linear, list), "backward returned a list of 3"),
    "a bias that was not summed": (
        planted(linear, lambda d: (d[0], d[1], np.stack([d[2], d[2]]))),
        r"has shape \(2, 4\)",
    ),
    "wrong dtype": (
        planted(linear, lambda d: (d[0].astype(np.float32), *d[1:])),
        "dtype float32, but the input has .* float64",
    ),
}


@pytest.mark.parametrize(("op", "message"), BROKEN.values(), ids=BROKEN)
def test_a_broken_contract_is_named(op, message):
    with pytest.raises(GradientError, match=message):
        check_gradients(op, normal(2, 3), normal(3, 4), normal(4))


def test_another_tree_is_named():
    op = planted(multi_head_attention, lambda d: (d[0] | {"key": None}, *d[1:]))
    with pytest.raises(GradientError, match=r"another tree: key\.bias, key\.weight"):
        check_gradients(op, *big_model(4), n_heads=2)


def test_a_backward_that_answers_differently_the_second_time_is_named():
    def op(x):
        total = np.zeros(x.shape)  # gradients that accumulate, as in many frameworks

        def backward(d_output):
            total[...] += d_output
            return total.copy()

        return x + 0, backward

    with pytest.raises(GradientError, match="another answer when called again"):
        check_gradients(op, normal(3))


def test_an_op_that_writes_to_its_input_or_to_d_output_is_stopped():
    def writes_to_its_input(x):
        x *= 2
        return x, lambda d_output: 2 * d_output

    def writes_to_d_output(x):
        def backward(d_output):
            d_output *= 2
            return d_output

        return 2 * x, backward

    for op in (writes_to_its_input, writes_to_d_output):
        x = normal(3)
        with pytest.raises(GradientError, match=r"read-only.*let it copy what it changes"):
            check_gradients(op, x)
        assert np.all(x == normal(3))
    x[0] = 0  # what the caller handed in is still the caller's to write to


# -- the report ----------------------------------------------------------------------------------


def test_the_report_prints_names_values_and_the_verdict():
    op = planted(linear, lambda d: (d[0], d[1] * 2, d[2]))
    report = check_gradients(op, normal(2, 3), normal(3, 4), normal(4))
    title, labels, *rows = str(report).splitlines()
    assert title == "gradient check of wrong_linear: FAILED"
    assert labels.split() == ["input", "method", "differs", "allowed", "at", "backward", "measured"]
    assert len(rows) == len(report.rows) == 3
    for line, row in zip(rows, report.rows, strict=True):
        assert line.split()[0] == row.name.split()[0]
        assert row.method in line
        assert f"{row.backward:.10g}" in line
        assert f"{row.numerical:.10g}" in line
        assert line.endswith("<- wrong") == (not row.passed)
    good = str(check_gradients(linear, normal(2, 3), normal(3, 4), normal(4)))
    assert good.startswith("gradient check of linear: passed\n")
    assert "wrong" not in good


def test_a_failure_raises_only_when_asked_to_and_carries_the_table():
    op, x = WRONG["wrong scale"]
    report = check_gradients(op, x)
    with pytest.raises(GradientError) as failure:
        check_gradients(op, x, raise_on_failure=True)
    assert str(failure.value) == str(report)
    assert isinstance(failure.value, AssertionError)


def test_a_failure_is_diagnosed_where_the_op_has_the_name_and_the_output_of_one_of_ours():
    op = planted(softmax, lambda d_x: -d_x)
    op.__name__ = "softmax"
    assert "wrong_sign" in check_gradients(op, normal(3, 4)).diagnosis
    assert check_gradients(planted(softmax, lambda d_x: -d_x), normal(3, 4)).diagnosis == ""


def test_another_op_of_the_same_name_is_no_crash():
    def linear(x, weight):  # (out, in), and a constant in place of a bias
        return x @ weight.T + 1, lambda d: (2 * d @ weight, d.T @ x)

    report = check_gradients(linear, normal(2, 3), normal(4, 3))
    assert not report.passed
    assert report.diagnosis == ""


def test_lists_of_numbers_are_an_array():
    assert check_gradients(relu, [[1.0, 2.0], [-3.0, 4.0]]).passed


def test_inputs_without_a_name_are_numbered():
    report = check_gradients(lambda *inputs: linear(*inputs), normal(2, 3), normal(3, 4), normal(4))
    assert {row.name for row in report.rows} == {"input 1", "input 2", "input 3"}


def test_the_same_seed_gives_the_same_report():
    first, second, other = (
        str(check_gradients(softmax, normal(3, 4), projections=1, seed=s)) for s in (5, 5, 6)
    )
    assert first == second != other


@pytest.mark.parametrize(
    ("change", "projections", "message"),
    [
        (lambda d: d * np.nan, None, "wrong in 100% of its entries"),
        (lambda d: with_entry(d, (1, 2), np.nan), None, r"8% of its entries, most at \(1, 2\)"),
        (lambda d: 2 * d, None, "in 100% of its entries.*ratio 2"),
        (lambda d: 2 * d, 3, "along 3 of 3 random directions"),
    ],
)
def test_an_assertion_says_how_much_is_wrong(change, projections, message):
    with pytest.raises(GradientError, match=message):
        assert_gradients(planted(softmax, change), normal(3, 4), projections=projections)


@pytest.mark.parametrize("projections", [None, 2])
def test_of_empty_inputs_nothing_is_asserted(projections):
    with pytest.raises(GradientError, match="nothing was compared"):
        assert_gradients(softmax, np.ones((0, 2)), projections=projections)
    assert "nothing was compared" in str(check_gradients(softmax, np.ones((0, 2))))


def test_an_assertion_names_the_mistake_by_a_reference():
    with pytest.raises(GradientError, match="wrong_sign"):
        assert_gradients(planted(softmax, lambda d: -d), normal(3, 4), reference=softmax)


# -- mistakes that a lenient check would let through -----------------------------------------------


def test_a_loss_that_forgets_its_d_output_is_found():
    def loss(x):
        return (x * x).sum(), lambda d_output=1.0: 2 * x

    report = check_gradients(loss, normal(3))
    assert report.verdict == "wrong"
    assert "backward is not linear" in str(report)


def test_a_backward_that_loses_the_sign_of_its_d_output_is_found():
    with pytest.raises(GradientError, match="backward is not linear"):
        assert_gradients(planted(relu, np.abs), normal(3))


def test_a_loss_need_not_have_a_default_for_d_output():
    assert check_gradients(lambda x: ((x * x).sum(), lambda d: 2 * x * d), normal(3)).passed


def test_a_loss_whose_default_is_not_one_is_found():
    def loss(x):
        return (x * x).sum(), lambda d_output=2.0: 2 * x * d_output

    report = check_gradients(loss, normal(3))
    assert report.verdict == "wrong"
    assert "without an argument" in str(report)


def test_a_loss_whose_gradient_is_only_rounding_may_have_a_default_for_d_output():
    """softmax of a shift: the truth is 0, and 1.0 is a longer number than the loss is."""

    def loss(x, shift):
        weights, back = softmax(x + shift)

        def backward(d_output=1.0):
            d_x = back(d_output * np.arange(3, dtype=x.dtype))
            return d_x, np.asarray(d_x.sum(), shift.dtype)

        return (weights * np.arange(3, dtype=x.dtype)).sum(), backward

    assert check_gradients(loss, normal(3).astype("float32"), np.asarray(0.3, "float32")).passed


def test_an_op_that_remembers_its_last_input_is_found():
    memory = {}

    def square(x):
        memory["x"] = x
        return x * x, lambda d_output: 2 * memory["x"] * d_output

    with pytest.raises(GradientError, match="another answer"):
        check_gradients(square, normal(3))


def test_a_backward_that_reuses_its_answer_is_found():
    def square(x):
        answer = np.empty_like(x)
        return x * x, lambda d_output: np.multiply(2 * x, d_output, out=answer)

    with pytest.raises(GradientError, match="another answer"):
        check_gradients(square, normal(3))


@pytest.mark.parametrize("wrong", [lambda d: (None, d[0], d[1]), lambda d: (d[0], d[1])])
def test_the_place_of_a_none_is_checked(wrong):
    with pytest.raises(GradientError, match=r"gradient 3 of 3 is not None|returned 2 gradients"):
        check_gradients(planted(linear, wrong), normal(2, 3), normal(3, 4), None)


def test_an_output_of_another_dtype_is_found():
    def op(x):
        return x.astype(np.float64), lambda d_output: d_output.astype(np.float32)

    with pytest.raises(GradientError, match="the output has dtype float64"):
        check_gradients(op, normal(3).astype(np.float32))


def test_an_error_hides_neither_behind_large_numbers_nor_in_projections():
    large = np.float32(1e20)

    def op(x):
        return x * large, lambda d_output: d_output * (2 * large)

    assert not check_gradients(op, normal(5).astype(np.float32), projections=3).passed


@pytest.mark.parametrize("size", [1e-6, 1.0, 1e6])
def test_the_step_follows_the_size_of_the_input(size):
    assert check_gradients(linear, size * normal(3, 4), normal(4, 2), None).passed


NOT_ANALYTIC = {
    "abs": lambda x: (np.abs(x), lambda d: d * np.sign(x)),
    "var": lambda x: (x.var(), lambda d=1.0: d * 2 * (x - x.mean()) / x.size),
    "norm": lambda x: (np.linalg.norm(x), lambda d=1.0: d * x / np.linalg.norm(x)),
    "float(loss)": lambda x: (float((x * x).sum()), lambda d=1.0: d * 2 * x),
    "math.sin": lambda x: (np.vectorize(math.sin)(x), lambda d: d * np.cos(x)),
    "a buffer of zeros": lambda x: (filled(x), lambda d: 2 * d),
}


def filled(x):
    out = np.zeros(x.shape)
    for i in range(len(x)):
        out[i] = 2 * x[i]
    return out


@pytest.mark.parametrize("name", NOT_ANALYTIC)
def test_what_complex_numbers_do_not_survive_is_followed_or_judged_by_differences(name):
    op, followed = NOT_ANALYTIC[name], name in ("abs", "var", "norm")
    report = check_gradients(op, normal(4), raise_on_failure=True)
    assert [row.method for row in report.rows] == [METHODS[0 if followed else 1]]
    assert "not analytic" in str(report)
    assert ("followed by the rules of real numbers" in str(report)) == followed
    doubled = planted(op, lambda d_x: 2 * d_x)
    assert check_gradients(doubled, normal(4)).verdict == "wrong"


def test_integers_alone_have_no_gradient_to_check():
    with pytest.raises(ValueError, match="no gradient"):
        check_gradients(lambda ids: (ids * 1.0, lambda d_output: ()), np.arange(3))


def test_a_gradient_of_a_wrong_shape_is_diagnosed_too():
    def wrong(x, weight, bias):
        output, back = linear(x, weight, bias)
        return output, lambda d_output: (*back(d_output)[:2], d_output)

    wrong.__name__ = "linear"
    with pytest.raises(GradientError, match=r"has shape \(2, 4\)(.|\n)*bias_not_summed"):
        check_gradients(wrong, normal(2, 3), normal(3, 4), normal(4))


def test_another_float_dtype_is_an_error_that_names_it():
    def op(x):
        return x * x, lambda d_output: 2 * x * d_output

    with pytest.raises(ValueError, match="float16, but must be float32 or float64"):
        check_gradients(op, normal(3).astype(np.float16))
