"""What a recommendation rests on, for one user; and what the histories of all users say."""

from attention_from_scratch.explain.agreement import Agreement, agreement
from attention_from_scratch.explain.explanation import Explanation, explain
from attention_from_scratch.explain.report import Report, aggregate_report
from attention_from_scratch.explain.rollout import attention_rollout

__all__ = [
    "Agreement",
    "Explanation",
    "Report",
    "aggregate_report",
    "agreement",
    "attention_rollout",
    "explain",
]
