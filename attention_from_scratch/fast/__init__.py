"""The mathematics as the machine wants it: the ops by the same names, with the same contract.

    from attention_from_scratch import fast, ops

    loss, backward = sasrec.catalogue_loss(params, ids, targets, n_heads=1, ops=fast)

What is here is held against its plain form in `ops`, forward and backward, to float rounding; what
has no faster form is that of `ops`. Read after it: masks, attention, losses, dropout, and then the
small ones. What each of them saves is measured by `python -m benchmarks.speed`.
"""

from attention_from_scratch.fast.activations import relu
from attention_from_scratch.fast.attention import multi_head_attention, scaled_dot_product_attention
from attention_from_scratch.fast.dropout import dropout
from attention_from_scratch.fast.embedding import embedding
from attention_from_scratch.fast.layer_norm import layer_norm
from attention_from_scratch.fast.linear import linear, project
from attention_from_scratch.fast.losses import linear_cross_entropy
from attention_from_scratch.fast.masks import Mask, causal_mask, local_mask, padding_mask
from attention_from_scratch.fast.recurrent import gru, lstm
from attention_from_scratch.ops import (
    attention_weights,
    binary_cross_entropy_with_logits,
    cross_entropy,
    erfc,
    gelu,
    log_softmax,
    multi_head_attention_weights,
    rnn,
    sigmoid,
    softmax,
    tanh,
)

__all__ = [
    "Mask",
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
