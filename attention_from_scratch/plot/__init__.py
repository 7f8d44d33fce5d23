"""Figures of attention, explanations and training, from arrays and labels; knows no model.

Every function returns a matplotlib figure that displays itself in a notebook; `save` writes it to
a file. Nothing touches pyplot and its global state.
"""

from attention_from_scratch.plot.attention import attention_heads, attention_heatmap
from attention_from_scratch.plot.explanation import explanation
from attention_from_scratch.plot.figure import save
from attention_from_scratch.plot.flow import flow_chart
from attention_from_scratch.plot.training import learning_curves

__all__ = [
    "attention_heads",
    "attention_heatmap",
    "explanation",
    "flow_chart",
    "learning_curves",
    "save",
]
