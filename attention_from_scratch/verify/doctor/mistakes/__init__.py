"""Wrong backward passes as formulas: what a known mistake would have computed.

Each function takes a probe (an op's inputs, keywords and d_output, with the right gradients) and
yields (mistake, gradients), where gradients has only the entries that the mistake changes. The
doctor compares them with what an op says. Where a mistake has several forms it is yielded several
times. Shapes may be wrong on purpose.
"""

from attention_from_scratch.verify.doctor.mistakes.activations import activation, gelu
from attention_from_scratch.verify.doctor.mistakes.attention import attention
from attention_from_scratch.verify.doctor.mistakes.dropout import dropout
from attention_from_scratch.verify.doctor.mistakes.embedding import embedding
from attention_from_scratch.verify.doctor.mistakes.explanations import (
    EXPLANATIONS,
    IN_SHORT,
    OF_A_LOSS,
    OPEN_ENDED,
    explanation,
)
from attention_from_scratch.verify.doctor.mistakes.general import generic_mistakes
from attention_from_scratch.verify.doctor.mistakes.layer_norm import layer_norm
from attention_from_scratch.verify.doctor.mistakes.linear import linear
from attention_from_scratch.verify.doctor.mistakes.losses import (
    binary_cross_entropy,
    cross_entropy,
    linear_cross_entropy,
)
from attention_from_scratch.verify.doctor.mistakes.multi_head_attention import multi_head_attention
from attention_from_scratch.verify.doctor.mistakes.recurrent import RECURRENT
from attention_from_scratch.verify.doctor.mistakes.shared import Probe
from attention_from_scratch.verify.doctor.mistakes.softmax import log_softmax, softmax

__all__ = [
    "EXPLANATIONS",
    "IN_SHORT",
    "MISTAKES",
    "OF_A_LOSS",
    "OPEN_ENDED",
    "Probe",
    "explanation",
    "generic_mistakes",
]

# By the name of an op of `ops`: the function that yields its mistakes.
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
