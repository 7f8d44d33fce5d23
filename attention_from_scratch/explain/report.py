"""What the histories of all users say together: trends, expectations, and what leads to what.

For whoever decides about a catalogue, not about one user. Nothing is shown that rests on few.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from attention_from_scratch.arguments import (
    check_context,
    check_histories,
    check_integer,
    check_share,
)
from attention_from_scratch.explain.counts import (
    Trends,
    distinct_users,
    flat_events,
    lifts,
    totals_may_be_shown,
    trends_of,
)
from attention_from_scratch.explain.explanation import name_of
from attention_from_scratch.ops import log_softmax


@dataclass(frozen=True, eq=False)
class Expectations:
    """What the model expects next, against what there has been so far.

    Attributes
    ----------
    items : (n,) int64
        Those whose share may be shown, the largest ratio of the two first.
    expected : (n,)
        The probability of the item as a user's next event: the mean over the users asked.
    so_far : (n,)
        Its share in all events.
    """

    items: np.ndarray
    expected: np.ndarray
    so_far: np.ndarray


@dataclass(frozen=True, eq=False)
class Influences:
    """What leads to what: by the model, and by counting.

    Attributes
    ----------
    causes : (n,) int64
        Items held by enough of the users asked, the most common first.
    users : (n,) int64
        How many of them hold each.
    effects : (m,) int64
        Items met by enough users.
    loss : (n, m)
        What the log-probability of the effect loses when a user's history is robbed of all events
        with the cause, in nats: the mean over these users. Above 0, the cause leads to the effect
        (for the model).
    error : (n, m)
        Standard error of that mean.
    lift : (n, m)
        P(effect next | cause last) / P(effect next), counted over all pairs of neighbours; NaN
        where too few users have this pair.
    """

    causes: np.ndarray
    users: np.ndarray
    effects: np.ndarray
    loss: np.ndarray
    error: np.ndarray
    lift: np.ndarray

    @property
    def specific(self) -> np.ndarray:
        """The loss of each effect less the mean over all effects of this cause: (n, m).

        Without the cause the event before it may come to the fore, and call for an item of its own.
        Then the others all lose: not for want of the cause. What they lose alike is left out here.
        """
        return self.loss - self.loss.sum(axis=1, keepdims=True) / max(len(self.effects), 1)

    def top(self, k: int) -> list[tuple[int, int]]:
        """Rows and columns of the k largest specific losses, the largest first."""
        best = np.argsort(-self.specific, axis=None, kind="stable")[:k]
        return [divmod(int(place), self.loss.shape[1]) for place in best]


@dataclass(frozen=True, eq=False)
class Report:
    """What the histories of all users say together; `describe` puts it into tables.

    Attributes
    ----------
    trends, expectations, influences
    n_users : int
        Users with at least one event.
    n_asked : int
        Users whose histories the model was asked about.
    min_users : int
        No number is shown that rests on fewer.
    confidence : float
        Of the intervals of `trends`.
    """

    trends: Trends
    expectations: Expectations
    influences: Influences
    n_users: int
    n_asked: int
    min_users: int
    confidence: float

    def describe(self, names: Sequence[str] | None = None, top: int = 10) -> str:
        """Four tables: rising, falling, expected, and what leads to what.

        Parameters
        ----------
        names : V + 1 strings, or None
            names[i] of item i.
        top : int
            Rows of each table.
        """
        return "\n".join(
            [
                f"{self.n_users} users, {self.n_asked} of them asked the model about; nothing is "
                f"shown that rests on fewer than {self.min_users}",
                *describe_trends(self.trends, self.confidence, names, top),
                *describe_expectations(self.expectations, names, top),
                *describe_influences(self.influences, names, top),
            ]
        )

    def __str__(self):
        return self.describe()


def describe_trends(trends: Trends, confidence: float, names, top) -> list[str]:
    """The lines that say what rises, what falls, and how much may be noise."""
    start, middle, end = trends.periods
    lines = [
        "",
        f"Share of the {trends.n_latest} events after {middle:g} up to {end:g}, against the "
        f"{trends.n_before} after {start:g} up to {middle:g}",
        f"(intervals hold for all {len(trends.items)} items at once, with confidence "
        f"{confidence:g}; '<' is too few users)",
    ]
    head = f"{'before':>16}{'latest':>16}{'change in %':>13}  {'from .. to':18}"
    for word, direction in (("rising", 1), ("falling", -1)):
        rows = np.flatnonzero(trends.direction == direction)[::direction]
        lines += ["", f"{head}{word}" if len(rows) else f"nothing is {word}"]
        lines += [trend_row(trends, row, names) for row in rows[:top]]
    still = np.count_nonzero(trends.direction == 0)
    return [*lines, "", f"no change beyond noise: {still} items; not shown: {trends.n_hidden}"]


def trend_row(trends: Trends, row: int, names) -> str:
    """A line of the table of trends: shares before and of late, the change, and the item."""

    def cell(count, total):
        return f"{'<':>16}" if np.isnan(count) else f"{int(count):>8}{100 * count / total:>7.2f}%"

    cells = cell(trends.before[row], trends.n_before) + cell(trends.latest[row], trends.n_latest)
    change, interval = "", ""
    if not np.isnan(trends.change[row]):
        change = f"{100 * trends.change[row]:+.2f}"
        interval = f"{100 * trends.low[row]:+.2f} .. {100 * trends.high[row]:+.2f}"
    return f"{cells}{change:>13}  {interval:18}{name_of(trends.items[row], names)}"


def describe_expectations(found: Expectations, names, top) -> list[str]:
    """The table of the items of which the model expects more than there has been."""
    lines = ["", f"{'expected':>10}{'so far':>10}{'ratio':>8}  expected next, and share so far"]
    for item, p, share in zip(found.items[:top], found.expected, found.so_far, strict=False):
        lines.append(f"{p:>10.4f}{share:>10.4f}{p / share:>8.2f}  {name_of(item, names)}")
    return lines


def describe_influences(found: Influences, names, top) -> list[str]:
    """The table of what leads to what: the pairs with the largest specific losses."""
    if not len(found.causes):
        return ["", "nothing leads to anything: no item is held by enough users beside another"]
    lines = ["", f"{'loss':>8}{'s.e.':>7}{'specific':>10}{'users':>7}{'lift':>8}  leads to"]
    specific = found.specific
    for row, column in found.top(top):
        lift = found.lift[row, column]
        lines.append(
            f"{found.loss[row, column]:>+8.3f}{found.error[row, column]:>7.3f}"
            f"{specific[row, column]:>+10.3f}{found.users[row]:>7}"
            f"{'<' if np.isnan(lift) else f'{lift:.2f}':>8}  "
            f"{name_of(found.causes[row], names)} -> {name_of(found.effects[column], names)}"
        )
    return lines


def aggregate_report(
    model,
    histories: Sequence,
    times: Sequence[np.ndarray],
    *,
    context: Mapping[str, Sequence] | None = None,
    period: float | None = None,
    min_users: int = 10,
    confidence: float = 0.95,
    max_users: int = 1000,
    max_causes: int = 50,
    seed: int = 0,
) -> Report:
    """Report what rises, what the model expects, and what leads to what.

    Trends, shares and lifts are counted over all users. The model is asked about `max_users` of
    them, with all they have and without each of `max_causes` items: it scores at most
    max_users * (1 + max_causes) histories.

    Privacy: no number is shown that rests on fewer than `min_users` (a count of 0 rests on nobody
    and is shown), nor one from which such a number follows by subtraction. That is a threshold, not
    differential privacy: who has two reports on almost the same users can subtract the reports.

    Parameters
    ----------
    model : a recommender whose scores are logits
        Its probabilities are those of its softmax, over the whole catalogue.
    histories : one sequence of item ids per user, oldest first
    times : one array per user, parallel to the histories, in any unit
    context : name -> one sequence per user, as in `fit`
    period : float, in the unit of the times, or None
        Length of the latest period, and of that before; None: of the time in which the latest
        quarter of the events took place.
    min_users : int
    confidence : float in [0, 1)
        Of the intervals of `Trends`, for all items at once (Bonferroni).
    max_users, max_causes : int
    seed : int
        Of the draw of users.

    Source: the article, sections 7.3 and 8.3.
    """
    histories = check_histories(histories, model.n_items)
    min_users = check_integer("min_users", min_users, 1)
    check_integer("max_users", max_users, min_users)
    check_share("confidence", confidence)
    context = check_context(context, model.kinds, histories)
    users, items, when = flat_events(histories, times)
    active = np.unique(users)
    if len(active) < min_users:
        raise ValueError(f"histories has {len(active)} users with events, must have {min_users}")
    columns = model.n_items + 1
    trends = trends_of(users, items, when, columns, period, min_users, confidence)
    shown = totals_may_be_shown(users, items, when, columns, trends.periods, min_users)
    shares = np.bincount(items, minlength=columns) / len(items)
    effects = np.flatnonzero(distinct_users(users, items, columns) >= min_users)

    asked = np.random.default_rng(seed).permutation(active)[:max_users]
    sample, around = latest_events(model, histories, context, asked)
    log_p = log_probabilities(model, sample, around)
    causes = common_items(sample, columns, min_users, check_integer("max_causes", max_causes, 1))
    return Report(
        trends=trends,
        expectations=expectations_of(log_p, np.where(shown, shares, 0)),
        influences=Influences(
            causes,
            *losses_without(model, sample, around, log_p, causes, effects),
            lift=lifts(users, items, causes, effects, columns, min_users),
        ),
        n_users=len(active),
        n_asked=len(asked),
        min_users=min_users,
        confidence=confidence,
    )


# --- what the model says


def latest_events(model, histories, context, asked) -> tuple[list, dict]:
    """The events of the users asked that the model looks at, and what is known of each."""
    start = -model.max_len if model.max_len else None
    columns = {name: [rows[user][start:] for user in asked] for name, rows in context.items()}
    return [histories[user][start:] for user in asked], columns


def log_probabilities(model, histories, context) -> np.ndarray:
    """Log-softmax of the scores over the catalogue, (users, V + 1), -inf for the padding."""
    scores = model.scores(histories, context) if context else model.scores(histories)
    log_p = np.full_like(scores, -np.inf)
    log_p[:, 1:], _ = log_softmax(scores[:, 1:])
    return log_p


def expectations_of(log_p: np.ndarray, shares: np.ndarray) -> Expectations:
    """The mean probability of each item against its share, of items whose share is not 0."""
    items = np.flatnonzero(shares)
    expected = np.exp(log_p[:, items]).mean(axis=0, dtype=np.float64)
    order = np.argsort(-expected / shares[items], kind="stable")
    return Expectations(items[order], expected[order], shares[items][order])


def common_items(histories, columns: int, min_users: int, most: int) -> np.ndarray:
    """Items that at least `min_users` hold together with another, the most common first."""
    held = [np.unique(history) for history in histories]
    users = np.bincount(
        np.concatenate([items for items in held if len(items) > 1] or [np.zeros(0, np.int64)]),
        minlength=columns,
    )
    order = np.argsort(-users, kind="stable")
    return order[users[order] >= min_users][:most]


def losses_without(model, histories, context, log_p, causes, effects) -> tuple:
    """`users`, `effects`, `loss` and `error` of `Influences`.

    Users who hold nothing but the cause are passed over: nothing would be left to go by.
    """
    users = np.zeros(len(causes), np.int64)
    mean, error = np.empty((2, len(causes), len(effects)))
    for row, cause in enumerate(causes):
        kept = [history != cause for history in histories]
        holders = [u for u, keep in enumerate(kept) if keep.any() and not keep.all()]
        rest = [histories[user][kept[user]] for user in holders]
        around = {name: [rows[u][kept[u]] for u in holders] for name, rows in context.items()}
        without = log_probabilities(model, rest, around)[:, effects]
        loss = (log_p[np.ix_(holders, effects)] - without).astype(np.float64)
        users[row], mean[row] = len(holders), loss.mean(axis=0)
        error[row] = loss.std(axis=0) / np.sqrt(len(holders))
    return users, effects, mean, error
