"""What a recommendation rests on: attention, and the loss without each event, side by side."""

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from attention_from_scratch.plot.attention import LONGEST_TITLE, _check_labels, _room
from attention_from_scratch.plot.figure import new_figure
from attention_from_scratch.plot.labels import cut, drawable, font_family

FOR, AGAINST = "#1f5a99", "#b8480f"  # differ in grey print too, and in the side of 0 they are on
ATTENTION = "#555555"
MOST_LABELS = 64  # of more events every second, third, ... is labelled


def explanation(
    labels: Sequence,
    attention: np.ndarray | None,
    loss: np.ndarray,
    *,
    title: str | None = None,
) -> Figure:
    """Draw a bar for each event, the oldest at the top: what attention says, what leaving out does.

    Parameters
    ----------
    labels : L labels
        Names of the events, of which 30 characters are shown.
    attention : (L,), or None
        The share of each event. None leaves that panel out.
    loss : (L,)
        What the recommendation loses without the event, in nats of log-probability. Bars to the
        right speak for the item, bars to the left against it.
    title : str
        Such as the item that is recommended; 60 characters are shown.

    Raises
    ------
    ValueError
        If the arrays are empty, differ in length or hold what is no finite number.
    """
    loss = _check_row("loss", loss)
    labels = _check_labels(labels, len(loss), "labels")
    labels, (title,) = drawable(labels, [cut(str(title or ""), LONGEST_TITLE)])
    panels = {"loss without the event (nats)\n< 0: speaks against, > 0: for": loss}
    if attention is not None:
        attention = _check_row("attention", attention, len(loss))
        panels = {"share in attention": attention} | panels

    height = float(np.clip(0.27 * len(loss), 1.2, 10))
    figure = new_figure(3.2 * len(panels) + _room(labels), height + 1.1)
    axes = figure.subplots(1, len(panels), sharey=True, squeeze=False)[0]
    for ax, (name, values) in zip(axes, panels.items(), strict=True):
        _draw(ax, values, np.where(values >= 0, FOR, AGAINST) if values is loss else ATTENTION)
        ax.set_xlabel(name)
    _name_events(axes[0], labels, height)
    axes[0].set_ylim(len(loss) - 0.5, -0.5)  # downwards: the oldest event at the top
    axes[0].set_ylabel("event, oldest first")
    figure.suptitle(title, fontsize=11, fontfamily=font_family(), parse_math=False)
    return figure


def _check_row(name, values, count=None):
    values = np.asarray(values)
    if values.ndim != 1 or not len(values) or count not in (None, len(values)):
        wanted = "(L,), not empty" if count is None else f"({count},), as loss has"
        raise ValueError(f"{name} has shape {values.shape}, must be {wanted}")
    if values.dtype.kind not in "fiu" or not np.all(np.isfinite(values)):
        raise ValueError(f"{name} holds a value that is no finite number")
    return values.astype(float)


def _draw(ax, values, colours):
    """A bar for each value, from 0 to the left or to the right."""
    ax.barh(np.arange(len(values)), values, color=colours, height=0.72)
    ax.axvline(0, color="black", linewidth=0.8)
    low, high = min(values.min(), 0), max(values.max(), 0)
    room = 0.05 * (high - low) or 1.0
    ax.set_xlim(low - room * (low < 0), high + room)
    ax.grid(axis="x", alpha=0.25)
    ax.set_axisbelow(True)
    ax.spines[["top", "right", "left"]].set_visible(False)
    ax.tick_params(axis="y", length=0)


def _name_events(ax, labels, height):
    """A label at each bar, or at every second, third, ... up to the last; `height` in inches."""
    step = -(-len(labels) // MOST_LABELS)
    places = range((len(labels) - 1) % step, len(labels), step)
    ax.set_yticks(places, [labels[place] for place in places], parse_math=False)
    size = float(np.clip(0.8 * 72 * height / len(places), 6, 9))  # points, of 72 an inch
    ax.tick_params(axis="y", labelsize=size, labelfontfamily=font_family())
