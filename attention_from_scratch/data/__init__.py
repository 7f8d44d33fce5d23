"""Interactions: read them, check them, split them, or make them up by a process that is known."""

from attention_from_scratch.data.interactions import Interactions
from attention_from_scratch.data.readers import read_interactions
from attention_from_scratch.data.shop import Shop
from attention_from_scratch.data.split import Split, leave_one_out

__all__ = ["Interactions", "Shop", "Split", "leave_one_out", "read_interactions"]
