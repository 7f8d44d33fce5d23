"""The package's own ops, beside what their docstrings say they compute, in mpmath."""

import mpmath
import numpy as np

from attention_from_scratch import ops
from tests.verify.random_functions import exactly
from tests.verify.random_functions.drawing import Drawing
from tests.verify.random_functions.families.reductions import has_axis
from tests.verify.random_functions.families.shapes import reshaped
from tests.verify.random_functions.primitive import Primitive, family, named


@family(weight=2)
def activation(draw: Drawing) -> int:
    table = {
        "sigmoid": (ops.sigmoid, exactly.sigmoid, 20),
        "tanh": (ops.tanh, exactly.tanh, 3),
        "gelu": (ops.gelu, lambda x: x * exactly.normal_cdf(x), 4),
    }
    name = str(draw.rng.choice(list(table)))
    op, exact, limit = table[name]
    return draw.add(Primitive(f"ops.{name}({{0}})", op, exact), draw.tame(draw.pick(), limit))


@family()
def gelu_of_gpt2(draw: Drawing) -> int:
    """gelu with approximate="tanh"."""

    def exact(x, approximate):
        u = (x + 0.044715 * x * x * x) * mpmath.sqrt(2 / mpmath.pi)
        return x * (1 + exactly.tanh(u)) / 2

    primitive = Primitive("ops.gelu({0}, approximate='tanh')", ops.gelu, exact)
    return draw.add(primitive, draw.tame(draw.pick(), 3), approximate="tanh")


@family(kinked=True, weight=2)
def relu(draw: Drawing) -> int:
    primitive = Primitive("ops.relu({0})", ops.relu, lambda x: np.where(x > 0, x, mpmath.mpf(0)))
    return draw.add(primitive, draw.near(draw.pick(), 0))


@family(weight=3)
def linear(draw: Drawing) -> int:
    x = draw.pick(has_axis)
    shape = (np.shape(draw.values[x])[-1], int(draw.rng.integers(1, 4)))
    w = draw.leaf(shape)
    if draw.rng.random() < 0.3:
        return draw.add(Primitive("ops.linear({0}, {1})", without_bias, lambda x, w: x @ w), x, w)
    primitive = Primitive("ops.linear({0}, {1}, {2})", ops.linear, lambda x, w, b: x @ w + b)
    return draw.add(primitive, x, w, draw.leaf(shape[1:]))


def without_bias(x: np.ndarray, weight: np.ndarray) -> tuple:
    output, back = ops.linear(x, weight)
    return output, lambda d_output: back(d_output)[:2]


@family(weight=3)
def softmax(draw: Drawing) -> int:
    """softmax or log_softmax; after a shift by one number, which gets a gradient of zero."""
    x = draw.tame(draw.pick(has_axis), 10)
    if draw.rng.random() < 0.3:
        x = shifted_rows(draw, x)
    if draw.rng.random() < 0.5:
        axis = draw.axis(x)
        log_of_it = Primitive(
            "ops.log_softmax({0}, axis={axis})", ops.log_softmax, exactly.log_softmax
        )
        return draw.add(log_of_it, x, axis=axis)
    if draw.rng.random() < 0.5:
        return draw.add(Primitive("ops.softmax({0})", ops.softmax, exactly.softmax), x)
    where = draw.rng.random(np.shape(draw.values[x])) < 0.7
    masked = Primitive("ops.softmax({0}, where={where})", ops.softmax, exactly.softmax)
    return draw.add(masked, x, where=where)


def shifted_rows(draw: Drawing, x: int) -> int:
    """x + s with a number s for each row."""
    shift = draw.tame(draw.leaf((*np.shape(draw.values[x])[:-1], 1)), 4)

    def op(x, shift):
        return x + shift, lambda d: (d, d.sum(axis=-1, keepdims=True))

    return draw.add(Primitive("{0} + {1}", op, lambda x, shift: x + shift), x, shift)


@family(weight=3)
def layer_norm(draw: Drawing) -> int:
    """With weight and bias; after a shift of the whole row sometimes."""
    x = draw.pick(lambda value: has_axis(value) and np.shape(value)[-1] > 1)
    if draw.rng.random() < 0.3:
        x = shifted_rows(draw, x)
    width = np.shape(draw.values[x])[-1:]
    eps = float(draw.rng.choice([1e-5, 1e-8, 0.125]))

    def exact(x, weight, bias, eps):
        n = x.shape[-1]
        centred = x - x.sum(axis=-1, keepdims=True) / n
        variance = (centred * centred).sum(axis=-1, keepdims=True) / n
        return centred / exactly.sqrt(variance + eps) * weight + bias

    primitive = Primitive("ops.layer_norm({0}, {1}, {2}, eps={eps})", ops.layer_norm, exact)
    return draw.add(primitive, x, draw.leaf(width), draw.leaf(width), eps=eps)


@family()
def dropout(draw: Drawing) -> int:
    x = draw.pick()
    keep = draw.rng.random(np.shape(draw.values[x])) < 0.6
    p = float(draw.rng.choice([0.25, 0.5]))
    primitive = Primitive(
        "ops.dropout({0}, p={p}, keep={keep})",
        ops.dropout,
        exact_dropout,
    )
    return draw.add(primitive, x, p=p, keep=keep)


def exact_dropout(x: np.ndarray, p: float, keep: np.ndarray) -> np.ndarray:
    return np.where(keep, x / (1 - mpmath.mpf(p)), mpmath.mpf(0))


@family(weight=2)
def embedding(draw: Drawing) -> int:
    """Rows of a table; the row of padding and those that no id names get a gradient of zero."""
    table = draw.pick(lambda value: np.ndim(value) == 2 and len(value) > 1)
    ids = draw.ids((int(draw.rng.integers(1, 4)),), len(draw.values[table]))

    def exact(ids, table, padding_id):
        return np.where((ids == padding_id)[:, None], mpmath.mpf(0), table[ids])

    padding_id = None if draw.rng.random() < 0.4 else 0
    primitive = Primitive("ops.embedding({0}, {1}, padding_id={padding_id})", ops.embedding, exact)
    return draw.add(primitive, ids, table, padding_id=padding_id)


@family(weight=2)
def cross_entropy(draw: Drawing) -> int:
    logits = draw.tame(draw.pick(has_axis), 20)
    *positions, n_classes = np.shape(draw.values[logits])
    targets = draw.ids(tuple(positions), n_classes)
    reduction = str(draw.rng.choice(["mean", "sum"]))
    if draw.rng.random() < 0.5:
        primitive = Primitive(
            "ops.cross_entropy({0}, {1}, reduction={reduction})", ops.cross_entropy, exact_loss
        )
        return draw.add(primitive, logits, targets, reduction=reduction)
    settings = {
        "reduction": reduction,
        "ignore_index": int(draw.rng.integers(n_classes)),
        "label_smoothing": float(draw.rng.choice([0.0, 0.125])),
        "position_weights": (draw.rng.integers(0, 5, size=positions) / 2).astype(draw.dtype),
    }

    def op(logits, targets, position_weights, **settings):
        weights = position_weights.astype(logits.real.dtype)
        return ops.cross_entropy(logits, targets, position_weights=weights, **settings)

    formula = f"ops.cross_entropy({{0}}, {{1}}, {named(settings)})"
    primitive = Primitive(formula, op, exact_loss)
    return draw.add(primitive, logits, targets, **settings)


def exact_loss(
    logits: np.ndarray,
    targets: np.ndarray,
    reduction: str,
    ignore_index: int | None = None,
    label_smoothing: float = 0.0,
    position_weights: np.ndarray | None = None,
) -> mpmath.mpf:
    """The sum, or the weighted mean, of -sum_v q_v log p_v over the positions that count."""
    n_classes = logits.shape[-1]
    log_p = exactly.log_softmax(logits).reshape(-1, n_classes)
    given = np.ones(targets.shape) if position_weights is None else position_weights
    counts = np.where(targets == ignore_index, 0, given)
    loss, count = mpmath.mpf(0), mpmath.mpf(0)
    for row, target, weight in zip(log_p, targets.ravel(), counts.ravel().tolist(), strict=True):
        smooth = label_smoothing * np.sum(row) / n_classes
        loss = loss - weight * ((1 - label_smoothing) * row[target] + smooth)
        count = count + weight
    return loss / count if reduction == "mean" and count > 0 else loss


@family(weight=2)
def binary_cross_entropy(draw: Drawing) -> int:
    """With gradients of the logits and of the targets."""
    logits = draw.tame(draw.pick(has_axis), 15)
    targets = draw.leaf(np.shape(draw.values[logits]), low=0)
    reduction = str(draw.rng.choice(["mean", "sum"]))

    def exact(logits, targets, reduction):
        p = exactly.sigmoid(logits)
        loss = -np.sum(targets * exactly.log(p) + (1 - targets) * exactly.log(1 - p))
        return loss / logits.size if reduction == "mean" else loss

    formula = "ops.binary_cross_entropy_with_logits({0}, {1}, reduction={reduction})"
    primitive = Primitive(formula, ops.binary_cross_entropy_with_logits, exact)
    return draw.add(primitive, logits, targets, reduction=reduction)


@family(weight=5)
def attention(draw: Drawing) -> int:
    """Query, key and value: inputs, or one value three times; masked, with dropout, or neither."""
    query = draw.tame(draw.pick(lambda value: has_axis(value) and 2 <= np.size(value) <= 8), 3)
    shape = np.shape(draw.values[query])
    shape = (*shape, 1) if len(shape) == 1 else shape
    query = reshaped(draw, query, shape)
    key, value = query, query
    if draw.rng.random() < 0.6:
        key, value = draw.tame(draw.leaf(shape), 3), draw.leaf(shape)
    if draw.rng.random() < 0.3:
        key = with_bias(draw, key)
    settings = attention_settings(draw, (*shape[:-1], shape[-2]))
    if draw.rng.random() < 0.3:  # as much for every key as for every other
        settings["scale"] = draw.number(0.25, 1)
    arguments = ", ".join(["{0}, {1}, {2}"] + [named(settings)] * bool(settings))
    formula = f"ops.scaled_dot_product_attention({arguments})"
    primitive = Primitive(formula, ops.scaled_dot_product_attention, exact_attention)
    return draw.add(primitive, query, key, value, **settings)


def with_bias(draw: Drawing, key: int) -> int:
    """key + b: what every key has in common changes no weight, so b has a gradient of zero."""
    bias = draw.tame(draw.leaf(np.shape(draw.values[key])[-1:]), 3)

    def op(key, bias):
        return key + bias, lambda d: (d, d.sum(axis=tuple(range(d.ndim - 1))))

    return draw.add(Primitive("{0} + {1}", op, lambda key, bias: key + bias), key, bias)


def attention_settings(draw: Drawing, shape: tuple[int, ...]) -> dict:
    """A causal, a random or no mask, and dropout of the weights sometimes."""
    length, kind, settings = shape[-1], draw.rng.random(), {}
    if kind < 0.3:
        settings["mask"] = ops.causal_mask(length)
    elif kind < 0.6:
        settings["mask"] = draw.rng.random((length, length)) < 0.7
    if draw.rng.random() < 0.2:
        settings |= {"dropout_p": 0.25, "keep": draw.rng.random(shape) < 0.7}
    return settings


def exact_attention(
    query: np.ndarray,
    key: np.ndarray,
    value: np.ndarray,
    mask: np.ndarray | None = None,
    scale: float | None = None,
    dropout_p: float = 0.0,
    keep: np.ndarray | None = None,
) -> np.ndarray:
    scale = 1 / mpmath.sqrt(query.shape[-1]) if scale is None else scale
    weights = exactly.softmax(query @ key.swapaxes(-1, -2) * scale, where=mask)
    if keep is not None:
        weights = exact_dropout(weights, dropout_p, keep)
    return weights @ value


@family(weight=2)
def heads(draw: Drawing) -> int:
    """Multi-head self-attention of one value, with a tree of parameters."""
    x = draw.tame(draw.pick(lambda value: has_axis(value) and np.size(value) in (2, 4, 6)), 3)
    x = reshaped(draw, x, (np.size(draw.values[x]) // 2, 2))
    slots = draw.leaves(*[(2, 2)] * 3, (2,))
    names = ["query", "key", "value"]
    trees = {name: {"weight": slot, "bias": None} for name, slot in zip(names, slots, strict=False)}
    trees["value"]["bias"] = slots[3]
    draw.tree(trees)

    def op(w_query, w_key, w_value, b_value, x):
        params = {
            "query": {"weight": w_query, "bias": None},
            "key": {"weight": w_key, "bias": None},
            "value": {"weight": w_value, "bias": b_value},
            "output": None,
        }
        output, back = ops.multi_head_attention(params, x, x, x, n_heads=2)

        def backward(d_output):
            grads, d_query, d_key, d_value = back(d_output)
            d_weights = (grads[name]["weight"] for name in names)
            return *d_weights, grads["value"]["bias"], d_query + d_key + d_value

        return output, backward

    def exact(w_query, w_key, w_value, b_value, x):
        query, key, value = x @ w_query, x @ w_key, x @ w_value + b_value
        each = [(query[..., [h]], key[..., [h]], value[..., [h]]) for h in range(2)]
        return np.concatenate([exact_attention(*head) for head in each], axis=-1)

    formula = "ops.multi_head_attention({{{0}, {1}, {2}, {3}}}, {4}, {4}, {4}, n_heads=2)"
    return draw.add(Primitive(formula, op, exact), *slots, x)
