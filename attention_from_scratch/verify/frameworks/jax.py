"""Our ops, computed and differentiated by JAX."""

import jax
import jax.numpy as jnp
import numpy as np

from attention_from_scratch.tree import leaves, tree_map
from attention_from_scratch.verify.frameworks import all_outputs, as_given, spread_out

jax.config.update("jax_enable_x64", True)  # or every float64 would quietly become float32

VERSION = f"jax {jax.__version__}"

CANNOT = {("multi_head_attention", "dropout"): "has no dropout on weights to hand a mask to"}

REMARKS = {
    "rnn": "has no layers: jax.lax.scan over the formula of the cell",
    "gru": "as rnn",
    "lstm": "as rnn",
    "gelu": "jax.nn.gelu is the tanh form unless told otherwise (approximate=True)",
    "embedding": "jnp.take of the table; JAX has no padding id: the row is zeroed before",
    "dropout": "has none of its own: x * keep / (1 - p), differentiated by jax.vjp",
    "layer_norm": "jax.nn.standardize, then weight and bias",
    "cross_entropy": "has none of its own: from jax.nn.log_softmax and jax.nn.one_hot",
    "binary_cross_entropy_with_logits": "has none of its own: from jax.nn.log_sigmoid",
    "attention_weights": "jax.nn.dot_product_attention with the identity as its value",
    "scaled_dot_product_attention": "jax.nn.dot_product_attention takes its softmax in float32 "
    "whatever the input, so float64 goes by way of jax.nn.softmax; a query that may attend to "
    "nothing gets the mean of the values there, 0 here: such rows are zeroed",
    "multi_head_attention": "jax.nn.dot_product_attention between linear maps",
}


def as_op(function):
    """An op whose forward and backward are JAX's, by jax.vjp."""
    name = getattr(function, "__name__", "jax function")

    def op(*inputs, **keywords):
        arrays, of_floats, floats = by_floats(function, inputs, keywords)
        output, pull_back = jax.vjp(of_floats, *floats)
        outputs = all_outputs(output, jax.Array)

        def backward(*d_outputs):
            return placed(pull_back(cotangents(output, outputs, d_outputs)), arrays)

        return as_given(output, [np.asarray(one) for one in outputs]), backward

    op.__name__ = name
    op.complex_step = False  # its inputs have to stay real
    op.derivative = derivative_of(function, name)
    return op


def derivative_of(function, name):
    """An op that gives the gradients of a function at a fixed d_output, and differentiates them."""

    def op(*inputs, **keywords):
        arrays, of_floats, floats = by_floats(function, inputs, keywords)

        def first_of(*floats):
            output, pull_back = jax.vjp(of_floats, *floats)
            outputs, rng = all_outputs(output, jax.Array), np.random.default_rng(0)
            d_outputs = tuple(rng.standard_normal(one.shape) for one in outputs)
            return tuple(jax.tree.leaves(pull_back(cotangents(output, outputs, d_outputs))))

        first, pull_back = jax.vjp(first_of, *floats)

        def backward(*d_first):
            return placed(pull_back(cotangents(first, first, d_first)), arrays)

        found = [np.asarray(one) for one in first]
        return tuple(found) if len(found) > 1 else found[0], backward

    op.__name__ = f"derivative of {name}"
    op.complex_step = False
    return op


def by_floats(function, inputs, keywords):
    """The inputs as JAX's arrays, the function of those that are of floats, and these."""
    arrays = [tree_map(to_array, value) for value in inputs]
    floating = [i for i, value in enumerate(arrays) if is_floating(value)]
    keywords = tree_map(to_plain, keywords)

    def of_floats(*floats):
        given = list(arrays)
        for i, value in zip(floating, floats, strict=True):
            given[i] = value
        return function(*given, **keywords)

    return arrays, of_floats, [arrays[i] for i in floating]


def cotangents(output, outputs, d_outputs):
    """What a pull-back takes: a d_output for each output, in the form of the outputs."""
    found = [
        jnp.broadcast_to(jnp.asarray(d, one.dtype), one.shape)
        for one, d in zip(outputs, spread_out(d_outputs), strict=True)
    ]
    return found if isinstance(output, list) else as_given(output, found)


def placed(found, arrays):
    """One gradient for each input that is of floats, None for one that is None."""
    found = iter(found)
    gradients = tuple(
        None if value is None else tree_map(without_float0, next(found), value)
        for value in arrays
        if value is None or is_floating(value)
    )
    return gradients if len(gradients) > 1 else gradients[0]


def to_array(value):
    """An array as JAX's; numbers stay."""
    return jnp.asarray(value) if isinstance(value, np.ndarray | np.generic) else value


def to_plain(value):
    """Arrays among the keywords as JAX's, all else as it is."""
    return jnp.asarray(value) if isinstance(value, np.ndarray) else value


def without_float0(gradient, value):
    """The gradient as an array, zeros for integers: JAX's float0, their dtype, has no values."""
    return np.zeros_like(value) if gradient.dtype == jax.dtypes.float0 else np.asarray(gradient)


def is_floating(value):
    """Whether a tree holds an array of floats."""
    return any(
        isinstance(leaf, jax.Array) and jnp.issubdtype(leaf.dtype, jnp.floating)
        for leaf in leaves(value)
    )


def linear(x, weight, bias=None):
    """A linear map, written out: x @ weight + bias."""
    return x @ weight if bias is None else x @ weight + bias


def embedding(ids, weight, *, padding_id=0):
    """Rows of a table by jnp.take, zeros for padding."""
    if padding_id is not None:
        weight = weight.at[padding_id].set(0)
    return jnp.take(weight, ids, axis=0)


def scaled_dot_product_attention(
    query, key, value, *, mask=None, scale=None, dropout_p=0.0, keep=None
):
    """Attention by jax.nn.dot_product_attention, which wants (B, L, H, D) and one width."""
    if keep is not None:
        weights = attention_weights(query, key, mask=mask, scale=scale)
        return dropout(weights, p=dropout_p, keep=keep) @ value
    scale = query.shape[-1] ** -0.5 if scale is None else scale
    batch = jnp.broadcast_shapes(*(x.shape[:-2] for x in (query, key, value)))
    width = max(key.shape[-1], value.shape[-1])

    def prepared(x):
        x = jnp.broadcast_to(x, (*batch, *x.shape[-2:]))
        x = jnp.pad(x, [(0, 0)] * len(batch) + [(0, 0), (0, width - x.shape[-1])])
        return x.reshape(-1, 1, *x.shape[-2:]).swapaxes(1, 2)

    queries, keys, values = map(prepared, (query, key, value))
    if mask is not None:
        mask = jnp.broadcast_to(mask, (*batch, query.shape[-2], key.shape[-2]))
    by_head = None if mask is None else mask.reshape(-1, 1, *mask.shape[-2:])
    attention = softmax_attention if query.dtype == jnp.float64 else jax.nn.dot_product_attention
    output = attention(queries, keys, values, mask=by_head, scale=scale)
    output = output[:, :, 0, : value.shape[-1]].reshape(*batch, -1, value.shape[-1])
    return output if mask is None else jnp.where(mask.any(-1, keepdims=True), output, 0)


def softmax_attention(query, key, value, *, mask, scale):
    """What dot_product_attention does, with the softmax in the precision of its input."""
    scores = scale * jnp.einsum("btnh,bsnh->bnts", query, key)
    return jnp.einsum("bnts,bsnh->btnh", jax.nn.softmax(scores, where=mask), value)


def attention_weights(query, key, *, mask=None, scale=None):
    """Weights of attention: what attention gives with the identity for its values."""
    identity = jnp.eye(key.shape[-2], dtype=key.dtype)
    return scaled_dot_product_attention(query, key, identity, mask=mask, scale=scale)


def dropout(x, *, p, keep):
    """Dropout with a given mask: x * keep / (1 - p)."""
    return x * keep / (1 - p)


def split(x, n_heads):
    """Split the width into heads: (B, L, D) -> (B, H, L, D / H)."""
    return x.reshape(*x.shape[:-1], n_heads, -1).swapaxes(-2, -3)


def heads_of(params, n_heads, **inputs):
    """Each input through its own map, split into heads."""
    return [split(linear(x, **params[name]), n_heads) for name, x in inputs.items()]


def multi_head_attention(params, query, key, value, *, n_heads, mask=None):
    """Multi-head attention: attention of each head, between linear maps."""
    heads = heads_of(params, n_heads, query=query, key=key, value=value)
    mask = mask if mask is None or mask.ndim == 2 else mask[..., None, :, :]
    merged = scaled_dot_product_attention(*heads, mask=mask).swapaxes(-2, -3)
    merged = merged.reshape(*query.shape[:-1], -1)
    return merged if params["output"] is None else linear(merged, **params["output"])


def multi_head_attention_weights(params, query, key, *, n_heads, mask=None):
    """Weights of multi-head attention, between the maps of query and key."""
    mask = mask if mask is None or mask.ndim == 2 else mask[..., None, :, :]
    return attention_weights(*heads_of(params, n_heads, query=query, key=key), mask=mask)


def cross_entropy(
    logits,
    targets,
    *,
    ignore_index=None,
    position_weights=None,
    label_smoothing=0.0,
    reduction="mean",
):
    """Cross-entropy of jax.nn.log_softmax and jax.nn.one_hot, all 0 for an id that is no class."""
    n_classes = logits.shape[-1]
    counted = jnp.ones(targets.shape) if ignore_index is None else targets != ignore_index
    truth = jax.nn.one_hot(targets, n_classes, dtype=logits.dtype)
    truth = (1 - label_smoothing) * truth + label_smoothing / n_classes
    losses = -(truth * jax.nn.log_softmax(logits)).sum(-1)
    weights = counted * (1 if position_weights is None else position_weights)
    return reduced(losses, weights, reduction)


def binary_cross_entropy_with_logits(logits, targets, *, position_weights=None, reduction="mean"):
    """Binary cross-entropy of jax.nn.log_sigmoid."""
    losses = -(targets * jax.nn.log_sigmoid(logits) + (1 - targets) * jax.nn.log_sigmoid(-logits))
    weights = jnp.ones(losses.shape) if position_weights is None else position_weights
    return reduced(losses, weights, reduction)


def reduced(losses, weights, reduction):
    """The weighted sum of the losses, or their weighted mean."""
    total = (losses * weights.astype(losses.dtype)).sum()
    count = weights.sum().astype(losses.dtype)
    return total if reduction == "sum" else total / jnp.where(count == 0, 1, count)


def layer_norm(x, weight, bias, *, eps=1e-5):
    """Layer norm by jax.nn.standardize, then weight and bias."""
    z = jax.nn.standardize(x, epsilon=eps)
    z = z if weight is None else z * weight
    return z if bias is None else z + bias


def recurrent(step, n_states):
    """A recurrent op: jax.lax.scan over the steps of a cell with `n_states` states."""

    def call(params, x, initial=None, *, mask=None, last=False):
        size = len(params["hidden"]["weight"])
        state = jnp.zeros((len(x), n_states * size), x.dtype) if initial is None else initial
        mask = jnp.ones(x.shape[:2], bool) if mask is None else mask

        def advance(state, given):
            x_t, here = given
            new = step(linear(x_t, **params["input"]), params, state)
            state = jnp.where(here[:, None], new, state)
            return state, jnp.where(here[:, None], state[:, :size], 0)

        state, outputs = jax.lax.scan(advance, state, (x.swapaxes(0, 1), mask.T))
        return state[:, :size] if last else outputs.swapaxes(0, 1)

    return call


def rnn_step(gates, params, h):
    """One step of an Elman network."""
    return jnp.tanh(gates + linear(h, **params["hidden"]))


def gru_step(gates, params, h):
    """One step of a GRU, gates r, z, n; with "candidate" the reset gate acts before its product."""
    x_r, x_z, x_n = jnp.split(gates, 3, -1)
    h_r, h_z, *h_n = jnp.split(linear(h, **params["hidden"]), 2 if "candidate" in params else 3, -1)
    r, z = jax.nn.sigmoid(x_r + h_r), jax.nn.sigmoid(x_z + h_z)
    reset = linear(r * h, **params["candidate"]) if "candidate" in params else r * h_n[0]
    return (1 - z) * jnp.tanh(x_n + reset) + z * h


def lstm_step(gates, params, state):
    """One step of an LSTM, gates i, f, g, o."""
    h, c = jnp.split(state, 2, -1)
    i, f, g, o = jnp.split(gates + linear(h, **params["hidden"]), 4, -1)
    c = jax.nn.sigmoid(f) * c + jax.nn.sigmoid(i) * jnp.tanh(g)
    return jnp.concatenate([jax.nn.sigmoid(o) * jnp.tanh(c), c], -1)


CALLS = {
    "linear": linear,
    "embedding": embedding,
    "relu": jax.nn.relu,
    "sigmoid": jax.nn.sigmoid,
    "tanh": jnp.tanh,
    "gelu": lambda x, *, approximate="none": jax.nn.gelu(x, approximate=approximate == "tanh"),
    "softmax": lambda x, *, axis=-1, where=None: jax.nn.softmax(x, axis=axis, where=where),
    "log_softmax": lambda x, *, axis=-1: jax.nn.log_softmax(x, axis=axis),
    "layer_norm": layer_norm,
    "dropout": dropout,
    "attention_weights": attention_weights,
    "scaled_dot_product_attention": scaled_dot_product_attention,
    "multi_head_attention": multi_head_attention,
    "multi_head_attention_weights": multi_head_attention_weights,
    "cross_entropy": cross_entropy,
    "linear_cross_entropy": lambda x, weight, targets, **settings: cross_entropy(
        x @ weight, targets, **settings
    ),
    "binary_cross_entropy_with_logits": binary_cross_entropy_with_logits,
    "rnn": recurrent(rnn_step, 1),
    "gru": recurrent(gru_step, 1),
    "lstm": recurrent(lstm_step, 2),
}


def constant(array, like):
    """An array with the dtype of `like`; with like=None its own."""
    return jnp.asarray(array, None if like is None else like.dtype)


def transpose(matrix):
    """Swap the two axes of a matrix."""
    return matrix.T
