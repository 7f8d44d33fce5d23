"""Interactions: read them, check them, split them, or make them up by a process that is known."""

from attention_from_scratch.data.features import read_features, tf_idf
from attention_from_scratch.data.gaps import gap_borders, time_gaps
from attention_from_scratch.data.interactions import Interactions
from attention_from_scratch.data.limits import best_possible
from attention_from_scratch.data.readers import read_interactions
from attention_from_scratch.data.scenarios import (
    Events,
    Finance,
    News,
    Purchases,
    Shop,
    Social,
    before_last,
)
from attention_from_scratch.data.split import Split, leave_one_out
from attention_from_scratch.data.user_files import UserField, read_user_fields

__all__ = [
    "Events",
    "Finance",
    "Interactions",
    "News",
    "Purchases",
    "Shop",
    "Social",
    "Split",
    "UserField",
    "before_last",
    "best_possible",
    "gap_borders",
    "leave_one_out",
    "read_features",
    "read_interactions",
    "read_user_fields",
    "tf_idf",
    "time_gaps",
]
