"""Where an axis has no entries, every op keeps shapes and dtypes, and warns of nothing."""

import warnings

import numpy as np
import pytest

from attention_from_scratch import ops
from attention_from_scratch.tree import tree_leaves, tree_map

SIZES = {"B": 2, "L": 3, "K": 5, "D": 4, "H": 4, "V": 6}


def affine(n_in, n_out):
    return {"weight": f"{n_in} {n_out}", "bias": n_out}


def recurrent(op, n_gates, n_states, output="B L H", **keywords):
    params = {"input": affine("D", f"{n_gates}H"), "hidden": affine("H", f"{n_gates}H")}
    return op, [params, "B L D", f"B {n_states}H"], output, keywords


HEADS = dict.fromkeys(("query", "key", "value", "output"), affine("D", "D"))
TWO_HEADS = {name: HEADS[name] for name in ("query", "key")}

# (op, inputs, output, keywords): "B 3H" is a float array (B, 3 H), "ids B L" one of integers,
# "mask B L" one of True.
CASES = [
    (ops.linear, ["B L D", "D H", "H"], "B L H", {}),
    (ops.linear, ["D", "D H", None], "H", {}),
    (ops.embedding, ["ids B L", "V D"], "B L D", {}),
    (ops.embedding, ["ids B L", "V D"], "B L D", {"padding_id": None}),
    (ops.relu, ["B D"], "B D", {}),
    (ops.sigmoid, ["B D"], "B D", {}),
    (ops.tanh, ["B D"], "B D", {}),
    (ops.gelu, ["B D"], "B D", {}),
    (ops.gelu, ["B D"], "B D", {"approximate": "tanh"}),
    (ops.softmax, ["B L K"], "B L K", {}),
    (ops.softmax, ["B L K"], "B L K", {"axis": 1, "where": "mask L K"}),
    (ops.log_softmax, ["B L K"], "B L K", {}),
    (ops.log_softmax, ["B L K"], "B L K", {"axis": 0}),
    (ops.layer_norm, ["B L D", "D", "D"], "B L D", {}),
    (ops.layer_norm, ["B L D", None, None], "B L D", {}),
    (ops.dropout, ["B D"], "B D", {"p": 0.3, "rng": np.random.default_rng(0)}),
    (ops.dropout, ["B D"], "B D", {"p": 0.3, "keep": "mask D"}),
    (ops.dropout, ["B D"], "B D", {"p": 0.3}),
    (ops.cross_entropy, ["B L V", "ids B L"], "", {"label_smoothing": 0.1}),
    (ops.cross_entropy, ["B L V", "ids B L"], "", {"ignore_index": 0, "position_weights": "B L"}),
    (ops.cross_entropy, ["B L V", "ids B L"], "", {"reduction": "sum"}),
    (ops.linear_cross_entropy, ["B L D", "D V", "ids B L"], "", {}),
    (ops.linear_cross_entropy, ["B L D", "D V", "ids B L"], "", {"position_weights": "B L"}),
    (ops.binary_cross_entropy_with_logits, ["B L", "B L"], "", {}),
    (ops.binary_cross_entropy_with_logits, ["B L", "B L"], "", {"position_weights": "B L"}),
    (ops.attention_weights, ["B L D", "B K D"], "B L K", {}),
    (ops.scaled_dot_product_attention, ["B L D", "B K D", "B K H"], "B L H", {}),
    (
        ops.scaled_dot_product_attention,
        ["B L D", "B K D", "B K H"],
        "B L H",
        {"mask": "mask L K", "dropout_p": 0.3, "keep": "mask B L K"},
    ),
    (ops.multi_head_attention, [HEADS, "B L D", "B K D", "B K D"], "B L D", {"n_heads": 2}),
    (
        ops.multi_head_attention_weights,
        [TWO_HEADS, "B L D", "B K D"],
        "B 2 L K",
        {"n_heads": 2, "mask": "mask B L K"},
    ),
    recurrent(ops.rnn, 1, 1),
    recurrent(ops.rnn, 1, 1, "B H", last=True, mask="mask B L"),
    recurrent(ops.gru, 3, 1),
    recurrent(ops.gru, 3, 1, "B H", last=True, mask="mask B L"),
    recurrent(ops.lstm, 4, 2),
    recurrent(ops.lstm, 4, 2, "B H", last=True, mask="mask B L"),
]

ARRAYS = ("where", "keep", "mask", "position_weights")  # keywords that are specs

# Axes that must have entries: for a mean over them, the root of their length, or ids to point at.
NEEDED = {
    ops.embedding: "V",
    ops.layer_norm: "D",
    ops.cross_entropy: "V",
    ops.linear_cross_entropy: "V",
    ops.attention_weights: "D",
    ops.scaled_dot_product_attention: "D",
    ops.multi_head_attention: "D",
    ops.multi_head_attention_weights: "D",
}


def shape(spec, sizes):
    """(B, 3 H) of "B 3H"."""
    axes = [term if term.isdigit() else f"{term[:-1] or 1}{term[-1]}" for term in spec.split()]
    return tuple(int(a) if a.isdigit() else int(a[:-1]) * sizes[a[-1]] for a in axes)


def array(spec, sizes, dtype):
    kind, _, rest = spec.partition(" ")
    if kind == "ids":
        return np.zeros(shape(rest, sizes), int)
    if kind == "mask":
        return np.ones(shape(rest, sizes), bool)
    return np.ones(shape(spec, sizes), dtype)


def axes_of(case):
    """The letters of the axes that may be without entries."""
    op, inputs, _, _ = case
    terms = " ".join(spec for _, spec in tree_leaves(inputs)).replace("ids", "").split()
    return sorted({term[-1] for term in terms} - set(NEEDED.get(op, "")))


def signatures(tree):
    """{path: (shape, dtype)} of the float arrays."""
    leaves = [(path, leaf) for path, leaf in tree_leaves(tree) if leaf.dtype.kind == "f"]
    return {path: (leaf.shape, leaf.dtype) for path, leaf in leaves}


def named(case, empty):
    words = [f"{name}={value}" for name, value in case[3].items() if name != "rng"]
    return "-".join([case[0].__name__, *words, f"{empty}=0"])


EMPTY = [pytest.param(case, axis, id=named(case, axis)) for case in CASES for axis in axes_of(case)]


@pytest.mark.parametrize(("case", "empty"), EMPTY)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_shapes_and_dtypes_are_kept_where_an_axis_has_no_entries(case, empty, dtype):
    op, specs, output_spec, keywords = case
    sizes = SIZES | {empty: 0}
    inputs = tree_map(lambda spec: array(spec, sizes, dtype), specs)
    keywords = {
        name: array(value, sizes, dtype) if name in ARRAYS else value
        for name, value in keywords.items()
    }
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        output, backward = op(*inputs, **keywords)
        gradients = backward(np.ones_like(output))
    assert (output.shape, output.dtype) == (shape(output_spec, sizes), dtype)
    assert np.isfinite(output).all()

    gradients = list(gradients) if isinstance(gradients, tuple) else [gradients]
    for position, spec in enumerate(specs):
        if isinstance(spec, str) and spec.startswith("ids"):
            gradients.insert(position, None)
    assert signatures(gradients) == signatures(inputs)
    if hasattr(backward, "steps"):  # as many as steps, each of the shape of the initial state
        steps, initial = backward.steps(np.ones_like(output)), inputs[2]
        expected = (len(initial), sizes["L"], initial.shape[1])
        assert (steps.shape, steps.dtype) == (expected, dtype)


def test_every_op_is_in_the_table():
    not_ops = {"erfc", "causal_mask", "local_mask", "padding_mask"}
    not_ops |= {"project"}  # linear, of a tree
    assert {op.__name__ for op, *_ in CASES} == set(ops.__all__) - not_ops


def test_masks_of_no_positions_are_boolean_and_empty():
    for mask in (ops.causal_mask(0), ops.local_mask(0, 2)):
        assert (mask.shape, mask.dtype) == ((0, 0), bool)
    for ids, expected in ((np.zeros((2, 0), int), (2, 1, 0)), (np.zeros((0, 3), int), (0, 1, 3))):
        mask = ops.padding_mask(ids)
        assert (mask.shape, mask.dtype) == (expected, bool)


@pytest.mark.parametrize(
    ("op", "inputs", "message"),
    [
        (ops.layer_norm, ["B D", None, None], r"x has shape \(2, 0\), but .* D at least 1"),
        (ops.cross_entropy, ["B D", "ids B"], r"logits has shape \(2, 0\), but .* V at least 1"),
    ],
)
def test_a_row_that_must_have_entries_is_an_error_without(op, inputs, message):
    inputs = tree_map(lambda spec: array(spec, SIZES | {"D": 0}, np.float32), inputs)
    with pytest.raises(ValueError, match=message):
        op(*inputs)
