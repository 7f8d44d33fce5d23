"""The mathematics as the machine wants it: a drop-in for `ops`.

    from attention_from_scratch import fast, ops

    loss, backward = sasrec.catalogue_loss(params, ids, targets, n_heads=1, ops=fast)

Every op of `ops` is here, by the same name and with the same signature; it takes what that op
takes, raises what that op raises, and gives what that op gives, to rounding. What has no faster
form is that of `ops` itself. Two things differ:

- Dropout that is drawn (`rng`) is drawn otherwise, from bytes, at the multiple of 1/256 that is
  nearest to the rate. Dropout that is given (`keep`) is the same.
- `causal_mask`, `local_mask` and `padding_mask` return a `Mask`, which is told instead of written
  out. It stands wherever an array of booleans does, in the ops of both modules, combines with one
  by `&`, and becomes one by `np.asarray`.

Read after the plain ops: masks, blocks and attention, losses, dropout, and then the small ones.
What each of them saves is measured by `python -m benchmarks.speed`.
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
