"""Models: what a person fits. One file a model, named after its class.

`recommender`, `trained` and `counting` are the base classes, and `saved` reads any model from its
file. What belongs to models but stands in rooms of
its own (`explain`, `article`) can be had from here as well.
"""

import importlib

from attention_from_scratch.explain import aggregate_report, agreement, explain
from attention_from_scratch.models.bpr import BPR
from attention_from_scratch.models.content import ContentBased
from attention_from_scratch.models.markov import MarkovChain
from attention_from_scratch.models.neighbours import ItemKNN, UserKNN
from attention_from_scratch.models.pipeline import Pipeline, gru4rec
from attention_from_scratch.models.popularity import MostPopular, RecentlyPopular
from attention_from_scratch.models.recommender import Recommender
from attention_from_scratch.models.sasrec import SASRec
from attention_from_scratch.models.saved import load

OF_THE_ARTICLE = ("Listing", "flow", "flow_chart", "listing", "worked_example")

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
    "load",
    "worked_example",
]


def __getattr__(name):
    """What `article` has, which is built on the models, is loaded when it is asked for."""
    if name in OF_THE_ARTICLE:
        return getattr(importlib.import_module("attention_from_scratch.article"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__():
    return sorted({*globals(), *__all__})
