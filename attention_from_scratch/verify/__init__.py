"""Is a backward pass the derivative of its forward pass?"""

from attention_from_scratch.verify.cases import Case, op_cases
from attention_from_scratch.verify.gradients import check_gradients
from attention_from_scratch.verify.numerical import central_difference, complex_step
from attention_from_scratch.verify.report import GradientError, GradientReport, GradientRow

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
