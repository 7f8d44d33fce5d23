"""Our ops, by Keras' own layers and functions with our weights, differentiated by TensorFlow."""

import os
import warnings

os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
if os.environ["KERAS_BACKEND"] != "tensorflow":  # before an import that may want what is not there
    raise ValueError(
        f"KERAS_BACKEND was {os.environ['KERAS_BACKEND']!r}, but must be 'tensorflow', whose tape "
        "takes the gradients here"
    )

import keras
import numpy as np
import tensorflow as tf
from keras import ops

from attention_from_scratch.tree import leaves, tree_map
from attention_from_scratch.verify.frameworks import all_outputs, as_given, spread_out

if keras.backend.backend() != "tensorflow":
    raise ValueError(
        f"Keras was imported with the backend {keras.backend.backend()!r}, but must be with "
        "'tensorflow', whose tape takes the gradients here"
    )

# Attention to a single vector is meant: a decoder may have a memory of one.
warnings.filterwarnings("ignore", "You are using a softmax over axis")

VERSION = f"keras {keras.__version__} (tensorflow {tf.__version__})"

CANNOT = {("multi_head_attention", "dropout"): "cannot be handed a mask for its weights"}

REMARKS = {
    "rnn": "SimpleRNN has one bias, the sum of our two",
    "gru": "the GRU layer's gates stand in the order z, r, n (ours: r, z, n); it resets before the "
    "product with reset_after=False, and has one bias then",
    "lstm": "the LSTM layer has one bias, the sum of our two; its gates stand in our order",
    "gelu": "keras.ops.gelu is the tanh form unless told otherwise (approximate=True); its "
    "constants are rounded to float32, so float64 is written out with keras.ops.erf and tanh",
    "embedding": "the Embedding layer has no padding id: its output is zeroed where the id is 0",
    "softmax": "the Softmax layer with a mask, which adds a large negative number",
    "dropout": "cannot be handed a mask: x * keep / (1 - p), differentiated by the tape",
    "layer_norm": "the layer's default epsilon is 1e-3; ours is handed to it",
    "cross_entropy": "all positions ignored: 0 / 0 in Keras' own masking, 0 here; ignored "
    "positions and weights by hand, the loss of each position by CategoricalCrossentropy",
    "binary_cross_entropy_with_logits": "the loss averages over the last axis, which is one here",
    "attention_weights": "keras.ops.dot_product_attention with the identity as its value",
    "scaled_dot_product_attention": "its default scale is rounded to float32: ours is handed to "
    "it; a query that may attend to nothing gets the mean of the values there, 0 here: such rows "
    "are zeroed",
    "multi_head_attention": "the layer's kernels are (D, H, D / H); its 1 / sqrt(D / H) is "
    "rounded to float32 whatever the input: the query's map makes up for it; a fully masked row "
    "as above",
}


def as_op(function):
    """An op whose forward and backward are TensorFlow's, by a gradient tape."""

    def op(*inputs, **keywords):
        tensors = [tree_map(to_tensor, value) for value in inputs]
        watched = [t for value in tensors for t in leaves(value) if is_floating(t)]
        keywords = tree_map(to_plain, keywords)
        with tf.GradientTape(persistent=True) as tape:
            tape.watch(watched)
            output = function(*tensors, **keywords)
        outputs = all_outputs(output, tf.Tensor)

        def backward(*d_outputs):
            given = [
                tf.broadcast_to(tf.constant(np.array(d), one.dtype), one.shape)
                for one, d in zip(outputs, spread_out(d_outputs), strict=True)
            ]
            found = iter(tape.gradient(outputs, watched, given, unconnected_gradients="zero"))

            def take(tensor):
                return dense(next(found) if is_floating(tensor) else tf.zeros_like(tensor))

            gradients = tuple(
                tree_map(take, value)
                for value in tensors
                if value is None or any(map(is_floating, leaves(value)))
            )
            return gradients if len(gradients) > 1 else gradients[0]

        return as_given(output, [one.numpy() for one in outputs]), backward

    op.__name__ = getattr(function, "__name__", "keras function")
    op.complex_step = False  # its inputs have to stay real
    return op


def to_tensor(value):
    """An array as TensorFlow's; numbers stay."""
    return tf.constant(value) if isinstance(value, np.ndarray | np.generic) else value


def is_floating(tensor) -> bool:
    """Whether it is a tensor of floats."""
    return isinstance(tensor, tf.Tensor) and tensor.dtype.is_floating


def to_plain(value):
    """Arrays among the keywords as TensorFlow's, all else as it is."""
    return tf.constant(value) if isinstance(value, np.ndarray) else value


def dense(gradient):
    """A gradient as a dense array: that of an embedding comes as the rows that were used."""
    return tf.convert_to_tensor(gradient).numpy()


def call(layer, variables, *inputs, **keywords):
    """A layer's output with these tensors for its variables."""
    if not layer.built:
        layer.build(*(x.shape for x in inputs))
    seeds = [variable.value for variable in layer.non_trainable_variables]  # for dropout, unused
    output, _ = layer.stateless_call(variables, seeds, *inputs, **keywords)
    return output


def linear(x, weight, bias=None):
    """A linear map by the Dense layer."""
    layer = keras.layers.Dense(weight.shape[1], use_bias=bias is not None, dtype=x.dtype)
    return call(layer, [weight] if bias is None else [weight, bias], x)


def embedding(ids, weight, *, padding_id=0):
    """Rows of a table by the Embedding layer, zeros for padding."""
    layer = keras.layers.Embedding(*weight.shape, dtype=weight.dtype)
    rows = call(layer, [weight], ids)
    return rows if padding_id is None else ops.where((ids != padding_id)[..., None], rows, 0)


def softmax(x, *, axis=-1, where=None):
    """Softmax by the Softmax layer."""
    layer = keras.layers.Softmax(axis=axis, dtype=x.dtype)
    return layer(x) if where is None else layer(x, mask=tf.broadcast_to(where, x.shape))


def scaled_dot_product_attention(
    query, key, value, *, mask=None, scale=None, dropout_p=0.0, keep=None
):
    """Attention by keras.ops.dot_product_attention, which wants (B, L, H, D)."""
    if keep is not None:
        weights = attention_weights(query, key, mask=mask, scale=scale)
        return dropout(weights, p=dropout_p, keep=keep) @ value
    scale = query.shape[-1] ** -0.5 if scale is None else scale
    batch = tf.broadcast_static_shape(query.shape[:-2], key.shape[:-2])
    batch = tuple(tf.broadcast_static_shape(batch, value.shape[:-2]))

    def prepared(x):
        x = tf.broadcast_to(x, (*batch, *x.shape[-2:]))
        return tf.reshape(x, (-1, x.shape[-2], 1, x.shape[-1]))

    if mask is not None:
        mask = tf.broadcast_to(mask, (*batch, query.shape[-2], key.shape[-2]))
        by_head = tf.reshape(mask, (-1, 1, *mask.shape[-2:]))
    output = ops.dot_product_attention(
        *map(prepared, (query, key, value)),
        mask=None if mask is None else by_head,
        scale=tf.constant(scale, query.dtype),
    )
    output = tf.reshape(output, (*batch, query.shape[-2], value.shape[-1]))
    return output if mask is None else ops.where(ops.any(mask, -1, keepdims=True), output, 0)


def attention_weights(query, key, *, mask=None, scale=None):
    """Weights of attention: what attention gives with the identity for its values."""
    identity = tf.eye(key.shape[-2], dtype=key.dtype)
    return scaled_dot_product_attention(query, key, identity, mask=mask, scale=scale)


def dropout(x, *, p, keep):
    """Dropout with a given mask: x * keep / (1 - p)."""
    return x * tf.cast(keep, x.dtype) / (1 - p)


def multi_head_attention(params, query, key, value, *, n_heads, mask=None, return_weights=False):
    """Multi-head attention by its layer, whose kernels have an axis for the heads."""
    weights = {name: params[name]["weight"] for name in ("query", "key", "value")}
    head, value_head = (weights[name].shape[1] // n_heads for name in ("key", "value"))
    output = params["output"]
    if output is None:
        width = n_heads * value_head
        output = {"weight": tf.eye(width, dtype=query.dtype), "bias": tf.zeros(width, query.dtype)}
    width = output["weight"].shape[1]
    layer = keras.layers.MultiHeadAttention(
        n_heads, head, value_head, output_shape=width, dtype=query.dtype
    )
    layer.build(query.shape, value.shape, key.shape)
    variables = []
    correction = head**-0.5 / np.float32(head**-0.5).astype(float)
    for name, factor in (("query", correction), ("key", 1), ("value", 1)):
        variables += [
            factor * tf.reshape(weights[name], (len(weights[name]), n_heads, -1)),
            factor * tf.reshape(params[name]["bias"], (n_heads, -1)),
        ]
    variables += [tf.reshape(output["weight"], (n_heads, value_head, width)), output["bias"]]
    if mask is not None:
        mask = tf.broadcast_to(mask, (len(query), query.shape[-2], key.shape[-2]))
    result, weights = call(
        layer,
        variables,
        query,
        value,
        key,
        attention_mask=mask,
        return_attention_scores=True,
    )
    if mask is None:
        return weights if return_weights else result
    # A query that sees nothing: Keras mixes all values, ours none, so that only the bias is left.
    sees = ops.any(mask, -1, keepdims=True)
    if return_weights:
        return ops.where(sees[:, None], weights, 0)
    return ops.where(sees, result, output["bias"])


def multi_head_attention_weights(params, query, key, *, n_heads, mask=None):
    """Weights of the MultiHeadAttention layer, which is given the keys for values."""
    params = params | {"value": params["key"], "output": None}
    return multi_head_attention(
        params, query, key, key, n_heads=n_heads, mask=mask, return_weights=True
    )


def cross_entropy(
    logits,
    targets,
    *,
    ignore_index=None,
    position_weights=None,
    label_smoothing=0.0,
    reduction="mean",
):
    """Cross-entropy by CategoricalCrossentropy, position by position."""
    truth = tf.one_hot(targets, logits.shape[-1], dtype=logits.dtype)
    loss = keras.losses.CategoricalCrossentropy(
        from_logits=True, label_smoothing=label_smoothing, reduction=None, dtype=logits.dtype
    )
    weights = tf.ones(targets.shape, logits.dtype)
    if ignore_index is not None:
        weights = tf.cast(targets != ignore_index, logits.dtype)
    weights = weights if position_weights is None else weights * position_weights
    return reduced(loss(truth, logits), weights, reduction)


def binary_cross_entropy_with_logits(logits, targets, *, position_weights=None, reduction="mean"):
    """Binary cross-entropy by BinaryCrossentropy, entry by entry."""
    loss = keras.losses.BinaryCrossentropy(from_logits=True, reduction=None, dtype=logits.dtype)
    losses = loss(targets[..., None], logits[..., None])
    weights = tf.ones_like(losses) if position_weights is None else position_weights
    return reduced(losses, weights, reduction)


def reduced(losses, weights, reduction):
    """The weighted sum of the losses, or their weighted mean."""
    total = ops.sum(losses * weights)
    if reduction == "sum":
        return total
    count = ops.sum(weights)
    return total / ops.where(count == 0, ops.ones_like(count), count)


def layer_norm(x, weight, bias, *, eps=1e-5):
    """Layer norm by the LayerNormalization layer."""
    variables = [v for v in (weight, bias) if v is not None]
    layer = keras.layers.LayerNormalization(
        epsilon=eps, scale=weight is not None, center=bias is not None, dtype=x.dtype
    )
    return call(layer, variables, x)


def gelu(x, *, approximate="none"):
    """gelu by keras.ops.gelu; in float64, for which its constants are too coarse, written out."""
    if x.dtype != tf.float64:
        return ops.gelu(x, approximate=approximate == "tanh")
    if approximate == "tanh":
        c = tf.constant(np.sqrt(2 / np.pi), x.dtype)
        return x * (1 + ops.tanh(c * (x + tf.constant(0.044715, x.dtype) * x**3))) / 2
    return x * (1 + ops.erf(x / tf.constant(np.sqrt(2), x.dtype))) / 2


def recurrent(layer_class, order, n_states):
    """A recurrent op by Keras' layer, whose gates stand in another order; padding is its mask."""

    def call_layer(params, x, initial=None, *, mask=None, last=False):
        size = len(params["hidden"]["weight"])
        settings = (
            {"reset_after": "candidate" not in params} if layer_class is keras.layers.GRU else {}
        )
        layer = layer_class(
            size,
            return_sequences=not last,
            use_bias=params["hidden"]["bias"] is not None,
            zero_output_for_mask=not last,  # else the last output is 0 where it is padding
            dtype=x.dtype,
            **settings,
        )
        layer.build(x.shape)
        variables = keras_weights(params, order, two_biases=settings.get("reset_after", False))
        keywords = {} if mask is None else {"mask": mask}
        if initial is not None:
            keywords["initial_state"] = tf.split(initial, n_states, axis=-1)
        return call(layer, variables, x, **keywords)

    return call_layer


def keras_weights(params, order, two_biases):
    """Our weights as the layer's variables: gates in its order, one bias where it has one."""
    of_state = [params[name] for name in ("hidden", "candidate") if name in params]

    def ordered(array):
        gates = tf.split(array, len(order), axis=-1)
        return tf.concat([gates[i] for i in order], axis=-1)

    def both(kind):
        recurrent = tf.concat([part[kind] for part in of_state], axis=-1)
        return [ordered(array) for array in (params["input"][kind], recurrent)]

    if params["input"]["bias"] is None:
        return both("weight")
    return [*both("weight"), tf.stack(both("bias")) if two_biases else sum(both("bias"))]


CALLS = {
    "linear": linear,
    "embedding": embedding,
    "relu": ops.relu,
    "sigmoid": ops.sigmoid,
    "tanh": ops.tanh,
    "gelu": gelu,
    "softmax": softmax,
    "log_softmax": lambda x, *, axis=-1: ops.log_softmax(x, axis=axis),
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
    "rnn": recurrent(keras.layers.SimpleRNN, (0,), 1),
    "gru": recurrent(keras.layers.GRU, (1, 0, 2), 1),
    "lstm": recurrent(keras.layers.LSTM, (0, 1, 2, 3), 2),
}


def constant(array, like):
    """A tensor with the dtype of `like`; with like=None its own."""
    return tf.constant(array if like is None else array.astype(like.dtype.as_numpy_dtype))


def transpose(matrix):
    """Swap the two axes of a matrix."""
    return tf.transpose(matrix)
