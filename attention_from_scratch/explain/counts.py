"""What can be counted in histories without a model, and which of the counts may be shown."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from attention_from_scratch.arguments import check_per_event, check_positive


@dataclass(frozen=True, eq=False)
class Trends:
    """The share of each item in the events of the latest period, against the period before.

    Attributes
    ----------
    items : (n,) int64
        Those met by at least `min_users` in one of the two periods, the largest change first.
    periods : (start, middle, end)
        The period before is what comes after `start`, up to and with `middle`; the latest, up to
        and with `end`.
    n_before, n_latest : int
        Events in each.
    before, latest : (n,)
        Events with the item; NaN where few users met it, but somebody did.
    change, low, high : (n,)
        Share in the latest period less share before, and an interval that holds the true changes
        of all items at once with the confidence asked for. NaN if one of the two is hidden.
    direction : (n,) int64
        1 where the interval is above 0, -1 where below; 0 is what noise may do. Known also where
        a count is hidden.
    n_hidden : int
        Items with events that are left out.
    """

    items: np.ndarray
    periods: tuple[float, float, float]
    n_before: int
    n_latest: int
    before: np.ndarray
    latest: np.ndarray
    change: np.ndarray
    low: np.ndarray
    high: np.ndarray
    direction: np.ndarray
    n_hidden: int


def flat_events(histories: list[np.ndarray], times: Sequence[np.ndarray]) -> tuple:
    """All events as three arrays: the user, the item, the time."""
    times = check_per_event("times", times, histories)
    users = np.repeat(np.arange(len(histories)), [len(history) for history in histories])
    items = np.concatenate([np.zeros(0, np.int64), *histories])
    when = np.concatenate([np.zeros(0), *times])
    if not np.isfinite(when).all():
        raise ValueError(f"times holds {when[~np.isfinite(when)][0]}, but must be finite")
    return users, items, when


def may_be_shown(users: np.ndarray, items: np.ndarray, columns: int, min_users: int) -> np.ndarray:
    """Whether the number of events of each item 0..columns - 1 may be shown: booleans.

    Not where it rests on fewer users; but where it is 0, which says nothing of any one user. If the
    total is known, what is hidden can be had by subtraction: so where all that is hidden rests on
    fewer users together, the smallest of the other cells is hidden as well.

    Parameters
    ----------
    users, items : (events,) of integers
    """
    behind = distinct_users(users, items, columns)
    shown = (behind == 0) | (behind >= min_users)
    hidden, enough = ~shown[items], behind >= min_users
    if hidden.any() and enough.any() and len(np.unique(users[hidden])) < min_users:
        shown[np.where(enough, behind, len(users) + 1).argmin()] = False
    return shown


def totals_may_be_shown(users, items, when, columns, periods, min_users) -> np.ndarray:
    """Whether an item's number of events in all may be shown beside those in both periods.

    A total less what is known of its parts is the rest: so all parts must be such as may be shown.
    """
    start, middle, _ = periods
    part = np.digitize(when, [start, middle], right=True)
    parts = [np.full(len(when), True), *(part == number for number in range(3))]
    return np.all([may_be_shown(users[at], items[at], columns, min_users) for at in parts], axis=0)


def distinct_users(users: np.ndarray, cells: np.ndarray, n_cells: int) -> np.ndarray:
    """How many users have at least one event in each cell."""
    return np.bincount(np.unique(users * n_cells + cells) % n_cells, minlength=n_cells)


# --- what rises


def trends_of(users, items, when, columns, period, min_users, confidence) -> Trends:
    """Compare the latest period with the one before; see `report.aggregate_report`."""
    periods = two_periods(when, period)
    start, middle, end = periods
    before, latest = (when > start) & (when <= middle), when > middle
    for name, at in (("the latest", latest), ("the one before", before)):
        if len(np.unique(users[at])) < min_users:
            raise ValueError(
                f"period was {end - middle:g}, but fewer than {min_users} users have events in "
                f"{name}"
            )
    old, new = (Period.of(users[at], items[at], columns, min_users) for at in (before, latest))

    listed = np.flatnonzero(old.shown * old.counts + new.shown * new.counts)
    z = NormalDist().inv_cdf(1 - (1 - confidence) / (2 * max(len(listed), 1)))
    listed = listed[np.argsort(-(new.shares - old.shares)[listed], kind="stable")]
    change, low, high = difference(new, old, listed, z)
    both = (old.shown & new.shown)[listed]
    return Trends(
        items=listed,
        periods=periods,
        n_before=old.n,
        n_latest=new.n,
        before=np.where(old.shown, old.counts, np.nan)[listed],
        latest=np.where(new.shown, new.counts, np.nan)[listed],
        change=np.where(both, change, np.nan),
        low=np.where(both, low, np.nan),
        high=np.where(both, high, np.nan),
        direction=(low > 0).astype(np.int64) - (high < 0),
        n_hidden=np.count_nonzero(old.counts + new.counts) - len(listed),
    )


def two_periods(when: np.ndarray, period: float | None) -> tuple[float, float, float]:
    """Where the period before begins, where the latest does, and where that ends."""
    end = when.max()
    if period is None:  # by events, as the last of them are often few and far between
        period = end - np.quantile(when, 0.75, method="higher")
        if not period:
            raise ValueError(f"period was None, but a quarter of the events are at time {end:g}")
    check_positive("period", period)
    return float(end - 2 * period), float(end - period), float(end)


@dataclass(frozen=True, eq=False)
class Period:
    """The events of one period: (V + 1,) arrays and their total.

    `effective` is how many independent events say as much about a share as these `n` do.
    """

    n: int
    counts: np.ndarray
    shares: np.ndarray
    effective: np.ndarray
    shown: np.ndarray

    @classmethod
    def of(cls, users, items, columns, min_users) -> "Period":
        """Count.

        The events of one user are alike, so n of them say less than n independent ones. By how
        much, the variance of the share over the users says: with c_u of a user's n_u events

            var(p) = sum_u (c_u - p n_u)^2 / n^2        effective n = p (1 - p) / var(p)

        Source: the design effect, Kish, Survey Sampling (1965), section 8.2; the use of the
        effective n in a Wilson interval, Korn & Graubard (1998).
        """
        n, counts = len(items), np.bincount(items, minlength=columns)
        shares = counts / n
        cells, met = np.unique(users * columns + items, return_counts=True)
        user, item = np.divmod(cells, columns)
        events = np.bincount(users)
        squares = np.bincount(item, met**2, columns)
        products = np.bincount(item, met * events[user], columns)
        spread = squares - 2 * shares * products + shares**2 * (events**2).sum()
        alone = n * shares * (1 - shares)  # what `spread` would be, were all events independent
        design = np.divide(spread, alone, where=alone > 0, out=np.ones(columns))
        shown = may_be_shown(users, items, columns, min_users)
        return cls(n, counts, shares, n / np.maximum(design, 1), shown)


def difference(new: Period, old: Period, items: np.ndarray, z: float) -> tuple:
    """Change of the shares of some items, with an interval around it: three arrays.

    From the Wilson intervals l..u of the two shares, each side by itself:

        low = d - sqrt((p_new - l_new)^2 + (u_old - p_old)^2), high likewise

    The periods are taken for independent. Where the same users want the same in both, the true
    interval is narrower.

    Source: Newcombe, Interval Estimation for the Difference between Independent Proportions
    (1998), method 10.
    """
    p_new, p_old = new.shares[items], old.shares[items]
    low_new, high_new = wilson(p_new, new.effective[items], z)
    low_old, high_old = wilson(p_old, old.effective[items], z)
    change = p_new - p_old
    low = change - np.hypot(p_new - low_new, high_old - p_old)
    return change, low, change + np.hypot(high_new - p_new, p_old - low_old)


def wilson(share, n, z: float) -> tuple:
    """The shares that n draws with this share of hits do not rule out, z standard errors away.

    Source: Wilson, Probable Inference, the Law of Succession, and Statistical Inference (1927).
    """
    centre = share + z**2 / (2 * n)
    reach = z * np.sqrt(share * (1 - share) / n + z**2 / (4 * n**2))
    return (centre - reach) / (1 + z**2 / n), (centre + reach) / (1 + z**2 / n)


# --- what follows what


def lifts(users, items, causes, effects, columns: int, min_users: int) -> np.ndarray:
    """P(effect next | cause last) / P(effect next), (causes, effects), over pairs of neighbours.

    NaN where fewer than `min_users` users have the pair.
    """
    same = users[1:] == users[:-1]
    user, last, following = users[1:][same], items[:-1][same], items[1:][same]
    row, column = (np.full(columns, -1) for _ in range(2))
    row[causes], column[effects] = np.arange(len(causes)), np.arange(len(effects))
    kept = (row[last] >= 0) & (column[following] >= 0)
    shape = len(causes), len(effects)
    cells = row[last[kept]] * len(effects) + column[following[kept]]
    n_cells = len(causes) * len(effects)
    together = np.bincount(cells, minlength=n_cells).reshape(shape)
    enough = distinct_users(user[kept], cells, n_cells).reshape(shape) >= min_users
    n_last = np.bincount(last, minlength=columns)[causes, None]
    p_next = np.bincount(following, minlength=columns)[effects] / max(len(following), 1)
    chance = np.where(enough, n_last * p_next, np.nan)  # pairs to expect, were nothing to lead on
    return together / chance
