"""What a recommendation rests on: attention, and the loss without each event, side by side."""

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from attention_from_scratch.plot.figure import new_figure
from attention_from_scratch.plot.labels import (
    check_labels,
    drawable,
    font_family,
    inches_of_longest,
    places_to_label,
    title_of,
)

FOR, AGAINST = "#1f5a99", "#b8480f"  # also told apart in grey print, and by their side of 0
ATTENTION = "#555555"
MOST_LABELS = 64  # of more events only some are labelled


def explanation(
    labels: Sequence,
    attention: np.ndarray | None,
    loss: np.ndarray,
    *,
    title: str | None = None,
) -> Figure:
    """Draw two bars for each event: its share in attention, and the loss when it is left out.

    The oldest event stands at the top.

    Parameters
    ----------
    labels : L labels
        Names of the events, of which 30 characters are shown.
    attention : (L,), or None
        The share of each event in attention. None leaves that panel out.
    loss : (L,)
        What the recommendation loses without the event, in nats of log-probability. Bars to the
        right speak for the item, bars to the left against it.
    title : str
        Text, such as the name of the item that is recommended; 60 characters are shown.

    Raises
    ------
    ValueError
        If the arrays are empty, differ in length or hold what is no finite number.
    """
    loss = _check_row("loss", loss)
    labels = check_labels("labels", labels, len(loss))
    labels, (title,) = drawable(labels, [title_of(title)])
    panels = {"loss without the event (nats)\n< 0: speaks against, > 0: for": loss}
    if attention is not None:
        attention = _check_row("attention", attention, len(loss))
        panels = {"share in attention": attention} | panels

    height = float(np.clip(0.27 * len(loss), 1.2, 10))
    figure = new_figure(3.2 * len(panels) + inches_of_longest(labels), height + 1.1)
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
    """The values as floats; raise unless they are finite, and `count` of them if it is given."""
    values = np.asarray(values)
    if values.ndim != 1 or not len(values) or count not in (None, len(values)):
        wanted = "(L,), not empty" if count is None else f"({count},), as loss has"
        raise ValueError(f"{name} has shape {values.shape}, must be {wanted}")
    if values.dtype.kind not in "fiu" or not np.all(np.isfinite(values)):
        raise ValueError(f"{name} holds a value that is no finite number")
    return values.astype(float)


def _draw(ax, values, colours):
    """Draw a bar for each value, from 0 to the left or to the right."""
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
    """Label the bars of a panel that is `height` inches high."""
    places = places_to_label(len(labels), MOST_LABELS)
    ax.set_yticks(places, [labels[place] for place in places], parse_math=False)
    size = float(np.clip(0.8 * 72 * height / len(places), 6, 9))  # points, of 72 an inch
    ax.tick_params(axis="y", labelsize=size, labelfontfamily=font_family())
