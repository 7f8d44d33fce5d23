"""Models: compositions of ops, one file a model, and the estimators around them."""

from attention_from_scratch.models.baselines import MarkovChain, MostPopular, RecentlyPopular
from attention_from_scratch.models.bpr import BPR
from attention_from_scratch.models.content import ContentBased
from attention_from_scratch.models.estimator import SASRec
from attention_from_scratch.models.explanation import agreement, explain
from attention_from_scratch.models.flow_chart import flow, flow_chart
from attention_from_scratch.models.listing import Listing, listing
from attention_from_scratch.models.neighbours import ItemKNN, UserKNN
from attention_from_scratch.models.pipeline_estimator import Pipeline, gru4rec
from attention_from_scratch.models.recommender import Recommender
from attention_from_scratch.models.report import aggregate_report
from attention_from_scratch.models.worked_example import worked_example

__all__ = [
    "BPR",
    "ContentBased",
    "ItemKNN",
    "Listing",
    "MarkovChain",
    "MostPopular",
    "Pipeline",
    "RecentlyPopular",
    "Recommender",
    "SASRec",
    "UserKNN",
    "aggregate_report",
    "agreement",
    "explain",
    "flow",
    "flow_chart",
    "gru4rec",
    "listing",
    "worked_example",
]
