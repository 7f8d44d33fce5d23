"""The readers and writers of foreign weights, which stand in `interop`, by their former address."""

from attention_from_scratch.interop.keras import (
    multi_head_attention_from_keras,
    multi_head_attention_to_keras,
    recurrent_from_keras,
    recurrent_to_keras,
)
from attention_from_scratch.interop.torch import (
    encoder_layer_from_torch,
    encoder_layer_to_torch,
    linear_from_torch,
    linear_to_torch,
    multi_head_attention_from_torch,
    multi_head_attention_to_torch,
    norm_from_torch,
    norm_to_torch,
    recurrent_from_torch,
    recurrent_to_torch,
    sasrec_from_torch,
    sasrec_to_torch,
)

__all__ = [
    "encoder_layer_from_torch",
    "encoder_layer_to_torch",
    "linear_from_torch",
    "linear_to_torch",
    "multi_head_attention_from_keras",
    "multi_head_attention_from_torch",
    "multi_head_attention_to_keras",
    "multi_head_attention_to_torch",
    "norm_from_torch",
    "norm_to_torch",
    "recurrent_from_keras",
    "recurrent_from_torch",
    "recurrent_to_keras",
    "recurrent_to_torch",
    "sasrec_from_torch",
    "sasrec_to_torch",
]
