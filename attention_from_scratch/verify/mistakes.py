"""Wrong backward passes as formulas: what a known mistake would have computed.

Each function takes a probe (an op's inputs, keywords and d_output, with the right gradients) and
yields (mistake, gradients), where gradients has only the entries that the mistake changes. The
doctor compares them with what an op says. Where a mistake has several forms it is yielded several
times. Shapes may be wrong on purpose.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import numpy as np

from attention_from_scratch import ops
from attention_from_scratch.ops.attention import merge_heads, over_heads, split_heads, transpose
from attention_from_scratch.tree import tree_map
from attention_from_scratch.verify.recurrent_mistakes import RECURRENT

EXPLANATIONS = {
    "time_cut": "the gradient of a step is not carried on to the step before it "
    "(ops/recurrent.py, through_time)",
    "forget_path_cut": "the path of the state beside the gates is wrong: d_c = f d_c' in an LSTM, "
    "z d_h' in a GRU (ops/recurrent.py)",
    "gate_path_cut": "the gradient that the gates send back to the state before is missing "
    "(ops/recurrent.py)",
    "reset_gate_forgotten": "the reset gate is missing from the gradient of what it multiplies "
    "(ops/recurrent.py, gru)",
    "gates_wrong_order": "the gates stand in another order: r, z, n and i, f, g, o here and in "
    "PyTorch; z, r, n in Keras' GRU (ops/recurrent.py)",
    "scale_missing": "the factor 1/sqrt(d) is missing: it belongs to the scores, so d_query and "
    "d_key carry it too (ops/attention.py)",
    "scale_twice": "the factor 1/sqrt(d) is applied twice (ops/attention.py)",
    "scale_on_query_only": "d_query has the factor 1/sqrt(d), d_key lacks it (ops/attention.py)",
    "scale_on_key_only": "d_key has the factor 1/sqrt(d), d_query lacks it (ops/attention.py)",
    "scale_of_all_heads": "the scale is 1/sqrt(D) of the whole width D: a head is d = D / H wide, "
    "and its scores carry 1/sqrt(d) (ops/attention.py)",
    "query_key_swapped": "the gradients of query and key stand in each other's place "
    "(ops/attention.py)",
    "key_value_swapped": "the gradients of key and value stand in each other's place "
    "(ops/attention.py)",
    "transpose_missing": "a matrix is used untransposed: for C = A B, d_A = d_C B^T and "
    "d_B = A^T d_C (notebook 2, section 5)",
    "softmax_elementwise": "the softmax is treated as elementwise, p (1 - p): only the diagonal of "
    "its Jacobian is used (ops/softmax.py; notebook 2, section 2)",
    "softmax_row_sum_missing": "the row-sum term of the softmax is missing: p (d - sum(d p)), "
    "not p d (ops/softmax.py; notebook 2, section 6)",
    "softmax_p_missing": "the factor p before the sum over the row is missing: it is "
    "p (d - sum(d p)) of a softmax, d - p sum(d) of a log-softmax (ops/softmax.py)",
    "softmax_twice": "the gradient goes through a softmax once more: p - onehot is that of the "
    "logits already (ops/losses.py; notebook 2, section 3)",
    "only_target": "only the entry of the target gets a gradient: p - onehot has one for every "
    "class, as the softmax divides by all of them (ops/losses.py; notebook 2, section 3)",
    "sum_wrong_axis": "a sum or mean runs over the wrong axis (ops/softmax.py, ops/layer_norm.py)",
    "not_divided": "the mean is not divided by the number of positions that count (ops/losses.py)",
    "divided_by_batch": "the mean is divided by the batch size only, not by all positions that "
    "count (ops/losses.py)",
    "counts_ignored": "ignored positions are counted, in the divisor or with a gradient of their "
    "own (ops/losses.py)",
    "position_weights_ignored": "position_weights are ignored backward (ops/losses.py)",
    "wrong_sign": "a sign is wrong (notebook 2, section 6)",
    "overwrites_repeats": "the gradient of a repeated id is overwritten, not added up: use "
    "np.add.at (ops/embedding.py; notebook 2, section 7)",
    "padding_gets_gradient": "the row of the padding id gets a gradient (ops/embedding.py)",
    "bias_not_summed": "the gradient of a parameter is not summed over batch and positions, all of "
    "which share it (ops/linear.py)",
    "broadcast_not_summed": "the gradient of an input that was broadcast is not summed over the "
    "axes along which it was repeated (ops/contract.py, unbroadcast)",
    "norm_mean_missing": "the term mean(d_z) of the layer norm is missing: x moves the mean too "
    "(ops/layer_norm.py)",
    "norm_variance_missing": "the term z mean(d_z z) of the layer norm is missing: x moves the "
    "variance too (ops/layer_norm.py)",
    "norm_statistics_detached": "mean and deviation are taken for constants, d_z / deviation: x "
    "moves both, so the terms mean(d_z) and z mean(d_z z) are missing (ops/layer_norm.py)",
    "norm_weight_forgotten": "the weight is missing on the way to x: d_z = d_output weight "
    "(ops/layer_norm.py)",
    "norm_weight_of_other_input": "d_weight is the sum of d_output z, with the normalised z: not "
    "with x, nor with the output (ops/layer_norm.py)",
    "weight_bias_swapped": "the gradients of weight and bias stand in each other's place "
    "(ops/layer_norm.py)",
    "norm_unbiased": "biased and unbiased variance are confused: layer norm divides by D, not by "
    "D - 1 (ops/layer_norm.py)",
    "dropout_not_applied": "the dropout mask is not applied backward (ops/dropout.py)",
    "dropout_inverted": "the dropout mask is applied inverted: gradient passes where the input was "
    "dropped (ops/dropout.py)",
    "dropout_not_rescaled": "the gradient of what dropout kept is not divided by 1 - p "
    "(ops/dropout.py)",
    "relu_leaks": "relu passes gradient where it was off (ops/activations.py)",
    "gelu_forms_mixed": "the slope is that of gelu's other form: exact and tanh are mixed "
    "(ops/activations.py)",
    "slope_wrong": "the slope belongs to another function (ops/activations.py)",
    "mask_ignored": "the mask is ignored backward: gradient reaches hidden positions "
    "(ops/softmax.py)",
    "heads_wrong_order": "heads are split or merged in the wrong order: (L, H, d) and (H, L, d) "
    "take a transpose, not a reshape (ops/attention.py)",
    "smoothing_ignored": "label smoothing is ignored backward (ops/losses.py)",
    "value_not_weighted": "the gradient of the values is not weighted: d_value = weights^T "
    "d_output (ops/attention.py)",
    "d_output_ignored": "d_output does not enter: what comes from above has to multiply the op's "
    "own slope, also that of a loss (ops/__init__.py)",
    "zero_gradient": "no gradient arrives: it is all 0 (notebook 2, section 1)",
    "constant_factor": "the gradient is off by a factor: {factor} (notebook 2, section 1)",
}

OF_A_LOSS = {
    "wrong_sign": "a sign is wrong: the gradient is prediction minus truth, p - onehot "
    "(ops/losses.py; notebook 2, section 3)",
    "slope_wrong": "the slope belongs to another function: sigmoid and logarithm together leave "
    "s - t (ops/losses.py)",
}


def explanation(mistake: str, op: str) -> str:
    """What the mistake is in this op, and where to read more."""
    of_op = OF_A_LOSS if "cross_entropy" in op else {}
    return of_op.get(mistake, EXPLANATIONS[mistake])


@dataclass(frozen=True)
class Probe:
    """One evaluation of the right op: gradients by name, such as d_query or d_params.key.bias."""

    inputs: tuple
    keywords: dict
    d_output: np.ndarray
    output: np.ndarray
    right: dict
    with_ones: dict = field(default_factory=dict)  # the gradients of a d_output of ones

    def in_float64(self) -> "Probe":
        """The same with all floats in float64, for formulas that need not mind the dtype."""
        return Probe(
            tuple(tree_map(in_float64, value) for value in self.inputs),
            {name: in_float64(value) for name, value in self.keywords.items()},
            *map(in_float64, (self.d_output, self.output)),
            *(tree_map(in_float64, named) for named in (self.right, self.with_ones)),
        )


def in_float64(value):
    """A float array in float64, anything else as it is."""
    is_float = isinstance(value, np.ndarray | np.generic) and value.dtype.kind == "f"
    return np.asarray(value, np.float64) if is_float else value


def generic_mistakes(probe: Probe) -> Iterator:
    """Mistakes of any op, in all its gradients or in those of one argument."""
    arguments = list(dict.fromkeys(name.split(".")[0] for name in probe.right))
    for among in (arguments, *([argument] for argument in arguments)):
        right = {n: g for n, g in probe.right.items() if n.split(".")[0] in among}
        yield "wrong_sign", {n: -g for n, g in right.items()}
        yield "zero_gradient", {n: 0 * g for n, g in right.items()}
        ignoring = {n: probe.with_ones[n] for n in right}
        if any(np.abs(ignoring[n]).max(initial=0) > 1e-8 for n in right):  # not softmax: all 0
            yield "d_output_ignored", ignoring


def activation(probe: Probe) -> Iterator:
    """Slopes of functions that are taken for one another."""
    x, d = probe.inputs[0], probe.d_output
    s, t = ops.sigmoid(x)[0], np.tanh(x)
    off = x <= 0
    for slope in (
        *(s, 1 - s, s * s, 1 - s * s, s + s * s, s * (1 + s), x * s * (1 - x), x * (1 - x)),
        *(1 - t, 1 + t, t * t, t * (1 - t), 1 + t * t, 1 - x * x, 1 - t**4, t, np.sqrt(1 - t * t)),
        *(s * (1 - s), 1 - t * t, np.sign(x), x, 1 / (1 + x * x), np.exp(-x * x)),
        *(slope_of_output(ops.sigmoid, s), slope_of_output(ops.tanh, t)),
    ):
        yield "slope_wrong", {"d_x": d * slope}
    for slope in (np.ones_like(x), off * 1.0, np.where(off, 0.01, 1), (x >= 0) * 1.0):
        yield "relu_leaks", {"d_x": d * slope}
    for leaky in (0.1, 0.2, 0.3, -1):
        yield "relu_leaks", {"d_x": d * np.where(off, leaky, 1)}
    yield "relu_leaks", {"d_x": d * (d > 0)}
    yield "relu_leaks", {"d_x": np.maximum(d, 0) * ~off}


def slope_of_output(op, output):
    """The slope at the output, for one that should be at the input."""
    return op(output)[1](np.ones_like(output))


def gelu(probe: Probe) -> Iterator:
    """The other form, and slopes with a part left out."""
    x, d = probe.inputs[0], probe.d_output
    for form in ("none", "tanh"):
        yield "gelu_forms_mixed", {"d_x": ops.gelu(x, approximate=form)[1](d)}
    u = 0.0356774 * x**3 + 0.797885 * x  # six digits that are copied from page to page
    copied = (1 + np.tanh(u)) / 2 + (0.0535161 * x**3 + 0.398942 * x) / np.cosh(u) ** 2
    yield "gelu_forms_mixed", {"d_x": d * copied}
    s = ops.sigmoid(x)[0]
    for slope in ((x > 0) * 1.0, s + x * s * (1 - s), s, np.ones_like(x)):
        yield "slope_wrong", {"d_x": d * slope}
    density = np.exp(-x * x / 2) / math.sqrt(2 * math.pi)
    for which in ("none", "tanh"):
        output, _ = ops.gelu(x, approximate=which)
        share = np.divide(output, x, out=np.full_like(x, 0.5), where=x != 0)
        for slope in (share, share + density, share - x * density, x * density):
            yield "slope_wrong", {"d_x": d * slope}
    sigmoid = ops.sigmoid(1.702 * x)[0]
    yield "gelu_forms_mixed", {"d_x": d * (sigmoid + 1.702 * x * sigmoid * (1 - sigmoid))}


def softmax_backwards(ndim, axis, unmasked=None) -> Iterator:
    """(mistake, function): wrong ways from p and d_p to d_x."""

    def total(p, d, axis=axis):
        return (p * d).sum(axis=axis, keepdims=True)

    def over(wrong_axis):
        return lambda p, d: p * (d - total(p, d, wrong_axis))

    yield "softmax_elementwise", lambda p, d: d * p * (1 - p)
    yield "softmax_row_sum_missing", lambda p, d: d * p
    yield "softmax_p_missing", lambda p, d: p * d - total(p, d)
    yield "softmax_p_missing", lambda p, d: d - total(p, d)
    for wrong_axis in (None, *(other for other in range(ndim) if other != axis % ndim)):
        yield "sum_wrong_axis", over(wrong_axis)
    yield "sum_wrong_axis", lambda p, d: p * (d - d.sum(axis=axis, keepdims=True))
    yield "sum_wrong_axis", lambda p, d: p * (d - (d * p).mean(axis=axis, keepdims=True))
    if unmasked is not None:
        yield "mask_ignored", lambda p, d: unmasked * (d - total(unmasked, d))
        yield "mask_ignored", lambda p, d: unmasked * (d - total(p, d))
        yield "mask_ignored", lambda p, d: d - total(p, d)


def softmax(probe: Probe) -> Iterator:
    """Of a softmax by itself."""
    x, p, d = probe.inputs[0], probe.output, probe.d_output
    axis, where = probe.keywords.get("axis", -1), probe.keywords.get("where")
    unmasked = None if where is None else ops.softmax(x, axis=axis)[0]
    for mistake, back in softmax_backwards(p.ndim, axis, unmasked):
        yield mistake, {"d_x": back(p, d)}


def log_softmax(probe: Probe) -> Iterator:
    """Of a log-softmax."""
    p, d, axis = np.exp(probe.output), probe.d_output, probe.keywords.get("axis", -1)
    yield "softmax_row_sum_missing", {"d_x": d}
    yield "softmax_elementwise", {"d_x": d * (1 - p)}
    yield "softmax_elementwise", {"d_x": d - p * d}
    for other in range(p.ndim):
        if other != axis % p.ndim:
            yield "sum_wrong_axis", {"d_x": d - p * d.sum(axis=other, keepdims=True)}
    yield "sum_wrong_axis", {"d_x": d - p * d.sum()}
    yield "wrong_sign", {"d_x": d + p * d.sum(axis=axis, keepdims=True)}
    yield "softmax_p_missing", {"d_x": d - d.sum(axis=axis, keepdims=True)}
    for mistake, back in softmax_backwards(p.ndim, axis):
        yield mistake, {"d_x": back(p, d)}
    yield "sum_wrong_axis", {"d_x": d - p * d.mean(axis=axis, keepdims=True)}
    yield "sum_wrong_axis", {"d_x": d - (p * d).sum(axis=axis, keepdims=True)}


def not_summed(name: str, contributions: np.ndarray) -> Iterator:
    """A parameter's gradient before the sum, or with a part of the sum only."""
    if not contributions.size:
        return
    yield "bias_not_summed", {name: contributions}
    rows = contributions.reshape(-1, contributions.shape[-1])
    for kept in (rows, rows[0], rows[-1]):
        yield "bias_not_summed", {name: kept}
    positions = range(contributions.ndim - 1)
    for axis in positions:
        yield "bias_not_summed", {name: contributions.sum(axis=axis)}
        yield "bias_not_summed", {name: contributions.sum(axis=axis, keepdims=True)}
        rest = tuple(other for other in positions if other != axis)
        for place in (0, -1):
            kept = contributions.take(place, axis=axis)
            yield "bias_not_summed", {name: kept}
            yield "bias_not_summed", {name: kept.reshape(-1, kept.shape[-1]).sum(axis=0)}
        if rest:
            yield "bias_not_summed", {name: contributions.mean(axis=axis).sum(axis=0)}
    yield "sum_wrong_axis", {name: contributions.sum(axis=-1)}
    yield "sum_wrong_axis", {name: contributions.reshape(-1, contributions.shape[-1]).sum(axis=1)}


def linear(probe: Probe) -> Iterator:
    """Of the affine map."""
    x, weight, *_ = probe.inputs
    d = probe.d_output
    n_in, n_out = weight.shape
    rows, d_rows = x.reshape(-1, n_in), d.reshape(-1, n_out)
    if n_in == n_out:
        yield "transpose_missing", {"d_x": d @ weight}
    yield "transpose_missing", {"d_weight": d_rows.T @ rows}
    if len(rows) == n_in:
        yield "transpose_missing", {"d_weight": rows @ d_rows}
    if x.ndim > 2:
        by_batch = transpose(x) @ d
        for kept in (by_batch, *by_batch[:1], *by_batch[-1:]):
            yield "bias_not_summed", {"d_weight": kept}
    if "d_bias" in probe.right:
        yield from not_summed("d_bias", d)


def layer_norm(probe: Probe) -> Iterator:
    """Of the normalisation."""
    x, weight, bias = (*probe.inputs, None, None)[:3]
    d, eps, width = probe.d_output, probe.keywords.get("eps", 1e-5), x.shape[-1]
    centred = x - x.mean(axis=-1, keepdims=True)
    variance = (centred * centred).mean(axis=-1, keepdims=True)

    def wrong(d_z, deviation, mean=True, spread=True, axis=-1, count=width, z=None):
        z = centred / deviation if z is None else z
        mean_d = d_z.sum(axis=axis, keepdims=True) / count if mean else 0
        mean_dz = (d_z * z).sum(axis=axis, keepdims=True) / count if spread else 0
        return (d_z - mean_d - z * mean_dz) / deviation

    deviation = np.sqrt(variance + eps)
    z = centred / deviation
    d_z = d if weight is None else d * weight
    unbiased = np.sqrt(variance * width / (width - 1) + eps) if width > 1 else deviation
    yield "norm_mean_missing", {"d_x": wrong(d_z, deviation, mean=False)}
    yield "norm_variance_missing", {"d_x": wrong(d_z, deviation, spread=False)}
    yield "norm_statistics_detached", {"d_x": d_z / deviation}
    if width > 1:
        yield "norm_unbiased", {"d_x": wrong(d_z, unbiased)}
        yield "norm_unbiased", {"d_x": wrong(d_z, unbiased, z=z)}
        yield "norm_unbiased", {"d_x": wrong(d_z, deviation, count=width - 1)}
        yield "norm_unbiased", {"d_x": wrong(d_z, deviation, z=centred / unbiased)}
        mean_d = d_z.mean(axis=-1, keepdims=True)
        mean_dz = (d_z * z).sum(axis=-1, keepdims=True) / (width - 1)
        yield "norm_unbiased", {"d_x": (d_z - mean_d - z * mean_dz) / deviation}
        both = {"d_x": wrong(d_z, unbiased)}
        if weight is not None:
            both["d_weight"] = (d * centred / unbiased).reshape(-1, width).sum(axis=0)
        yield "norm_unbiased", both
    for axis in range(x.ndim - 1):
        n = x.shape[axis]
        yield "sum_wrong_axis", {"d_x": wrong(d_z, deviation, axis=axis, count=n)}
    yield "sum_wrong_axis", {"d_x": wrong(d_z, deviation, axis=None, count=d_z.size)}
    if weight is not None:
        yield from not_summed("d_weight", d * z)
        yield "norm_weight_forgotten", {"d_x": wrong(d, deviation)}
        for other in (x, centred, probe.output):
            of_other = (d * other).reshape(-1, width).sum(axis=0)
            yield "norm_weight_of_other_input", {"d_weight": of_other}
    if bias is not None:
        yield from not_summed("d_bias", d)
    if weight is not None and bias is not None:
        d_weight, d_bias = probe.right["d_weight"], probe.right["d_bias"]
        yield "weight_bias_swapped", {"d_weight": d_bias, "d_bias": d_weight}


def dropout_factors(keep, p) -> Iterator:
    """What the gradient of dropout may wrongly be multiplied by."""
    yield "dropout_not_applied", np.ones(keep.shape)
    yield "dropout_not_applied", np.full(keep.shape, 1 / (1 - p))
    yield "dropout_not_rescaled", keep * 1.0
    yield "dropout_not_rescaled", keep * (1 - p)
    dropped = 1.0 - keep
    yield "dropout_inverted", dropped
    yield "dropout_inverted", dropped / (1 - p)
    if p:
        yield "dropout_not_rescaled", keep / p
        yield "dropout_inverted", dropped / p


def dropout(probe: Probe) -> Iterator:
    """Of dropout with a given mask."""
    keep, p = probe.keywords.get("keep"), probe.keywords["p"]
    if keep is not None:
        for mistake, factor in dropout_factors(np.broadcast_to(keep, probe.output.shape), p):
            yield mistake, {"d_x": probe.d_output * factor}


def embedding(probe: Probe) -> Iterator:
    """Of the lookup."""
    ids, weight = probe.inputs
    d, padding = probe.d_output, probe.keywords.get("padding_id", 0)
    flat_ids, flat_d = ids.reshape(-1), d.reshape(-1, d.shape[-1])

    def cleared(d_weight):
        if padding is not None:
            d_weight[padding] = 0
        return d_weight

    last, first, added = np.zeros((3, *weight.shape))
    last[flat_ids] = flat_d
    first[flat_ids[::-1]] = flat_d[::-1]
    np.add.at(added, flat_ids, flat_d)
    yield "padding_gets_gradient", {"d_weight": added.copy()}
    zero_cleared = added.copy()
    zero_cleared[0] = 0
    yield "padding_gets_gradient", {"d_weight": zero_cleared}
    for overwritten in (last, first):
        yield "overwrites_repeats", {"d_weight": cleared(overwritten.copy())}
        yield "overwrites_repeats", {"d_weight": overwritten}
    if ids.ndim > 1:
        within = np.zeros_like(added)
        for row, d_row in zip(ids, d, strict=True):
            within[row] += d_row
        yield "overwrites_repeats", {"d_weight": cleared(within)}


def cross_entropy(probe: Probe) -> Iterator:
    """Of the loss over classes."""
    logits, targets = probe.inputs
    keywords, d = probe.keywords, probe.d_output
    ignore, smoothing = keywords.get("ignore_index"), keywords.get("label_smoothing", 0.0)
    classes = logits.shape[-1]
    counted = np.ones(targets.shape, bool) if ignore is None else targets != ignore
    given = keywords.get("position_weights")
    weights = (counted * (1.0 if given is None else given))[..., None]
    mean = keywords.get("reduction", "mean") == "mean"
    total = (weights.sum() if mean else 1.0) or 1.0
    p = ops.softmax(logits)[0]
    hot = np.eye(classes)[np.where(counted, targets, 0)]
    q = (1 - smoothing) * hot + smoothing / classes
    right = (p - q) * weights * d

    if mean:
        yield from mean_mistakes(right, targets.shape, total)
    for mistake, slope in entropy_slopes(p, q, hot, smoothing):
        yield mistake, {"d_logits": slope * weights * d / total}
    once = right / total
    through_softmax = p * (once - (p * once).sum(axis=-1, keepdims=True))
    yield "softmax_twice", {"d_logits": through_softmax}
    if ignore is not None:
        everywhere = 1.0 if given is None else np.asarray(given)[..., None]
        for at_ignored in (p, p - q, p - np.eye(classes)[targets % classes]):
            leaked = np.where(counted[..., None], p - q, at_ignored)
            for divisor in (total, targets.size, 1.0):
                yield "counts_ignored", {"d_logits": leaked * everywhere * d / divisor}
    if given is not None:
        unweighted = (p - q) * counted[..., None] * d
        for divisor in (total, counted.sum() or 1.0, targets.size, 1.0):
            yield "position_weights_ignored", {"d_logits": unweighted / divisor}


def linear_cross_entropy(probe: Probe) -> Iterator:
    """Of the loss, carried on through the linear map."""
    x, weight, targets = probe.inputs
    rows = x.reshape(-1, x.shape[-1])
    of_loss = replace(probe, inputs=(x @ weight, targets))
    for mistake, wrong in cross_entropy(of_loss):
        d_logits = wrong["d_logits"]
        d_rows = d_logits.reshape(len(rows), -1)
        yield mistake, {"d_x": d_logits @ weight.T, "d_weight": rows.T @ d_rows}


def mean_mistakes(right, positions, total) -> Iterator:
    """A sum's gradient with another divisor than the total of the weights."""
    yield "not_divided", {"d_logits": right}
    for n in positions[:2]:
        yield "divided_by_batch", {"d_logits": right / n}
    yield "counts_ignored", {"d_logits": right / math.prod(positions)}
    yield "sum_wrong_axis", {"d_logits": right / total / right.shape[-1]}
    yield "sum_wrong_axis", {"d_logits": right / right.size}


def entropy_slopes(p, q, hot, smoothing) -> Iterator:
    """What may stand in the place of p - q."""
    for wrong_sign in (p + q, p + hot, q - p, p - 2 * smoothing / p.shape[-1] + hot):
        yield "wrong_sign", wrong_sign
    if smoothing:
        for unsmoothed in (p - hot, p - (1 - smoothing) * hot, (1 - smoothing) * (p - hot)):
            yield "smoothing_ignored", unsmoothed
    yield "softmax_elementwise", p * (1 - p) * (p - hot)
    yield "softmax_row_sum_missing", -hot
    yield "only_target", (p - q) * hot


def binary_cross_entropy(probe: Probe) -> Iterator:
    """Of the loss over yes and no."""
    logits, targets = probe.inputs
    d, given = probe.d_output, probe.keywords.get("position_weights")
    weights = np.ones(logits.shape) if given is None else np.asarray(given)
    mean = probe.keywords.get("reduction", "mean") == "mean"
    total = (weights.sum() if mean else 1.0) or 1.0
    s = ops.sigmoid(logits)[0]
    right = d * weights * (s - targets)
    if mean:
        yield "not_divided", {"d_logits": right, "d_targets": -d * weights * logits}
        yield "not_divided", {"d_logits": right}
        for axis in range(logits.ndim):
            n = logits.shape[axis]
            wrong = {"d_logits": right / n, "d_targets": -d * weights * logits / n}
            yield "divided_by_batch", wrong
            yield "divided_by_batch", {"d_logits": right / n}
        yield "counts_ignored", {"d_logits": right / logits.size}
    for wrong in (s + targets, targets - s, targets + s - 1):
        yield "wrong_sign", {"d_logits": d * weights * wrong / total}
    yield "wrong_sign", {"d_targets": d * weights * logits / total}
    if given is not None:
        for divisor in (total, logits.size, 1.0):
            unweighted = {"d_logits": d * (s - targets) / divisor}
            yield "position_weights_ignored", unweighted
            yield "position_weights_ignored", unweighted | {"d_targets": -d * logits / divisor}
    for slope in (s * (1 - s), s - s * s):
        yield "slope_wrong", {"d_logits": right * slope / total}
    yield "slope_wrong", {"d_logits": d * weights * (np.tanh(logits) - targets) / total}


@dataclass(frozen=True)
class Attention:
    """The parts of an attention that its backward pass uses, and the ways to get it wrong."""

    query: np.ndarray
    key: np.ndarray
    value: np.ndarray | None  # None: the op stops at the weights
    mask: np.ndarray | None
    scale: float
    keep: np.ndarray | None = None
    p: float = 0.0

    def weights(self, mask) -> np.ndarray:
        """softmax(scale Q K^T)."""
        return ops.attention_weights(self.query, self.key, mask=mask, scale=self.scale)[0]

    @property
    def factor(self):
        """What dropout multiplies the weights by."""
        return 1.0 if self.keep is None else self.keep / (1 - self.p)

    def d_scores(self, d, back_softmax=None, factor=None, d_weights=None) -> np.ndarray:
        """The gradient of scale Q K^T, with what is given in place of the right thing."""
        weights = self.weights(self.mask)
        if d_weights is None:
            d_weights = d if self.value is None else d @ transpose(self.value)
            d_weights = d_weights * (self.factor if factor is None else factor)
        d_weights = np.broadcast_to(d_weights, weights.shape).copy()
        if back_softmax is not None:
            return back_softmax(weights, d_weights)
        seen = weights > 0
        return ops.softmax(np.log(np.where(seen, weights, 1)), where=seen)[1](d_weights)

    def backward(self, d, **wrong) -> dict:
        """The gradients of query, key and value; `wrong` is of `d_scores`."""
        d_scores = self.d_scores(d, **wrong)
        gradients = {
            "d_query": self.scale * d_scores @ self.key,
            "d_key": self.scale * transpose(d_scores) @ self.query,
        }
        if self.value is not None:
            gradients["d_value"] = transpose(self.weights(self.mask) * self.factor) @ d
        return gradients


def attention_mistakes(parts: Attention, d: np.ndarray) -> Iterator:
    """Wrong gradients of query, key and value."""
    right = parts.backward(d)
    if parts.scale != 1:
        yield from scale_mistakes(right, parts.scale)
    yield "query_key_swapped", {"d_query": right["d_key"], "d_key": right["d_query"]}
    d_scores = parts.d_scores(d)
    if d_scores.shape[-1] == d_scores.shape[-2]:
        wrong_key = parts.scale * d_scores @ parts.query
        wrong_query = parts.scale * transpose(d_scores) @ parts.key
        yield "transpose_missing", {"d_key": wrong_key}
        yield "transpose_missing", {"d_query": wrong_query}
        yield "transpose_missing", {"d_query": wrong_query, "d_key": wrong_key}
    yield from weight_mistakes(parts, d)
    if parts.value is not None:
        yield "key_value_swapped", {"d_key": right["d_value"], "d_value": right["d_key"]}
        yield from value_mistakes(parts, d, parts.weights(parts.mask))


def scale_mistakes(right: dict, scale: float) -> Iterator:
    """The scale forgotten, or applied again, on one side or on both."""
    d_query, d_key = right["d_query"], right["d_key"]
    yield "scale_missing", {"d_query": d_query / scale, "d_key": d_key / scale}
    yield "scale_twice", {"d_query": d_query * scale, "d_key": d_key * scale}
    yield "scale_twice", {"d_query": d_query * scale}
    yield "scale_twice", {"d_key": d_key * scale}
    yield "scale_on_query_only", {"d_key": d_key / scale}
    yield "scale_on_key_only", {"d_query": d_query / scale}
    root = math.sqrt(abs(scale))  # one half of a scale that is split between the two
    yield "scale_missing", {"d_query": d_query / root, "d_key": d_key / root}


def weight_mistakes(parts: Attention, d: np.ndarray) -> Iterator:
    """Wrong ways back through the softmax, and a mask that is forgotten there or at the values."""
    unmasked = None if parts.mask is None else parts.weights(None)
    leaked = {}
    if unmasked is not None and parts.value is not None:
        leaked = {"d_value": transpose(unmasked * parts.factor) @ d}
        yield "mask_ignored", leaked
    ndim = parts.weights(parts.mask).ndim
    for mistake, back in softmax_backwards(ndim, -1, unmasked):
        gradients = parts.backward(d, back_softmax=back)
        yield mistake, gradients
        if mistake == "mask_ignored" and leaked:
            yield mistake, gradients | leaked


def value_mistakes(parts: Attention, d, weights) -> Iterator:
    """On the way through the weighted sum."""
    kept = weights * parts.factor
    if kept.shape[-1] == kept.shape[-2]:
        yield "transpose_missing", {"d_value": kept @ d}
        yield "value_not_weighted", {"d_value": np.broadcast_to(d, (*kept.shape[:-1], d.shape[-1]))}
    yield "value_not_weighted", {"d_value": d}
    summed = d.sum(axis=-2, keepdims=True)
    yield "value_not_weighted", {"d_value": np.repeat(summed, kept.shape[-1], axis=-2)}
    yield "value_not_weighted", {"d_value": np.repeat(summed / kept.shape[-1], kept.shape[-1], -2)}
    if parts.value.shape[-1] == parts.value.shape[-2] == d.shape[-1]:
        wrong = (d @ parts.value) * parts.factor
        yield "transpose_missing", parts.backward(d, d_weights=wrong)
        yield "transpose_missing", parts.backward(d, d_weights=d @ parts.value)
    if parts.keep is None:
        return
    for mistake, factor in dropout_factors(parts.keep, parts.p):
        gradients = parts.backward(d, factor=factor)
        yield mistake, gradients
        yield mistake, gradients | {"d_value": transpose(weights * factor) @ d}
        yield mistake, {"d_value": transpose(weights * factor) @ d}


def attention(probe: Probe) -> Iterator:
    """Of attention_weights and scaled_dot_product_attention."""
    parts = attention_of(*probe.inputs, keywords=probe.keywords)
    for mistake, gradients in attention_mistakes(parts, probe.d_output):
        fitting = {
            name: reduce_like(gradient, probe.right[name])
            for name, gradient in gradients.items()
            if name in probe.right
        }
        yield mistake, fitting
    yield from broadcast_mistakes(parts, probe)


def attention_of(query, key, value=None, *, keywords) -> Attention:
    """The parts, of what the op was called with."""
    scale = keywords.get("scale")
    return Attention(
        query,
        key,
        value,
        keywords.get("mask"),
        1 / math.sqrt(query.shape[-1]) if scale is None else scale,
        keywords.get("keep"),
        keywords.get("dropout_p", 0.0),
    )


def reduce_like(gradient, like):
    """Sum out broadcast axes where that gives the right shape."""
    try:
        return ops.contract.unbroadcast(gradient, like.shape)
    except (ValueError, IndexError, np.exceptions.AxisError):
        return gradient


def broadcast_mistakes(parts: Attention, probe: Probe) -> Iterator:
    """A repeated input whose gradient is not summed, or of which one slice is kept."""
    full = parts.backward(probe.d_output)
    for name, right in probe.right.items():
        gradient = full.get(name)
        if gradient is None or gradient.shape == right.shape:
            continue
        yield "broadcast_not_summed", {name: gradient}
        extra = gradient.ndim - right.ndim
        for place in (0, -1):
            kept = gradient
            for _ in range(extra):
                kept = kept[place]
            for axis, (n, m) in enumerate(zip(kept.shape, right.shape, strict=True)):
                if n != m:
                    kept = kept.take([place], axis=axis)
            yield "broadcast_not_summed", {name: kept}
        mean = gradient.mean(axis=tuple(range(extra)))
        yield "broadcast_not_summed", {name: reduce_like(mean, right)}
        yield "broadcast_not_summed", {name: gradient.sum(axis=tuple(range(extra)))}
        if not extra:
            axes = tuple(
                i
                for i, (n, m) in enumerate(zip(gradient.shape, right.shape, strict=True))
                if n != m
            )
            yield "broadcast_not_summed", {name: gradient.mean(axis=axes, keepdims=True)}
            yield "broadcast_not_summed", {name: gradient.sum(axis=axes)}


def multi_head_attention(probe: Probe) -> Iterator:
    """Mistakes of the attention inside, of the heads, and of the four linear maps."""
    params, query, key, value = (*probe.inputs, None)[:4]
    n_heads, d = probe.keywords["n_heads"], probe.d_output
    sources = {"query": query, "key": key, "value": value}
    sources = {name: x for name, x in sources.items() if x is not None}
    projected = {name: ops.linear(x, **params[name])[0] for name, x in sources.items()}
    heads = {name: split_heads(x, n_heads) for name, x in projected.items()}
    keywords = probe.keywords | {"mask": over_heads(probe.keywords.get("mask"))}
    parts = attention_of(*heads.values(), keywords=keywords)
    output = params.get("output")
    d_merged = d if output is None or value is None else d @ output["weight"].T
    d_heads = split_heads(d_merged, n_heads) if value is not None else d

    def through_maps(gradients, merge=merge_heads):
        """From gradients of the heads to those of parameters and inputs."""
        found = {}
        for name, x in sources.items():
            if f"d_{name}" in gradients:
                d_projected = merge(gradients[f"d_{name}"])
                if d_projected.shape != projected[name].shape:
                    continue  # a mistake that only square shapes allow
                d_x, d_weight, d_bias = ops.linear(x, **params[name])[1](d_projected)
                found |= {f"d_{name}": d_x, f"d_params.{name}.weight": d_weight}
                found |= {} if d_bias is None else {f"d_params.{name}.bias": d_bias}
        return found

    for mistake, gradients in attention_mistakes(parts, d_heads):
        yield mistake, through_maps(gradients)
    if keywords.get("scale") is None:
        right = parts.backward(d_heads)
        narrower = {n: right[n] / math.sqrt(n_heads) for n in ("d_query", "d_key")}
        yield "scale_of_all_heads", through_maps(narrower)
    yield from exchanged("query_key_swapped", probe.right, "query", "key")
    if value is not None:
        yield from exchanged("key_value_swapped", probe.right, "key", "value")
    yield from head_mistakes(parts, d_merged, n_heads, through_maps, value is not None, d_heads)
    for name, x in sources.items():
        d_projected = merge_heads(parts.backward(d_heads)[f"d_{name}"])
        yield from map_mistakes(f"d_params.{name}", f"d_{name}", params[name], x, d_projected)
    if output is not None and value is not None:
        merged = merge_heads(ops.scaled_dot_product_attention(*heads.values(), **kept(keywords))[0])
        yield from map_mistakes("d_params.output", None, output, merged, d)
        if output["weight"].shape[0] == output["weight"].shape[1]:
            wrong = split_heads(d @ output["weight"], n_heads)
            gradients = parts.backward(wrong)
            yield "transpose_missing", through_maps(gradients)


def exchanged(mistake, right, one, other) -> Iterator:
    """The gradients of two inputs, of their projections or of both in each other's place."""
    inputs, projections = {}, {}
    for a, b in ((one, other), (other, one)):
        inputs[f"d_{a}"] = right[f"d_{b}"]
        for part in ("weight", "bias"):
            if f"d_params.{b}.{part}" in right:
                projections[f"d_params.{a}.{part}"] = right[f"d_params.{b}.{part}"]
    for gradients in (inputs, projections, inputs | projections):
        yield mistake, gradients


def kept(keywords) -> dict:
    """The keywords that the attention inside takes."""
    names = ("mask", "scale", "dropout_p", "keep")
    return {name: keywords[name] for name in names if name in keywords}


def head_mistakes(parts, d_merged, n_heads, through_maps, has_value, d_heads) -> Iterator:
    """Splits and merges that only look right."""

    def by_reshape(x):  # (B, L, H d) -> (B, H, L, d) with no transpose
        *batch, length, width = x.shape
        return x.reshape(*batch, n_heads, length, width // n_heads)

    def interleaved(x):  # head h takes columns h, h + H, ...
        *batch, length, width = x.shape
        return np.moveaxis(x.reshape(*batch, length, width // n_heads, n_heads), -1, -3)

    def reversed_heads(x):
        return split_heads(x, n_heads)[..., ::-1, :, :]

    def merge_by_reshape(heads):
        *batch, h, length, width = heads.shape
        return heads.reshape(*batch, length, h * width)

    def merge_interleaved(heads):
        *batch, h, length, width = heads.shape
        return np.moveaxis(heads, -3, -1).reshape(*batch, length, h * width)

    def merge_reversed(heads):
        return merge_heads(heads[..., ::-1, :, :])

    merges = (merge_by_reshape, merge_interleaved, merge_reversed)
    for merge in merges:
        right = parts.backward(d_heads)
        yield "heads_wrong_order", through_maps(right, merge)
        for name in ("d_query", "d_key", "d_value"):
            if name in right:
                yield "heads_wrong_order", through_maps({name: right[name]}, merge)
    if has_value:
        for split, merge in zip((by_reshape, interleaved, reversed_heads), merges, strict=True):
            gradients = parts.backward(split(d_merged))
            yield "heads_wrong_order", through_maps(gradients)
            yield "heads_wrong_order", through_maps(gradients, merge)


def map_mistakes(parameter, argument, params, x, d) -> Iterator:
    """Mistakes of one linear map, under its names in the tree."""
    if params is None:
        return
    output, back = ops.linear(x, **params)
    _, _, d_bias = back(d)
    inner = Probe((x, params["weight"], params["bias"]), {}, d, output, {"d_bias": d_bias})
    names = {"d_weight": f"{parameter}.weight", "d_bias": f"{parameter}.bias", "d_x": argument}
    for mistake, gradients in linear(inner):
        yield mistake, {names[n]: g for n, g in gradients.items() if names[n] is not None}


MISTAKES = {
    "linear": linear,
    "embedding": embedding,
    "relu": activation,
    "sigmoid": activation,
    "tanh": activation,
    "gelu": gelu,
    "softmax": softmax,
    "log_softmax": log_softmax,
    "layer_norm": layer_norm,
    "dropout": dropout,
    "attention_weights": attention,
    "scaled_dot_product_attention": attention,
    "multi_head_attention": multi_head_attention,
    "multi_head_attention_weights": multi_head_attention,
    "cross_entropy": cross_entropy,
    "linear_cross_entropy": linear_cross_entropy,
    "binary_cross_entropy_with_logits": binary_cross_entropy,
    **RECURRENT,
}
