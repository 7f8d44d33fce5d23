"""Proof: is a backward pass the derivative of its forward pass?"""

from attention_from_scratch.verify.cases import Case, op_cases
from attention_from_scratch.verify.gradients import (
    GradientError,
    GradientReport,
    GradientRow,
    check_gradients,
)
from attention_from_scratch.verify.numerical import central_difference, complex_step

__all__ = [
    "Case",
    "GradientError",
    "GradientReport",
    "GradientRow",
    "central_difference",
    "check_gradients",
    "complex_step",
    "op_cases",
]
