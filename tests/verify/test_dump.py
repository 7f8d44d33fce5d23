"""Dumps of other people's code."""

import numpy as np
import pytest

from attention_from_scratch import ops
from attention_from_scratch.verify import check_dump


def normal(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape)


def attention_dump(dtype=np.float64):
    """A dump of attention as somebody's kernel would write it."""
    query, key, value = (normal(2, 5, 4, seed=i).astype(dtype) for i in range(3))
    mask, d_output = ops.causal_mask(5), normal(2, 5, 4, seed=4).astype(dtype)
    wide = [x.astype(np.float64) for x in (query, key, value)]
    output, backward = ops.scaled_dot_product_attention(*wide, mask=mask)
    gradients = backward(d_output.astype(np.float64))
    return {
        "input.query": query,
        "input.key": key,
        "input.value": value,
        "keyword.mask": mask,
        "output": output.astype(dtype),
        "d_output": d_output,
    } | {
        f"grad.{name}": gradient.astype(dtype)
        for name, gradient in zip(("query", "key", "value"), gradients, strict=True)
    }


def written(tmp_path, arrays):
    path = tmp_path / "dump.npz"
    np.savez(path, **arrays)
    return path


@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.float16])
def test_a_right_dump_passes_at_its_own_precision(tmp_path, dtype):
    path = written(tmp_path, attention_dump(dtype))
    report = check_dump("scaled_dot_product_attention", path)
    assert report.passed, report
    assert [row.name for row in report.rows] == ["output", "d_query", "d_key", "d_value"]
    assert np.dtype(dtype).name in str(report)


def as_bfloat16(array):
    """Rounded to the upper half of a float32, as its bits."""
    bits = np.asarray(array, np.float32).view(np.uint32)
    return ((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16).astype(np.uint16)


def test_bfloat16_comes_as_bits(tmp_path):
    arrays = attention_dump(np.float32)
    arrays = {n: a if a.dtype == bool else as_bfloat16(a) for n, a in arrays.items()}
    for word in ("bfloat16", b"bfloat16"):
        path = written(tmp_path, arrays | {"precision": np.array(word)})
        assert check_dump("scaled_dot_product_attention", path).passed


def test_bits_are_of_bfloat16_only_where_there_are_floats(tmp_path):
    ids, weight, d_output = np.array([1, 3, 1], np.uint16), normal(4, 2), normal(3, 2)
    bits = {name: as_bfloat16(array) for name, array in (("w", weight), ("d", d_output))}
    weight, d_output = ((b.astype(np.uint32) << 16).view(np.float32) for b in bits.values())
    output, backward = ops.embedding(ids.astype(int), weight)
    arrays = {"input.ids": ids, "input.weight": bits["w"], "d_output": bits["d"]}
    arrays |= {"output": as_bfloat16(output), "grad.weight": as_bfloat16(backward(d_output))}
    path = written(tmp_path, arrays | {"precision": np.array("bfloat16")})
    assert check_dump("embedding", path).passed


@pytest.mark.parametrize("precision", ["float16", "bfloat16"])
def test_a_wrong_gradient_shows_even_in_16_bits(tmp_path, precision):
    arrays = attention_dump(np.float32)
    arrays["grad.key"] = arrays["grad.key"] * 1.5
    path = written(tmp_path, arrays | {"precision": np.array(precision)})
    report = check_dump("scaled_dot_product_attention", path)
    assert [row.name for row in report.rows if not row.passed] == ["d_key"]


def test_a_loss_needs_no_d_output_and_trees_have_paths(tmp_path):
    logits, targets = normal(3, 4), np.array([1, 0, 3])
    _, backward = ops.cross_entropy(logits, targets, label_smoothing=0.1)
    arrays = {
        "input.logits": logits,
        "input.targets": targets,
        "keyword.label_smoothing": np.array(0.1),
        "grad.logits": backward(),
    }
    assert check_dump("cross_entropy", written(tmp_path, arrays)).passed

    params = {n: {"weight": normal(4, 4), "bias": normal(4)} for n in ("query", "key", "value")}
    params["output"] = {"weight": normal(4, 4), "bias": normal(4)}
    x = normal(2, 3, 4)
    output, _ = ops.multi_head_attention(params, x, x, x, n_heads=2)
    arrays = {f"input.params.{n}.{k}": a for n, linear in params.items() for k, a in linear.items()}
    arrays |= {"input.query": x, "input.key": x, "input.value": x, "output": output}
    arrays |= {"keyword.n_heads": np.array(2), "d_output": output}
    assert check_dump("multi_head_attention", written(tmp_path, arrays)).passed


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"input.query": None}, "no input.query"),
        ({"grads.query": normal(1)}, "it has 'grads.query', but may have"),
        ({"d_out": normal(1)}, "it has 'd_out', but may have"),
        ({"grad": normal(1)}, "it has 'grad', but may have"),
        ({"input": normal(1)}, "it has 'input', but may have"),
        ({"input.query.x": normal(1)}, "both input.query and input.query.x"),
        ({"keyword.maks": np.array(True)}, "keyword.maks, but scaled_dot_product_attention has"),
        ({"keyword.mask": np.full((5, 5), 2)}, "mask has dtype int64, but must be bool"),
        ({"input.query": normal(2, 5, 4) + 1j}, "input.query has dtype complex128"),
        ({"input.query": np.zeros((2, 5, 4), np.uint16)}, "say precision = 'bfloat16'"),
        ({"input.quary": normal(1)}, "input.quary, which"),
        ({"d_output": None}, "no d_output"),
        ({"grad.quary": normal(1)}, "grad.quary, but"),
        ({"grad.query": normal(2, 5, 3)}, "has shape"),
        ({"precision": np.array("float8")}, "precision was 'float8'"),
    ],
)
def test_a_dump_that_lacks_or_has_too_much_is_an_error(tmp_path, change, message):
    arrays = attention_dump() | change
    path = written(tmp_path, {n: a for n, a in arrays.items() if a is not None})
    with pytest.raises(ValueError, match=message):
        check_dump("scaled_dot_product_attention", path)


def test_an_unknown_op_and_a_file_that_is_no_dump_are_errors(tmp_path):
    with pytest.raises(ValueError, match="there is no op 'flash'"):
        check_dump("flash", tmp_path / "dump.npz")
    path = tmp_path / "dump.npz"
    path.write_text("not a dump")
    with pytest.raises(ValueError, match="is not an"):
        check_dump("softmax", path)


def test_what_other_languages_write_is_understood(tmp_path):
    arrays = attention_dump()
    arrays["keyword.mask"] = arrays["keyword.mask"].astype(np.uint8)
    arrays["keyword.scale"] = np.array([0.5])  # 1 / sqrt(4)
    assert check_dump("scaled_dot_product_attention", written(tmp_path, arrays)).passed
    x = normal(3, 4)
    arrays = {"input.x": x, "d_output": np.ones((3, 4), int), "grad.x": np.where(x > 0, 1.0, 0.0)}
    assert check_dump("relu", written(tmp_path, arrays)).passed


def test_a_keyword_of_low_precision_does_not_widen_the_bound(tmp_path):
    arrays = attention_dump() | {"keyword.scale": np.array(0.5, np.float16)}
    arrays["grad.key"] = arrays["grad.key"] * (1 + 1e-9)
    path = written(tmp_path, arrays)
    report = check_dump("scaled_dot_product_attention", path)
    assert [row.name for row in report.rows if not row.passed] == ["d_key"]


X = normal(2, 3, 4)
MALFORMED = {
    "float ids": ("embedding", {"input.ids": normal(2), "input.weight": normal(3, 2)}),
    "no n_heads": ("multi_head_attention", {f"input.{n}": X for n in ("query", "key", "value")}),
    "half a tree": (
        "multi_head_attention",
        {"input.params.query.weight": normal(4, 4), "keyword.n_heads": np.array(2)}
        | {f"input.{n}": X for n in ("query", "key", "value")},
    ),
    "numbers for names": ("relu", {"input.0": X}),
    "a word for a number": ("relu", {"input.x": np.array("x")}),
    "nothing to compare": ("relu", {"input.x": X[:0], "output": X[:0], "d_output": X[:0]}),
    "bytes for an axis": ("softmax", {"input.x": X, "keyword.axis": np.array(b"last")}),
    "a d_output of another shape": ("relu", {"input.x": X, "d_output": X[0], "output": X}),
}


@pytest.mark.parametrize(("op", "arrays"), MALFORMED.values(), ids=MALFORMED)
def test_what_the_op_does_not_take_is_one_line_that_names_the_file(tmp_path, op, arrays):
    arrays = {"output": X, "d_output": X} | arrays
    with pytest.raises(ValueError, match=r"dump.npz: ") as error:
        check_dump(op, written(tmp_path, arrays))
    assert "\n" not in str(error.value)


def test_one_array_alone_is_no_dump(tmp_path):
    np.save(tmp_path / "dump.npy", X)
    with pytest.raises(ValueError, match=r"is not an .npz file"):
        check_dump("relu", tmp_path / "dump.npy")


@pytest.mark.parametrize("dtype", [np.float16, np.float32])
def test_rounding_where_two_equal_numbers_should_cancel_is_no_leak(tmp_path, dtype):
    """The first query sees itself alone: kernels get its d_score as a difference of roundings."""
    arrays = attention_dump(dtype)
    assert not arrays["grad.query"][:, 0].any()
    d_score = 2 * np.finfo(dtype).eps
    arrays["grad.query"][:, 0] += d_score * arrays["input.key"][:, 0] / 2  # 1 / sqrt(d)
    assert check_dump("scaled_dot_product_attention", written(tmp_path, arrays)).passed


def test_a_failing_dump_is_diagnosed(tmp_path):
    arrays = attention_dump()
    query, key, value = (arrays[f"input.{name}"] for name in ("query", "key", "value"))
    weights, _ = ops.attention_weights(query, key, mask=arrays["keyword.mask"])
    d_weights = arrays["d_output"] @ value.swapaxes(-1, -2)
    d_scores = weights * d_weights  # the row sum is missing
    arrays["grad.query"] = d_scores @ key / 2
    arrays["grad.key"] = d_scores.swapaxes(-1, -2) @ query / 2
    report = check_dump("scaled_dot_product_attention", written(tmp_path, arrays))
    assert "softmax_row_sum_missing (d_query, d_key)" in str(report)


def test_a_right_dump_and_one_with_another_output_are_not_diagnosed(tmp_path):
    arrays = attention_dump()
    name = "scaled_dot_product_attention"
    assert not check_dump(name, written(tmp_path, arrays)).diagnosis
    arrays["output"] = arrays["output"] + 1
    report = check_dump(name, written(tmp_path, arrays))
    assert not report.passed
    assert not report.diagnosis
