"""Models: compositions of ops, one file a model, and the estimators around them."""

from attention_from_scratch.models.estimator import SASRec
from attention_from_scratch.models.pipeline_estimator import Pipeline, gru4rec
from attention_from_scratch.models.recommender import Recommender
from attention_from_scratch.models.worked_example import worked_example

__all__ = ["Pipeline", "Recommender", "SASRec", "gru4rec", "worked_example"]
