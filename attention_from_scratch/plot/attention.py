"""Who looks at whom: attention weights as heat maps."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.image import AxesImage

from attention_from_scratch.plot.figure import new_figure
from attention_from_scratch.plot.labels import (
    check_labels,
    drawable,
    font_family,
    inches_of_longest,
    places_to_label,
    title_of,
)

COLOURS = "Blues"
"""One hue from light to dark: the same order for the colour-blind and in grey print."""

QUERY, KEY = "query: the position that looks", "key: the position looked at"
MOST_VALUES = 12  # positions a side up to which each cell shows its value
MOST_LABELS = 25  # tick labels a side; of more positions only some are labelled


def attention_heatmap(
    weights: np.ndarray,
    row_labels: Sequence | None = None,
    column_labels: Sequence | None = None,
    *,
    ax: Axes | None = None,
    title: str | None = None,
    vmin: float = 0,
    vmax: float | None = None,
) -> Figure:
    """Draw one weight matrix, each query a row and each key a column.

    Up to 12 positions a side the cells show their values; a bare 0 is exactly zero, as where a mask
    hides the key.

    Parameters
    ----------
    weights : (L_query, L_key)
    row_labels, column_labels : L_query and L_key labels
        Names of the positions, e.g. the items that stand there, of which 30 characters are shown.
        None counts from 1; columns without labels of their own take those of the rows if there are
        as many.
    ax : Axes
        Where to draw; None makes a new figure.
    title : str
        Text, of which 60 characters are shown; dollar signs are no mathematics.
    vmin, vmax : float
        The weights drawn lightest and darkest; None is the largest weight.

    Raises
    ------
    ValueError
        If the weights are no matrix of finite numbers or the labels are not as many as the cells.
    """
    weights = _check_weights(weights, (2,), "(L_query, L_key)")
    rows, columns = weights.shape
    if column_labels is None and rows == columns:
        column_labels = row_labels
    row_labels = check_labels("row_labels", row_labels, rows)
    column_labels = check_labels("column_labels", column_labels, columns)
    row_labels, column_labels, (title,) = drawable(row_labels, column_labels, [title_of(title)])
    if ax is None:
        wide, high = _side(columns, 0.5, 6), _side(rows, 0.5, 6)
        wide, high = wide + inches_of_longest(row_labels), high + inches_of_longest(column_labels)
        figure = new_figure(wide + 1.6, high + 1)
        ax = figure.add_subplot()
    image = _draw(ax, weights, _scale(weights, vmin, vmax), 0.5)
    _name_positions(ax.yaxis, row_labels)
    _name_positions(ax.xaxis, column_labels)
    _set_title(ax, title)
    ax.set(xlabel=KEY, ylabel=QUERY)
    ax.figure.colorbar(image, ax=ax, label="attention weight")
    return ax.figure


def attention_heads(
    weights: np.ndarray,
    labels: Sequence | None = None,
    *,
    titles: Sequence[str] | None = None,
) -> Figure:
    """Draw all heads of a model side by side, a row of panels for each block, on one colour scale.

    Parameters
    ----------
    weights : (n_blocks, n_heads, L, L) or (n_heads, L, L)
    labels : L labels
        Names of the positions; None counts from 1.
    titles : n_blocks * n_heads strings
        Titles of the panels, block by block; None numbers them.

    Raises
    ------
    ValueError
        If shapes disagree.
    """
    weights = _check_weights(weights, (3, 4), "(n_blocks, n_heads, L, L) or (n_heads, L, L)")
    one_block = weights.ndim == 3
    weights = weights[None] if one_block else weights
    blocks, heads, length, keys = weights.shape
    if length != keys:
        raise ValueError(f"weights has {length} queries and {keys} keys, must be as many")
    labels = check_labels("labels", labels, length)
    if titles is None:
        prefix = [""] if one_block else [f"block {block + 1}, " for block in range(blocks)]
        titles = [f"{block}head {head + 1}" for block in prefix for head in range(heads)]
    titles = check_labels("titles", titles, blocks * heads)
    labels, titles = drawable(labels, titles)

    side, room = _side(length, 0.42, 3.6), inches_of_longest(labels)
    figure = new_figure(heads * (side + 0.3) + 1.5 + room, blocks * (side + 0.4) + 0.6 + room)
    axes = figure.subplots(blocks, heads, sharex=True, sharey=True, squeeze=False)
    scale = _scale(weights, 0, None)
    panels = weights.reshape(-1, length, length)
    for ax, panel, title in zip(axes.flat, panels, titles, strict=True):
        image = _draw(ax, panel, scale, side / length)
        _set_title(ax, title, fontsize=10)
    for axis in [ax.yaxis for ax in axes[:, 0]] + [ax.xaxis for ax in axes[-1]]:
        _name_positions(axis, labels)
    figure.supxlabel(KEY, fontsize=10)
    figure.supylabel(QUERY, fontsize=10)
    figure.colorbar(image, ax=axes, label="attention weight", aspect=30)
    return figure


def _check_weights(weights, dimensions, shape):
    """The weights as floats; raise unless they are finite and of so many axes, `shape` in words."""
    weights = np.asarray(weights)
    if weights.ndim not in dimensions or 0 in weights.shape:
        raise ValueError(f"weights has shape {weights.shape}, must be {shape}, not empty")
    if weights.dtype.kind not in "fiub" or not np.all(np.isfinite(weights)):
        raise ValueError("weights holds a value that is no finite number")
    return weights.astype(float)


def _scale(weights, vmin, vmax):
    """Colours from `vmin` to `vmax`, None being the largest weight; never a scale of width 0."""
    vmax = weights.max() if vmax is None else vmax
    return Normalize(vmin, vmax if vmax > vmin else vmin + 1)


def _side(length, cell, most):
    """Inches of a side of `length` cells, `cell` inches each: at least 1.6, at most `most`."""
    return float(np.clip(cell * length, 1.6, most))


def _draw(ax: Axes, weights: np.ndarray, scale: Normalize, cell: float) -> AxesImage:
    """Draw the cells, each `cell` inches wide, and in them their values if they are few."""
    rows, columns = weights.shape
    long_strip = max(rows, columns) > 4 * min(rows, columns)
    aspect = "auto" if long_strip else "equal"
    image = ax.imshow(weights, cmap=COLOURS, norm=scale, aspect=aspect, interpolation="nearest")
    if max(rows, columns) > MOST_VALUES:
        return image
    size = min(20 * cell, 10)
    for (row, column), weight in np.ndenumerate(weights):
        # Linear light of the cell; black and white stand out alike from a cell of 0.18.
        light = np.dot(np.array(image.cmap(scale(weight))[:3]) ** 2.2, [0.2126, 0.7152, 0.0722])
        colour, text = "black" if light > 0.18 else "white", f"{weight:.2f}" if weight else "0"
        ax.text(column, row, text, ha="center", va="center", color=colour, fontsize=size)
    return image


def _set_title(ax, title, **options):
    """Put a title above a panel; dollar signs in it are no mathematics."""
    ax.set_title(title, parse_math=False, fontfamily=font_family(), **options)


def _name_positions(axis, labels):
    """Label the positions along an axis; dollar signs in a label are no mathematics."""
    shown = places_to_label(len(labels), MOST_LABELS)
    axis.set_ticks(shown, [labels[position] for position in shown], parse_math=False)
    size = 9 if len(labels) <= MOST_VALUES else 7
    axis.set_tick_params(labelsize=size, labelfontfamily=font_family(), length=2)
    if axis.axis_name == "x" and max(map(len, labels)) > 3:
        axis.set_tick_params(rotation=90)
