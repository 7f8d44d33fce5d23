"""How well attention tells what leaving events out shows, over many users."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from attention_from_scratch.explain.correlation import FEWEST, spearman
from attention_from_scratch.explain.explanation import explain


@dataclass(frozen=True, eq=False)
class Agreement:
    """How well attention tells what leaving events out shows, over many users.

    Attributes
    ----------
    attention, size : (users,)
        Each user's rank correlation of attention with the loss and with its size, as
        `Explanation.correlation` and `size_correlation`; NaN where it is undefined.
    recency : (users,)
        Each user's rank correlation of an event's position with the loss: what the plain rule "the
        later an event, the more it counts" would reach.
    same_first, last_first : (users,)
        1 where the event with the most attention, or the last event, is that with the largest
        loss; else 0. NaN for histories of fewer than 3 events.
    """

    attention: np.ndarray
    size: np.ndarray
    recency: np.ndarray
    same_first: np.ndarray
    last_first: np.ndarray

    @property
    def mean(self) -> float:
        """The mean of `attention` over the users, where it is defined."""
        return summary(self.attention)[0]

    @property
    def std(self) -> float:
        """The standard deviation of `attention` over the users, where it is defined."""
        return summary(self.attention)[1]

    def describe(self) -> str:
        """A table: mean, standard deviation and number of users of each measure."""
        rows = {
            "rank correlation of attention with loss": self.attention,
            "rank correlation of attention with size of loss": self.size,
            "rank correlation of recency with loss": self.recency,
            "largest loss is where most attention is": self.same_first,
            "largest loss is the last event's": self.last_first,
        }
        lines = [f"{'':50}{'mean':>6}{'std':>6}{'users':>7}"]
        for name, values in rows.items():
            mean, std, users = summary(values)
            lines.append(f"{name:50}{mean:>6.2f}{std:>6.2f}{users:>7}")
        return "\n".join(lines)

    def __str__(self):
        return self.describe()


def agreement(
    model,
    histories: Sequence,
    items: Sequence[int],
    context: Mapping[str, Sequence] | None = None,
) -> Agreement:
    """Explain one item to each of many users, and compare attention with loss.

    Takes the scores of L + 1 histories for a user with L events.

    Parameters
    ----------
    model : a recommender with attention weights
    histories : one sequence of item ids per user, oldest first
    items : one item per user, such as the first recommendation
    context : name -> one sequence per user, as in `fit`
    """
    if len(items) != len(histories):
        raise ValueError(f"items has {len(items)} entries, but there are {len(histories)} users")
    found = np.full((5, len(histories)), np.nan)
    for user, (history, item) in enumerate(zip(histories, items, strict=True)):
        if len(history) < FEWEST:
            continue
        around = {name: column[user] for name, column in (context or {}).items()}
        explanation = explain(model, history, item, around)
        if explanation.attention is None:
            raise ValueError("no attention weights say where this model looked")
        loss = explanation.loss
        found[:, user] = (
            explanation.correlation,
            explanation.size_correlation,
            spearman(np.arange(len(loss)), loss),
            explanation.same_first,
            loss.argmax() == len(loss) - 1,
        )
    return Agreement(*found)


def summary(values: np.ndarray) -> tuple[float, float, int]:
    """Mean, standard deviation and number of the values that are not NaN."""
    values = values[~np.isnan(values)]
    if not values.size:
        return float("nan"), float("nan"), 0
    return float(values.mean()), float(values.std()), len(values)
