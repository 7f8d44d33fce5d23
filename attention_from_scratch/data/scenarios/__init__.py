"""Scenarios: made-up data that read like real ones, whose best possible score is known exactly.

Each has a formula for what comes next, stated in its docstring, and with it the exact distribution
of the next event: for who knows all of the past, and for who cannot see a part of it, such as what
was done with the items, or when. The difference is what that part is worth.
"""

from attention_from_scratch.data.scenarios.finance import Finance
from attention_from_scratch.data.scenarios.news import News
from attention_from_scratch.data.scenarios.purchases import Purchases
from attention_from_scratch.data.scenarios.scenario import Events, before_last
from attention_from_scratch.data.scenarios.shop import Shop
from attention_from_scratch.data.scenarios.social import Social

__all__ = ["Events", "Finance", "News", "Purchases", "Shop", "Social", "before_last"]
