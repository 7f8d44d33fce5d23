"""Ranking metrics and protocols, over score matrices: knows neither models nor training.

>>> evaluate(model.scores, histories, targets, protocol=whole_catalogue())
{'HR@10': 0.195, 'NDCG@10': 0.105, 'MRR': 0.091, 'coverage': 0.62, 'users': 943}
"""

from attention_from_scratch.evaluation.metrics import (
    Ranks,
    coverage,
    hit_rate,
    mrr,
    ndcg,
    rank_targets,
    top_k,
)
from attention_from_scratch.evaluation.protocols import (
    Protocol,
    evaluate,
    mask_seen,
    sampled_negatives,
    whole_catalogue,
)

__all__ = [
    "Protocol",
    "Ranks",
    "coverage",
    "evaluate",
    "hit_rate",
    "mask_seen",
    "mrr",
    "ndcg",
    "rank_targets",
    "sampled_negatives",
    "top_k",
    "whole_catalogue",
]
