"""The article itself: its worked example, the program that it lists, its flow chart."""

from attention_from_scratch.article.flow_chart import Flow, flow, flow_chart
from attention_from_scratch.article.listing import Listing, listing
from attention_from_scratch.article.worked_example import worked_example

__all__ = ["Flow", "Listing", "flow", "flow_chart", "listing", "worked_example"]
