"""The mathematics: every op takes arrays and returns (output, backward).

`backward` takes the gradient of the loss with respect to the output and returns the gradients with
respect to the differentiable positional arguments, in their order: d_x is that of x. So a forward
pass reads downwards, and its backward pass takes the same steps upwards:

    hidden, back_linear = linear(x, weight, bias)
    output, back_relu = relu(hidden)

    d_hidden = back_relu(d_output)
    d_x, d_weight, d_bias = back_linear(d_hidden)

An op never writes to what it is given; `backward` may be called again and gives the same answer.

Read in this order: linear, embedding, activations, softmax, layer_norm, dropout, losses, masks,
attention, recurrent. Two files can be left out: contract checks arguments, and special holds a
function that NumPy lacks.
"""

from attention_from_scratch.ops.activations import gelu, relu, sigmoid, tanh
from attention_from_scratch.ops.attention import (
    attention_weights,
    multi_head_attention,
    multi_head_attention_weights,
    scaled_dot_product_attention,
)
from attention_from_scratch.ops.dropout import dropout
from attention_from_scratch.ops.embedding import embedding
from attention_from_scratch.ops.layer_norm import layer_norm
from attention_from_scratch.ops.linear import linear, project
from attention_from_scratch.ops.losses import (
    binary_cross_entropy_with_logits,
    cross_entropy,
    linear_cross_entropy,
)
from attention_from_scratch.ops.masks import causal_mask, local_mask, padding_mask
from attention_from_scratch.ops.recurrent import gru, lstm, rnn
from attention_from_scratch.ops.softmax import log_softmax, softmax
from attention_from_scratch.ops.special import erfc

__all__ = [
    "attention_weights",
    "binary_cross_entropy_with_logits",
    "causal_mask",
    "cross_entropy",
    "dropout",
    "embedding",
    "erfc",
    "gelu",
    "gru",
    "layer_norm",
    "linear",
    "linear_cross_entropy",
    "local_mask",
    "log_softmax",
    "lstm",
    "multi_head_attention",
    "multi_head_attention_weights",
    "padding_mask",
    "project",
    "relu",
    "rnn",
    "scaled_dot_product_attention",
    "sigmoid",
    "softmax",
    "tanh",
]
