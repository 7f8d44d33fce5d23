"""What holds for every op: dtypes, purity, shapes at the edges, and numbers that stay finite."""

import math

import numpy as np
import pytest

from attention_from_scratch import ops as plain
from attention_from_scratch.ops.contract import unbroadcast
from attention_from_scratch.tree import tree_leaves, tree_map
from attention_from_scratch.verify import check_gradients, op_cases


class Case:
    """An op by its name, its keywords, and the shapes of its inputs after the leading axes.

    A shape (3,) is a float array (*lead, 3); [3] is a parameter, without leading axes; an integer
    n is ids (*lead) in 0..n-1; a dict is a tree of these.
    """

    def __init__(self, op, *shapes, **keywords):
        self.op, self.shapes, self.keywords = op, shapes, keywords

    def of(self, ops):
        """The case of the op that has this name there."""
        return Case(getattr(ops, self.op), *self.shapes, **self.keywords)

    def inputs(self, lead=(2, 3), dtype=np.float64, size=1.0):
        """Read-only inputs, the same numbers whatever the dtype."""
        rng = np.random.default_rng(1)

        def draw(shape):
            if shape is None:
                return None
            if isinstance(shape, dict):
                return {name: draw(branch) for name, branch in shape.items()}
            if isinstance(shape, int):
                return read_only(np.asarray(rng.integers(shape, size=lead)))
            full = shape if isinstance(shape, list) else (*lead, *shape)
            return read_only(np.asarray(size * rng.standard_normal(full)).astype(dtype))

        return [draw(shape) for shape in self.shapes]

    def __call__(self, inputs):
        return self.op(*inputs, **self.keywords)


def read_only(array):
    array.setflags(write=False)
    return array


PROJECTION = {"weight": [4, 4], "bias": [4]}
HEADS = dict.fromkeys(("query", "key", "value", "output"), PROJECTION)
BLIND = np.array([[1, 1, 0, 1, 0], [0, 0, 0, 0, 0], [1, 1, 1, 1, 1]], bool)  # query 1 sees nothing
KEEP = np.array([1, 0, 1, 1, 0], bool)

CASES = {
    "linear": Case("linear", (4,), [4, 5], [5]),
    "linear without bias": Case("linear", (4,), [4, 5], None),
    "embedding": Case("embedding", 6, [6, 5]),
    "relu": Case("relu", ()),
    "sigmoid": Case("sigmoid", ()),
    "tanh": Case("tanh", ()),
    "gelu": Case("gelu", ()),
    "gelu tanh": Case("gelu", (), approximate="tanh"),
    "softmax": Case("softmax", (5,)),
    "softmax where": Case("softmax", (3, 5), where=BLIND),
    "log_softmax": Case("log_softmax", (5,)),
    "layer_norm": Case("layer_norm", (5,), [5], [5]),
    "layer_norm alone": Case("layer_norm", (5,), None, None),
    "dropout": Case("dropout", (5,), p=0.3, keep=KEEP),
    "dropout off": Case("dropout", (5,), p=0.3),
    "attention_weights": Case("attention_weights", (3, 4), (5, 4)),
    "attention": Case("scaled_dot_product_attention", (3, 4), (5, 4), (5, 6)),
    "attention with a mask and dropout": Case(
        "scaled_dot_product_attention",
        (3, 4),
        (5, 4),
        (5, 6),
        mask=BLIND,
        dropout_p=0.3,
        keep=KEEP,
    ),
    "attention to nothing": Case("scaled_dot_product_attention", (3, 4), (0, 4), (0, 6)),
    "attention of length 1": Case("scaled_dot_product_attention", (1, 4), (1, 4), (1, 6)),
    "multi_head_attention": Case(
        "multi_head_attention", HEADS, (3, 4), (5, 4), (5, 4), n_heads=2, mask=BLIND
    ),
    "multi_head_attention without output": Case(
        "multi_head_attention", HEADS | {"output": None}, *[(5, 4)] * 3, n_heads=2
    ),
    "multi_head_attention_weights": Case(
        "multi_head_attention_weights",
        {"query": PROJECTION, "key": PROJECTION},
        (3, 4),
        (5, 4),
        n_heads=2,
        mask=BLIND,
    ),
    "linear_cross_entropy": Case("linear_cross_entropy", (4,), [4, 5], 5),
    "cross_entropy": Case("cross_entropy", (5,), 5, ignore_index=0, label_smoothing=0.1),
    "cross_entropy summed": Case("cross_entropy", (5,), 5, reduction="sum"),
    "binary_cross_entropy": Case("binary_cross_entropy_with_logits", (), ()),
}
LOSSES = (
    "cross_entropy",
    "linear_cross_entropy",
    "binary_cross_entropy_with_logits",
)
LEADS = [(), (1,), (0,), (2, 3), (2, 0), (0, 3)]
DTYPES = [np.float32, np.float64]

each_case = pytest.mark.parametrize("case", CASES.values(), ids=CASES, indirect=True)
each_lead = pytest.mark.parametrize("lead", LEADS, ids=str)
each_dtype = pytest.mark.parametrize("dtype", DTYPES)


@pytest.fixture
def case(request, ops):
    """A case of the plain ops, then of the fast ones."""
    return request.param.of(ops)


def floats(tree):
    """{path: leaf} of the float leaves."""
    return {path: a for path, a in tree_leaves(tree) if np.issubdtype(a.dtype, np.floating)}


def replace(tree, wanted, function, path=""):
    """Apply `function` to the leaf at one path."""
    if isinstance(tree, dict | list):
        items = tree.items() if isinstance(tree, dict) else enumerate(tree)
        built = {
            name: replace(branch, wanted, function, f"{path}.{name}" if path else str(name))
            for name, branch in items
        }
        return built if isinstance(tree, dict) else list(built.values())
    return function(tree) if path == wanted else tree


def run(case, inputs):
    """Output and gradients, the latter as a list like the inputs, read-only d_output going in."""
    output, backward = case(inputs)
    d_output = np.asarray(np.random.default_rng(2).standard_normal(np.shape(output)))
    gradients = backward(read_only(d_output.astype(output.dtype)))
    gradients = list(gradients) if isinstance(gradients, tuple) else [gradients]
    for position, value in enumerate(inputs):  # ids have no gradient
        if value is not None and not floats(value):
            gradients.insert(position, None)
    return output, gradients


def test_every_op_is_in_the_table():
    not_ops = {"erfc", "causal_mask", "local_mask", "padding_mask"}
    not_ops |= {"project"}  # linear, of a tree
    elsewhere = {"rnn", "gru", "lstm"}  # (B, L, D) and nothing else: test_recurrent.py
    assert {case.op for case in CASES.values()} == set(plain.__all__) - not_ops - elsewhere


@each_case
@each_lead
@each_dtype
def test_every_gradient_has_the_shape_and_dtype_of_its_input(case, lead, dtype):
    inputs = case.inputs(lead, dtype)
    output, gradients = run(case, inputs)
    assert output.dtype == dtype
    assert len(gradients) == len(inputs)
    found = {path: (a.shape, a.dtype) for path, a in tree_leaves(gradients)}
    assert found == {path: (a.shape, a.dtype) for path, a in floats(inputs).items()}


@each_case
@each_lead
def test_the_output_has_the_leading_axes_of_its_inputs(case, lead):
    output, _ = case(case.inputs(lead))
    alone, _ = case(case.inputs(()))
    assert output.shape == (() if case.op.__name__ in LOSSES else (*lead, *alone.shape))


@each_case
@pytest.mark.parametrize("lead", [(0,), (2, 0)], ids=str)
def test_an_empty_batch_gives_no_gradient_to_the_parameters(case, lead):
    output, gradients = run(case, case.inputs(lead))
    assert np.all(output == 0)
    for _, gradient in tree_leaves(gradients):
        assert np.all(gradient == 0)


@each_case
@each_dtype
def test_nothing_is_written_to_and_backward_is_the_same_twice(case, dtype):
    inputs = case.inputs(dtype=dtype)  # read-only: a write would raise
    before = tree_map(np.copy, inputs)
    output, backward = case(inputs)
    kept = np.copy(output)
    d_output = np.asarray(np.random.default_rng(2).standard_normal(output.shape), dtype)
    kept_d_output = d_output.copy()
    first = tree_map(np.copy, backward(read_only(d_output)))
    backward(d_output + 1)  # another gradient in between leaves nothing behind
    tree_map(np.testing.assert_array_equal, first, backward(d_output))
    tree_map(np.testing.assert_array_equal, before, inputs)
    np.testing.assert_array_equal(kept, output)
    np.testing.assert_array_equal(kept_d_output, d_output)


@pytest.mark.parametrize("name", [name for name in CASES if len(floats(CASES[name].inputs())) > 1])
def test_mixed_dtypes_are_an_error(ops, name):
    case = CASES[name].of(ops)
    inputs = case.inputs()
    for odd in floats(inputs):
        with pytest.raises(TypeError, match="one float dtype a call"):
            case(replace(inputs, odd, lambda a: a.astype(np.float32)))


@each_case
@pytest.mark.parametrize("dtype", [np.int64, np.bool_, np.float16])
def test_what_is_not_float32_or_float64_is_an_error(case, dtype):
    for path in floats(case.inputs()):
        with pytest.raises(TypeError, match="but must be float32 or float64"):
            case(replace(case.inputs(), path, lambda a: a.astype(dtype)))


def test_a_list_is_an_error(ops):
    with pytest.raises(TypeError, match="x is a list, but must be a NumPy array"):
        ops.relu([1.0, 2.0])


@each_case
@each_dtype
@pytest.mark.parametrize("size", [0.0, 1e-30, 1e4])
def test_everything_stays_finite_without_a_warning(case, dtype, size):
    with np.errstate(divide="raise", over="raise", invalid="raise"):
        output, gradients = run(case, case.inputs(dtype=dtype, size=size))
    for _, array in tree_leaves([output, gradients]):
        assert np.all(np.isfinite(array))


@each_case
@pytest.mark.parametrize("logit", [1e4, -1e4])
def test_logits_of_ten_thousand_stay_finite_in_float32(case, logit):
    inputs = case.inputs(dtype=np.float32)
    first = next(iter(floats(inputs)))
    extreme = replace(inputs, first, lambda a: np.where(a > 0, a * 0 + np.float32(logit), a))
    output, gradients = run(case, extreme)
    for _, array in tree_leaves([output, gradients]):
        assert np.all(np.isfinite(array))


@each_case
def test_float32_is_float64_to_float32_digits(case):
    single, double = (run(case, case.inputs(dtype=dtype)) for dtype in DTYPES)
    leaves = zip(tree_leaves(list(single)), tree_leaves(list(double)), strict=True)
    for (path, a), (_, b) in leaves:
        assert np.abs(a - b).max(initial=0) <= 1e-5 * max(1, np.abs(b).max(initial=0)), path


@each_case
def test_float32_gradients_are_those_of_the_exact_function(case):
    inputs = case.inputs(dtype=np.float32)
    only = {"complex step": 1e-5}
    check_gradients(case.op, *inputs, tolerances=only, raise_on_failure=True, **case.keywords)


@pytest.mark.parametrize("name", [name for name in CASES if CASES[name].op not in LOSSES])
def test_a_batch_is_its_members_one_by_one(ops, name):
    case = CASES[name].of(ops)
    inputs = case.inputs((7,))  # no parameter is 7 long
    output, _ = case(inputs)
    for b in range(7):
        alone, _ = case(tree_map(lambda a, b=b: a[b] if a.shape[:1] == (7,) else a, inputs))
        np.testing.assert_allclose(output[b], alone, atol=1e-14)


@pytest.mark.parametrize(
    ("shape", "wide"),
    [((3,), (2, 3)), ((2, 1), (2, 3)), ((1, 1), (2, 3)), ((), (2, 3)), ((2, 3), (2, 3))],
)
def test_an_entry_that_was_repeated_collects_from_every_use(shape, wide):
    d_wide = np.random.default_rng(0).standard_normal(wide)
    found = unbroadcast(d_wide, shape)
    owners = np.broadcast_to(np.arange(math.prod(shape)).reshape(shape), wide)
    sums = [d_wide[owners == owner].sum() for owner in range(math.prod(shape))]
    assert found.shape == shape
    np.testing.assert_allclose(np.ravel(found), sums, rtol=1e-13)


@pytest.mark.parametrize("length", [1, 4])
def test_a_composition_of_ops_has_the_composition_of_their_gradients(ops, length):
    """A language model of one block: embedding, layer norm, attention, gelu, tied output, loss."""
    rng = np.random.default_rng(1)
    ids, targets = rng.integers(6, size=(2, 2, length))
    targets[0, 0] = 5  # at least one position counts
    params = Case(None, {"items": [6, 4], "norm": {"weight": [4], "bias": [4]}, "heads": HEADS})
    mask = ops.causal_mask(length) & ops.padding_mask(ids)

    def model(params):
        x, back_embedding = ops.embedding(ids, params["items"])
        normed, back_norm = ops.layer_norm(x, **params["norm"], eps=0.1)
        attended, back_heads = ops.multi_head_attention(
            params["heads"], normed, normed, normed, n_heads=2, mask=mask
        )
        active, back_gelu = ops.gelu(x + attended)
        logits, back_logits = ops.linear(active, params["items"].T)
        loss, back_loss = ops.cross_entropy(logits, targets, ignore_index=0)

        def backward(d_loss=1.0):
            d_active, d_items_out, _ = back_logits(back_loss(d_loss))
            d_sum = back_gelu(d_active)
            d_heads, *d_normed = back_heads(d_sum)
            d_x, d_norm_weight, d_norm_bias = back_norm(sum(d_normed))
            return {
                "items": back_embedding(d_sum + d_x) + d_items_out.T,
                "norm": {"weight": d_norm_weight, "bias": d_norm_bias},
                "heads": d_heads,
            }

        return loss, backward

    check_gradients(model, *params.inputs(), raise_on_failure=True)
    check_gradients(model, *params.inputs(), projections=3, raise_on_failure=True)


# -- what comes back in has to fit -----------------------------------------------------------------


@pytest.mark.parametrize("given", op_cases(), ids=lambda given: f"{given.title} {given.note}")
def test_a_d_output_of_another_shape_or_dtype_is_an_error(ops, given):
    output, backward = getattr(ops, given.op.__name__)(*given.inputs, **given.keywords)
    with pytest.raises(ValueError, match="d_output has shape"):
        backward(np.ones((2, *np.shape(output))))
    with pytest.raises(TypeError, match="d_output has dtype"):
        backward(np.ones(np.shape(output), np.float32))


def test_numpy_numbers_among_the_keywords_do_not_change_the_dtype(ops):
    x = np.ones((2, 3), np.float32)
    assert ops.layer_norm(x, None, None, eps=np.float64(1e-5))[0].dtype == np.float32
    loss, backward = ops.cross_entropy(x, np.array([0, 1]), label_smoothing=np.float64(0.1))
    assert loss.dtype == backward().dtype == np.float32
    weights, _ = ops.attention_weights(x, x, scale=np.float64(0.5))
    assert weights.dtype == np.float32
    assert ops.dropout(x, p=np.float64(0.5), rng=np.random.default_rng(0))[0].dtype == np.float32


@pytest.mark.parametrize("name", ["relu", "sigmoid", "tanh", "softmax", "log_softmax"])
def test_what_is_not_a_number_stays_so(ops, name):
    output, backward = getattr(ops, name)(np.array([1.0, np.nan]))
    assert np.isnan(output[1])
    assert np.isnan(backward(np.array([1.0, np.nan]))[1])
