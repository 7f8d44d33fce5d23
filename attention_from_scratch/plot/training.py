"""How training went: the loss and the validation metrics over the epochs."""

from collections.abc import Mapping, Sequence

from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from attention_from_scratch.plot.figure import new_figure

NOT_DRAWN = ("epoch", "seconds", "users")
LINE, BEST, LIMIT = "#1f5a99", "#b8480f", "#444444"  # in grey print, told apart by their dashes


def learning_curves(
    history: Sequence[Mapping[str, float]],
    *,
    limits: Mapping[str, float] | None = None,
    best_by: str | None = None,
) -> Figure:
    """Draw loss and validation metrics, one panel above the other over a shared epoch axis.

    Parameters
    ----------
    history : list of dicts, one an epoch
        {"epoch": 1, "loss": 4.2, "seconds": 1.3, "NDCG@10": 0.08}; a metric may be missing from the
        epochs that were not evaluated. All keys but epoch, seconds and users get a panel.
    limits : dict
        The best that any model can reach, by name; drawn as a dashed line.
    best_by : str
        What the best epoch is chosen by, lowest for a loss and highest for all else. None takes an
        NDCG if there is one, else the first metric, else the loss.

    Raises
    ------
    ValueError
        If the history is empty, an epoch has no number, or a name is not in the history.
    """
    if not history or not all("epoch" in entry for entry in history):
        raise ValueError("history must be a list of at least one dict, each with an 'epoch'")
    names = list(dict.fromkeys(name for entry in history for name in entry))
    names = sorted((n for n in names if n not in NOT_DRAWN), key=lambda n: not _is_loss(n))
    limits = limits or {}
    best_by = _choose(names) if best_by is None else best_by
    for argument, wanted in [("best_by", [best_by]), ("limits", limits)]:
        for name in wanted:
            if name not in names:
                raise ValueError(f"{argument} names {name!r}, but history holds {names}")

    best_epoch = _best_epoch(history, best_by)
    figure = new_figure(6.4, 0.8 + 2 * len(names))
    panels = figure.subplots(len(names), 1, sharex=True, squeeze=False)[:, 0]
    for ax, name in zip(panels, names, strict=True):
        _draw(ax, name, _curve(history, name), best_epoch, limits.get(name))
    panels[-1].set_xlabel("epoch")
    panels[-1].xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    figure.suptitle(f"best epoch by {best_by}: {best_epoch}", fontsize=11)
    return figure


def _draw(ax, name, curve, best_epoch, limit):
    """Draw one panel: the curve, its value at the best epoch and the limit it cannot cross."""
    ax.plot(*zip(*curve.items(), strict=True), color=LINE, marker="o", markersize=3, linewidth=1.5)
    ax.axvline(best_epoch, color=BEST, linewidth=0.8, linestyle=":")
    if best_epoch in curve:
        value = curve[best_epoch]
        label = f"epoch {best_epoch}: {value:.4g}"
        ax.plot(best_epoch, value, "*", color=BEST, markersize=12, linestyle="none", label=label)
    if limit is not None:
        ax.axhline(limit, color=LIMIT, linestyle="--", label=f"best possible: {limit:.4g}")
    ax.set_ylabel(name)
    ax.margins(x=0.02, y=0.15)
    ax.grid(alpha=0.25)
    ax.spines[["top", "right"]].set_visible(False)
    if ax.get_legend_handles_labels()[1]:
        ax.legend(fontsize=9)


def _curve(history, name):
    """Epoch -> value, of the epochs in which it was measured."""
    return {entry["epoch"]: entry[name] for entry in history if entry.get(name) is not None}


def _best_epoch(history, name):
    """The epoch with the lowest loss or the highest metric, the earliest of equals."""
    sign = -1 if _is_loss(name) else 1
    curve = {epoch: value for epoch, value in _curve(history, name).items() if value == value}
    if not curve:
        raise ValueError(f"history holds no number for {name!r}")
    return max(curve, key=lambda epoch: sign * curve[epoch])


def _choose(names):
    """What the best epoch is chosen by, if nobody says: an NDCG, else a metric, else the loss."""
    metrics = [name for name in names if not _is_loss(name)]
    preferred = [name for name in metrics if name.startswith("NDCG")] + metrics + names
    if not preferred:
        raise ValueError("history holds nothing to draw, must hold a loss or a metric")
    return preferred[0]


def _is_loss(name):
    """Whether less is better: of a loss, as its name says."""
    return "loss" in name.lower()
