"""Self-attention for sequential recommendation, in NumPy alone, forward and backward by hand.

>>> import attention_from_scratch as afs
>>> output, backward = afs.ops.scaled_dot_product_attention(query, key, value)
>>> d_query, d_key, d_value = backward(d_output)
"""

import importlib

from attention_from_scratch import ops

__version__ = "0.1.0"
__all__ = [
    "SASRec",
    "article",
    "data",
    "evaluation",
    "explain",
    "fast",
    "models",
    "ops",
    "plot",
    "training",
    "verify",
]


def __getattr__(name):
    """Load the other rooms when they are first entered: importing ops alone stays instant."""
    if name == "SASRec":
        return importlib.import_module("attention_from_scratch.models").SASRec
    if name in __all__:
        return importlib.import_module(f"attention_from_scratch.{name}")
    raise AttributeError(f"module 'attention_from_scratch' has no attribute {name!r}")


def __dir__():
    return sorted(__all__)
