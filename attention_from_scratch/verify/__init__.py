"""Is a backward pass the derivative of its forward pass, and if not, what is wrong with it?"""

from attention_from_scratch.verify.asserting import assert_gradients
from attention_from_scratch.verify.cases import Case, op_cases
from attention_from_scratch.verify.compare import compare
from attention_from_scratch.verify.doctor import Diagnosis, Finding, diagnose, register
from attention_from_scratch.verify.dump import check_dump
from attention_from_scratch.verify.foreign import as_op
from attention_from_scratch.verify.gradients import check_gradients
from attention_from_scratch.verify.numerical import central_difference, complex_step
from attention_from_scratch.verify.report import GradientError, GradientReport, GradientRow

__all__ = [
    "Case",
    "Diagnosis",
    "Finding",
    "GradientError",
    "GradientReport",
    "GradientRow",
    "as_op",
    "assert_gradients",
    "central_difference",
    "check_dump",
    "check_gradients",
    "compare",
    "complex_step",
    "diagnose",
    "op_cases",
    "register",
]
