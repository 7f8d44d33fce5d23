"""Models: compositions of ops, one file a model, and the estimators around them."""

from attention_from_scratch.models.estimator import SASRec
from attention_from_scratch.models.recommender import Recommender
from attention_from_scratch.models.worked_example import worked_example

__all__ = ["Recommender", "SASRec", "worked_example"]
